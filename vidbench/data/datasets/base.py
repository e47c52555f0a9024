"""What every dataset offers, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import vidbench.data.datasets
from vidbench.data.fetch.tarballs import FetchTarballs, fetch_tarballs
from vidbench.data.records import Selection
from vidbench.system.plugins import import_family, list_families


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """What is known of a dataset before anything of it is fetched.

    Attributes:
        name: As ``--dataset`` takes it, ``family`` or ``family/variant``.
        splits: Listed videos of each split; None where only its files tell.
        num_classes: Likewise.
        size: Of all videos, as its authors or server say; empty where not stated.
        licence: Of annotations and videos.
        source: Where it comes from.
    """

    name: str
    splits: Mapping[str, int | None]
    num_classes: int | None
    size: str
    licence: str
    source: str


class Dataset(Protocol):
    """Labelled videos of one split; constructing one touches neither disk nor network.

    Attributes:
        name: E.g. ``kinetics-400``.
        split: ``train``, ``val`` or ``test``.
        folder: The data folder, to which the paths of records are relative.
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
        """The requested videos in an order of their own, after fetching what they need.

        Args:
            num_videos: How many; None for all.
            classes: Videos of these classes only; None for all.
        """
        ...

    def paths_on_disk(self) -> list[Path]:
        """The split's videos that were fetched so far, relative to the data folder."""
        ...


@runtime_checkable
class ListsVideos(Protocol):
    """A :class:`Dataset` that need not fetch videos to say which there are."""

    def list_videos(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """What ``fetch`` would give, by lists alone; a video that is not there has no path."""
        ...


@dataclass(frozen=True)
class FetchOptions:
    """Where a dataset's videos go and come from, and which are taken.

    Attributes:
        data_dir: Folder of fetched videos.
        root_url: Server or folder that takes the place of the official one.
        seed: Draw the videos at random, equally on every machine; otherwise the first ones are
            taken.
        num_tarballs: Take videos from the first so many tarballs only.
        annotations: File or address of the official list, where it is not taken from its usual
            places.
        frames_fps: Frames per second of videos that are folders of frames; None: not known.
        videos_path: Folder to which the paths of a list are relative; None for the list's own.
        classes_file: Class list whose indices a list of videos has, or the name of one that ships.
        fetch_tarballs: Fetches tarballs into a folder, where it is not this machine that does.
    """

    data_dir: Path
    root_url: str | None = None
    seed: int | None = None
    num_tarballs: int | None = None
    annotations: str | None = None
    frames_fps: float | None = None
    videos_path: Path | None = None
    classes_file: Path | None = None
    fetch_tarballs: FetchTarballs = fetch_tarballs


def dataset_families() -> list[str]:
    """Names of the families that come with vidbench."""
    return list_families(vidbench.data.datasets)


def dataset_cards() -> list[DatasetCard]:
    """What comes with vidbench: the ``CARDS`` of each family."""
    package = vidbench.data.datasets
    families = [import_family("dataset", name, package) for name in dataset_families()]
    return [card for family in families for card in family.CARDS]


def list_videos(
    dataset: Dataset, num_videos: int | None = None, classes: Sequence[str] | None = None
) -> Selection:
    """The requested videos in order, without fetching any that the dataset can list otherwise.

    Args:
        dataset: A :class:`ListsVideos`; of any other the videos are fetched.
        num_videos: How many; None for all.
        classes: Videos of these classes only; None for all.
    """
    if isinstance(dataset, ListsVideos):
        return dataset.list_videos(num_videos, classes)
    return dataset.fetch(num_videos, classes)


def load_dataset(name: str, split: str | None = None, **options: Any) -> Dataset:
    """The dataset ``family/variant``, from ``vidbench.data.datasets.<family>.load(variant, ...)``.

    Args:
        name: E.g. ``kinetics/400`` or ``sample``; a family with a dot is anybody's module.
        split: E.g. ``val``; None for the module's ``DEFAULT_SPLIT``, or ``val`` where it has none.
        **options: Those of :class:`FetchOptions`.

    Raises:
        ConfigError: There is no such dataset or split.
    """
    family, _, variant = name.partition("/")
    found = import_family("dataset", family, vidbench.data.datasets)
    split = getattr(found, "DEFAULT_SPLIT", "val") if split is None else split
    return cast(Dataset, found.load(variant, split, FetchOptions(**options)))
