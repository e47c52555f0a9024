from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidbench.footage.segments import (
    Segment,
    choose_labels,
    find_segments,
    score_intervals,
    share_classes,
)

Array = NDArray[np.float64]
NUM_CLASSES = 3
THRESHOLDS = np.array([0.5, 0.4, 0.75])


def segments_of(
    windows: list[tuple[float, float]], probabilities: object, thresholds: Array = THRESHOLDS
) -> list[Segment]:
    starts, ends = np.array(windows, np.float64).T
    return find_segments(score_intervals(starts, ends, np.array(probabilities)), thresholds)


@st.composite
def videos(draw: st.DrawFn) -> tuple[Array, Array, Array, float]:
    """Windows of equal length at equal steps, the last one at the end, as the slicer gives them."""
    length = draw(st.floats(0.1, 20))
    step = draw(st.floats(0.1, 1)) * length
    count = draw(st.integers(1, 12))
    starts = np.arange(count, dtype=np.float64) * step
    if draw(st.booleans()) and count > 1:
        starts[-1] = starts[-2] + step * draw(st.floats(0.1, 0.9))
    weights = np.array(
        draw(
            st.lists(
                st.lists(st.floats(0.01, 1), min_size=NUM_CLASSES, max_size=NUM_CLASSES),
                min_size=count,
                max_size=count,
            )
        )
    )
    sharpened = weights ** draw(st.sampled_from([1, 4]))
    probabilities = sharpened / sharpened.sum(axis=1, keepdims=True)
    ends: Array = starts + length
    return starts, ends, probabilities, float(ends[-1])


@given(videos())
def test_segments_are_disjoint_in_order_and_within_the_video(
    video: tuple[Array, Array, Array, float],
) -> None:
    starts, ends, probabilities, seconds = video
    segments = find_segments(score_intervals(starts, ends, probabilities), THRESHOLDS)
    borders = [border for segment in segments for border in (segment.start, segment.end)]
    assert borders == sorted(borders)
    assert all(0 <= segment.start < segment.end <= seconds for segment in segments)
    assert all(segment.score >= THRESHOLDS[segment.class_index] - 1e-12 for segment in segments)
    for before, after in itertools.pairwise(segments):
        assert before.end < after.start or before.class_index != after.class_index


@given(videos(), st.floats(0, 1))
def test_shares_are_parts_of_the_video(
    video: tuple[Array, Array, Array, float], min_share: float
) -> None:
    starts, ends, probabilities, seconds = video
    scores = score_intervals(starts, ends, probabilities)
    segments = find_segments(scores, THRESHOLDS)
    shares = share_classes(scores, segments, seconds)
    assert sorted(found.class_index for found in shares) == list(range(NUM_CLASSES))
    assert sum(found.share for found in shares) <= 1 + 1e-9
    assert sum(found.mean for found in shares) == pytest.approx(1)
    assert [found.share for found in shares] == sorted((f.share for f in shares), reverse=True)
    for found in shares:
        assert (found.score is None) == (found.share == 0)
        if found.score is not None:
            assert found.score >= THRESHOLDS[found.class_index] - 1e-12
    labels = choose_labels(shares, min_share)
    assert all(label in shares and label.share >= min_share - 1e-9 for label in labels)
    if min_share > 0.5:
        assert len(labels) <= 1


@given(videos())
def test_scores_are_the_means_over_time_of_the_windows_that_cover_it(
    video: tuple[Array, Array, Array, float],
) -> None:
    """Against each instant by itself: the middle of each interval."""
    starts, ends, probabilities, seconds = video
    scores = score_intervals(starts, ends, probabilities)
    for start, end, values in zip(*scores, strict=True):
        if end - start < 1e-9:  # borders that differ by rounding have no middle of their own
            continue
        middle = (start + end) / 2
        covering = probabilities[(starts <= middle) & (middle <= ends)]
        np.testing.assert_allclose(values, covering.mean(axis=0))
    assert (scores.ends - scores.starts).sum() == pytest.approx(seconds)


