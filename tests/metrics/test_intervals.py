from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from vidbench.metrics.intervals import Estimate, mean_share, share, wilson

# Newcombe 1998, Statistics in Medicine 17:857-872, Table I, method 3.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]

Hits = NDArray[np.bool_]
Groups = NDArray[np.str_]

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
small_counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


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


def draw_clusters(
    rng: np.random.Generator, sources: int, largest: int, accuracy: float, spread: float
) -> tuple[Hits, Groups]:
    """Hits of videos whose sources differ in accuracy, and the sources; none is the only video."""
    sizes = rng.integers(2, largest + 1, size=sources)
    concentration = 1 / spread - 1
    accuracies = rng.beta(accuracy * concentration, (1 - accuracy) * concentration, size=sources)
    hits = rng.random(sizes.sum()) < np.repeat(accuracies, sizes)
    return hits, np.repeat([f"source {i}" for i in range(sources)], sizes)


def interval_of(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def wilson_by_statsmodels(value: float, size: float) -> tuple[float, float]:
    low, high = proportion_confint(value * size, size, method="wilson")
    return max(0.0, low), min(1.0, high)


@given(counts, seeds)
def test_videos_of_different_sources_have_the_wilson_interval(
    count: tuple[int, int], seed: int
) -> None:
    successes, videos = count
    hits = np.random.default_rng(seed).permutation(np.arange(videos) < successes)
    assert share(hits, np.full(videos, "")) == wilson(*count)
    assert share(hits, np.arange(videos).astype(np.str_)) == wilson(*count)


@given(seeds, st.integers(2, 40), st.integers(2, 8), st.integers(0, 30))
def test_the_clustered_interval_agrees_with_statsmodels(
    seed: int, sources: int, largest: int, alone: int
) -> None:
    rng = np.random.default_rng(seed)
    hits, groups = draw_clusters(rng, sources, largest, 0.6, 0.3)
    hits = np.append(hits, rng.random(alone) < 0.6)
    assume(0 < hits.sum() < len(hits))
    found = share(hits, np.append(groups, np.full(alone, "")))
    clusters = np.unique(
        np.append(groups, [f"alone {i}" for i in range(alone)]), return_inverse=True
    )
    fit = sm.OLS(hits.astype(float), np.ones(len(hits))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters[1]}
    )
    value, videos = hits.mean(), len(hits)
    design_effect = max(1.0, fit.cov_params().item() / (value * (1 - value) / videos))
    expected = wilson_by_statsmodels(value, videos / design_effect)
    assert interval_of(found) == pytest.approx(expected, abs=1e-9)
    assert found.value == pytest.approx(value)
    assert found.num_videos == videos


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize(("sources", "each"), [(1, 6), (3, 2), (40, 5)])
def test_where_all_videos_are_right_or_wrong_each_source_counts_once(
    right: bool, sources: int, each: int
) -> None:
    found = share(np.full(sources * each, right), np.repeat(np.arange(sources), each).astype(str))
    once = wilson(sources if right else 0, sources)
    assert found == once._replace(num_videos=sources * each)


def test_videos_of_one_source_tell_as_much_as_one_video() -> None:
    found = share(np.array([True, False]), np.array(["a", "a"]))
    assert interval_of(found) == pytest.approx(wilson_by_statsmodels(0.5, 1))


@given(seeds, st.integers(2, 30), st.integers(2, 6))
def test_copies_of_videos_tell_nothing_new(seed: int, sources: int, copies: int) -> None:
    hits = np.random.default_rng(seed).random(sources) < 0.5
    assume(0 < hits.sum() < sources)
    names = np.arange(sources).astype(str)
    found = share(np.repeat(hits, copies), np.repeat(names, copies))
    # One less, as in the unbiased variance.
    expected = wilson_by_statsmodels(hits.mean(), sources - 1)
    assert interval_of(found) == pytest.approx(expected, abs=1e-9)


@given(seeds, st.integers(1, 20), st.integers(2, 6), st.floats(0.02, 0.98))
def test_clusters_never_narrow_the_interval_and_their_order_does_not_count(
    seed: int, sources: int, largest: int, accuracy: float
) -> None:
    rng = np.random.default_rng(seed)
    hits, groups = draw_clusters(rng, sources, largest, accuracy, 0.2)
    found, plain = share(hits, groups), wilson(int(hits.sum()), len(hits))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low <= plain.low + 1e-12
    assert found.high >= plain.high - 1e-12
    order = rng.permutation(len(hits))
    assert share(hits[order], groups[order]) == pytest.approx(found)


