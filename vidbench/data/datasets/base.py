"""What every dataset offers, and how one is found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import vidbench.data.datasets
from vidbench.data.records import Selection
from vidbench.errors import ConfigError


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


@dataclass(frozen=True)
class FetchOptions:
    """Where a dataset's videos go and come from, and which are taken.

    Attributes:
        data_dir: Folder of fetched videos.
        root_url: Server or folder that takes the place of the official one.
        seed: Draw the videos at random, equally on every machine; otherwise the first ones are
            taken.
        num_tarballs: Take videos from the first so many tarballs only.
    """

    data_dir: Path
    root_url: str | None = None
    seed: int | None = None
    num_tarballs: int | None = None


def dataset_families() -> list[str]:
    """Names of the families that come with vidbench: its modules that are not private."""
    names = [module.name for module in pkgutil.iter_modules(vidbench.data.datasets.__path__)]
    return [name for name in names if name != "base" and not name.startswith("_")]


def load_dataset(name: str, split: str, **options: Any) -> Dataset:
    """The dataset ``family/variant``, from ``vidbench.data.datasets.<family>.load(variant, ...)``.

    Args:
        name: E.g. ``kinetics/400`` or ``sample``; a family with a dot is anybody's module.
        split: ``train``, ``val`` or ``test``.
        **options: Those of :class:`FetchOptions`.

    Raises:
        ConfigError: There is no such dataset or split.
    """
    family, _, variant = name.partition("/")
    module = family if "." in family else f"vidbench.data.datasets.{family}"
    try:
        load = importlib.import_module(module).load
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"there is no dataset {family!r}: {error}") from error
    return cast(Dataset, load(variant, split, FetchOptions(**options)))
