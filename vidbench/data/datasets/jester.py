"""Jester: gestures before a webcam, 27 classes, as folders of frames.

::

    vidbench evaluate --dataset jester --dataset_path DIR

Materzynska, Berger, Bax, Memisevic: The Jester Dataset: A Large-Scale Video Dataset of Human
Gestures. ICCV Workshops 2019.
"""

from __future__ import annotations

from functools import partial

from vidbench.data.datasets import _twentybn
from vidbench.data.datasets._annotated import AnnotatedVideos, Source, load_annotated
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions

_SOURCE = Source(
    family="jester",
    splits=_twentybn.SPLITS,
    read=partial(_twentybn.read_lists, name="jester-v1"),
    fps=_twentybn.FPS,
    published_as_frames=True,
)

FAMILY = DatasetFamily(
    name="jester",
    entries=(
        DatasetEntry(
            name="jester",
            splits={"train": 118562, "val": 14787, "test": 14743},
            num_classes=27,
            size="",
            licence="its own, on request",
            source="developer.qualcomm.com: --dataset_path DIR",
        ),
    ),
    options=frozenset({"annotations"}),
)


def load(variant: str, split: str, options: FetchOptions) -> AnnotatedVideos:
    """One split: the frames of ``20bn-jester-v1/<id>/`` and the lists beside them.

    Raises:
        ConfigError: There is no such split, no folder is given, or an option has no meaning here.
    """
    return load_annotated(_SOURCE, variant, split, options)
