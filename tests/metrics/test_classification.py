from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix as confusions_by_sklearn
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

from tests.helpers.tables import outcomes_where, random_table
from vidbench.data.records import Skip, VideoRecord
from vidbench.metrics.classification import (
    Confusion,
    accuracy,
    calibration,
    class_metrics,
    compute_accuracy,
    confusion_matrix,
    macro_averages,
    most_confused,
)
from vidbench.metrics.intervals import share, wilson
from vidbench.metrics.outcomes import Outcomes, top_k_hits
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.outputs import write_predictions
from vidbench.runs.predictions import Predictions

seeds = st.integers(0, 2**32 - 1)


def random_outcomes(seed: int, videos: int, classes: int) -> Outcomes:
    """Some classes have no videos, some are never chosen, and some videos share a source."""
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(rng.uniform(0.05, 0.6, size=classes), size=videos).astype(np.float32)
    sources = rng.integers(2 * videos, size=videos).astype(np.str_)
    targets = rng.integers(max(1, classes - 2), size=videos)
    return outcomes_where(scores, targets, np.where(rng.random(videos) < 0.3, "", sources))


some_outcomes = st.builds(random_outcomes, seeds, st.integers(1, 80), st.integers(2, 9))


@given(seeds, st.integers(1, 60), st.integers(3, 40), st.data())
def test_top_k_hits_agree_with_scikit_learn(
    seed: int, videos: int, classes: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, classes - 1))
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(classes, dtype=np.float32), (videos, 1)), axis=1)
    labels = rng.integers(classes, size=videos)
    expected = top_k_accuracy_score(labels, scores, k=k, labels=np.arange(classes))
    assert top_k_hits(scores, labels, k).mean() == pytest.approx(expected)


