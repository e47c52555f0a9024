from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from vidbench.metrics.paired import (
    CLUSTERED,
    NEWCOMBE,
    ONE_A_SOURCE,
    Hits,
    adjust,
    clustered_difference,
    compare_classes,
    compare_hits,
    mcnemar_p,
    newcombe,
    videos_to_tell,
)

# Both right, A alone, B alone, neither; low, high. The first four: Newcombe 1998, Statistics in
# Medicine 17:2635, method 10, as the tests of R's propint quote them. The fifth: Fagerland,
# Lydersen & Laake 2017, Statistical Analysis of Contingency Tables, chapter 8, as the tests of R's
# contingencytables quote it.
PUBLISHED = [
    (36, 12, 2, 0, 0.0569, 0.3404),
    (18, 12, 2, 18, 0.0562, 0.3290),
    (53, 0, 0, 1, -0.0729, 0.0729),
    (0, 30, 0, 0, 0.8395, 1.0),
    (59, 6, 16, 80, -0.1186, -0.0046),
]

small = st.integers(0, 60)
tables = st.tuples(small, small, small, small).filter(any)


@st.composite
def grouped_hits(draw: st.DrawFn) -> tuple[Hits, Hits, Any]:
    n = draw(st.integers(2, 40))
    columns = [draw(st.lists(st.booleans(), min_size=n, max_size=n)) for _ in range(2)]
    sources = draw(st.lists(st.integers(0, n), min_size=n, max_size=n))
    return np.array(columns[0]), np.array(columns[1]), np.array(sources, np.intp)


@pytest.mark.parametrize(("both", "only_a", "only_b", "neither", "low", "high"), PUBLISHED)
def test_the_paired_interval_is_the_published_one(
    both: int, only_a: int, only_b: int, neither: int, low: float, high: float
) -> None:
    found = newcombe(both, only_a, only_b, neither)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert found.value == (only_a - only_b) / (both + only_a + only_b + neither)


@given(tables)
def test_the_paired_interval_holds_the_difference_and_turns_with_the_sides(
    counts: tuple[int, int, int, int],
) -> None:
    both, only_a, only_b, neither = counts
    found, turned = newcombe(*counts), newcombe(both, only_b, only_a, neither)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-12)


@pytest.mark.parametrize("shares", [(0.5, 0.12, 0.08, 0.3), (0.85, 0.06, 0.02, 0.07)])
def test_the_paired_interval_covers_in_95_of_100_cases(shares: tuple[float, ...]) -> None:
    draws = np.random.default_rng(1).multinomial(150, shares, 2000)
    found = [newcombe(*counts) for counts in draws.tolist()]
    truth = shares[1] - shares[2]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.935 <= covered <= 0.975


@given(grouped_hits())
@settings(max_examples=60, deadline=None)
def test_the_clustered_interval_is_that_of_a_regression_with_clustered_errors(
    drawn: tuple[Hits, Hits, Any],
) -> None:
    a, b, sources = drawn
    found = compare_hits(a, b, sources)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    if found.method != CLUSTERED or len(np.unique(sources)) == 1:
        return
    differences = a.astype(float) - b
    fit = OLS(differences, np.ones((len(a), 1))).fit(
        cov_type="cluster", cov_kwds={"groups": sources}, use_t=True
    )
    oracle = np.clip(fit.conf_int()[0], -1, 1)
    assert (found.low, found.high) == pytest.approx(tuple(oracle), abs=1e-9)


def test_the_clustered_interval_covers_where_that_of_independent_videos_does_not() -> None:
    rng = np.random.default_rng(2)
    sources = np.repeat(np.arange(40), 8)
    clustered, independent = [], []
    for _ in range(600):
        lean = rng.choice([-0.3, 0.5], 40)[sources]  # of each source; 0.1 on the average
        chance = rng.random(len(sources))
        a = chance < (1 + lean) / 2
        b = ~a
        truth = 0.1
        found = compare_hits(a, b, sources)
        clustered.append(found.low <= truth <= found.high)
        found = compare_hits(a, b, np.arange(len(sources)))
        independent.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(clustered) <= 0.97
    assert np.mean(independent) < 0.9


