from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.statistics import Estimate, wilson

# Newcombe 1998, Statistics in Medicine 17:857-872, Table I, method 3.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]

counts = st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("successes", "videos", "low", "high"), NEWCOMBE)
def test_the_interval_is_the_published_one(
    successes: int, videos: int, low: float, high: float
) -> None:
    found = wilson(successes, videos)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.num_videos == videos


@given(counts)
def test_the_interval_contains_the_value_and_lies_within_0_and_1(count: tuple[int, int]) -> None:
    found = wilson(*count)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == count[0] / count[1]
    assert found.low < found.high


@given(counts)
def test_successes_and_failures_have_mirrored_intervals(count: tuple[int, int]) -> None:
    successes, videos = count
    hits, misses = wilson(successes, videos), wilson(videos - successes, videos)
    assert hits.low == pytest.approx(1 - misses.high, abs=1e-12)
    assert hits.high == pytest.approx(1 - misses.low, abs=1e-12)


@given(counts, st.integers(2, 50))
def test_the_same_share_of_more_videos_has_a_narrower_interval(
    count: tuple[int, int], factor: int
) -> None:
    few, many = wilson(*count), wilson(count[0] * factor, count[1] * factor)
    assert many.high - many.low < few.high - few.low


def test_an_estimate_is_a_number_and_a_sentence() -> None:
    estimate = Estimate(value=0.7109, low=0.7046, high=0.71725, num_videos=19881)
    assert float(estimate) == 0.7109
    assert str(estimate) == "71.1% (95 % interval 70.5% to 71.7%, 19881 videos)"
