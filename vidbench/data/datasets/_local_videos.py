"""Shared parts of datasets whose videos are on this machine; nothing is fetched."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.data.datasets._draw import draw
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.data.fetch.download import is_url
from vidbench.data.records import Selection, VideoRecord
from vidbench.errors import ConfigError
from vidbench.storage.files import plain_name
from vidbench.storage.video_files import Found, describe_usual_rate

logger = logging.getLogger(__name__)

EVERYTHING = "all"
"""The only split of a dataset without splits."""


def declare(name: str, source: str, num_classes: int | None = None, **family: Any) -> DatasetFamily:
    """The declaration ``FAMILY`` of a dataset of the user's own videos.

    Args:
        name: Name for ``--dataset``.
        source: What ``--dataset_path`` names.
        num_classes: 0 for a dataset without labels; None if known only from its files.
        **family: Other fields of :class:`~vidbench.data.datasets.base.DatasetFamily`.
    """
    entry = DatasetEntry(
        name=name,
        splits={EVERYTHING: None},
        num_classes=num_classes,
        licence="of your videos",
        source=source,
    )
    return DatasetFamily(
        name=name, entries=(entry,), default_split=EVERYTHING, read_in_place=True, **family
    )


class Listing(NamedTuple):
    """Videos of a folder or a manifest.

    Attributes:
        records: All videos, in the order used without a seed.
        unlisted: Other files, relative to the folder.
        nowhere: Error message for decoding, if none of the videos exists; else empty.
    """

    records: tuple[VideoRecord, ...]
    unlisted: tuple[Path, ...] = ()
    nowhere: str = ""


class LocalVideos:
    """A :class:`~vidbench.data.datasets.base.Dataset` of files on this machine.

    Args:
        name: Name of the dataset.
        split: The requested split.
        folder: Folder that the paths of records are relative to.
        seed: Seed for drawing videos; None takes them in the order of the listing.
        read: Lists the videos; called when they are first needed.
        drawn_by: Name of a video for drawing with a seed: the id, unless another dataset of the
            same videos uses something else.
    """

    def __init__(
        self,
        name: str,
        split: str,
        folder: Path,
        seed: int | None,
        read: Callable[[], Listing],
        drawn_by: Callable[[VideoRecord], str] = attrgetter("video_id"),
    ) -> None:
        self.name = name
        self.split = split
        self.folder = folder
        self._seed = seed
        self._read = read
        self._drawn_by = drawn_by

    @cached_property
    def _listing(self) -> Listing:
        return self._read()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels that occur, sorted; empty if no video has one."""
        labels = {record.label for record in self._listing.records}
        return tuple(sorted(label for label in labels if label is not None))

    def paths_on_disk(self) -> list[Path]:
        paths = (record.path for record in self._listing.records)
        return [path for path in dict.fromkeys(paths) if path is not None]

    def fetch(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The requested videos in order; nothing is fetched, and missing files have no path.

        Args:
            num_videos: Number of videos; None for all.
            classes: Videos of these classes only; None for all.

        Raises:
            ConfigError: The videos cannot be listed, have no classes to choose by, or none exists.
        """
        if self._listing.nowhere:
            raise ConfigError(self._listing.nowhere)
        return self.list_videos(num_videos, classes)

    def list_videos(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The same videos, even if none of them exists.

        Raises:
            ConfigError: The videos cannot be listed, or have no classes to choose by.
        """
        listed = self._listing.records
        if classes is not None and all(record.label is None for record in listed):
            raise ConfigError(f"{self.name}/{self.split} has no labels to choose classes by")
        records = [r for r in listed if classes is None or r.label in set(classes)]
        drawn = draw(records, self._seed, self._drawn_by)
        return Selection(tuple(drawn[:num_videos]), self._listing.unlisted, len(records))


def require_path(family: str, variant: str, options: FetchOptions, what: str) -> Path:
    """Return the path of ``--dataset_path``, without checking that it exists.

    Args:
        family: Value of ``--dataset``.
        variant: Part after the family; must be empty.
        options: The other options.
        what: Kind of the path, e.g. ``DIR``.

    Raises:
        ConfigError: The path is missing or a URL, or an option does not apply.
    """
    if variant:
        raise ConfigError(f"--dataset {family} has no variant {variant!r}: use {family}")
    if options.num_tarballs is not None:
        raise ConfigError(f"--dataset {family} has no tarballs: omit --num_tarballs")
    if options.root_url is None:
        raise ConfigError(f"--dataset {family} needs --dataset_path {what}: where are the videos?")
    if is_url(options.root_url):
        raise ConfigError(f"--dataset {family} reads local files, not {options.root_url}")
    return Path(options.root_url)


def refuse_split(family: str, split: str) -> None:
    """Raise ConfigError unless the split is :data:`EVERYTHING`."""
    if split != EVERYTHING:
        raise ConfigError(f"--dataset {family} has no splits: omit --split {split}")


def name_of(family: str, path: Path) -> str:
    """Dataset name for the videos at a path, e.g. ``folder-gym``, safe in a folder name."""
    last = Path(os.path.abspath(path)).name  # noqa: PTH100 - links keep their names
    suffix = plain_name(last)
    return f"{family}-{suffix}" if suffix else family


def refuse_undecodable(path: Path) -> None:
    """Raise ConfigError unless the path is UTF-8, because results are UTF-8 files with paths."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the name of {str(path)!a} is not UTF-8: rename it") from error


def report_left_out(found: Found, root: Path) -> None:
    """Log files that are not videos, and files left out of folders of frames."""
    for line in found.left_out(root):
        logger.warning("%s", line)
    flow = Counter(kind for kinds in found.frames.values() for kind in kinds)
    for kind, count in sorted(flow.items()):
        logger.warning("%s left out of folders of frames, as optical flow: %d", kind, count)


def report_unknown_rate(records: Iterable[VideoRecord]) -> None:
    """Log how many folders of frames use the default rate because theirs is not stated."""
    unknown = [
        record.path
        for record in records
        if record.path is not None and record.frames is not None and record.frames.fps is None
    ]
    if unknown:
        logger.warning("%s", describe_usual_rate(unknown))


def report_unlisted(unlisted: Sequence[Path], why: str) -> None:
    """Log how many files of a folder are not videos of the dataset, and why."""
    report_some(f"files that {why}", unlisted)


def report_some(what: str, found: Sequence[object]) -> None:
    """Log how many of something were found, with the first one as an example."""
    if found:
        logger.warning("%s: %d, e.g. %s", what, len(found), found[0])
