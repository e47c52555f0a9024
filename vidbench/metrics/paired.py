"""Statistics of paired outcomes: two runs, A and B, on the same videos.

Every difference is A minus B: above 0, A is right more often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from vidbench.metrics.intervals import wilson

NEWCOMBE = "Newcombe 1998, method 10"
CLUSTERED = "cluster-robust by source, t"
ONE_A_SOURCE = "Newcombe 1998, method 10, of one video a source"

_ROUNDING = 1e-9  # a smaller standard error is a rounding error of 0

Hits = NDArray[np.bool_]
Texts = NDArray[np.str_] | NDArray[np.object_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Difference:
    """Accuracy of A minus accuracy of B with its 95 % interval, fractions from -1 to 1.

    Attributes:
        value: The difference.
        low: Lower end of the interval.
        high: Upper end of the interval.
        method: Method of the interval.
    """

    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of equal accuracies; it assumes independent videos.

    Attributes:
        p: Two-sided p-value.
        only_a: Number of videos that only A got right.
        only_b: Number of videos that only B got right.
        p_adjusted: ``p`` after Holm's correction over all pairs of runs.
    """

    p: float
    only_a: int
    only_b: int
    p_adjusted: float


@dataclass(frozen=True)
class ClassDifference:
    """One class of the dataset: ``p`` of McNemar's test, ``p_adjusted`` by Holm over classes."""

    label: str
    videos: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    p: float
    p_adjusted: float


def compare_hits(a: Hits, b: Hits, sources: Indices) -> Difference:
    """Accuracy of A minus accuracy of B on the same videos, with its 95 % interval.

    If no two videos share a source, this is :func:`newcombe`, else :func:`clustered_difference`.
    If the sources do not vary, e.g. because A and B agree on every video, a clustered interval
    would have no width: then it is :func:`newcombe` of the first video of each source.

    Args:
        a: Whether A got each video right, (videos,), at least one.
        b: The same for B.
        sources: Source of each video as a number, (videos,).
    """
    _, first = np.unique(sources, return_index=True)
    if len(first) == len(a):
        return newcombe(*_count(a, b))
    clustered = clustered_difference(a.astype(float) - b, sources)
    if clustered.low < clustered.high:
        return clustered
    one_a_source = newcombe(*_count(a[first], b[first]))
    low = min(one_a_source.low, clustered.value)
    high = max(one_a_source.high, clustered.value)
    return Difference(clustered.value, low, high, ONE_A_SOURCE)


def _count(a: Hits, b: Hits) -> tuple[int, int, int, int]:
    """Number of videos that both got right, only A, only B, and neither."""
    both, only_a, only_b = (int(hits.sum()) for hits in (a & b, a & ~b, b & ~a))
    return both, only_a, only_b, len(a) - both - only_a - only_b


def newcombe(both: int, only_a: int, only_b: int, neither: int) -> Difference:
    """Difference of two paired shares with its hybrid score interval, from counts of videos.

    Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10: the Wilson intervals of the two
    shares, combined with a correlation phi that is corrected for continuity if it is positive.
    """
    n = both + only_a + only_b + neither
    a, b = wilson(both + only_a, n), wilson(both + only_b, n)
    phi = _corrected_phi(both, only_a, only_b, neither)
    value = (only_a - only_b) / n
    below = _joined(a.value - a.low, b.high - b.value, phi)
    above = _joined(b.value - b.low, a.high - a.value, phi)
    return Difference(value, max(value - below, -1.0), min(value + above, 1.0), NEWCOMBE)


def _corrected_phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    n = both + only_a + only_b + neither
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    covariance: float = both * neither - only_a * only_b
    if covariance > 0:
        covariance = max(covariance - n / 2, 0)
    return covariance / math.sqrt(margins) if margins else 0.0


def _joined(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(first**2 - 2 * phi * first * second + second**2, 0))


def clustered_difference(differences: NDArray[np.float64], sources: Indices) -> Difference:
    """Mean of the differences with an interval that allows for similar videos from one source.

    Linearised variance of a ratio of cluster totals with the factor G/(G-1), and t with G-1 degrees
    of freedom for G sources (Cochran 1977, Sampling Techniques, chapter 11). With a single source
    the interval is -1 to 1.

    Args:
        differences: -1, 0 or 1 for each video, (videos,).
        sources: Source of each video as a number, (videos,).
    """
    from scipy.stats import t

    value = float(differences.mean())
    _, source_of = np.unique(sources, return_inverse=True)
    residuals = np.bincount(source_of, weights=differences - value)
    num_sources = len(residuals)
    if num_sources == 1:
        return Difference(value, -1.0, 1.0, CLUSTERED)
    deviation = math.sqrt(num_sources / (num_sources - 1) * float(residuals @ residuals))
    reach = float(t.ppf(0.975, num_sources - 1)) * deviation / len(differences)
    if reach < _ROUNDING:
        reach = 0.0
    return Difference(value, max(value - reach, -1.0), min(value + reach, 1.0), CLUSTERED)


@cache
def mcnemar_p(only_a: int, only_b: int) -> float:
    """Two-sided p-value of McNemar's exact test.

    Args:
        only_a: Number of videos that only A got right.
        only_b: Number of videos that only B got right.
    """
    from scipy.stats import binom

    return min(1.0, 2 * float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))


def videos_to_tell(only_a: int, only_b: int, num_videos: int) -> int | None:
    """Number of videos that McNemar's test needs for this difference: 80 % power at 5 %.

    Connor 1987, Biometrics 43:207-211, for independent videos, from the observed discordance.

    Args:
        only_a: Number of videos that only A got right.
        only_b: Number of videos that only B got right.
        num_videos: Number of all videos.

    Returns:
        None if there is no difference to detect.
    """
    if only_a == only_b:
        return None
    discordant, difference = (only_a + only_b) / num_videos, (only_a - only_b) / num_videos
    level, power = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.8)
    root = level * math.sqrt(discordant) + power * math.sqrt(discordant - difference**2)
    return math.ceil((root / difference) ** 2)


def adjust(p: Sequence[float]) -> list[float]:
    """P-values after Holm's correction for multiple tests (Holm 1979)."""
    raw = np.asarray(p, float)
    order = np.argsort(raw)
    times = np.arange(
        len(raw), 0, -1
    )  # factors: their number for the smallest p, 1 for the largest
    adjusted = np.empty(len(raw))
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * times), 1.0)
    return [float(value) for value in adjusted]


def compare_classes(a: Hits, b: Hits, labels: Texts) -> tuple[ClassDifference, ...]:
    """Difference between A and B on each class, smallest p-value first.

    Args:
        a: Whether A got each video right, (videos,).
        b: The same for B.
        labels: Class of each video, (videos,).
    """
    names, class_of = np.unique(labels, return_inverse=True)
    videos, right_a, right_b, only_a, only_b = (
        np.bincount(class_of, weights=counted, minlength=len(names)).astype(int).tolist()
        for counted in (np.ones(len(a)), a, b, a & ~b, b & ~a)
    )
    p = [mcnemar_p(*counts) for counts in zip(only_a, only_b, strict=True)]
    columns = zip(names.tolist(), videos, right_a, right_b, p, adjust(p), strict=True)
    classes = [
        ClassDifference(name, n, of_a / n, of_b / n, (of_a - of_b) / n, p_of_class, p_adjusted)
        for name, n, of_a, of_b, p_of_class, p_adjusted in columns
    ]
    return tuple(sorted(classes, key=lambda each: (each.p, -abs(each.difference), each.label)))
