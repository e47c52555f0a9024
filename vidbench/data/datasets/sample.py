"""The embedded sample: rendered videos of moving shapes, in the layout of Kinetics."""

from __future__ import annotations

from pathlib import Path

from vidbench.data.datasets._kinetics_releases import Release
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.data.datasets.kinetics import Kinetics
from vidbench.data.fetch.download import require_source
from vidbench.errors import ConfigError

ROOT = Path(__file__).parents[3] / "data" / "sample"


FAMILY = DatasetFamily(
    name="sample",
    entries=(
        DatasetEntry(
            name="sample",
            splits={"val": 112},
            num_classes=14,
            size="0.6 MB",
            licence="vidbench's own",
            source="comes with the repository",
        ),
    ),
    check_source=require_source,
)


def load(variant: str, split: str, options: FetchOptions) -> Kinetics:
    """Load the sample; it has only a ``val`` split (``train`` is rendered when needed).

    Raises:
        ConfigError: Another split or a variant is requested, or this is not a checkout.
    """
    if variant:
        raise ConfigError(f"dataset sample has no variant {variant!r}: use --dataset sample")
    if options.root_url is None and not ROOT.is_dir():
        raise ConfigError(f"the sample comes with the repository, and {ROOT} does not exist")
    release = Release(
        name="sample",
        root=str(ROOT),
        path_list="{split}/sample_{split}_path.txt",
        annotations={"val": "annotations/val.csv"},
        class_list="classes.txt",
    )
    return Kinetics(release, split, options)
