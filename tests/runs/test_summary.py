from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from tests.helpers.contexts import new_context
from tests.helpers.tables import random_table
from vidbench.data.records import Skip, VideoRecord
from vidbench.runs.choices import restrict_choices
from vidbench.runs.predictions import Predictions
from vidbench.runs.summary import summarize

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(0, 30), st.data())
def test_every_requested_video_is_evaluated_or_counted_as_skipped(
    seed: int, videos: int, data: st.DataObject
) -> None:
    skips = data.draw(st.integers(0, videos))
    summary = summarize(random_table(seed, videos, 6, skips), 5, new_context("its signature"))
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
    top2 = summarize(with_skips, 2, new_context())["top2"]
    assert top2["value"] == pytest.approx(expected)
    assert top2["num_videos"] == 12


def test_a_split_without_labels_has_no_accuracy_and_says_why() -> None:
    summary = summarize(random_table(seed=1, videos=4, classes=6, unlabelled=4), 5, new_context())
    assert summary["top1"] is None
    assert summary["top5"] is None
    assert "no labels" in summary["not_scored"]
    assert summary["evaluated"] == 4


@pytest.mark.parametrize("videos", [0, 3])
def test_a_run_that_evaluated_nothing_has_no_accuracy_and_says_why(videos: int) -> None:
    summary = summarize(
        random_table(seed=1, videos=videos, classes=6, skips=videos), 5, new_context()
    )
    assert summary["top1"] is None
    assert summary["top5"] is None
    assert "no video" in summary["not_scored"]


def test_the_second_accuracy_is_of_top_n_and_at_least_the_first() -> None:
    table = random_table(seed=3, videos=30, classes=8)
    assert [key for key in summarize(table, 1, new_context()) if key.startswith("top")] == ["top1"]
    summary = summarize(table, 3, new_context())
    assert [key for key in summary if key.startswith("top")] == ["top1", "top3"]
    assert summary["top1"]["value"] < summary["top3"]["value"]


def test_the_signature_says_how_many_videos_were_evaluated() -> None:
    table = random_table(seed=1, videos=9, classes=6, skips=2)
    assert summarize(table, 1, new_context("{evaluated} of 9"))["signature"] == "7 of 9"


def table_of_unknown_classes() -> Predictions:
    """Labels a, b and alien, which the model does not have; right, wrong, and lost."""
    labels = ["a", "alien", "a", "b", "alien", "b"]
    records = [VideoRecord(str(i), Path(f"{i}.mp4"), label) for i, label in enumerate(labels)]
    table = Predictions.pending(records, ("a", "b", "c"), {"a": "a", "b": "b"})
    for row in range(5):
        table.set_scores(row, np.array([0.6, 0.3, 0.1], np.float32))
    table.set_skip(5, Skip("missing", ""))
    return table


def test_what_the_model_has_no_class_for_is_wrong_over_all_and_left_out_else() -> None:
    summary = summarize(table_of_unknown_classes(), 2, new_context(num_listed=10))
    assert (summary["top1"]["value"], summary["top1"]["num_videos"]) == (2 / 3, 3)
    assert (summary["top2"]["value"], summary["top2"]["num_videos"]) == (1, 3)
    over_all = summary["over_all"]
    assert (over_all["top1"]["value"], over_all["top1"]["num_videos"]) == (2 / 5, 5)
    assert (over_all["top2"]["value"], over_all["top2"]["num_videos"]) == (3 / 5, 5)
    assert summary["bounds"] == {
        "requested": {"low": 2 / 6, "high": 5 / 6},
        "listed": {"low": 2 / 10, "high": 9 / 10},
    }


def test_coverage_counts_every_listed_video() -> None:
    coverage = summarize(table_of_unknown_classes(), 1, new_context(num_listed=10))["coverage"]
    assert coverage["listed"] == 10
    assert (coverage["requested"], coverage["present"], coverage["scored"]) == (6, 5, 5)
    assert coverage["skipped"] == {"missing": 1}


@given(seeds, st.integers(1, 20))
def test_the_digest_of_videos_is_that_of_a_set(seed: int, videos: int) -> None:
    table = random_table(seed, videos, 4)
    order = np.random.default_rng(seed).permutation(videos)
    columns = ("video_ids", "paths", "labels", "targets", "groups", "scores", "reasons", "details")
    shuffled = replace(table, **{name: getattr(table, name)[order] for name in columns})
    one, other = (summarize(each, 1, new_context())["coverage"] for each in (table, shuffled))
    assert one == other
    table.set_skip(0, Skip("unreadable", ""))
    fewer = summarize(table, 1, new_context())["coverage"]
    assert fewer["requested_digest"] == one["requested_digest"]
    assert fewer["scored_digest"] != one["scored_digest"]


@given(seeds, st.integers(1, 20), st.integers(1, 6))
def test_a_model_restricted_to_some_classes_ranks_them_as_before(
    seed: int, videos: int, count: int
) -> None:
    table = random_table(seed, videos, 6, skips=videos // 3)
    chosen = [2, 0, 4, 5, 1, 3][:count]
    found = restrict_choices(table, [table.classes[place] for place in chosen])
    scored = table.scored
    np.testing.assert_allclose(found.scores[scored].sum(axis=1), 1, rtol=1e-5)
    others = np.setdiff1d(np.arange(6), chosen)
    assert (found.scores[scored][:, others] == 0).all()
    np.testing.assert_array_equal(np.isnan(found.scores), np.isnan(table.scores))
    np.testing.assert_array_equal(
        np.argsort(found.scores[scored][:, chosen], axis=1),
        np.argsort(table.scores[scored][:, chosen], axis=1),
    )


def test_fewer_views_are_scored_from_the_same_pass() -> None:
    table = random_table(seed=2, videos=40, classes=5)
    other = random_table(seed=3, videos=40, classes=5).scores
    both = replace(table, fewer_views={"1x1": other})
    summary = summarize(both, 2, new_context("a | 10x3 views | b {evaluated}", views="10x3"))
    alone = summarize(replace(table, scores=other), 2, new_context())
    assert summary["fewer_views"] == {
        "1x1 of 10x3": {
            "top1": alone["top1"],
            "top2": alone["top2"],
            "signature": "a | 1x1 of 10x3 views | b 40",
        }
    }
    assert summary["top1"] != alone["top1"]
