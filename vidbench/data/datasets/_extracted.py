"""A split of Kinetics whose videos are already extracted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from vidbench.data.datasets._annotation_files import fetch_official, find_beside, read_given
from vidbench.data.datasets._extracted_files import (
    find_files,
    list_by_annotations,
    list_by_folders,
    tell_nothing,
)
from vidbench.data.datasets._kinetics_annotations import (
    Annotation,
    ClipKey,
    parse_name,
    read_annotations,
)
from vidbench.data.datasets._kinetics_releases import Release
from vidbench.data.datasets._local_videos import Listing, LocalVideos, report_unknown_rate
from vidbench.data.datasets._spellings import with_class_names
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.fetch.download import is_url
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError, FetchError
from vidbench.labels.class_lists import load_classes
from vidbench.storage.video_files import is_media

logger = logging.getLogger(__name__)

_Annotations = Mapping[ClipKey, Annotation]


def is_extracted(root: str | None, release: Release) -> bool:
    """Whether a root is a local folder without tarballs in the server's layout.

    A folder with the server's list of tarballs but no tarballs must also contain videos.
    """
    if root is None or is_url(root) or not Path(root).is_dir():
        return False
    lists = [Path(root, release.path_list.format(split=split)) for split in release.annotations]
    if any(any(path.parent.glob("*.tar.gz")) for path in lists):
        return False
    return not any(path.is_file() for path in lists) or any(map(is_media, Path(root).rglob("*")))


class ExtractedKinetics(LocalVideos):
    """The videos of one split in the folder ``options.root_url``.

    The official list is ``options.annotations``, or a file beside the videos, or the server's.
    Without a list, only the class folders are used. A list without videos is enough to list them.

    Args:
        release: The release.
        split: A split of the release.
        options: Where videos and annotations are, and which videos to take.

    Raises:
        ConfigError: Tarballs are requested, and there are none.
    """

    def __init__(self, release: Release, split: str, options: FetchOptions) -> None:
        if options.num_tarballs is not None:
            raise ConfigError(f"{options.root_url} has no tarballs: omit --num_tarballs")
        folder = Path(options.root_url or "")
        super().__init__(release.name, split, folder, options.seed, self._list, _drawn_by)
        self._release = release
        self._options = options

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Ordered class names of the release."""
        return load_classes(self.name.removesuffix("-2020"))

    def _list(self) -> Listing:
        files = find_files(self.folder, self.split, self.classes)
        no_videos = "" if files.videos else tell_nothing(self.folder, self.split, files)
        annotations, source = self._find_annotations(asks_server=not no_videos)
        if no_videos and annotations is None:
            raise ConfigError(no_videos)
        fps = self._options.frames_fps
        if annotations is not None:
            listing = list_by_annotations(files, annotations, self.folder, fps)
            listing = listing._replace(nowhere=no_videos or listing.nowhere)
            report_unknown_rate(listing.records)
            on_disk = sum(record.path is not None for record in listing.records)
            counts = f"{on_disk} of the {len(annotations)} videos of {source}"
            logger.info("%s is read as extracted videos: %s", self.folder, counts)
            return listing
        listing = list_by_folders(files, fps)
        report_unknown_rate(listing.records)
        if not listing.records:
            raise ConfigError(
                f"{self.folder} has no class folders, and there is no list of {self.name} "
                f"{self.split} ({source}): name one with --annotations FILE"
            )
        logger.warning(
            "%s is read as extracted videos: %d videos in class folders; missing videos are "
            "unknown without an official list (%s): name one with --annotations FILE",
            self.folder,
            len(listing.records),
            source,
        )
        return listing

    def _find_annotations(self, *, asks_server: bool) -> tuple[_Annotations | None, str]:
        """The official list and its source; or None and the reason why there is none."""
        given = self._options.annotations
        home = self._options.data_dir / self.name / "annotations"
        if given is not None:
            return read_given(given, self.split, home, self.classes, self.name), given
        for path in find_beside(self.folder, self.split, self.name):
            if (annotations := self._read_beside(path)) is not None:
                return annotations, str(path)
        if not asks_server:
            return None, "the server was not asked"
        logger.info("fetching the official list from %s: there is none here", self._release.root)
        try:
            path = fetch_official(self._release, self.split, self._options.data_dir)
        except FetchError as error:
            return None, str(error)
        return with_class_names(read_annotations(path), self.classes, self.name, path), str(path)

    def _read_beside(self, path: Path) -> _Annotations | None:
        """Read a list beside the videos; None, with a warning, if it lists other videos."""
        try:
            annotations = read_annotations(path, self.split)
            return with_class_names(annotations, self.classes, self.name, path)
        except FetchError as error:
            logger.warning("%s is not used as the official list: %s", path, error)
            return None


def _drawn_by(record: VideoRecord) -> str:
    """Name for drawing with a seed; if it has times, the same as for videos from tarballs."""
    key = parse_name(f"{record.video_id}.mp4")
    return record.video_id if key is None else f"{key.youtube_id}/{key.start_seconds}"
