"""Shares of videos with their 95 % confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.storage.typed_json import Count, Share

_Z = NormalDist().inv_cdf(0.975)


class Estimate(NamedTuple):
    """A share of videos with its 95 % interval, all as fractions.

    Attributes:
        value: The share.
        low: Lower end of the interval.
        high: Upper end of the interval.
        num_videos: Number of videos that the share is of.
    """

    value: Share
    low: Share
    high: Share
    num_videos: Count

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return (
            f"{self.value:.1%} (95 % interval {self.low:.1%} to {self.high:.1%}, "
            f"{self.num_videos} videos)"
        )


def wilson(successes: int, num_videos: int) -> Estimate:
    """Share of successes with its 95 % Wilson score interval.

    Wilson 1927; recommended over the normal approximation by Brown, Cai & DasGupta 2001.

    Args:
        successes: 0 to ``num_videos``.
        num_videos: At least 1.
    """
    return _score_interval(successes / num_videos, num_videos, num_videos)


def share(hits: NDArray[np.bool_], groups: NDArray[np.str_]) -> Estimate:
    """Share of hits with its 95 % interval, allowing for similar videos from one source.

    If no two videos share a source, this is :func:`wilson`. Otherwise it is the Wilson interval at
    the effective sample size, n / design effect: Korn & Graubard 1998, Survey Methodology
    24:193-201, with Wilson's interval in place of theirs, as Franco, Little, Louis & Slud 2019,
    Journal of Survey Statistics and Methodology 7:334-364, recommend. The design effect is never
    below 1.

    Args:
        hits: (videos,).
        groups: (videos,), source of each video; empty if no other video shares it.

    Raises:
        ValueError: There are no videos.
    """
    if not len(hits):
        raise ValueError("a share needs at least one video")
    num_videos = len(hits)
    value = int(np.count_nonzero(hits)) / num_videos
    totals = _sum_by_source(hits.astype(np.float64) - value, groups)
    clustered = len(totals) < num_videos
    size = _clustered_size(value, totals, num_videos) if clustered else num_videos
    return _score_interval(value, size, num_videos)


def mean_share(shares: Sequence[Estimate]) -> Estimate:
    """Unweighted mean of independent shares with its 95 % interval, e.g. over classes.

    This is the Wilson interval at the effective sample size (see :func:`share`): k^2 / sum(1/n)
    for k shares of n videos each, which is Kish's effective size (Survey Sampling, 1965), and
    less if the shares of few videos are those that vary most. For classes with equally many
    videos it is the interval of all videos together.

    Args:
        shares: At least one, each from :func:`wilson` or :func:`share`.

    Raises:
        ValueError: There are no shares.
    """
    if not shares:
        raise ValueError("a mean needs at least one share")
    values = np.array([estimate.value for estimate in shares])
    weights = 1 / np.array([_effective_size(estimate) for estimate in shares])
    mean = float(values.mean())
    # Not MOVER (Zou & Donner 2008): it keeps the skewness of each share, which the mean of many
    # does not have; for 400 classes of 5 videos at 95 % accuracy it covers the mean in only 80 %
    # of cases.
    size = len(shares) ** 2 / weights.sum()
    if 0 < mean < 1:
        size /= max(1.0, np.average(values * (1 - values), weights=weights) / (mean * (1 - mean)))
    return _score_interval(mean, float(size), sum(estimate.num_videos for estimate in shares))


def _score_interval(value: float, size: float, num_videos: int) -> Estimate:
    """Wilson interval of a share of ``size`` independent videos."""
    z2 = _Z**2 / size
    center = value + z2 / 2
    reach = math.sqrt(z2 * value * (1 - value) + z2**2 / 4)
    low, high = (center - reach) / (1 + z2), (center + reach) / (1 + z2)
    # Rounding must not push the ends outside 0 to 1.
    return Estimate(value, low if value > 0 else 0.0, high if value < 1 else 1.0, num_videos)


def _effective_size(estimate: Estimate) -> float:
    """Recover n from a Wilson interval: its ends solve n (value - end)^2 = z^2 end (1 - end)."""
    end = estimate.low if estimate.value > 0 else estimate.high
    return _Z**2 * end * (1 - end) / (estimate.value - end) ** 2


def _sum_by_source(values: NDArray[np.float64], groups: NDArray[np.str_]) -> NDArray[np.float64]:
    """Sum of the values of each source, (sources,)."""
    shared = groups != ""
    _, source_of = np.unique(groups[shared], return_inverse=True)
    return np.concatenate([np.bincount(source_of, values[shared]), values[~shared]])


def _clustered_size(value: float, totals: NDArray[np.float64], num_videos: int) -> float:
    """Effective number of independent videos; ``totals`` are the sums of hit - value by source.

    If all videos have the same outcome, the similarity within sources cannot be estimated: then
    each source counts as one video.
    """
    sources = len(totals)
    if sources == 1 or value in (0, 1):
        return sources
    variance = sources / (sources - 1) * float(totals @ totals) / num_videos**2
    design_effect = variance / (value * (1 - value) / num_videos)
    return num_videos / max(1.0, design_effect)