@given(seeds, st.integers(1, 40), st.integers(1, 12), st.integers(1, 13))
def test_the_outcomes_know_the_hits_of_their_scores(
    seed: int, videos: int, classes: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(3, size=(videos, classes)).astype(np.float32)
    labels = rng.integers(classes, size=videos)
    hits = outcomes_where(scores, labels).hits(k)
    np.testing.assert_array_equal(hits, top_k_hits(scores, labels, k))


def test_ties_above_the_lowest_score_go_to_the_first_class() -> None:
    scores = np.array([[0.2, 0.4, 0.4, 0.0]] * 4, np.float32)
    labels = np.arange(4)
    assert top_k_hits(scores, labels, 1).tolist() == [False, True, False, False]
    assert top_k_hits(scores, labels, 2).tolist() == [False, True, True, False]
    assert top_k_hits(scores, labels, 3).tolist() == [True, True, True, False]


@given(seeds, st.integers(1, 40), st.integers(1, 12))
def test_a_larger_k_never_loses_a_hit(seed: int, videos: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(3, size=(videos, classes)).astype(np.float32)
    labels = rng.integers(classes, size=videos)
    hits = np.array([top_k_hits(scores, labels, k) for k in range(1, classes + 1)])
    assert (hits[1:] >= hits[:-1]).all()
    lowest = scores.min(axis=1)
    alone = (scores == lowest[:, None]).sum(axis=1) == 1
    above = scores[np.arange(videos), labels] > lowest
    np.testing.assert_array_equal(hits[-1], above | alone)


@pytest.mark.parametrize(("skips", "unlabelled"), [(0, 0), (3, 0), (0, 4), (3, 4)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_accuracy_of_the_written_table_equals_the_metrics(
    tmp_path: Path, skips: int, unlabelled: int, k: int
) -> None:
    table = random_table(seed=k, videos=40, classes=9, skips=skips, unlabelled=unlabelled)
    write_predictions(tmp_path / "predictions.csv", table, k)
    found = compute_accuracy(pd.read_csv(tmp_path / "predictions.csv"), k)
    assert found == accuracy(outcomes_of(table), k)


def test_accuracy_of_a_table_without_labels_is_refused(tmp_path: Path) -> None:
    write_predictions(
        tmp_path / "p.csv", random_table(seed=1, videos=5, classes=4, unlabelled=5), 1
    )
    with pytest.raises(ValueError, match="label"):
        compute_accuracy(pd.read_csv(tmp_path / "p.csv"))


def test_accuracy_of_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no labelled videos"):
        compute_accuracy(pd.DataFrame({"label": [], "pred_1": []}))


def test_accuracy_beyond_the_listed_predictions_is_refused() -> None:
    table = pd.DataFrame({"label": ["a"], "pred_1": ["a"], "pred_2": ["b"]})
    with pytest.raises(ValueError, match="pred_3"):
        compute_accuracy(table, 3)


def test_outcomes_are_the_scored_videos_that_the_model_has_a_class_for() -> None:
    labels = ["jumping", "b", None, "a", "unknown", "b"]
    records = [
        VideoRecord(str(i), Path(f"{i}.mp4"), label, group=f"source {i // 2}")
        for i, label in enumerate(labels)
    ]
    targets = {"a": "a", "b": "b", "jumping": "c"}
    table = Predictions.pending(records, ("a", "b", "c"), targets)
    for row in (0, 1, 2, 4, 5):
        table.set_scores(row, (np.array([row, 1.5, 0.5]) / (row + 2)).astype(np.float32))
    table.set_skip(3, Skip("missing", ""))
    found = outcomes_of(table)
    assert found.targets.tolist() == [2, 1, 1]
    assert found.groups.tolist() == ["source 0", "source 0", "source 2"]
    np.testing.assert_array_equal(found.confidences, table.scores[[0, 1, 5]].max(axis=1))
    assert found.choices.tolist() == [1, 1, 0]
    assert found.ranks.tolist() == [1, 0, 1]
    assert found.classes == ("a", "b", "c")


@given(some_outcomes, st.integers(1, 9))
def test_accuracy_is_the_share_of_hits_with_the_sources_in_mind(outcomes: Outcomes, k: int) -> None:
    found = accuracy(outcomes, k)
    hits = outcomes.hits(k)
    assert found == share(hits, outcomes.groups)
    alone = accuracy(outcomes._replace(groups=np.full(len(hits), "")), k)
    assert alone == wilson(int(hits.sum()), len(hits))


@given(some_outcomes)
def test_class_metrics_agree_with_scikit_learn(outcomes: Outcomes) -> None:
    targets, choices = outcomes.targets, outcomes.choices
    found = class_metrics(outcomes)
    occurring = sorted({*targets.tolist(), *choices.tolist()})
    assert [one.name for one in found] == [outcomes.classes[place] for place in occurring]
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, choices, labels=occurring, zero_division=0
    )
    assert [one.num_videos for one in found] == support.tolist()
    assert [one.precision or 0 for one in found] == pytest.approx(precision)
    assert [one.recall or 0 for one in found] == pytest.approx(recall)
    assert [one.f1 or 0 for one in found] == pytest.approx(f1)
    for place, one in zip(occurring, found, strict=True):
        rows = targets == place
        assert (one.precision is None) == (place not in choices)
        assert (one.recall is None) == (one.accuracy is None) == (not rows.any())
        assert (one.f1 is None) == (one.precision is None or one.recall is None)
        if one.accuracy is not None:
            assert one.accuracy == share(choices[rows] == place, outcomes.groups[rows])


@given(some_outcomes)
def test_macro_averages_agree_with_scikit_learn(outcomes: Outcomes) -> None:
    found = macro_averages(class_metrics(outcomes))
    expected = precision_recall_fscore_support(
        outcomes.targets,
        outcomes.choices,
        labels=np.unique(outcomes.targets),
        average="macro",
        zero_division=0,
    )
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3])
    assert found.accuracy.value == pytest.approx(expected[1])
    assert found.accuracy.num_videos == len(outcomes.targets)


@given(some_outcomes)
def test_the_confusion_matrix_agrees_with_scikit_learn(outcomes: Outcomes) -> None:
    found = confusion_matrix(outcomes)
    labels = np.arange(len(outcomes.classes))
    expected = confusions_by_sklearn(outcomes.targets, outcomes.choices, labels=labels)
    np.testing.assert_array_equal(found, expected)
    assert np.trace(found) / found.sum() == pytest.approx(accuracy(outcomes, 1).value)


def test_the_first_choice_of_equal_scores_is_the_first_class() -> None:
    scores = np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]], np.float32)
    outcomes = outcomes_where(scores, np.array([2, 1]))
    assert confusion_matrix(outcomes).tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