@pytest.mark.parametrize("sources", [7, 30, 200])
@pytest.mark.parametrize("accuracy", [0.5, 0.9])
def test_the_clustered_interval_holds_the_true_share_where_wilson_does_not(
    sources: int, accuracy: float
) -> None:
    rng = np.random.default_rng(sources)
    draws = [draw_clusters(rng, sources, 8, accuracy, 0.4) for _ in range(600)]
    found = [share(hits, groups) for hits, groups in draws]
    plain = [wilson(int(hits.sum()), len(hits)) for hits, _ in draws]
    assert np.mean([one.low <= accuracy <= one.high for one in found]) > 0.9
    assert np.mean([one.low <= accuracy <= one.high for one in plain]) < 0.85


@given(counts)
def test_the_mean_of_one_share_is_that_share(count: tuple[int, int]) -> None:
    assert mean_share([wilson(*count)]) == pytest.approx(wilson(*count))


@given(seeds, st.integers(1, 20), st.integers(2, 6), st.floats(0.02, 0.98))
def test_the_mean_keeps_what_clusters_did_to_an_interval(
    seed: int, sources: int, largest: int, accuracy: float
) -> None:
    rng = np.random.default_rng(seed)
    clustered = share(*draw_clusters(rng, sources, largest, accuracy, 0.2))
    assert mean_share([clustered]) == pytest.approx(clustered)


@given(st.integers(1, 60), st.data())
def test_the_mean_of_equally_many_videos_each_is_the_share_of_them_all(
    videos: int, data: st.DataObject
) -> None:
    successes = data.draw(st.lists(st.integers(0, videos), min_size=1, max_size=30))
    found = mean_share([wilson(count, videos) for count in successes])
    assert found == pytest.approx(wilson(sum(successes), videos * len(successes)))


def per_video(successes: list[int], videos: list[int]) -> tuple[NDArray[np.float64], Groups]:
    hits = np.concatenate(
        [np.arange(n) < count for count, n in zip(successes, videos, strict=True)]
    )
    return hits.astype(np.float64), np.repeat(np.arange(len(videos)), videos).astype(str)


@given(st.lists(small_counts, min_size=2, max_size=12))
def test_the_interval_of_a_mean_agrees_with_statsmodels(shares: list[tuple[int, int]]) -> None:
    successes, videos = [list(column) for column in zip(*shares, strict=True)]
    found = mean_share([wilson(*count) for count in shares])
    value = float(np.mean([count / n for count, n in shares]))
    assume(0 < value < 1)
    hits, classes = per_video(successes, videos)
    columns = (classes[:, None] == np.arange(len(shares)).astype(str)).astype(np.float64)
    mean = np.full(len(shares), 1 / len(shares))
    # The variance of the mean of the classes' coefficients, each with its own or with one variance.
    own = sm.OLS(hits, columns).fit(cov_type="HC0").t_test(mean).sd.item() ** 2
    fit = sm.OLS(hits, columns).fit()
    common = mean @ fit.normalized_cov_params @ mean * value * (1 - value)
    expected = wilson_by_statsmodels(value, value * (1 - value) / max(own, common))
    assert interval_of(found) == pytest.approx(expected, abs=1e-8)
    assert found.value == pytest.approx(value)
    assert found.num_videos == sum(videos)


@given(st.lists(counts, min_size=1, max_size=30))
def test_a_mean_lies_in_its_interval_whatever_the_order(shares: list[tuple[int, int]]) -> None:
    found = mean_share([wilson(*count) for count in shares])
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert mean_share([wilson(*count) for count in shares[::-1]]) == pytest.approx(found)


@pytest.mark.parametrize(("num_shares", "videos"), [(400, 2), (101, 5), (20, 50), (400, 50)])
@pytest.mark.parametrize("accuracy", [0.7, 0.95])
def test_the_interval_of_a_mean_holds_the_true_mean(
    num_shares: int, videos: int, accuracy: float
) -> None:
    rng = np.random.default_rng(num_shares * videos)
    accuracies = rng.beta(10 * accuracy, 10 * (1 - accuracy), size=num_shares)
    known = [wilson(count, videos) for count in range(videos + 1)]
    draws = rng.binomial(videos, accuracies, size=(600, num_shares)).tolist()
    found = [mean_share([known[count] for count in draw]) for draw in draws]
    assert np.mean([one.low <= accuracies.mean() <= one.high for one in found]) > 0.93


def test_no_videos_have_no_share_and_no_shares_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one video"):
        share(np.array([], np.bool_), np.array([], np.str_))
    with pytest.raises(ValueError, match="at least one share"):
        mean_share([])
