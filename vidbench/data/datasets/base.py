"""What every dataset offers, and how one is found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

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

    def fetch(self, num_videos: int | None = None) -> Selection:
        """The requested videos in an order of their own, after fetching what they need."""
        ...

    def paths_on_disk(self) -> list[Path]:
        """The split's videos that were fetched so far, relative to the data folder."""
        ...


def dataset_families() -> list[str]:
    """Names of the families that come with vidbench: its modules, this one left out."""
    names = [module.name for module in pkgutil.iter_modules(vidbench.data.datasets.__path__)]
    return [name for name in names if name != "base"]


def load_dataset(
    name: str,
    split: str,
    *,
    data_dir: Path,
    root_url: str | None = None,
    seed: int | None = None,
    num_tarballs: int | None = None,
) -> Dataset:
    """The dataset ``family/variant``, from ``vidbench.data.datasets.<family>.load(variant, ...)``.

    Args:
        name: E.g. ``kinetics/400`` or ``sample``; a family with a dot is anybody's module.
        split: ``train``, ``val`` or ``test``.
        data_dir: Folder of fetched videos.
        root_url: Server or folder that takes the place of the official one.
        seed: Draw the videos at random instead of taking the first ones.
        num_tarballs: Draw from the first so many tarballs only.

    Raises:
        ConfigError: There is no such dataset or split.
    """
    family, _, variant = name.partition("/")
    module = family if "." in family else f"vidbench.data.datasets.{family}"
    try:
        load = importlib.import_module(module).load
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"there is no dataset {family!r}: {error}") from error
    return cast(
        Dataset,
        load(
            variant,
            split,
            data_dir=data_dir,
            root_url=root_url,
            seed=seed,
            num_tarballs=num_tarballs,
        ),
    )
