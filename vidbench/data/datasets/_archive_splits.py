"""Datasets in one archive of videos, with official train and test lists."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vidbench.data.datasets._archive_lists import ListedVideo, OfficialLists, file_key
from vidbench.data.datasets._draw import draw
from vidbench.data.datasets._local_videos import report_unknown_rate, report_unlisted
from vidbench.data.datasets._named_videos import NamedVideos, find_named_videos
from vidbench.data.datasets._root_mark import refuse_other_source, write_mark
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.data.fetch.download import is_url, join_source
from vidbench.data.fetch.unpack import fetch_archive, names_archive
from vidbench.data.records import FrameFolder, Selection, VideoRecord
from vidbench.errors import ConfigError, FetchError
from vidbench.labels.class_lists import load_classes

logger = logging.getLogger(__name__)

SPLITS = ("train", "test")
NUMBERS = (1, 2, 3)
_OFFICIAL = ".avi"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A dataset as its authors published it.

    Attributes:
        family: E.g. ``ucf101``; also the name of its class list.
        root: Official server.
        videos: Path of the video archive below the root.
        lists: The official lists; their archive is below the root too.
        nested: Whether the archive contains further archives.
    """

    family: str
    root: str
    videos: str
    lists: OfficialLists
    nested: bool = False


def declare(
    release: Release, counts: Mapping[int, tuple[int, int]], num_classes: int, **card: str
) -> DatasetFamily:
    """The declaration ``FAMILY`` of a release.

    Args:
        release: The dataset.
        counts: Number of videos to train and to test with, by official split.
        num_classes: Of all splits.
        **card: Other fields of :class:`~vidbench.data.datasets.base.DatasetEntry`.
    """
    entries = tuple(
        DatasetEntry(
            name=f"{release.family}/{number}",
            splits=dict(zip(SPLITS, numbers, strict=True)),
            num_classes=num_classes,
            source=f"{release.root}/{release.videos}",
            **card,
        )
        for number, numbers in counts.items()
    )
    return DatasetFamily(
        name=release.family,
        entries=entries,
        default_split="test",
        variants=tuple(map(str, NUMBERS)),
        default_variant="1",
        is_one_archive=True,
    )


def load_split(release: Release, variant: str, split: str, options: FetchOptions) -> ListedSplit:
    """Load one official split of a release; see :class:`ListedSplit`.

    Args:
        release: The dataset.
        variant: Number of the official split.
        split: ``train`` or ``test``.
        options: Where videos go and come from, and which to take.

    Raises:
        ConfigError: There is no such split, or an option does not apply.
    """
    family = release.family
    if variant not in map(str, NUMBERS):
        raise ConfigError(f"{family} has no split {variant!r}: use {family}/1, /2 or /3")
    if split not in SPLITS:
        raise ConfigError(f"{family} has no split {split!r}, only {', '.join(SPLITS)}")
    if options.num_tarballs is not None:
        raise ConfigError(f"{family} is one archive: omit --num_tarballs")
    return ListedSplit(release, int(variant), split, options)


