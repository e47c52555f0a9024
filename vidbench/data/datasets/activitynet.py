"""ActivityNet 1.3: the annotated segments of long videos, 200 classes.

::

    vidbench evaluate --dataset activitynet --dataset_path DIR

The videos are ``v_<id>.mp4``, with ``activity_net.v1-3.min.json`` beside them.

Each segment counts as a video, and those of one file are a group. The test split has no labels: its
videos are predicted as a whole.

Caba Heilbron, Escorcia, Ghanem, Niebles: ActivityNet: A Large-Scale Video Benchmark for Human
Activity Understanding. CVPR 2015.
"""

from __future__ import annotations

from functools import partial

from vidbench.data.datasets._annotated import ListFiles, Lists, Source, load_annotated
from vidbench.data.datasets._segments import SPLITS, read_segments
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily


def _read(files: ListFiles, split: str) -> Lists:
    return read_segments(files.find("activity_net.v1-3.min.json"), split)


_SOURCE = Source(family="activitynet", splits=SPLITS, read=_read)

load = partial(load_annotated, _SOURCE)

FAMILY = DatasetFamily(
    name="activitynet",
    entries=(
        DatasetEntry(
            name="activitynet",
            splits=dict.fromkeys(SPLITS),
            num_classes=200,
            source="http://activity-net.org: --dataset_path DIR",
        ),
    ),
    options=frozenset({"annotations"}),
)
