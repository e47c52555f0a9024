"""Combine the scores of views into the scores of a video, for all of its views or a subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ModelError

Scores = NDArray[np.float32]
ViewIndices = NDArray[np.intp]


_ROUNDING = 0.02  # tolerance for the sum of probabilities in bfloat16


def require_probabilities(scores: Any, num_clips: int, classes: Sequence[str]) -> Scores:
    """Return the scores (clips, classes) of any model, after checking that they are probabilities.

    Raises:
        ModelError: They have another shape, are not finite, or are not probabilities.
    """
    array, expected = np.asarray(scores), (num_clips, len(classes))
    if array.shape != expected:
        raise ModelError(f"the model gave scores {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise ModelError("the model gave scores that are not finite")
    sums = array.sum(axis=1, dtype=np.float64)
    if array.min() < 0 or np.abs(sums - 1).max() > _ROUNDING:
        worst = sums[np.abs(sums - 1).argmax()]
        raise ModelError(
            f"the model gave scores from {array.min():.3g} to {array.max():.3g} that sum up to "
            f"{worst:.3g}, expected probabilities: does it lack a softmax?"
        )
    return array.astype(np.float32, copy=False)


def pool(scores: Scores) -> Scores:
    """Mean over views, (classes,), of probabilities (views, classes)."""
    return np.asarray(scores.mean(axis=0), np.float32)


def fewer_views(spec: PreprocessSpec) -> Mapping[str, ViewIndices]:
    """Indices of the views that a protocol with fewer clips or crops uses, by name, e.g. ``1x1``.

    A single clip is the lower-middle one, a single crop the centre. Clips keep the positions of
    the larger number: the lower-middle one of ten is not the clip that ``center`` would take.
    """
    views = np.arange(spec.num_views).reshape(spec.num_clips, spec.num_crops)
    clips = {spec.num_clips: slice(None), 1: slice((spec.num_clips - 1) // 2, None)}
    crops = {spec.num_crops: slice(None), 1: slice(spec.num_crops // 2, None)}
    protocols: dict[str, ViewIndices] = {}
    for num_clips, which_clips in clips.items():
        for num_crops, which_crops in crops.items():
            chosen = views[which_clips][:num_clips, which_crops][:, :num_crops]
            protocols[f"{num_clips}x{num_crops}"] = chosen.reshape(-1)
    return {name: chosen for name, chosen in protocols.items() if name != spec.views_name}