@given(videos(), st.integers(2, 5))
def test_cutting_windows_finer_changes_nothing_where_scores_are_the_same(
    video: tuple[Array, Array, Array, float], parts: int
) -> None:
    starts, ends, probabilities, _ = video
    disjoint = np.concatenate([starts[:1], ends[:-1], ends[-1:]])  # windows side by side
    whole = score_intervals(disjoint[:-1], disjoint[1:], probabilities)
    borders = np.unique(
        np.concatenate(
            [np.linspace(start, end, parts + 1) for start, end in itertools.pairwise(disjoint)]
        )
    )
    owners = np.searchsorted(disjoint, (borders[:-1] + borders[1:]) / 2) - 1
    finer = score_intervals(borders[:-1], borders[1:], probabilities[owners])
    expected, found = find_segments(whole, THRESHOLDS), find_segments(finer, THRESHOLDS)
    assert [s.class_index for s in found] == [s.class_index for s in expected]
    np.testing.assert_allclose([s[:2] for s in found], [s[:2] for s in expected])
    np.testing.assert_allclose([s.score for s in found], [s.score for s in expected])


@given(videos(), st.permutations(range(NUM_CLASSES)))
def test_the_order_of_classes_does_not_matter(
    video: tuple[Array, Array, Array, float], order: list[int]
) -> None:
    starts, ends, probabilities, _ = video
    thresholds = np.full(NUM_CLASSES, 0.4)
    scores = score_intervals(starts, ends, probabilities)
    second, first = np.sort(scores.values, axis=1)[:, -2:].T
    if (first - second).min() < 1e-9:  # of equal scores the first class wins
        return
    expected = find_segments(scores, thresholds)
    permuted = np.ascontiguousarray(probabilities[:, order])  # sums in the same order of windows
    found = find_segments(score_intervals(starts, ends, permuted), thresholds)
    assert [segment._replace(class_index=order[segment.class_index]) for segment in found] == (
        expected
    )


def test_an_example_by_hand() -> None:
    """Two windows of 10 s that overlap by half: (0.9 + 0.3) / 2 = 0.6 where both are."""
    windows = [(0.0, 10.0), (5.0, 15.0)]
    probabilities = [[0.9, 0.1, 0.0], [0.3, 0.7, 0.0]]
    first, second = segments_of(windows, probabilities)
    assert tuple(first) == pytest.approx((0.0, 10.0, 0, (0.9 + 0.6) / 2))
    assert tuple(second) == pytest.approx((10.0, 15.0, 1, 0.7))
    starts, ends = np.array(windows).T
    scores = score_intervals(starts, ends, np.array(probabilities))
    shares = share_classes(scores, [first, second], 15.0)
    assert tuple(shares[0]) == pytest.approx((0, 2 / 3, 0.75, 0.6))
    assert tuple(shares[1]) == pytest.approx((1, 1 / 3, 0.7, 0.4))
    assert shares[2] == (2, 0.0, None, 0.0)
    assert [label.class_index for label in choose_labels(shares, 0.5)] == [0]
    assert [label.class_index for label in choose_labels(shares, 0.0)] == [0, 1]


def test_each_class_has_its_own_threshold() -> None:
    windows, probabilities = [(0.0, 1.0), (1.0, 2.0)], [[0.6, 0.4, 0.0], [0.0, 0.4, 0.6]]
    assert [segment.class_index for segment in segments_of(windows, probabilities)] == [0]
    low = np.array([0.7, 0.0, 0.6])
    assert [segment.class_index for segment in segments_of(windows, probabilities, low)] == [2]


def test_time_without_a_window_is_in_no_segment() -> None:
    windows, probabilities = [(0.0, 1.0), (9.0, 10.0)], [[1.0, 0.0, 0.0]] * 2
    assert [(s.start, s.end) for s in segments_of(windows, probabilities)] == [(0, 1), (9, 10)]


def test_half_of_a_video_is_half_of_it() -> None:
    """Although 0.1 + 0.2 is no 0.3 in binary fractions."""
    windows = [(0.0, 0.1 + 0.2), (0.1 + 0.2, 0.6)]
    starts, ends = np.array(windows).T
    scores = score_intervals(starts, ends, np.eye(3)[:2])
    shares = share_classes(scores, find_segments(scores, THRESHOLDS), 0.6)
    assert len(choose_labels(shares, 0.5)) == 2
