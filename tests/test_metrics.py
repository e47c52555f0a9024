from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from vidbench.data.records import Skip, VideoRecord
from vidbench.metrics import compute_accuracy, summarize, top_k_hits
from vidbench.predictions import Predictions

seeds = st.integers(0, 2**32 - 1)


def random_table(
    seed: int, videos: int, classes: int, skips: int = 0, unlabelled: int = 0
) -> Predictions:
    rng = np.random.default_rng(seed)
    names = tuple(f"class {i}" for i in range(classes))
    records = [
        VideoRecord(
            f"video {i}",
            Path(f"{i}.mp4"),
            None if i >= videos - unlabelled else names[rng.integers(classes)],
        )
        for i in range(videos)
    ]
    table = Predictions.pending(records, names)
    for row in range(skips, videos):
        table.set_scores(row, rng.dirichlet(np.ones(classes)).astype(np.float32))
    for row in range(skips):
        table.set_skip(row, Skip(str(rng.choice(["missing", "truncated"])), "found nothing"))
    return table


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


def test_ties_go_to_the_first_class() -> None:
    scores = np.array([[0.2, 0.4, 0.4, 0.0]] * 4, np.float32)
    labels = np.arange(4)
    assert top_k_hits(scores, labels, 1).tolist() == [False, True, False, False]
    assert top_k_hits(scores, labels, 2).tolist() == [False, True, True, False]
    assert top_k_hits(scores, labels, 3).tolist() == [True, True, True, False]


@given(seeds, st.integers(1, 30), st.integers(1, 12))
def test_equal_scores_make_one_hit_of_each_class(seed: int, videos: int, classes: int) -> None:
    labels = np.random.default_rng(seed).integers(classes, size=videos)
    scores = np.full((videos, classes), 0.5, np.float32)
    for k in range(1, classes + 1):
        np.testing.assert_array_equal(top_k_hits(scores, labels, k), labels < k)


@given(seeds, st.integers(1, 40), st.integers(1, 12))
def test_a_larger_k_never_loses_a_hit(seed: int, videos: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(3, size=(videos, classes)).astype(np.float32)
    labels = rng.integers(classes, size=videos)
    hits = np.array([top_k_hits(scores, labels, k) for k in range(1, classes + 1)])
    assert (hits[1:] >= hits[:-1]).all()
    assert hits[-1].all()


@pytest.mark.parametrize(("skips", "unlabelled"), [(0, 0), (3, 0), (0, 4), (3, 4)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_accuracy_of_the_written_table_equals_the_metrics(
    tmp_path: Path, skips: int, unlabelled: int, k: int
) -> None:
    table = random_table(seed=k, videos=40, classes=9, skips=skips, unlabelled=unlabelled)
    table.write_csv(tmp_path / "predictions.csv", k)
    found = compute_accuracy(pd.read_csv(tmp_path / "predictions.csv"), k)
    assert found._asdict() == summarize(table, k, "")[f"top{k}"]


def test_accuracy_of_a_table_without_labels_is_refused(tmp_path: Path) -> None:
    random_table(seed=1, videos=5, classes=4, unlabelled=5).write_csv(tmp_path / "p.csv", 1)
    with pytest.raises(ValueError, match="label"):
        compute_accuracy(pd.read_csv(tmp_path / "p.csv"))


def test_accuracy_of_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no labelled videos"):
        compute_accuracy(pd.DataFrame({"label": [], "pred_1": []}))


def test_accuracy_beyond_the_listed_predictions_is_refused() -> None:
    table = pd.DataFrame({"label": ["a"], "pred_1": ["a"], "pred_2": ["b"]})
    with pytest.raises(ValueError, match="pred_3"):
        compute_accuracy(table, 3)


@given(seeds, st.integers(0, 30), st.data())
def test_every_requested_video_is_evaluated_or_counted_as_skipped(
    seed: int, videos: int, data: st.DataObject
) -> None:
    skips = data.draw(st.integers(0, videos))
    summary = summarize(random_table(seed, videos, 6, skips), 5, "its signature")
    assert summary["requested"] == videos
    assert summary["evaluated"] == videos - skips
    assert sum(summary["skipped"].values()) == skips
    assert summary["signature"] == "its signature"


def test_skipped_videos_change_no_accuracy() -> None:
    with_skips = random_table(seed=7, videos=20, classes=6, skips=8)
    rows = np.flatnonzero(with_skips.scored)
    index = {name: place for place, name in enumerate(with_skips.classes)}
    labels = [index[name] for name in with_skips.labels[rows]]
    expected = top_k_accuracy_score(labels, with_skips.scores[rows], k=2, labels=np.arange(6))
    top2 = summarize(with_skips, 2, "")["top2"]
    assert top2["value"] == pytest.approx(expected)
    assert top2["num_videos"] == 12


def test_a_split_without_labels_has_no_accuracy_and_says_why() -> None:
    summary = summarize(random_table(seed=1, videos=4, classes=6, unlabelled=4), 5, "")
    assert summary["top1"] is None
    assert summary["top5"] is None
    assert "no labels" in summary["not_scored"]
    assert summary["evaluated"] == 4


@pytest.mark.parametrize("videos", [0, 3])
def test_a_run_that_evaluated_nothing_has_no_accuracy_and_says_why(videos: int) -> None:
    summary = summarize(random_table(seed=1, videos=videos, classes=6, skips=videos), 5, "")
    assert summary["top1"] is None
    assert summary["top5"] is None
    assert "no video" in summary["not_scored"]


def test_the_second_accuracy_is_of_top_n_and_at_least_the_first() -> None:
    table = random_table(seed=3, videos=30, classes=8)
    assert [key for key in summarize(table, 1, "") if key.startswith("top")] == ["top1"]
    summary = summarize(table, 3, "")
    assert [key for key in summary if key.startswith("top")] == ["top1", "top3"]
    assert summary["top1"]["value"] < summary["top3"]["value"]
