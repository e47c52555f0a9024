from __future__ import annotations

import numpy as np
import pytest

from vidbench.data.spec import PreprocessSpec, Sampling
from vidbench.pooling import fewer_views, pool


def spec_of(num_clips: int, num_crops: int) -> PreprocessSpec:
    sampling: Sampling = "center" if num_clips == 1 else "dense"
    return PreprocessSpec(
        sampling=sampling, num_clips=num_clips, num_crops=num_crops, too_short="loop"
    )


@pytest.mark.parametrize(
    ("num_clips", "num_crops", "expected"),
    [
        (1, 1, {}),
        (1, 3, {"1x1": [1]}),
        (4, 1, {"1x1": [1]}),
        (5, 1, {"1x1": [2]}),
        (2, 3, {"1x3": [0, 1, 2], "2x1": [1, 4], "1x1": [1]}),
        (10, 3, {"1x3": [12, 13, 14], "10x1": [*range(1, 30, 3)], "1x1": [13]}),
    ],
)
def test_fewer_views_are_the_lower_middle_clip_and_the_centre_crop(
    num_clips: int, num_crops: int, expected: dict[str, list[int]]
) -> None:
    found = fewer_views(spec_of(num_clips, num_crops))
    assert {name: chosen.tolist() for name, chosen in found.items()} == expected


def test_pooling_is_the_mean_of_probabilities() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]], np.float32)
    np.testing.assert_allclose(pool(scores), [0.4, 0.6], rtol=1e-6)
    assert pool(scores).dtype == np.float32
