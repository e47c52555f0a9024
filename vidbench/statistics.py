"""Intervals of accuracies."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

_Z = NormalDist().inv_cdf(0.975)


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
    share, z2 = successes / num_videos, _Z**2 / num_videos
    center = share + z2 / 2
    reach = math.sqrt(z2 * share * (1 - share) + z2**2 / 4)
    low, high = (center - reach) / (1 + z2), (center + reach) / (1 + z2)
    # At the ends of the scale rounding must not leave it.
    return Estimate(share, low if successes else 0.0, high if share < 1 else 1.0, num_videos)
