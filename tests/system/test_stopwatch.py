from __future__ import annotations

import math
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.system.stopwatch import Stopwatch

STAGES = st.sampled_from(["decode", "hash", "predict"])


@given(st.lists(st.tuples(STAGES, st.floats(0, 1e6))))
def test_seconds_add_up_by_stage_in_the_order_of_first_use(parts: list[tuple[str, float]]) -> None:
    stopwatch = Stopwatch()
    expected: dict[str, list[float]] = {}
    for stage, seconds in parts:
        stopwatch.add({stage: seconds})
        expected.setdefault(stage, []).append(seconds)
    assert list(stopwatch.seconds) == list(expected)
    for stage, values in expected.items():
        assert math.isclose(stopwatch.seconds[stage], math.fsum(values), abs_tol=1e-6)


@given(st.lists(STAGES, max_size=20))
def test_no_more_time_is_counted_than_passed(stages: list[str]) -> None:
    stopwatch = Stopwatch()
    begun = time.perf_counter()
    for stage in stages:
        with stopwatch(stage):
            pass
    passed = time.perf_counter() - begun
    assert stopwatch.seconds.keys() == Counter(stages).keys()
    assert all(value >= 0 for value in stopwatch.seconds.values())
    assert sum(stopwatch.seconds.values()) <= passed + 1e-6


def test_a_stage_that_fails_is_counted_with_those_around_it() -> None:
    stopwatch = Stopwatch()

    @stopwatch("outer")
    def fail() -> None:
        with stopwatch("inner"):
            time.sleep(0.01)
        with stopwatch("inner"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(stopwatch.seconds) == ["inner", "outer"]
    assert stopwatch.seconds["outer"] >= stopwatch.seconds["inner"] >= 0.01


def test_the_same_stage_may_be_entered_within_itself() -> None:
    stopwatch = Stopwatch()
    with stopwatch("stage"), stopwatch("stage"):
        pass
    assert list(stopwatch.seconds) == ["stage"]
