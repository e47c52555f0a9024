"""Datasets on this machine whose official lists name the videos; nothing is fetched."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from vidbench.data.datasets._local_videos import Listing, LocalVideos, require_path
from vidbench.data.datasets._named_videos import NamedVideos, exact_name, find_named_videos
from vidbench.data.datasets._split_words import SPLIT_WORDS
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.data.fetch.download import is_url
from vidbench.data.records import FrameFolder, Section, VideoRecord
from vidbench.errors import ConfigError

logger = logging.getLogger(__name__)

_USUAL = ("", "annotations", "labels", "label", "annotation", "annos", "meta")
_FOLDERS = (*_USUAL, "HACS_v1.1.1", "HACS_v1.1")
_SHOWN = 80  # characters of unexpected content in a message


class Entry(NamedTuple):
    """One line of a list.

    Attributes:
        name: Name of the file without suffix, or of the folder of frames; preceded by folders if
            the same name may be in several.
        label: Class name; None in a split without labels.
        group: Source that the video was cut from; empty if not stated.
        section: The part of the video to use; None for all of it.
        num_frames: Number of frames of a folder of frames, according to the list.
    """

    name: str
    label: str | None
    group: str = ""
    section: Section | None = None
    num_frames: int | None = None

    @property
    def video_id(self) -> str:
        """The name, followed by the exact section if there is one, e.g. ``a@1.5-4``."""
        if self.section is None:
            return self.name
        times = (repr(float(second)).removesuffix(".0") for second in self.section)
        return f"{self.name}@{'-'.join(times)}"


class Lists(NamedTuple):
    """Content of the official lists.

    Attributes:
        entries: The videos of a split, in the order of the list.
        classes: All class names in the official order.
    """

    entries: Sequence[Entry]
    classes: tuple[str, ...]


class ListFiles:
    """Finds the lists of a dataset; constructing it touches no disk.

    Args:
        root: Folder of the videos.
        given: Value of ``--annotations``, a file or a folder; None to look beside the videos.
    """

    def __init__(self, root: Path, given: str | None) -> None:
        self._given = None if given is None else Path(given)
        above = Path(os.path.abspath(root)).parent  # noqa: PTH100 - links keep their names
        first = () if self._given is None else (self._given, self._given.parent)
        self._folders = (*first, *(base / name for base in (root, above) for name in _FOLDERS))
        self.last: Path | None = None  # the list of videos found last

    def find(self, *names: str) -> Path:
        """Find the list of a split: the file that was given, or the first with one of the names.

        Raises:
            ConfigError: There is no such file.
        """
        is_given = self._given is not None and self._given.is_file()
        self.last = (self._given if is_given else None) or self.beside(*names)
        return self.last

    def beside(self, *names: str) -> Path:
        """Find the first file with one of these names, ignoring case.

        Raises:
            ConfigError: There is no such file.
        """
        path = self.look_for(*names)
        if path is None:
            searched = dict.fromkeys(str(folder) for folder in self._folders if folder.is_dir())
            raise ConfigError(
                f"there is no {' or '.join(names)} in {', '.join(searched)}: put it beside the "
                "videos, or name its folder with --annotations"
            )
        return path

    def look_for(self, *names: str) -> Path | None:
        """Like :meth:`beside`, but return None if there is no such file."""
        for folder in self._folders:
            paths = sorted(folder.glob("*"))  # empty if the folder cannot be listed
            by_name: dict[str, Path] = {path.name.lower(): path for path in paths}
            for name in names:
                if (path := by_name.get(name.lower())) is not None and path.is_file():
                    return path
        return None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A dataset as its authors publish it.

    Attributes:
        family: Name for ``--dataset`` and in the results.
        splits: Number of listed videos by split; None if known only from its files.
        read: Reads the lists of a split.
        fps: Frames per second of its folders of frames, if the authors state it.
        published_as_frames: Whether a folder of frames is preferred to a file of the same name.
    """

    family: str
    splits: Mapping[str, int | None]
    read: Callable[[ListFiles, str], Lists]
    fps: float | None = None
    published_as_frames: bool = False


def load_annotated(
    source: Source, variant: str, split: str, options: FetchOptions, name: str | None = None
) -> AnnotatedVideos:
    """Load one split of a dataset whose videos and lists are in ``--dataset_path``.

    Args:
        source: The dataset.
        variant: Must be empty.
        split: A split of the source; ``validation`` is accepted for ``val``.
        options: Where the videos and lists are, and which videos to take.
        name: Name of the dataset, if it differs from the family's.

    Raises:
        ConfigError: There is no such split or folder, or an option does not apply.
    """
    root = require_path(source.family, variant, options, "DIR")
    split = SPLIT_WORDS.get(split, split)
    if split not in source.splits:
        splits = ", ".join(source.splits)
        raise ConfigError(f"{source.family} has no split {split!r}, only {splits}")
    if options.annotations is not None and is_url(options.annotations):
        raise ConfigError(f"--annotations {options.annotations!r} must be a file or a folder")
    return AnnotatedVideos(source, name or source.family, split, root, options)


