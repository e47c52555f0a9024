"""Find already extracted Kinetics videos by name, in any folder layout.

Files of the split may be in one folder, in class folders, in the folders of tarballs, or below a
folder of the split (``val``, ``validation``, ``videos_val``). Names are ``ID_000010_000020`` as in
CVDF, torchvision, FiftyOne and mmaction2, the same with fewer digits, or ``ID`` and ``v_ID``
without times, with any video suffix. A folder of frames is a video too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from vidbench.data.datasets._kinetics_annotations import Annotation, ClipKey
from vidbench.data.datasets._local_videos import (
    Listing,
    refuse_undecodable,
    report_some,
    report_unlisted,
)
from vidbench.data.datasets._spellings import Spellings
from vidbench.data.datasets._split_words import split_of
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.storage.video_files import is_media, survey

_NAME = re.compile(
    r"(?:v_)?(?P<youtube_id>.{11})_(?P<start>\d{1,6})(?:\.\d+)?_(?P<end>\d{1,6})(?:\.\d+)?"
)
_REPAIRED = "replacement"  # prefix of CVDF's archive of repaired videos, and of its folder
_UNLABELED = "_unlabeled"  # FiftyOne's folder for the videos of a split without labels
_LEVELS = 3  # of folders that may be links: two for splits, one for classes
_EXAMPLES = 3


class VideoFile(NamedTuple):
    """A video of the folder.

    Attributes:
        path: Relative to the folder.
        name: Name without suffix.
        key: Id and start, if the name has both.
        class_name: Class of the nearest folder that is named like a class; None without one.
        is_frames: Whether it is a folder of frames.
    """

    path: Path
    name: str
    key: ClipKey | None
    class_name: str | None
    is_frames: bool = False

    @property
    def youtube_id(self) -> str:
        """The id if the name has times, else the name."""
        return self.name if self.key is None else self.key.youtube_id

    @property
    def is_repaired(self) -> bool:
        """Whether it is in a folder of repaired videos."""
        return any(part.startswith(_REPAIRED) for part in self.path.parts[:-1])


class Files(NamedTuple):
    """Content of a folder.

    Attributes:
        videos: Videos that folders do not assign to another split, sorted by path.
        others: Files that are not videos by their names.
        other_splits: Folders of other splits, which are left out.
    """

    videos: tuple[VideoFile, ...]
    others: tuple[Path, ...]
    other_splits: tuple[str, ...]


def find_files(folder: Path, split: str, classes: Sequence[str]) -> Files:
    """Find the videos of a split below a folder, following links.

    Args:
        folder: Folder of extracted videos.
        split: ``train``, ``val`` or ``test``.
        classes: Classes of the release; a folder named like one is a class folder.

    Raises:
        ConfigError: A folder cannot be listed, or a name is not UTF-8.
    """
    spellings = Spellings(classes)
    content, left_out = survey(folder, _LEVELS), set()
    videos, others = [], [path.relative_to(folder) for path in (*content.others, *content.hidden)]
    for file in content.videos:
        path = file.relative_to(folder)
        if (other := _other_split(path, split, spellings)) is not None:
            left_out.add(other)
            continue
        refuse_undecodable(file)
        videos.append(_parse(path, spellings)._replace(is_frames=file in content.frames))
    listed = [path for path in others if _other_split(path, split, spellings) is None]
    return Files(tuple(videos), tuple(listed), tuple(sorted(left_out)))


def list_by_annotations(
    files: Files, annotations: Mapping[ClipKey, Annotation], folder: Path, fps: float | None
) -> Listing:
    """List the videos of an annotation file, existing ones first, sorted by id and start.

    So the order does not depend on the folder layout. Of several files of one video, a repaired one
    is preferred, then one in the folder of its class, then the first by path.

    Args:
        files: Content of the folder.
        annotations: Annotations of the split.
        folder: The folder, for messages.
        fps: Frames per second of folders of frames; None if not stated.
    """
    matches = _match(files.videos, annotations)
    chosen = {key: min(same, key=_preference(annotations[key])) for key, same in matches.items()}
    used = {file.path for same in matches.values() for file in same}
    unlisted = [f.path for f in files.videos if f.path not in used and not f.is_repaired]
    _report(matches, chosen, annotations)
    report_unlisted(unlisted, "are not in the annotations and are not evaluated")
    keys = [*sorted(chosen), *sorted(annotations.keys() - chosen.keys())]
    records = tuple(_record(annotations[key], chosen.get(key), fps) for key in keys)
    nowhere = "" if matches else _none_of(annotations, files, folder)
    return Listing(records, (*unlisted, *files.others), nowhere)


def list_by_folders(files: Files, fps: float | None) -> Listing:
    """List all videos in class folders with these labels; those in ``_unlabeled`` have none.

    Args:
        files: Content of the folder.
        fps: Frames per second of folders of frames; None if not stated.
    """
    listed = [f for f in files.videos if f.class_name or _UNLABELED in f.path.parts[:-1]]
    kept = {file.path for file in listed}
    unlisted = tuple(file.path for file in files.videos if file.path not in kept)
    report_unlisted(unlisted, "are in no class folder and are not evaluated")
    names = Counter(file.name for file in listed)
    records = [
        VideoRecord(
            video_id=file.name if names[file.name] == 1 else file.path.as_posix(),
            path=file.path,
            label=file.class_name,
            group="" if file.key is None else file.key.youtube_id,
            frames=FrameFolder(fps) if file.is_frames else None,
        )
        for file in sorted(listed, key=lambda file: (file.name, file.path))
    ]
    return Listing(tuple(records), (*unlisted, *files.others))


def _parse(path: Path, spellings: Spellings) -> VideoFile:
    name = path.name
    while is_media(Path(name)):  # youtube-dl leaves names such as ID.mp4.webm
        name = PurePath(name).stem
    match = _NAME.fullmatch(name)
    key = None if match is None else ClipKey(match["youtube_id"], int(match["start"]))
    folders = (spellings.find(part) for part in reversed(path.parts[:-1]))
    return VideoFile(path, name, key, next((name for name in folders if name), None))


def _other_split(path: Path, split: str, spellings: Spellings) -> str | None:
    """Folder of another split that the file is in, or None; ``training dog`` is a class."""
    for level, part in enumerate(path.parts[:-1]):
        if spellings.find(part) is not None:
            return None
        if (named := split_of(part)) is not None:
            return None if named == split else "/".join(path.parts[: level + 1])
    return None


def _match(
    videos: Iterable[VideoFile], annotations: Mapping[ClipKey, Annotation]
) -> dict[ClipKey, list[VideoFile]]:
    """Files of each listed video. A name without times stands for the only clip of its id."""
    by_id: dict[str, list[ClipKey]] = {}
    for key in annotations:
        by_id.setdefault(key.youtube_id, []).append(key)
    matches: dict[ClipKey, list[VideoFile]] = {}
    unclear = []
    for file in videos:
        keys = by_id.get(file.name) or by_id.get(file.name.removeprefix("v_")) or []
        if file.key is not None:
            keys = [file.key] if file.key in annotations else []
        if len(keys) > 1:
            keys = [key for key in keys if annotations[key].label == file.class_name]
            if len(keys) != 1:
                unclear.append(file.path)
                continue
        if keys:
            matches.setdefault(keys[0], []).append(file)
    report_unlisted(unclear, "have no times in their names, and several listed clips of their id")
    return matches


def _preference(annotation: Annotation) -> Callable[[VideoFile], tuple[bool, bool, Path]]:
    """Sort key for files of one video, the best first."""
    return lambda file: (
        not file.is_repaired,
        file.class_name not in (None, annotation.label),
        file.path,
    )


def _record(annotation: Annotation, file: VideoFile | None, fps: float | None) -> VideoRecord:
    return VideoRecord(
        annotation.video_id,
        None if file is None else file.path,
        annotation.label,
        annotation.key.youtube_id,
        frames=FrameFolder(fps) if file is not None and file.is_frames else None,
    )


def _report(
    matches: Mapping[ClipKey, Sequence[VideoFile]],
    chosen: Mapping[ClipKey, VideoFile],
    annotations: Mapping[ClipKey, Annotation],
) -> None:
    """Log videos with several files, and videos in a folder of another class."""
    twice = [chosen[key].path for key, same in matches.items() if len(same) > 1]
    report_some("videos with several files, of which one is used", twice)
    elsewhere = [
        f"{file.path} is {annotations[key].label}"
        for key, file in chosen.items()
        if file.class_name is not None and annotations[key].label not in (None, file.class_name)
    ]
    what = "videos whose folder and annotation differ in class (the annotation is used)"
    report_some(what, elsewhere)


def _none_of(annotations: Mapping[ClipKey, Annotation], files: Files, folder: Path) -> str:
    first = min(annotations.values(), default=None)
    example = "" if first is None else f", such as {first.video_id}"
    return (
        f"{folder} has none of the {len(annotations)} listed videos{example}: its files are "
        f"named {_examples(file.path.name for file in files.videos)}"
    )


def tell_nothing(folder: Path, split: str, files: Files) -> str:
    """Message for a folder without videos of the split."""
    text = f"{folder} has no video of {split}"
    if files.other_splits:
        return f"{text}, only {_examples(files.other_splits)}: choose another --split"
    if files.others:
        return (
            f"{text}: {len(files.others)} other files, e.g. {files.others[0]}; name a folder of "
            "extracted videos, or a mirror with its lists of tarballs, such as "
            f"400/{split}/k400_{split}_path.txt"
        )
    return f"{text}: it is empty"


def _examples(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:_EXAMPLES]) + (", ..." if len(shown) > _EXAMPLES else "")
