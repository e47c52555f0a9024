"""The Dataset protocol, and loading a dataset by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import vidbench.data.datasets
from vidbench.data.fetch.tarballs import FetchTarballs, fetch_and_list
from vidbench.data.records import Selection
from vidbench.system.plugins import import_family, list_families, read_declaration

OWN_OPTIONS = frozenset({"annotations", "classes_file", "videos_path"})
"""Fields of :class:`FetchOptions` that only some families accept; each family declares its own."""


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """Description of a dataset for lists, available before anything is fetched.

    Attributes:
        name: Name for ``--dataset``, ``family`` or ``family/variant``.
        splits: Number of listed videos by split; None if known only from its files.
        num_classes: Number of classes; None if known only from its files.
        size: Size of all videos according to its authors or server; empty if not stated.
        licence: Licence of annotations and videos.
        source: Where to get it.
    """

    name: str
    splits: Mapping[str, int | None]
    num_classes: int | None = None
    size: str = ""
    licence: str = "not stated"
    source: str


def accept(*_: str) -> None:
    """Accept any value; the family's ``load`` checks it."""


@dataclass(frozen=True, kw_only=True)
class DatasetFamily:
    """Declaration of a family of datasets; its module has one under the name ``FAMILY``.

    Attributes:
        name: Name for ``--dataset``.
        entries: Datasets listed by ``vidbench datasets``.
        options: Options that it accepts besides those of every dataset, a subset of
            :data:`OWN_OPTIONS`.
        default_split: Split to use if none is given.
        variants: Names that may follow a slash; None if only ``load`` knows them.
        default_variant: Variant to use if none is given.
        read_in_place: Whether videos are read directly from ``--dataset_path``, which may then be
            in shared storage; otherwise they are fetched into ``--data_dir``.
        is_list: Whether ``--dataset_path`` is a list in the folder of the videos.
        is_one_archive: Whether all its videos are in one archive, which has to be extracted.
        has_known_classes: Whether its classes are known independently of the videos.
        check_source: Raises ConfigError unless ``--dataset_path`` is valid.
        check_annotations: Raises ConfigError unless ``--annotations`` is an official list of the
            split; called with both.
        overlaps: Published overlaps of training data with a split, by training set, dataset and
            split, each named as in results.
    """

    name: str
    entries: tuple[DatasetEntry, ...] = ()
    options: frozenset[str] = frozenset()
    default_split: str = "val"
    variants: tuple[str, ...] | None = ()
    default_variant: str = ""
    read_in_place: bool = False
    is_list: bool = False
    is_one_archive: bool = False
    has_known_classes: bool = False
    check_source: Callable[[str], None] = accept
    check_annotations: Callable[[str, str], None] = accept
    overlaps: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := self.options - OWN_OPTIONS:
            raise ValueError(f"{self.name} has options that no dataset has: {sorted(unknown)}")


class Dataset(Protocol):
    """Labelled videos of one split; constructing one touches neither disk nor network.

    Attributes:
        name: E.g. ``kinetics-400``.
        split: ``train``, ``val`` or ``test``.
        folder: The data folder; paths of records are relative to it.
        classes: Ordered class names.
    """

    name: str
    split: str
    folder: Path

    @property
    def classes(self) -> tuple[str, ...]: ...

    def fetch(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """Fetch and return the requested videos, in the dataset's order.

        Args:
            num_videos: Number of videos; None for all.
            classes: Videos of these classes only; None for all.
        """
        ...

    def paths_on_disk(self) -> list[Path]:
        """Videos of the split that are on disk, relative to the data folder."""
        ...


@runtime_checkable
class ListsVideos(Protocol):
    """A :class:`Dataset` that can list its videos without fetching them."""

    def list_videos(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """Like ``fetch``, but from lists alone; a video that is not on disk has no path."""
        ...


@dataclass(frozen=True)
class FetchOptions:
    """Where a dataset's videos go and come from, and which to take.

    Attributes:
        data_dir: Folder of fetched videos.
        root_url: Server or folder to use instead of the official one.
        seed: Draw the videos at random, in the same way on every machine; None takes the first
            ones.
        num_tarballs: Take videos from the first ``num_tarballs`` tarballs only.
        annotations: File or URL of the official list, if it is not in its usual place.
        frames_fps: Frames per second of folders of frames; None if unknown.
        videos_path: Folder that the paths of a list are relative to; None for the list's folder.
        classes_file: Class list that the indices in a list of videos refer to; a file, or the name
            of a shipped list.
        fetch_tarballs: Fetches tarballs into a folder; another function than the default fetches
            them on other machines.
    """

    data_dir: Path
    root_url: str | None = None
    seed: int | None = None
    num_tarballs: int | None = None
    annotations: str | None = None
    frames_fps: float | None = None
    videos_path: Path | None = None
    classes_file: Path | None = None
    fetch_tarballs: FetchTarballs = fetch_and_list


def dataset_families() -> list[str]:
    """Names of the families that come with vidbench."""
    return list_families(vidbench.data.datasets)


def find_dataset_family(name: str) -> DatasetFamily:
    """Return the declaration of a dataset's family; defaults for a module without one.

    Args:
        name: ``family`` or ``family/variant``; a family with a dot is a module of yours.

    Raises:
        ConfigError: There is no such family.
    """
    family = name.partition("/")[0]
    module = import_family("dataset", family, vidbench.data.datasets)
    split = str(vars(module).get("DEFAULT_SPLIT", DatasetFamily.default_split))
    declared = read_declaration(module, DatasetFamily)
    return declared or DatasetFamily(name=family, default_split=split, variants=None)


def all_dataset_families() -> list[DatasetFamily]:
    """The declarations of the families that come with vidbench."""
    return [find_dataset_family(name) for name in dataset_families()]


def dataset_entries() -> list[DatasetEntry]:
    """The datasets that come with vidbench."""
    return [entry for family in all_dataset_families() for entry in family.entries]


def list_videos(
    dataset: Dataset, num_videos: int | None = None, classes: Sequence[str] | None = None
) -> Selection:
    """List the requested videos in order, without fetching them if the dataset allows it.

    Args:
        dataset: A :class:`ListsVideos`; videos of any other dataset are fetched.
        num_videos: Number of videos; None for all.
        classes: Videos of these classes only; None for all.
    """
    if isinstance(dataset, ListsVideos):
        return dataset.list_videos(num_videos, classes)
    return dataset.fetch(num_videos, classes)


def load_dataset(name: str, split: str | None = None, **options: Any) -> Dataset:
    """Load the dataset ``family/variant`` with the module ``vidbench.data.datasets.<family>``.

    Args:
        name: E.g. ``kinetics/400`` or ``sample``; a dotted family is imported as a module of yours.
        split: E.g. ``val``; None for the family's default.
        **options: Fields of :class:`FetchOptions`.

    Raises:
        ConfigError: There is no such dataset or split.
    """
    family, (name, slash, variant) = find_dataset_family(name), name.partition("/")
    module = import_family("dataset", name, vidbench.data.datasets)
    chosen = FetchOptions(**options)
    split = family.default_split if split is None else split
    variant = variant if slash else family.default_variant
    return cast(Dataset, module.load(variant, split, chosen))