class ListedSplit:
    """One part of an official split; see :class:`~vidbench.data.datasets.base.Dataset`.

    Videos and lists are used in place if ``options.root_url`` is a folder. From an archive or a
    server they are extracted to ``<data folder>/<family>/``, once for all splits.

    Args:
        release: The dataset.
        number: Number of the official split, from 1.
        split: ``train`` or ``test``.
        options: Where videos go and come from, and which to take.
    """

    def __init__(self, release: Release, number: int, split: str, options: FetchOptions) -> None:
        self.name = f"{release.family}-split{number}"
        self.split = split
        self._release = release
        self._number = number
        self._seed = options.seed
        self._frames_fps = options.frames_fps
        self._source = options.root_url or release.root
        self._home = options.data_dir / release.family
        self._in_place = not is_url(self._source) and not names_archive(self._source)
        self.folder = Path(self._source) if self._in_place else options.data_dir

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in the official order."""
        return load_classes(self._release.family)

    def paths_on_disk(self) -> list[Path]:
        if not self._videos_folder.is_dir():
            return []
        chosen = self._choose_all(self._find_videos())
        return [path for video, path in chosen.items() if path and video.split == self.split]

    def fetch(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """Fetch the requested videos, in the order of the official list or of the draw.

        Missing videos are included, without a path.

        Args:
            num_videos: Number of videos; None for all.
            classes: Videos of these classes only; None for all.

        Raises:
            ConfigError: The source does not exist, or has none of the listed videos; or it is a
                rar archive, and no tool to extract it is installed.
            FetchError, ArchiveError: Videos or lists are not available.
        """
        self._refuse_bad_source()
        if is_url(self._source):
            self._find_lists()  # fails before gigabytes are downloaded
        self._fetch_videos()
        listed, videos = self._read_lists(), self._find_videos()
        candidates = {video: _candidates(video, videos) for video in listed}
        chosen = {video: _choose(paths, video, videos) for video, paths in candidates.items()}
        self._refuse_nothing(chosen)
        strays = videos.everything - {path for paths in candidates.values() for path in paths}
        _report(sorted(strays), candidates, chosen)
        unlisted = tuple(sorted(videos.everything - set(chosen.values())))
        selection = self._select(chosen, videos.frames, num_videos, classes)
        report_unknown_rate(selection.records)
        return selection._replace(unlisted=unlisted)

    def list_videos(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The same videos from the official list alone; those on disk have their paths.

        Raises:
            ConfigError: The source does not exist.
            FetchError, ArchiveError: The lists are not available.
        """
        self._refuse_bad_source()
        exists = self._videos_folder.is_dir()
        videos = self._find_videos() if exists else NamedVideos({}, frozenset())
        return self._select(self._choose_all(videos), videos.frames, num_videos, classes)

    def _choose_all(self, videos: NamedVideos) -> dict[ListedVideo, Path | None]:
        listed = self._read_lists()
        return {video: _choose(_candidates(video, videos), video, videos) for video in listed}

    def _select(
        self,
        chosen: Mapping[ListedVideo, Path | None],
        frames: Set[Path],
        num_videos: int | None,
        classes: Sequence[str] | None,
    ) -> Selection:
        requested = [
            video
            for video in chosen
            if video.split == self.split and (classes is None or video.label in classes)
        ]
        records = tuple(
            VideoRecord(
                video_id=video.video_id,
                path=(path := chosen[video]),
                label=video.label,
                group=video.group,
                frames=FrameFolder(self._frames_fps) if path in frames else None,
            )
            for video in draw(requested, self._seed, lambda video: video.video_id)[:num_videos]
        )
        return Selection(records, (), len(requested))

    @property
    def _videos_folder(self) -> Path:
        return self.folder if self._in_place else self._home / "videos"

    def _fetch_videos(self) -> None:
        if self._in_place:
            return
        source = self._source
        if not names_archive(source):
            source = join_source(source, self._release.videos)
        if not self._videos_folder.exists():
            write_mark(self._home, self._source)
        advice = "--dataset_path takes an archive or an extracted folder"
        self._fetch(source, self._videos_folder, advice, nested=self._release.nested)

    def _refuse_bad_source(self) -> None:
        """Raise ConfigError if the source is missing, or the data folder has another source."""
        local = not is_url(self._source)
        if local and not (self.folder.is_dir() if self._in_place else Path(self._source).is_file()):
            what = "folder" if self._in_place else "archive"
            raise ConfigError(f"--dataset_path {self._source!r} is not an existing {what}")
        if not self._in_place and self._videos_folder.exists():
            refuse_other_source(self._home, self._source)

    def _find_videos(self) -> NamedVideos:
        """All videos by name, in any container format; relative to the data folder."""
        return find_named_videos(self._videos_folder, self.folder, file_key)

    def _refuse_nothing(self, chosen: Mapping[ListedVideo, Path | None]) -> None:
        if any(chosen.values()):
            return
        first = next(iter(chosen), None)
        example = "" if first is None else f", such as {first.label}/{first.name}"
        raise ConfigError(
            f"{self._videos_folder} has none of the {len(chosen)} listed videos{example}: give "
            "the folder that contains the class folders, or the archive itself, as --dataset_path"
        )

    def _read_lists(self) -> list[ListedVideo]:
        return self._release.lists.read(self._find_lists(), self._number, self.classes)

    def _find_lists(self) -> Path:
        """Find the folder of the official lists near the videos, or fetch it."""
        lists, home = self._release.lists, self._home / "lists"
        searched = [(self._videos_folder, True), (home, True)]
        archive = None
        if not is_url(self._source):
            beside = Path(self._source).absolute().parent
            searched.insert(1, (beside, False))
            archive = lists.find_archive(self.folder) if self._in_place else None
            archive = archive or lists.find_archive(beside)
        for base, deep in searched:
            if (folder := lists.find(base, self._number, deep=deep)) is not None:
                return folder
        self._fetch(
            str(archive or join_source(self._root, lists.archive)),
            home,
            f"put {lists.folder} or {lists.archive} beside the videos",
        )
        if (folder := lists.find(home, self._number, deep=True)) is None:
            raise FetchError(f"{home} has no {lists.first.format(number=self._number)}")
        return folder

    @property
    def _root(self) -> str:
        """Server of videos and lists."""
        if not is_url(self._source):
            return self._release.root
        named = names_archive(self._source)
        return self._source.rpartition("/")[0] if named else self._source

    def _fetch(self, source: str, folder: Path, advice: str, *, nested: bool = False) -> None:
        try:
            fetch_archive(source, folder, nested=nested)
        except FetchError as error:
            raise FetchError(f"{error}; {advice}") from error


def _candidates(video: ListedVideo, videos: NamedVideos) -> Sequence[Path]:
    """All files and folders of frames with the video's name."""
    return videos.paths.get(file_key(video.video_id), ())


def _choose(paths: Sequence[Path], video: ListedVideo, videos: NamedVideos) -> Path | None:
    """Prefer an AVI, as published; then a file over frames; then a path in the class folder."""

    def rank(path: Path) -> tuple[bool, bool, bool]:
        is_official = path.suffix.lower() == _OFFICIAL
        return not is_official, path in videos.frames, path.parent.name != video.label

    return min(paths, key=rank, default=None)


def _report(
    strays: Sequence[Path],
    candidates: Mapping[ListedVideo, Sequence[Path]],
    chosen: Mapping[ListedVideo, Path | None],
) -> None:
    report_unlisted(strays, "are on no official list and are not evaluated")
    if several := [video for video, paths in candidates.items() if len(paths) > 1]:
        logger.warning(
            "videos that exist more than once: %d; of %s, %s is used",
            len(several),
            " and ".join(map(str, sorted(candidates[several[0]])[:2])),
            chosen[several[0]],
        )
