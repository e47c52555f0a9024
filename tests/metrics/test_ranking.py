"""Ranks that were not given are no hits: which classes a prediction ranks, and what ties decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import top_k_accuracy_score

from tests.helpers.contexts import new_context
from tests.helpers.tables import outcomes_where
from vidbench.data.records import Skip, VideoRecord
from vidbench.errors import ConfigError
from vidbench.metrics.classification import (
    accuracy,
    class_metrics,
    compute_accuracy,
    confusion_matrix,
)
from vidbench.metrics.ranking import LABEL, RANKING, SIMILARITY
from vidbench.runs.choices import restrict_choices
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.outputs import write_predictions
from vidbench.runs.predictions import Predictions
from vidbench.runs.summary import summarize

seeds = st.integers(0, 2**32 - 1)


def tied_scores(seed: int, videos: int, classes: int, levels: int) -> NDArray[np.float32]:
    """Scores of few values, as an int8 model has them."""
    rng = np.random.default_rng(seed)
    return rng.integers(levels, size=(videos, classes)).astype(np.float32)


def order_by_hand(scores: list[float]) -> list[int]:
    """The classes above the lowest score, and the lowest one where it is alone, best first."""
    lowest = min(scores)
    ranked = [place for place, score in enumerate(scores) if score > lowest]
    if scores.count(lowest) == 1:
        ranked.append(scores.index(lowest))
    return sorted(ranked, key=lambda place: (-scores[place], place))


@given(seeds, st.integers(1, 20), st.integers(1, 9), st.integers(1, 4), st.integers(1, 9))
def test_hits_are_those_of_the_order_by_hand(
    seed: int, videos: int, classes: int, levels: int, k: int
) -> None:
    scores = tied_scores(seed, videos, classes, levels)
    targets = np.random.default_rng(seed + 1).integers(classes, size=videos)
    outcomes = outcomes_where(scores, targets)
    orders = [order_by_hand(row) for row in scores.tolist()]
    expected = [target in order[:k] for target, order in zip(targets, orders, strict=True)]
    assert outcomes.hits(k).tolist() == expected
    assert outcomes.ranked.tolist() == [len(order) for order in orders]
    assert outcomes.choices.tolist() == [order[0] if order else -1 for order in orders]


@given(seeds, st.integers(1, 20), st.integers(1, 9), st.integers(1, 4), st.integers(1, 9))
def test_tied_are_the_videos_whose_hit_another_order_of_equal_scores_would_change(
    seed: int, videos: int, classes: int, levels: int, k: int
) -> None:
    scores = tied_scores(seed, videos, classes, levels)
    targets = np.random.default_rng(seed + 1).integers(classes, size=videos)
    hits = []
    for sign in (-1, 1):  # the right class before, then behind its equals, by the least step
        moved = scores.copy()
        moved[np.arange(videos), targets] -= sign * np.float32(0.5)
        ranks = (moved > moved[np.arange(videos), targets][:, None]).sum(axis=1)
        hits.append(ranks < k)
    np.testing.assert_array_equal(outcomes_where(scores, targets).tied(k), hits[0] != hits[1])


@given(seeds, st.integers(1, 40), st.integers(3, 12), st.data())
def test_without_ties_accuracy_is_that_of_scikit_learn(
    seed: int, videos: int, classes: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, classes - 1))
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(classes, dtype=np.float32), (videos, 1)), axis=1)
    targets = rng.integers(classes, size=videos)
    outcomes = outcomes_where(scores, targets)
    expected = top_k_accuracy_score(targets, scores, k=k, labels=np.arange(classes))
    assert accuracy(outcomes, k).value == pytest.approx(expected)
    assert not outcomes.tied(k).any()


def table_of(
    scores: NDArray[np.floating], labels: list[str], evidence: str = "probabilities"
) -> Predictions:
    names = tuple("abcdefgh"[: scores.shape[1]])
    records = [VideoRecord(str(i), Path(f"{i}.mp4"), label) for i, label in enumerate(labels)]
    table = replace(Predictions.pending(records, names), evidence=evidence)
    for row, own in enumerate(scores):
        table.set_scores(row, own.astype(np.float32))
    return table


@pytest.mark.parametrize("label", list("abcdefgh"))
def test_a_score_of_one_class_ranks_that_class_alone(label: str) -> None:
    table = table_of(np.eye(8)[[7, 7]], [label, "h"])
    summary = summarize(table, 5, new_context())
    assert summary["top1"]["value"] == (1.0 if label == "h" else 0.5)
    assert summary["top5"] == {
        "value": None,
        "reason": "no video has more than 1 class with a rank",
    }
    assert summary["over_all"]["top5"] == summary["top5"]
    assert summary["tied"] == {"top1": 0}


@pytest.mark.parametrize("value", [0.0, 0.125])
def test_scores_that_are_all_equal_are_no_hits(value: float) -> None:
    scores = np.full((2, 8), value)
    summary = summarize(table_of(scores, ["a", "b"]), 5, new_context())
    assert summary["top1"] is None
    assert summary["not_scored"] == "no video has a class that ranks above others"
    scores = np.concatenate([scores, np.linspace(1, 0, 8)[None] / 4])
    summary = summarize(table_of(scores, ["a", "b", "e"]), 5, new_context())
    assert (summary["top1"]["value"], summary["top5"]["value"]) == (0, pytest.approx(1 / 3))
    assert summary["tied"] == {"top1": 2, "top5": 2}


def test_a_video_of_no_choice_is_taken_for_no_class() -> None:
    scores = np.array([[0.5, 0.5, 0.5], [0.6, 0.3, 0.1]], np.float32)
    outcomes = outcomes_where(scores, np.array([0, 0]))
    assert confusion_matrix(outcomes).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    (found,) = class_metrics(outcomes)
    assert (found.num_videos, found.recall, found.precision) == (2, 0.5, 1.0)


def test_a_ranking_has_an_accuracy_at_k_where_every_answer_ranks_k() -> None:
    scores = np.array([[4, 3, 2, 1, 0, 0], [0, 0, 4, 3, 2, 0], [0] * 6])
    table = replace(table_of(scores, ["d", "b", "a"], RANKING), ranked=np.array([4, 3, 0]))
    summary = summarize(table, 3, new_context())
    assert [summary[name]["value"] for name in ("top1", "top3")] == [0, 0]
    assert summary["tied"] == {"top1": 0, "top3": 0}
    assert summarize(table, 4, new_context())["top4"] == {
        "value": None,
        "reason": "1 of 2 videos have only 3 classes with a rank",
    }
    assert summary["calibration"] == {
        "error": None,
        "bins": [],
        "reason": "the predictions are a ranking without scores, not probabilities",
    }


def test_a_class_beyond_those_ranked_is_no_hit_though_it_alone_is_left() -> None:
    table = replace(table_of(np.array([[0.6, 0.4, 0]]), ["c"], RANKING), ranked=np.array([2]))
    assert outcomes_of(table).ranks.tolist() == [3]
    assert not outcomes_of(table).hits(3).any()


@pytest.mark.parametrize("evidence", [SIMILARITY, RANKING, LABEL])
def test_what_the_scores_are_is_kept(tmp_path: Path, evidence: str) -> None:
    ranked = np.array([3, 2, 0])
    table = replace(table_of(np.eye(3), ["a", "b", "c"], evidence), ranked=ranked)
    table.set_skip(1, Skip("missing", ""))
    table.save(tmp_path / "scores.npz")
    found = Predictions.read(tmp_path / "scores.npz")
    assert found.evidence == evidence
    np.testing.assert_array_equal(found.ranked, ranked)
    np.testing.assert_array_equal(found.only([2, 0]).ranked, [0, 3])


def test_only_scores_are_restricted_and_similarities_stay_as_they_are() -> None:
    scores = np.array([[-3, 5, -1, 2], [-1, -2, -3, 9]])
    table = table_of(scores, ["c", "a"], SIMILARITY)
    found = restrict_choices(table, ["a", "c"])
    np.testing.assert_array_equal(found.scores, table.scores)
    assert found.best(4).tolist() == [[2, 0, -1, -1], [0, 2, -1, -1]]
    assert outcomes_of(found).hits(1).tolist() == [True, True]
    with pytest.raises(ConfigError, match="one class a video"):
        restrict_choices(replace(table, evidence=LABEL), ["a"])


def test_a_probability_of_zero_among_the_choices_stands_before_what_may_not_be_chosen() -> None:
    scores = np.array([[0.5, 0, 0.25, 0, 0.25]])
    found = restrict_choices(table_of(scores, ["d"]), ["c", "d", "e"])
    assert outcomes_of(found).ranks.tolist() == [2]


def test_the_list_of_predictions_names_what_is_ranked_alone(tmp_path: Path) -> None:
    scores = np.array([[0, 1, 0, 0], [0.5, 0.25, 0.125, 0.125], [0.25] * 4, [0.4, 0.3, 0.2, 0.1]])
    table = table_of(scores, ["a", "b", "c", "d"])
    write_predictions(tmp_path / "predictions.csv", table, 4)
    found = pd.read_csv(tmp_path / "predictions.csv", dtype=str, keep_default_na=False)
    names = found[[f"pred_{k}" for k in range(1, 5)]].agg("".join, axis=1).tolist()
    assert names == ["b", "ab", "", "abcd"]
    assert found["score_2"].tolist() == ["", "0.250000", "", "0.300000"]
    outcomes = outcomes_of(table)
    for k in range(1, 5):
        assert compute_accuracy(found, k) == accuracy(outcomes, k)


def test_a_table_without_predictions_at_a_rank_has_no_accuracy_there() -> None:
    table = pd.DataFrame({"label": ["a", "b"], "pred_1": ["a", "a"], "pred_2": [None, None]})
    assert compute_accuracy(table).value == 0.5
    with pytest.raises(ValueError, match="pred_2"):
        compute_accuracy(table, 2)
