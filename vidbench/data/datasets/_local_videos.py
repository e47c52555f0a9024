"""What datasets have in common whose videos lie on this machine already: nothing is fetched."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from vidbench.data.datasets._draw import draw
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.fetch.download import is_url
from vidbench.data.records import Selection, VideoRecord
from vidbench.errors import ConfigError
from vidbench.storage.video_files import Found, describe_usual_rate

logger = logging.getLogger(__name__)

EVERYTHING = "all"
"""The split of a dataset that is not divided."""

_MAX_NAME = 60
_NO_NAME = re.compile(r"[^\w.-]+")


class Listing(NamedTuple):
    """What a folder or a manifest has.

    Attributes:
        records: All videos, in the order in which they are taken without a seed.
        unlisted: Files that are none of them, relative to the folder.
        nowhere: What to say to whoever wants to decode them, if none of them is there.
    """

    records: tuple[VideoRecord, ...]
    unlisted: tuple[Path, ...] = ()
    nowhere: str = ""


class LocalVideos:
    """A :class:`~vidbench.data.datasets.base.Dataset` of files on this machine.

    Args:
        name: Of the videos.
        split: As asked for.
        folder: The paths of records are relative to it.
        seed: Draw the videos with it; None takes them in the order of the listing.
        read: Lists the videos; called when they are first asked for.
        drawn_by: What tells a video from others when a seed draws them; the id, unless another
            dataset of the same videos draws by something else.
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
        """Names of the labels that occur, sorted; none where no video has one."""
        labels = {record.label for record in self._listing.records}
        return tuple(sorted(label for label in labels if label is not None))

    def paths_on_disk(self) -> list[Path]:
        paths = (record.path for record in self._listing.records)
        return [path for path in dict.fromkeys(paths) if path is not None]

    def fetch(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The requested videos in order; nothing is fetched, and a file that is gone has no path.

        Args:
            num_videos: How many; None for all.
            classes: Videos of these classes only; None for all.

        Raises:
            ConfigError: The videos cannot be listed, have no classes to choose by, or none of them
                is there.
        """
        if self._listing.nowhere:
            raise ConfigError(self._listing.nowhere)
        return self.list_videos(num_videos, classes)

    def list_videos(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The same videos, whether any of them is there or not.

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
    """The path that ``--dataset_path`` names; whether it is there is not looked at.

    Args:
        family: As ``--dataset`` names it.
        variant: Behind the family; it must be empty.
        options: What else is asked for.
        what: The path is to be, e.g. ``DIR``.

    Raises:
        ConfigError: It is not given, or is no path, or what is asked for beside it has no meaning.
    """
    if variant:
        raise ConfigError(f"--dataset {family} has no variant {variant!r}: drop it")
    if options.num_tarballs is not None:
        raise ConfigError(f"--dataset {family} has no tarballs: drop --num_tarballs")
    if options.root_url is None:
        raise ConfigError(f"--dataset {family} needs --dataset_path {what}: where are the videos?")
    if is_url(options.root_url):
        raise ConfigError(f"--dataset {family} reads what is on disk, not {options.root_url}")
    return Path(options.root_url)


def refuse_split(family: str, split: str) -> None:
    """Check that the whole is asked for.

    Raises:
        ConfigError: A part is.
    """
    if split != EVERYTHING:
        raise ConfigError(f"--dataset {family} is not divided: drop --split {split}")


def name_of(family: str, path: Path) -> str:
    """Name of the videos at a path, e.g. ``folder-gym``, fit for the name of a run's folder."""
    last = Path(os.path.abspath(path)).name  # noqa: PTH100 - links keep their names
    own = _NO_NAME.sub("-", last)[:_MAX_NAME].strip("-.")
    return f"{family}-{own}" if own else family


def refuse_undecodable(path: Path) -> None:
    """Check that the path is text: results are UTF-8, and could not name it otherwise.

    Raises:
        ConfigError: Its bytes are no UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the name of {str(path)!a} is no UTF-8: rename it") from error


def report_left_out(found: Found, root: Path) -> None:
    """Says what of a folder is no video, and what is left out of folders of frames."""
    for line in found.left_out(root):
        logger.warning("%s", line)
    flow = Counter(kind for kinds in found.frames.values() for kind in kinds)
    for kind, count in sorted(flow.items()):
        logger.warning("%s left out of folders of frames, as optical flow: %d", kind, count)


def report_unknown_rate(records: Iterable[VideoRecord]) -> None:
    """Says how many folders of frames are taken for some rate because theirs is not stated."""
    unknown = [
        record.path
        for record in records
        if record.path is not None and record.frames is not None and record.frames.fps is None
    ]
    if unknown:
        logger.warning("%s", describe_usual_rate(unknown))


def report_unlisted(unlisted: Sequence[Path], why: str) -> None:
    """Says how many files of a folder are no videos of the dataset, and why."""
    if unlisted:
        logger.warning("files that %s: %d, e.g. %s", why, len(unlisted), unlisted[0])
