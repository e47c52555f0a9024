"""Latency and throughput of the model."""

from __future__ import annotations

import numpy as np


class Pace:
    """Collects the model's time for each batch."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._videos: list[int] = []

    def add(self, seconds: float, videos: int) -> None:
        """Record a batch."""
        self._seconds.append(seconds)
        self._videos.append(videos)

    def summary(self) -> dict[str, float | dict[str, float]]:
        """``latency_ms`` of a video, median and 95th percentile, and ``videos_per_second``.

        The latency of a video is the time of its batch divided by the number of videos in it. The
        first batch counts too, which includes TensorFlow's warm-up.
        """
        counts = np.array(self._videos)
        if not counts.sum():
            return {}
        latencies = np.repeat(np.array(self._seconds) / np.maximum(counts, 1) * 1000, counts)
        median, p95 = np.percentile(latencies, [50, 95])
        return {
            "latency_ms": {"median": round(median, 3), "p95": round(p95, 3)},
            "videos_per_second": round(counts.sum() / sum(self._seconds), 3),
        }
