from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vidbench.data.spec import PreprocessSpec, Sampling
from vidbench.data.views import fewer_views, pool, require_probabilities
from vidbench.errors import ModelError


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


EVEN = np.full((3, 4), 0.25, np.float32)


def test_probabilities_are_taken_as_they_are() -> None:
    rounded = EVEN + np.float32(0.004)  # as in bfloat16
    for scores in (EVEN, rounded, np.eye(4, dtype=np.float64)[:3]):
        np.testing.assert_array_equal(require_probabilities(scores, 3, "abcd"), scores)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (EVEN.T, r"\(4, 3\), expected \(3, 4\)"),
        (EVEN[:, :1], r"\(3, 1\)"),
        (EVEN[0], r"\(4,\)"),
        (EVEN * np.nan, "not finite"),
        (np.where(np.eye(3, 4), -np.inf, EVEN), "not finite"),
        (EVEN * 40, "lack a softmax"),
        (EVEN * 0, "sum up to 0"),
        (np.array([[1.5, -0.5, 0, 0]] * 3), "from -0.5 to 1.5"),
    ],
)
def test_other_scores_are_refused(scores: NDArray[np.float32], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        require_probabilities(scores, 3, "abcd")
