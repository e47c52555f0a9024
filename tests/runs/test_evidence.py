"""What predictions turned out to be, where the model promised less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.data.records import Skip, VideoRecord
from vidbench.metrics.ranking import LABEL, PROBABILITIES, RANKING, SIMILARITY, rank_scores
from vidbench.runs.evidence import settle_evidence
from vidbench.runs.predictions import Predictions

CLASSES = tuple("abcde")
RECORDS = [VideoRecord(str(place), Path(f"{place}.mp4"), "a") for place in range(6)]

ROWS = {
    PROBABILITIES: (np.array([0.5, 0.2, 0.1, 0.15, 0.05]), 5),
    SIMILARITY: (np.array([7.0, 1, -3, 0.5, 2]), 5),
    RANKING: (np.array([1.0, 0, 1 / 2, 0, 0]), 2),
    LABEL: (np.array([0.0, 0, 1, 0, 0]), 1),
}
WEAKER = (PROBABILITIES, SIMILARITY, RANKING, LABEL)


def table(kinds: list[str], evidence: str = LABEL) -> Predictions:
    found = Predictions.pending(RECORDS, CLASSES, evidence=evidence)
    for row, kind in enumerate(kinds):
        scores, ranked = ROWS[kind]
        found.set_scores(row, scores.astype(np.float32), ranked=ranked)
    return found


@given(st.lists(st.sampled_from(WEAKER), min_size=1, max_size=6))
def test_the_weakest_video_decides(kinds: list[str]) -> None:
    expected = max(kinds, key=WEAKER.index)
    if expected == LABEL and set(kinds) != {LABEL}:
        expected = RANKING  # some videos have more than a label
    assert settle_evidence(table(kinds)).evidence == expected


def test_a_ranking_of_all_classes_is_no_score_of_all() -> None:
    found = table([])
    found.set_scores(0, rank_scores(5)[::-1], ranked=5)
    assert settle_evidence(found).evidence == RANKING


def test_skipped_videos_do_not_count() -> None:
    found = table([PROBABILITIES] * 5)
    found.set_skip(5, Skip("failed", ""))
    assert settle_evidence(found).evidence == PROBABILITIES
    assert settle_evidence(table([])).evidence == LABEL


@pytest.mark.parametrize("kind", WEAKER)
def test_a_table_comes_back_as_it_was_settled(kind: str, tmp_path: Path) -> None:
    found = settle_evidence(table([kind] * 6))
    found.save(tmp_path / "scores.npz")
    again = Predictions.pending(RECORDS, CLASSES, evidence=LABEL)
    again.update(tmp_path / "scores.npz")
    assert settle_evidence(again).evidence == kind
    assert again.scores.tobytes() == found.scores.tobytes()
    assert again.ranked.tolist() == found.ranked.tolist()