def test_the_most_confused_classes_come_first_and_ties_in_the_order_of_the_classes() -> None:
    matrix = np.array([[5, 2, 3], [2, 0, 0], [0, 6, 9]])
    found = most_confused(matrix, ("a", "b", "c"), count=3)
    assert found == [
        Confusion("c", "b", 6, 0.4),
        Confusion("a", "c", 3, 0.3),
        Confusion("a", "b", 2, 0.2),
    ]
    assert most_confused(matrix, ("a", "b", "c"))[3:] == [Confusion("b", "a", 2, 1.0)]


@given(some_outcomes)
def test_confusions_are_all_the_errors(outcomes: Outcomes) -> None:
    found = most_confused(confusion_matrix(outcomes), outcomes.classes, count=100)
    wrong = outcomes.choices != outcomes.targets
    assert sum(one.videos for one in found) == wrong.sum()
    assert all(one.label != one.predicted and 0 < one.share <= 1 for one in found)
    assert [one.videos for one in found] == sorted((one.videos for one in found), reverse=True)


@given(some_outcomes, st.integers(1, 20))
def test_the_bins_of_calibration_agree_with_scikit_learn(outcomes: Outcomes, num_bins: int) -> None:
    found = calibration(outcomes, num_bins)
    hits = outcomes.choices == outcomes.targets
    confidences = np.minimum(outcomes.confidences, 1)
    right, confidence = calibration_curve(hits, confidences, n_bins=num_bins, pos_label=True)
    assert [one.accuracy.value for one in found.bins] == pytest.approx(right)
    assert [one.confidence for one in found.bins] == pytest.approx(confidence)
    assert sum(one.num_videos for one in found.bins) == len(hits)
    for one in found.bins:
        rows = (confidences > one.low) & (confidences <= one.high)
        assert one.num_videos == one.accuracy.num_videos == rows.sum()
        assert one.accuracy == share(hits[rows], outcomes.groups[rows])


def test_the_calibration_error_is_the_sum_by_hand() -> None:
    # Bins of 0.25: (0.25, 0.5] has 0.5 right and 0.3 wrong; (0.75, 1] has 0.8 and 1.0, both right.
    firsts = np.array([0.5, 0.3, 0.8, 1.0])
    scores = np.zeros((4, 4), np.float32)
    scores[:, 0] = firsts
    scores[:, 1:] = ((1 - firsts) / 3)[:, None]
    found = calibration(outcomes_where(scores, np.array([0, 1, 0, 0])), num_bins=4)
    assert [(one.low, one.high, one.num_videos) for one in found.bins] == [
        (0.25, 0.5, 2),
        (0.75, 1, 2),
    ]
    assert found.error == pytest.approx(2 / 4 * abs(0.5 - 0.4) + 2 / 4 * abs(1.0 - 0.9))


def test_scores_that_are_probabilities_have_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.full(5, 0.5), size=20_000)
    targets = (scores.cumsum(axis=1) < rng.random(20_000)[:, None]).sum(axis=1).clip(max=4)
    assert calibration(outcomes_where(scores, targets)).error < 0.015
    sharper = scores**3 / (scores**3).sum(axis=1, keepdims=True)
    assert calibration(outcomes_where(sharper, targets)).error > 0.1


def test_without_labelled_videos_there_are_no_averages_and_nothing_else_fails() -> None:
    empty = outcomes_of(random_table(seed=1, videos=3, classes=4, unlabelled=3))
    assert len(empty.targets) == 0
    assert class_metrics(empty) == []
    assert confusion_matrix(empty).tolist() == np.zeros((4, 4)).tolist()
    assert most_confused(confusion_matrix(empty), empty.classes) == []
    with pytest.raises(ValueError, match="at least one video"):
        accuracy(empty, 1)
    with pytest.raises(ValueError, match="at least one video"):
        calibration(empty)
    with pytest.raises(ValueError, match="no class has a video"):
        macro_averages([])
