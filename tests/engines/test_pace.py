from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.engines.pace import Pace


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 16)), min_size=1))
def test_pace_is_that_of_all_videos(batches: list[tuple[float, int]]) -> None:
    pace = Pace()
    for seconds, videos in batches:
        pace.add(seconds, videos)
    summary = pace.summary()
    each = [seconds / videos * 1000 for seconds, videos in batches for _ in range(videos)]
    assert summary["latency_ms"] == pytest.approx(
        {"median": np.median(each), "p95": np.percentile(each, 95)}, abs=1e-3
    )
    total = sum(seconds for seconds, _ in batches)
    assert summary["videos_per_second"] == pytest.approx(len(each) / total, abs=1e-3)


def test_without_videos_there_is_no_pace() -> None:
    pace = Pace()
    assert pace.summary() == {}
    pace.add(1.0, 0)
    assert pace.summary() == {}
