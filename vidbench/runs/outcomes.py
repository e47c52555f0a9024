"""Outcomes of a run's predictions."""

from __future__ import annotations

import numpy as np

from vidbench.metrics.outcomes import Outcomes
from vidbench.metrics.ranking import rank_labels
from vidbench.runs.predictions import Predictions
from vidbench.storage.columns import cut_rows


def outcomes_of(predictions: Predictions) -> Outcomes:
    """Outcomes of the scored videos with a target; empty if there is none."""
    rows = np.flatnonzero(predictions.scored & (predictions.targets != ""))
    index_of = {name: index for index, name in enumerate(predictions.classes)}
    targets, choices, ranks, first, last, ranked = np.empty((6, len(rows)), np.intp)
    confidences = np.empty(len(rows))
    for piece in cut_rows(len(rows), 4 * len(predictions.classes)):
        scores, ranked[piece] = predictions.ranking(rows[piece])
        names = predictions.targets[rows[piece]].tolist()
        targets[piece] = [index_of[name] for name in names]
        choices[piece] = np.where(ranked[piece] > 0, scores.argmax(axis=1), -1)
        confidences[piece] = scores.max(axis=1)
        label_ranks = rank_labels(scores, targets[piece], ranked[piece])
        ranks[piece], first[piece], last[piece] = label_ranks
    return Outcomes(
        targets=targets,
        groups=predictions.groups[rows],
        choices=choices,
        confidences=confidences,
        ranks=ranks,
        first_ranks=first,
        last_ranks=last,
        ranked=ranked,
        classes=predictions.classes,
        evidence=predictions.evidence,
    )
