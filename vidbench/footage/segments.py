"""Derive segments, class shares and labels of a long video from the scores of its windows.

Pure functions of arrays. Windows may overlap. Their starts and ends divide time into intervals, and
in interval j the score of class c is the mean over the windows that cover it,

    s_j(c) = mean of p_i(c) over the windows i with start_i <= a_j and b_j <= end_i.

The class of an interval is the one with the highest score, if this reaches its threshold t(c), and
none otherwise. Adjacent intervals of one class form a segment, whose score is their mean, weighted
by duration. The share of a class is the part of the video's duration that its segments cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDING = 1e-9  # tolerance for shares, because times are floating-point numbers


class Segment(NamedTuple):
    """A part of a video in which one class is present.

    Attributes:
        start: Start in seconds, on the clock of the windows.
        end: End in seconds.
        class_index: Index of the class.
        score: Mean over its duration, 0 to 1.
    """

    start: float
    end: float
    class_index: int
    score: float


class ClassShare(NamedTuple):
    """Share of a class in a video.

    Attributes:
        class_index: Index of the class.
        share: Part of the video's duration covered by its segments, 0 to 1.
        score: Mean over its segments, weighted by duration, 0 to 1; None without segments.
        mean: Mean over all time covered by windows, 0 to 1.
    """

    class_index: int
    share: float
    score: float | None
    mean: float


class Scores(NamedTuple):
    """Scores over time.

    Attributes:
        starts: (intervals,), seconds, rising.
        ends: (intervals,), each at most the next start.
        values: (intervals, classes), 0 to 1.
    """

    starts: Array
    ends: Array
    values: Array


def score_intervals(starts: Array, ends: Array, probabilities: NDArray[np.floating]) -> Scores:
    """Scores of the intervals between adjacent borders of windows, as described above.

    Intervals without a window are left out.

    Args:
        starts: (windows,), seconds, rising.
        ends: (windows,), each above its start, rising.
        probabilities: (windows, classes), 0 to 1.
    """
    borders = np.unique(np.concatenate([starts, ends]))
    begins, stops = borders[:-1], borders[1:]
    # Starts and ends both rise, so the windows that cover an interval are consecutive.
    firsts = np.searchsorted(ends, begins, side="right")
    lasts = np.searchsorted(starts, begins, side="right")
    covered = firsts < lasts
    values = [
        probabilities[first:last].mean(axis=0, dtype=np.float64)
        for first, last in zip(firsts[covered], lasts[covered], strict=True)
    ]
    shape = (len(values), probabilities.shape[1])
    return Scores(begins[covered], stops[covered], np.array(values, np.float64).reshape(shape))


def find_segments(scores: Scores, thresholds: Array) -> list[Segment]:
    """Find the segments, in order and without overlap.

    Args:
        scores: Scores of intervals.
        thresholds: (classes,), minimum score of a present class, 0 to 1.
    """
    tops = scores.values.argmax(axis=1)
    values = scores.values[np.arange(len(tops)), tops]
    present = np.flatnonzero(values >= thresholds[tops])
    is_adjacent = scores.ends[present][:-1] == scores.starts[present][1:]
    follows = (np.diff(tops[present]) == 0) & is_adjacent
    groups = np.split(present, np.flatnonzero(~follows) + 1) if len(present) else []
    return [
        Segment(
            float(scores.starts[group[0]]),
            float(scores.ends[group[-1]]),
            int(tops[group[0]]),
            float(np.average(values[group], weights=(scores.ends - scores.starts)[group])),
        )
        for group in groups
    ]


def share_classes(
    scores: Scores, segments: Sequence[Segment], duration_seconds: float
) -> list[ClassShare]:
    """Share of each class, sorted by largest share, then by highest mean.

    Shares add up to at most 1.

    Args:
        scores: Scores of intervals, at least one.
        segments: Segments of these scores.
        duration_seconds: Duration of the video.
    """
    means = np.average(scores.values, axis=0, weights=scores.ends - scores.starts)
    seconds, weighted = np.zeros_like(means), np.zeros_like(means)
    for segment in segments:
        length = segment.end - segment.start
        seconds[segment.class_index] += length
        weighted[segment.class_index] += length * segment.score
    order = np.lexsort((-means, -seconds))  # ties in class order
    return [
        ClassShare(
            int(index),
            float(seconds[index] / duration_seconds),
            float(weighted[index] / seconds[index]) if seconds[index] else None,
            float(means[index]),
        )
        for index in order
    ]


def choose_labels(shares: Sequence[ClassShare], min_share: float) -> list[ClassShare]:
    """The classes with a segment that cover at least this share of the video, 0 to 1.

    Each interval of a segment reaches the threshold of its class, so its mean does too.
    """
    least = min_share - _ROUNDING
    return [each for each in shares if each.score is not None and each.share >= least]
