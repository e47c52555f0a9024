"""What the predictions of a run turned out to be, where the model did not promise it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidbench.metrics.ranking import (
    LABEL,
    PROBABILITIES,
    RANKING,
    SIMILARITY,
    Classes,
    Scores,
    rank_scores,
)
from vidbench.runs.predictions import Predictions

_ROUNDING = 0.02  # what rounded probabilities may sum up to beside 1


def settle_evidence(predictions: Predictions) -> Predictions:
    """The predictions, with the strongest evidence that every scored video gives.

    They are probabilities if every video has a score of every class and the scores sum to 1;
    similarities if every video has a score of every class; a ranking if some video names several
    classes; else labels. A model that promises probabilities is taken at its word.
    """
    if predictions.evidence == PROBABILITIES or not predictions.scored.any():
        return predictions
    kinds = set[str]()
    for rows in predictions.pieces():
        chosen = predictions.scored[rows]
        if chosen.any():
            kinds.add(_find(predictions.scores[rows][chosen], predictions.ranked[rows][chosen]))
    weakest = next(kind for kind in (RANKING, LABEL, SIMILARITY, PROBABILITIES) if kind in kinds)
    if weakest == LABEL and kinds - {LABEL}:
        weakest = RANKING
    return replace(predictions, evidence=weakest)


def _find(scores: Scores, ranked: Classes) -> str:
    complete = (ranked == scores.shape[1]) & ~_are_ranks(scores)
    if not complete.all():
        return LABEL if ranked.max() == 1 else RANKING
    sums = scores.sum(axis=1, dtype=np.float64)
    are_shares = scores.min() >= 0 and np.abs(sums - 1).max() <= _ROUNDING
    return PROBABILITIES if are_shares else SIMILARITY


def _are_ranks(scores: Scores) -> NDArray[np.bool_]:
    """Which rows are numbers that stand for ranks of all classes."""
    count = scores.shape[1]
    ordered = -np.sort(-scores, axis=1)
    return np.asarray((ordered == rank_scores(count)).all(axis=1) & (count > 1), np.bool_)
