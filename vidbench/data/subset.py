"""Draw a small subset of a dataset, and copy its videos under anonymous names."""

from __future__ import annotations

import hashlib
import hmac
import math
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from vidbench.data.records import FrameFolder, Section, VideoRecord
from vidbench.errors import ConfigError, VideoError
from vidbench.storage.csv_cells import csv_line
from vidbench.storage.files import replacing, sweep, temporary_path
from vidbench.storage.frame_folder import find_frames
from vidbench.terminal.progress import progress

MANIFEST_COLUMNS = ("path", "label", "group", "source_id")


def choose(
    records: Iterable[VideoRecord],
    classes: Sequence[str],
    per_class: int | None = None,
    num_videos: int | None = None,
    seed: int = 0,
) -> tuple[VideoRecord, ...]:
    """Draw videos: the first of every class, then the second of every class, and so on.

    Classes, and videos within a class, are ranked by the SHA-256 of seed and name. So a smaller
    draw is the start of a larger one, it is the same on every machine, and class sizes differ by
    more than one video only if a class has no more videos.

    Args:
        records: Videos to draw from; those without a path are ignored.
        classes: Classes to draw from.
        per_class: Maximum number of videos per class; None for no limit.
        num_videos: Maximum number of videos in all; None for no limit.
        seed: Another seed gives another draw.
    """
    supply: dict[str, list[VideoRecord]] = {name: [] for name in classes}
    for record in records:
        if record.path is not None and (label := record.label or "") in supply:
            supply[label].append(record)
    ranked = [
        sorted(supply[name], key=lambda record: _rank(seed, record.video_id))[:per_class]
        for name in sorted(supply, key=lambda name: _rank(seed, name))
    ]
    drawn = (record for rank in zip_longest(*ranked) for record in rank)
    return tuple(record for record in drawn if record is not None)[:num_videos]


class ClassCount(NamedTuple):
    """Numbers of videos of a class on the list, on disk and chosen."""

    name: str
    listed: int
    on_disk: int
    chosen: int


def count_classes(
    records: Sequence[VideoRecord], classes: Iterable[str], chosen: Iterable[VideoRecord]
) -> list[ClassCount]:
    """Counts of each class, in the order of ``classes``."""
    listed = Counter(record.label for record in records)
    on_disk = Counter(record.label for record in records if record.path is not None)
    drawn = Counter(record.label for record in chosen)
    return [ClassCount(name, listed[name], on_disk[name], drawn[name]) for name in classes]


@dataclass(frozen=True)
class Copier:
    """Copies videos under names that reveal nothing about them.

    A name is a keyed hash of the video id. So a copy is found again, and the name alone does not
    reveal the class; the name, the key and the list of videos together do.

    Attributes:
        source: Folder that the paths of records are relative to.
        target: Folder of the copies.
        key: Key of the hash: all settings that distinguish copies of one video.
        min_size: Videos whose shorter side, as displayed, is smaller are enlarged; None for none.
    """

    source: Path
    target: Path
    key: str
    min_size: int | None = None

    def name(self, record: VideoRecord) -> str:
        """Name of the video's copy without suffix, e.g. ``video_0123456789ab``."""
        digest = hmac.digest(self.key.encode(), record.video_id.encode(), "sha256")
        return f"video_{digest.hex()[:12]}"

    def find(self, record: VideoRecord) -> Path | None:
        """Return the existing copy or None; files get their name only when they are complete."""
        paths = (self._target(record, suffix) for suffix in (_path(record).suffix, ".mp4"))
        return next(filter(Path.exists, paths), None)

    def copy(self, record: VideoRecord) -> Path:
        """Copy the video byte for byte, or enlarge it into an mp4; return the copy.

        Raises:
            VideoError: ``min_size`` is set, and the video's size cannot be read.
        """
        source = self.source / _path(record)
        if record.frames is not None:
            return self._copy_frames(source, self._target(record, ""))
        if self.min_size is not None:
            from vidbench.data.video.encode import shown_size, upscale

            if min(shown_size(source)) < self.min_size:
                target = self._target(record, ".mp4")
                with replacing(target) as temporary:
                    upscale(source, temporary, self.min_size)
                return target
        target = self._target(record, source.suffix)
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
        return target

    def _copy_frames(self, source: Path, target: Path) -> Path:
        if self.min_size is not None:
            raise ConfigError("--min_size enlarges files, not folders of frames: omit it")
        temporary = temporary_path(target)
        temporary.mkdir(parents=True)
        for path in find_frames(source).paths:
            shutil.copyfile(path, temporary / path.name)
        temporary.rename(target)
        return target

    def _target(self, record: VideoRecord, suffix: str) -> Path:
        return self.target / f"{self.name(record)}{suffix}"


