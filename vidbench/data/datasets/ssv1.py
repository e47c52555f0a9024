"""Something-Something v1: 174 classes of what people do with things, as folders of frames.

::

    vidbench evaluate --dataset ssv1 --dataset_path DIR

The frames are in ``20bn-something-something-v1/<id>/``, with the lists beside them.

Goyal et al.: The "something something" video database for learning and evaluating visual common
sense. ICCV 2017 (arXiv:1706.04261).
"""

from __future__ import annotations

from functools import partial

from vidbench.data.datasets import _twentybn
from vidbench.data.datasets._annotated import Source, declare, load_annotated

_SOURCE = Source(
    family="ssv1",
    splits=dict.fromkeys(_twentybn.SPLITS),
    read=partial(_twentybn.read_lists, name="something-something-v1"),
    fps=_twentybn.FPS,
    published_as_frames=True,
)

load = partial(load_annotated, _SOURCE)

FAMILY = declare(
    _SOURCE,
    num_classes=174,
    licence="free for academic research, as its page states",
    source="developer.qualcomm.com: --dataset_path DIR",
)
