"""Intervals of accuracies."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """A share of videos with its 95 % interval, all fractions; never one without the other.

    Attributes:
        value: The share itself.
        low: Lower end of the interval.
        high: Upper end.
        num_videos: Over how many videos.
    """

    value: float
    low: float
    high: float
    num_videos: int

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return (
            f"{self.value:.1%} (95 % interval {self.low:.1%} to {self.high:.1%}, "
            f"{self.num_videos} videos)"
        )


def wilson(successes: int, num_videos: int) -> Estimate:
    """The share of successes with its Wilson score interval at 95 %.

    Wilson 1927; recommended over the normal approximation by Brown, Cai & DasGupta 2001.

    Args:
        successes: 0 to ``num_videos``.
        num_videos: At least 1.
    """
    from scipy.stats import binomtest  # half a second, needed once, at the end of a run

    interval = binomtest(successes, num_videos).proportion_ci(0.95, method="wilson")
    return Estimate(successes / num_videos, float(interval.low), float(interval.high), num_videos)
