"""Random clips and classes for networks of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.helpers.checkpoints import (
    FRAMES,
    SIZE,
)

CLASSES = ("a", "b", "c")


def random_clips(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, FRAMES, SIZE, SIZE, 3), np.uint8)


def channels_first(clips: NDArray[np.uint8]) -> Any:
    import torch

    return torch.tensor(clips.transpose(0, 1, 4, 2, 3).copy()).to(torch.float32)