def test_the_method_follows_from_the_sources() -> None:
    a, b = np.array([True, True, False, True]), np.array([True, False, False, True])
    assert compare_hits(a, b, np.arange(4)).method == NEWCOMBE
    assert compare_hits(a, b, np.array([0, 0, 1, 2])).method == CLUSTERED
    same = compare_hits(a, a, np.array([0, 0, 1, 2]))
    assert (same.method, same.value) == (ONE_A_SOURCE, 0)
    one = clustered_difference(a.astype(float) - b, np.zeros(4, np.intp))
    assert (one.low, one.high) == (-1, 1)


@given(small, small)
@settings(deadline=None)
def test_p_is_that_of_the_binomial_test_of_the_discordant_videos(only_a: int, only_b: int) -> None:
    oracle = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1
    assert mcnemar_p(only_a, only_b) == pytest.approx(oracle, rel=1e-9)


def test_holms_correction_is_that_worked_by_hand() -> None:
    # 4 x 0.01 = 0.04, 3 x 0.02 = 0.06, 2 x 0.025 = 0.05, which must not fall below 0.06; 1 x 0.9.
    assert adjust([0.025, 0.9, 0.01, 0.02]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert adjust([]) == []


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5, 1.0]), min_size=1))
def test_holms_correction_is_that_of_statsmodels(p: list[float]) -> None:
    assert adjust(p) == multipletests(p, method="holm")[1].tolist()


# Shares of A alone and of B alone, and videos: powerandsamplesize.com (Connor 1987, page 209) and a
# calculator of clinical trials by the same formula.
@pytest.mark.parametrize(("only_a", "only_b", "videos"), [(45, 5, 23), (5, 45, 23), (30, 15, 155)])
def test_the_videos_to_tell_are_those_of_other_calculators(
    only_a: int, only_b: int, videos: int
) -> None:
    assert videos_to_tell(only_a, only_b, 100) == videos


def test_equal_runs_have_no_difference_to_tell() -> None:
    assert videos_to_tell(7, 7, 100) is None
    assert videos_to_tell(0, 0, 100) is None


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 6), (5, 3), (4, 9)])
def test_that_many_videos_find_the_difference_in_80_of_100_cases(only_a: int, only_b: int) -> None:
    videos = videos_to_tell(only_a, only_b, 100)
    assert videos is not None
    shares = [only_a / 100, only_b / 100, 1 - (only_a + only_b) / 100]
    draws = np.random.default_rng(3).multinomial(videos, shares, 4000)
    a, b = draws[:, 0], draws[:, 1]
    z = np.abs(a - b) / np.sqrt(np.maximum(a + b, 1))
    exact = np.mean([mcnemar_p(*pair) < 0.05 for pair in zip(a.tolist(), b.tolist(), strict=True)])
    assert 0.78 <= np.mean(z > 1.959964) <= 0.82
    assert 0.75 <= exact <= 0.82  # the exact test finds a little less


def test_classes_are_counted_each_by_itself_and_the_clearest_comes_first() -> None:
    labels = np.array(["even"] * 10 + ["one-sided"] * 10 + ["weak"] * 2)
    a = np.array([True] * 10 + [True] * 10 + [True, False])
    b = np.array([True] * 10 + [False] * 10 + [False, False])
    found = compare_classes(a, b, labels)
    assert [one.label for one in found] == ["one-sided", "weak", "even"]
    assert (found[0].videos, found[0].accuracy_a, found[0].accuracy_b) == (10, 1, 0)
    assert found[0].p == 2 * 0.5**10
    assert found[0].p_adjusted == 3 * found[0].p
    assert found[1].difference == 0.5


@given(grouped_hits())
@settings(max_examples=30, deadline=None)
def test_classes_add_up_to_all_videos(drawn: tuple[Hits, Hits, Any]) -> None:
    a, b, sources = drawn
    found = compare_classes(a, b, np.array([f"class {source % 3}" for source in sources]))
    assert sum(one.videos for one in found) == len(a)
    assert sum(one.videos * one.difference for one in found) == pytest.approx(
        int(a.sum()) - b.sum()
    )
