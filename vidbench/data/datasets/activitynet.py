"""ActivityNet 1.3: the annotated segments of long videos, 200 classes.

::

    vidbench evaluate --dataset activitynet --dataset_path DIR

A segment is a video of its own, and those of one file are a group. The test split has no labels:
its videos are predicted as wholes.

Caba Heilbron, Escorcia, Ghanem, Niebles: ActivityNet: A Large-Scale Video Benchmark for Human
Activity Understanding. CVPR 2015.
"""

from __future__ import annotations

from vidbench.data.datasets._annotated import (
    AnnotatedVideos,
    ListFiles,
    Lists,
    Source,
    load_annotated,
)
from vidbench.data.datasets._segments import SPLITS, read_segments
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions


def load(variant: str, split: str, options: FetchOptions) -> AnnotatedVideos:
    """The segments of a split: ``v_<id>.mp4`` and ``activity_net.v1-3.min.json`` beside them.

    Raises:
        ConfigError: There is no such split, no folder is given, or an option has no meaning here.
    """
    return load_annotated(_SOURCE, variant, split, options)


def _read(files: ListFiles, split: str) -> Lists:
    return read_segments(files.find("activity_net.v1-3.min.json"), split)


_SOURCE = Source(family="activitynet", splits=SPLITS, read=_read)

FAMILY = DatasetFamily(
    name="activitynet",
    entries=(
        DatasetEntry(
            name="activitynet",
            splits=dict.fromkeys(SPLITS),
            num_classes=200,
            size="",
            licence="not stated",
            source="http://activity-net.org: --dataset_path DIR",
        ),
    ),
    options=frozenset({"annotations"}),
)
