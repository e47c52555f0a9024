"""Jester: gestures in front of a webcam, 27 classes, as folders of frames.

::

    vidbench evaluate --dataset jester --dataset_path DIR

The frames are in ``20bn-jester-v1/<id>/``, with the lists beside them.

Materzynska, Berger, Bax, Memisevic: The Jester Dataset: A Large-Scale Video Dataset of Human
Gestures. ICCV Workshops 2019.
"""

from __future__ import annotations

from functools import partial

from vidbench.data.datasets import _twentybn
from vidbench.data.datasets._annotated import Source, declare, load_annotated

_SOURCE = Source(
    family="jester",
    splits={"train": 118562, "val": 14787, "test": 14743},
    read=partial(_twentybn.read_lists, name="jester-v1"),
    fps=_twentybn.FPS,
    published_as_frames=True,
)

load = partial(load_annotated, _SOURCE)

FAMILY = declare(
    _SOURCE,
    num_classes=27,
    licence="its own, on request",
    source="developer.qualcomm.com: --dataset_path DIR",
)