def declare(source: Source, /, default_split: str = "val", **card: Any) -> DatasetFamily:
    """The declaration ``FAMILY`` of a dataset without variants.

    Args:
        source: The dataset.
        default_split: Split to use if none is given.
        **card: Other fields of :class:`~vidbench.data.datasets.base.DatasetEntry`.
    """
    return DatasetFamily(
        name=source.family,
        entries=(DatasetEntry(name=source.family, splits=source.splits, **card),),
        default_split=default_split,
        options=frozenset({"annotations"}),
    )


class AnnotatedVideos(LocalVideos):
    """A :class:`~vidbench.data.datasets.base.Dataset` with an official list and its classes.

    Args:
        source: The dataset.
        name: Name of the dataset.
        split: A split of the source.
        root: Folder of the videos.
        options: Where the lists are, and which videos to take.
    """

    def __init__(
        self, source: Source, name: str, split: str, root: Path, options: FetchOptions
    ) -> None:
        super().__init__(name, split, root, options.seed, partial(_list, self))
        self.source = source
        self.fps = options.frames_fps or source.fps
        self._files = ListFiles(root, options.annotations)

    @cached_property
    def lists(self) -> Lists:
        """The lists of the split, read once."""
        if not self.folder.is_dir():
            raise ConfigError(f"--dataset_path {self.folder} is not an existing folder")
        lists = self.source.read(self._files, self.split)
        _refuse_bad(lists, self.name if self._files.last is None else str(self._files.last))
        return lists

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the official order."""
        return self.lists.classes


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ConfigError: The file cannot be read, or is not valid JSON.
    """
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {str(error)[:_SHOWN]}") from error


def read_text_lines(path: Path) -> list[str]:
    """Read the non-empty lines of a text file, without surrounding blanks.

    Raises:
        ConfigError: The file cannot be read, or is not UTF-8.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def no_such_list(path: Path, what: str, content: object) -> ConfigError:
    """Return the error for a list with unexpected content."""
    return ConfigError(f"{path} {what}: it has {repr(content)[:_SHOWN]}")


def _refuse_bad(lists: Lists, name: str) -> None:
    classes = set(lists.classes)
    if len(classes) < len(lists.classes):
        twice = next(label for label in lists.classes if lists.classes.count(label) > 1)
        raise ConfigError(f"the class list of {name} has {twice!r} twice")
    seen: set[str] = set()
    for entry in lists.entries:
        if entry.label is not None and entry.label not in classes:
            raise ConfigError(
                f"{name} lists {entry.name!r} as {entry.label!r}, which is not a class"
            )
        if entry.video_id in seen:
            raise ConfigError(f"{name} lists {entry.video_id!r} twice: remove one of them")
        seen.add(entry.video_id)


def _list(dataset: AnnotatedVideos) -> Listing:
    entries = dataset.lists.entries
    videos = find_named_videos(dataset.folder, dataset.folder)
    candidates = {entry.name: _candidates(entry.name, videos) for entry in entries}
    prefers_frames = dataset.source.published_as_frames
    chosen = {
        name: min(paths, key=lambda path: (path in videos.frames) != prefers_frames, default=None)
        for name, paths in candidates.items()
    }
    _report_both(candidates, chosen, videos)
    records = (_record(entry, chosen[entry.name], dataset.fps, videos.frames) for entry in entries)
    is_nowhere = not any(chosen.values())
    return Listing(tuple(records), nowhere=_nothing(dataset, videos) if is_nowhere else "")


def _record(
    entry: Entry, path: Path | None, fps: float | None, frames: frozenset[Path]
) -> VideoRecord:
    return VideoRecord(
        video_id=entry.video_id,
        path=path,
        label=entry.label,
        group=entry.group,
        section=entry.section,
        frames=FrameFolder(fps, entry.num_frames) if path in frames else None,
    )


def _candidates(name: str, videos: NamedVideos) -> list[Path]:
    """All paths that end in this name, including its folders."""
    *above, last = PurePosixPath(name).parts
    paths = videos.paths.get(exact_name(last), ())
    return [path for path in paths if list(path.parts[-1 - len(above) : -1]) == above]


def _nothing(dataset: AnnotatedVideos, videos: NamedVideos) -> str:
    first = next(iter(dataset.lists.entries), None)
    example = "" if first is None else f", such as {first.name}"
    names = ", ".join(path.name for path in sorted(videos.everything)[:3]) or "no video"
    return (
        f"{dataset.folder} has none of the {len(dataset.lists.entries)} listed videos{example}; "
        f"it has {names}: name the folder of the videos with --dataset_path"
    )


def _report_both(
    candidates: Mapping[str, Sequence[Path]],
    chosen: Mapping[str, Path | None],
    videos: NamedVideos,
) -> None:
    """Log how many videos exist both as a file and as a folder of frames."""
    both = [
        name
        for name, paths in candidates.items()
        if len({path in videos.frames for path in paths}) > 1
    ]
    if both:
        logger.warning(
            "videos that exist both as files and as folders of frames: %d; using those like %s",
            len(both),
            chosen[both[0]],
        )