@dataclass
class Copies:
    """The copies of a subset.

    Attributes:
        chosen: The videos that were copied, in the order of the draw.
        paths: Their copies, by video id.
        made: Number of new copies.
        kept: Number of copies that existed before.
        skips: Why a drawn video was not copied, by video id.
        skipped_labels: Classes of these videos.
    """

    chosen: tuple[VideoRecord, ...] = ()
    paths: dict[str, Path] = field(default_factory=dict)
    made: int = 0
    kept: int = 0
    skips: dict[str, VideoError] = field(default_factory=dict)
    skipped_labels: list[str | None] = field(default_factory=list)


def copy_subset(
    draw: Callable[[Collection[str]], tuple[VideoRecord, ...]], copier: Copier
) -> Copies:
    """Copy the drawn videos; an unreadable video is replaced by the next one of its class.

    Args:
        draw: Function that draws videos, excluding those with the given ids.
        copier: Copies one video.

    Raises:
        ConfigError: Two videos would get the same name.
    """
    sweep(copier.target, "")
    copies = Copies()
    while True:
        copies.chosen = draw(copies.skips)
        _refuse_equal_names(copies.chosen, copier)
        todo = [record for record in copies.chosen if record.video_id not in copies.paths]
        before = len(copies.skips)
        with progress("copy", len(todo)) as advance:
            for record in todo:
                _copy(record, copier, copies)
                advance(1)
        if len(copies.skips) == before:
            return copies


def _copy(record: VideoRecord, copier: Copier, copies: Copies) -> None:
    path = copier.find(record)
    copies.kept += path is not None
    if path is None:
        try:
            path = copier.copy(record)
        except VideoError as error:
            copies.skips[record.video_id] = error
            copies.skipped_labels.append(record.label)
            return
        copies.made += 1
    copies.paths[record.video_id] = path


def manifest(chosen: Iterable[VideoRecord], paths: Mapping[str, Path], folder: Path) -> str:
    """Text of a manifest: CSV with :data:`MANIFEST_COLUMNS` and the optional columns in use.

    The optional columns are start and end of sections, and fps and frames of folders of frames.

    Args:
        chosen: Videos in the order of the draw.
        paths: Files by video id.
        folder: Folder of the manifest; paths below it are written relative to it, others absolute.
    """
    chosen = list(chosen)
    rows: list[tuple[str, ...]] = [
        (_shown_path(paths[r.video_id], folder), r.label or "", r.group, r.video_id) for r in chosen
    ]
    columns = list(MANIFEST_COLUMNS)
    for names, shown in (
        (("start", "end"), [_shown_section(record.section) for record in chosen]),
        (("fps", "frames"), [_shown_frames(record.frames) for record in chosen]),
    ):
        if any(any(cells) for cells in shown):
            columns.extend(names)
            rows = [(*row, *cells) for row, cells in zip(rows, shown, strict=True)]
    return format_csv(columns, rows)


def format_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV with a header and line feeds, the same on every system, with formulas escaped."""
    return "".join(f"{csv_line(row)}\n" for row in (columns, *rows))


def _shown_section(section: Section | None) -> tuple[str, str]:
    begin, end = section or (0, math.inf)
    return (repr(begin) if begin else "", "" if end == math.inf else repr(end))


def _shown_frames(frames: FrameFolder | None) -> tuple[str, str]:
    fps, count = frames or FrameFolder()
    return ("" if fps is None else repr(fps), "" if count is None else str(count))


def _shown_path(path: Path, folder: Path) -> str:
    path = path.parent.resolve() / path.name
    folder = folder.resolve()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _refuse_equal_names(chosen: Sequence[VideoRecord], copier: Copier) -> None:
    if len({copier.name(record) for record in chosen}) < len(chosen):
        raise ConfigError("two of the videos would get the same name: use another --seed")


def _path(record: VideoRecord) -> Path:
    if record.path is None:
        raise ValueError(f"{record.video_id} has no file")
    return record.path


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
