"""Kinetics 400, 600 and 700-2020: from the CVDF server, a mirror, or already extracted videos."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from vidbench.data.datasets._annotation_files import check_given, read_given
from vidbench.data.datasets._draw import draw
from vidbench.data.datasets._extracted import ExtractedKinetics, is_extracted
from vidbench.data.datasets._kinetics_annotations import (
    Annotation,
    ClipKey,
    parse_name,
    read_annotations,
)
from vidbench.data.datasets._kinetics_overlaps import OVERLAPS
from vidbench.data.datasets._kinetics_releases import CVDF_ROOT, RELEASES, SPLITS, Release
from vidbench.data.datasets._kinetics_shelf import Shelf
from vidbench.data.datasets._root_mark import MARK, refuse_other_source, write_mark
from vidbench.data.datasets._spellings import with_class_names
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.data.fetch.download import fetch, is_url, join_source, require_source
from vidbench.data.fetch.tarballs import (
    PARALLEL_TARBALLS,
    Extracted,
    format_size,
    list_extracted,
    tarball_name,
    total_bytes,
    unfetched,
)
from vidbench.data.records import Selection, VideoRecord
from vidbench.errors import ConfigError, FetchError
from vidbench.labels.class_lists import load_classes, read_classes

logger = logging.getLogger(__name__)

_MAX_NAME_BYTES = 150  # of the 255 of a file system: names are longer during a download


_COUNTS = {"400": {"train": 246534, "val": 19906, "test": 39805}}
_SIZES = {"400": "435 GiB"}

FAMILY = DatasetFamily(
    name="kinetics",
    entries=tuple(
        DatasetEntry(
            name=f"kinetics/{variant}",
            splits=_COUNTS.get(variant, dict.fromkeys(SPLITS)),
            num_classes=int(variant),
            size=_SIZES.get(variant, ""),
            licence="annotations CC BY 4.0; videos under YouTube's terms and their owners'",
            source=CVDF_ROOT,
        )
        for variant in RELEASES
    ),
    options=frozenset({"annotations"}),
    variants=tuple(RELEASES),
    default_variant="400",
    has_known_classes=True,
    check_source=require_source,
    check_annotations=check_given,
    overlaps=OVERLAPS,
)


def load(variant: str, split: str, options: FetchOptions) -> Kinetics | ExtractedKinetics:
    """Load one release: ``400``, ``600`` or ``700`` (which is 700-2020).

    A folder without the server's lists of tarballs is read as extracted videos.

    Raises:
        ConfigError: There is no such release or split.
    """
    if variant not in RELEASES:
        raise ConfigError(f"there is no Kinetics {variant!r}, only {', '.join(RELEASES)}")
    release = RELEASES[variant]
    if split in release.annotations and is_extracted(options.root_url, release):
        return ExtractedKinetics(release, split, options)
    return Kinetics(release, split, options)


class Kinetics:
    """One split of a Kinetics release; see :class:`~vidbench.data.datasets.base.Dataset`.

    Tarballs are extracted to ``<data folder>/<release>/<split>/<tarball>/``.

    Args:
        release: The release.
        split: A split of the release.
        options: Where videos go and come from, and which to take.

    Raises:
        ConfigError: The release has no such split.
    """

    def __init__(self, release: Release, split: str, options: FetchOptions) -> None:
        if split not in release.annotations:
            splits = ", ".join(release.annotations)
            raise ConfigError(f"{release.name} has no split {split!r}, only {splits}")
        self.name = release.name
        self.split = split
        self.folder = options.data_dir
        self._release = release
        self._root = options.root_url or release.root
        self._seed = options.seed
        self._num_tarballs = options.num_tarballs
        self._annotations = options.annotations
        self._fetch_into = options.fetch_tarballs

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Ordered class names, from the package or from the root."""
        if self._release.class_list is None:
            return load_classes(self.name.removesuffix("-2020"))
        return read_classes(self._fetch_list(self._release.class_list))

    def paths_on_disk(self) -> list[Path]:
        paths = sorted(self._split_folder.glob("*/*.mp4"))
        listed = self._read_annotations() if paths else {}
        return [p.relative_to(self.folder) for p in paths if parse_name(p.name) in listed]

    def fetch(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """Return the requested videos in order, and fetch only the tarballs that they need.

        A listed video that is in no tarball is included, without a path, once all tarballs that
        could contain it have been read.

        Args:
            num_videos: Number of videos; None for the whole split.
            classes: Videos of these classes only; None for all.

        Raises:
            ConfigError: Classes are requested, and the split has no labels.
            FetchError, ArchiveError: A list or a tarball is not available.
        """
        refuse_other_source(self._split_folder, self._root)
        everything = self._read_annotations()
        listed = everything if classes is None else self._of_classes(everything, classes)
        tarballs = self._read_path_list()
        write_mark(self._split_folder, self._root)
        pool = tarballs[: self._num_tarballs]
        whole_split = len(pool) == len(tarballs)
        shelf = Shelf(listed, everything.keys())
        if classes is not None:
            pool = self._holding(pool, listed, listed)
        if self._seed is None:
            self._fill(shelf, pool, num_videos, whole_split)
            keys = list(shelf.paths)
            if whole_split:
                keys += sorted(listed.keys() - shelf.paths.keys())
        elif whole_split:
            keys = self._draw(listed, num_videos)
            self._fill_with(shelf, self._holding(pool, listed, keys), keys)
        else:
            self._fill(shelf, pool, None, whole_split)
            keys = self._draw(shelf.paths, num_videos)
        shelf.report()
        records = _records(keys[:num_videos], listed, shelf)
        return Selection(records, tuple(shelf.unlisted), len(listed))

    def list_videos(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The same videos from the official list alone; those already fetched have their paths.

        The first videos without a seed, and the videos of the first tarballs, are known only from
        the tarballs: for such requests the tarballs are fetched.

        Raises:
            ConfigError: Classes are requested, and the split has no labels.
            FetchError, ArchiveError: The list, or a tarball, is not available.
        """
        if self._num_tarballs is not None or (num_videos is not None and self._seed is None):
            return self.fetch(num_videos, classes)
        refuse_other_source(self._split_folder, self._root)
        everything = self._read_annotations()
        if self._annotations is None:  # otherwise nothing of this root is stored there
            write_mark(self._split_folder, self._root)
        listed = everything if classes is None else self._of_classes(everything, classes)
        shelf = Shelf(listed, everything.keys())
        for folder in sorted(self._split_folder.glob("*/")):
            shelf.add(list_extracted(folder), self.folder)
        keys = list(listed) if self._seed is None else self._draw(listed, num_videos)
        return Selection(_records(keys, listed, shelf), (), len(listed))

    def _of_classes(
        self, listed: Mapping[ClipKey, Annotation], classes: Sequence[str]
    ) -> dict[ClipKey, Annotation]:
        if all(annotation.label is None for annotation in listed.values()):
            raise ConfigError(f"{self.name}/{self.split} has no labels to choose classes by")
        wanted = set(classes)
        return {key: listed[key] for key in listed if listed[key].label in wanted}

    @property
    def _split_folder(self) -> Path:
        return self.folder / self.name / self.split

    def _draw(self, keys: Iterable[ClipKey], num_videos: int | None) -> list[ClipKey]:
        """Draw ``num_videos`` of the keys with the seed, by id and start."""
        drawn = draw(keys, self._seed, lambda key: f"{key.youtube_id}/{key.start_seconds}")
        return drawn[:num_videos]

    def _fill(
        self, shelf: Shelf, pool: Sequence[str], num_videos: int | None, whole_split: bool
    ) -> None:
        """Fetch tarballs in order, until they have ``num_videos`` (None: all tarballs)."""
        waiting = list(pool)
        while waiting and (num_videos is None or len(shelf.paths) < num_videos):
            wave = 1 if num_videos else len(waiting)
            if num_videos and shelf.largest:
                wave = math.ceil((num_videos - len(shelf.paths)) / shelf.largest)
            self._add(shelf, waiting[:wave])
            del waiting[:wave]
        self._repair(shelf, add=whole_split)

    def _fill_with(self, shelf: Shelf, pool: Sequence[str], keys: Sequence[ClipKey]) -> None:
        """Fetch tarballs until all of ``keys`` are found; log the maximum size of the download."""
        if tarballs := unfetched(pool, self._split_folder):
            logger.info(
                "%d drawn videos need up to %d tarballs, %s",
                len(keys),
                len(tarballs),
                format_size(total_bytes(tarballs)),
            )
        waiting = list(pool)
        while waiting and not shelf.paths.keys() >= set(keys):
            self._add(shelf, waiting[:PARALLEL_TARBALLS])
            del waiting[:PARALLEL_TARBALLS]
        self._repair(shelf, add=True)

    def _add(self, shelf: Shelf, tarballs: Sequence[str]) -> None:
        for tarball in self._fetch_tarballs(tarballs):
            shelf.add(tarball, self.folder)

    def _repair(self, shelf: Shelf, *, add: bool) -> None:
        """Replace damaged videos by repaired ones; with ``add``, add new ones as well."""
        if replacement := self._release.replacements.get(self.split):
            for tarball in self._fetch_tarballs([join_source(self._root, replacement)]):
                shelf.replace(tarball, self.folder, add=add)

    def _holding(
        self, pool: Sequence[str], listed: Mapping[ClipKey, Annotation], keys: Iterable[ClipKey]
    ) -> list[str]:
        """Tarballs that can contain the keys: those named after their classes, or all of them."""
        if self.split not in self._release.one_tarball_per_class:
            return list(pool)
        labels = {(listed[key].label or "").casefold() for key in keys}
        return [tarball for tarball in pool if tarball_name(tarball).casefold() in labels]

    def _fetch_tarballs(self, sources: Sequence[str]) -> list[Extracted]:
        try:
            return self._fetch_into(sources, self._split_folder)
        except FetchError as error:
            raise _with_advice(error) from error

    def _fetch_list(self, relative: str) -> Path:
        source = join_source(self._root, relative)
        try:
            return fetch(source, self._split_folder / Path(relative).name)
        except FetchError as error:
            raise _with_advice(error) from error

    def _read_path_list(self) -> list[str]:
        """Sources of the split's tarballs, below this root, in the order of the list."""
        path = self._fetch_list(self._release.path_list.format(split=self.split))
        try:
            lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
        except UnicodeDecodeError as error:
            raise FetchError(f"{path} is not a list of tarballs: {error}") from error
        sources = list(dict.fromkeys(self._below_root(line) for line in lines if line))
        self._refuse_taken_names(sources)
        return sources

    def _refuse_taken_names(self, sources: Sequence[str]) -> None:
        """Raise FetchError if two tarballs would share a folder, or one would hide a list."""
        names = Counter(map(tarball_name, sources))
        for name, count in names.items():
            if count > 1 or name == MARK or (self._split_folder / name).is_file():
                raise FetchError(f"the path list has {name!r} twice, or it is the name of a list")

    def _below_root(self, entry: str) -> str:
        """Source of an entry of the path list; URLs below the official root are moved to ours."""
        if is_url(entry) and not entry.startswith(CVDF_ROOT):
            raise FetchError(f"the path list has {entry}, which is not below {CVDF_ROOT}")
        relative = entry.removeprefix(CVDF_ROOT)
        _refuse_bad_path(unquote(relative))
        return join_source(self._root, relative)

    def _read_annotations(self) -> dict[ClipKey, Annotation]:
        if self._annotations is not None:
            home = self._split_folder
            return read_given(self._annotations, self.split, home, self.classes, self.name)
        path = self._fetch_list(self._release.annotations[self.split])
        return with_class_names(read_annotations(path), self.classes, self.name, path)


def _records(
    keys: Sequence[ClipKey], listed: Mapping[ClipKey, Annotation], shelf: Shelf
) -> tuple[VideoRecord, ...]:
    return tuple(
        VideoRecord(listed[key].video_id, shelf.paths.get(key), listed[key].label, key.youtube_id)
        for key in keys
    )


def _refuse_bad_path(relative: str) -> None:
    """Raise FetchError unless this is a tarball below the root with a plain name.

    Lists come from servers and are not trusted.
    """
    parts = PurePosixPath(relative).parts
    outside = relative.startswith("/") or is_url(relative) or ".." in parts
    if outside or not relative.isprintable():
        raise FetchError(f"the path list has {relative[:200]!r}, which is not below its root")
    too_long = any(len(part.encode()) > _MAX_NAME_BYTES for part in parts)
    if too_long or tarball_name(relative).startswith("."):
        raise FetchError(f"the path list has {relative[:200]!r}, which cannot be a folder's name")


def _with_advice(error: FetchError) -> FetchError:
    return FetchError(f"{error}; --dataset_path takes a mirror or a local folder")
