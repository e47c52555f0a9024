"""Predictions restricted to the classes that a model may choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.metrics.ranking import PROBABILITIES, has_scores, name_evidence
from vidbench.runs.predictions import Predictions
from vidbench.storage.columns import Scores, stack_rows


def restrict_choices(predictions: Predictions, choices: Sequence[str]) -> Predictions:
    """Predictions restricted to some classes; unchanged if ``choices`` is empty.

    Probabilities are renormalized over these classes; other kinds of scores are unchanged.

    Raises:
        ConfigError: The predictions do not score all classes.
    """
    if not choices:
        return predictions
    if not has_scores(predictions.evidence):
        raise ConfigError(
            f"the predictions are {name_evidence(predictions.evidence)}: only scores of all "
            "classes can be restricted to some of them"
        )
    if predictions.evidence != PROBABILITIES:
        return replace(predictions, choices=tuple(choices))
    allowed = np.isin(predictions.classes, choices)

    def restrict(scores: Scores) -> Scores:
        pieces = (_share_out(scores[rows], allowed) for rows in predictions.pieces())
        return stack_rows(pieces, (len(predictions), len(allowed)))

    fewer = {name: restrict(scores) for name, scores in predictions.fewer_views.items()}
    scores = restrict(predictions.scores)
    return replace(predictions, scores=scores, fewer_views=fewer, choices=tuple(choices))


def _share_out(scores: Scores, allowed: NDArray[np.bool_]) -> Scores:
    kept = np.where(allowed, scores, 0).astype(np.float32)
    kept[np.isnan(scores).any(axis=1)] = np.nan
    total = np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(kept / total, np.float32)
