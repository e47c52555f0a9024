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

from vidbench.data.datasets._annotated import ListFiles, Lists, Source, declare, load_annotated
from vidbench.data.datasets._segments import SPLITS, read_segments


def _read(files: ListFiles, split: str) -> Lists:
    return read_segments(files.find("activity_net.v1-3.min.json"), split)


_SOURCE = Source(family="activitynet", splits=dict.fromkeys(SPLITS), read=_read)

load = partial(load_annotated, _SOURCE)

FAMILY = declare(
    _SOURCE,
    num_classes=200,
    source="http://activity-net.org: --dataset_path DIR",
)
