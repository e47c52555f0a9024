"""Something-Something v1: 174 classes of what people do with things, as folders of frames.

::

    vidbench evaluate --dataset ssv1 --dataset_path DIR

Goyal et al.: The "something something" video database for learning and evaluating visual common
sense. ICCV 2017 (arXiv:1706.04261).
"""

from __future__ import annotations

from functools import partial

from vidbench.data.datasets import _twentybn
from vidbench.data.datasets._annotated import AnnotatedVideos, Source, load_annotated
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions

_SOURCE = Source(
    family="ssv1",
    splits=_twentybn.SPLITS,
    read=partial(_twentybn.read_lists, name="something-something-v1"),
    fps=_twentybn.FPS,
    published_as_frames=True,
)

FAMILY = DatasetFamily(
    name="ssv1",
    entries=(
        DatasetEntry(
            name="ssv1",
            splits=dict.fromkeys(_twentybn.SPLITS),
            num_classes=174,
            size="",
            licence="free for academic research, as its page states",
            source="developer.qualcomm.com: --dataset_path DIR",
        ),
    ),
    options=frozenset({"annotations"}),
)


def load(variant: str, split: str, options: FetchOptions) -> AnnotatedVideos:
    """One split: the frames of ``20bn-something-something-v1/<id>/`` and the lists beside them.

    Raises:
        ConfigError: There is no such split, no folder is given, or an option has no meaning here.
    """
    return load_annotated(_SOURCE, variant, split, options)
