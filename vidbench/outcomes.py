"""What each video's scores came to: the right class, the first choice, hits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.columns import Scores, cut_rows
from vidbench.predictions import Predictions

Classes = NDArray[np.intp]


class Outcomes(NamedTuple):
    """The videos that count: those that were scored, and whose label the model has a class for.

    Each column is (videos,).

    Attributes:
        targets: Index of the right class.
        groups: Source of each video; empty where no other video shares it.
        choices: Index of the highest score; ties go to the first class.
        confidences: The highest score.
        ranks: How many classes come before the right one; ties go to the first class.
        classes: Names of the classes, by index.
    """

    targets: Classes
    groups: NDArray[np.str_]
    choices: Classes
    confidences: NDArray[np.float64]
    ranks: Classes
    classes: tuple[str, ...]

    @classmethod
    def of(cls, predictions: Predictions) -> Outcomes:
        """The outcomes of a run; none where nothing was scored or nothing has a label."""
        rows = np.flatnonzero(predictions.scored & (predictions.targets != ""))
        index = {name: place for place, name in enumerate(predictions.classes)}
        targets, choices, ranks = np.empty((3, len(rows)), np.intp)
        confidences = np.empty(len(rows))
        for piece in cut_rows(len(rows), 4 * len(predictions.classes)):
            scores = predictions.scores[rows[piece]]
            names = predictions.targets[rows[piece]].tolist()
            targets[piece] = [index[name] for name in names]
            choices[piece] = scores.argmax(axis=1)
            confidences[piece] = scores.max(axis=1)
            ranks[piece] = _rank(scores, targets[piece])
        groups = predictions.groups[rows]
        return cls(targets, groups, choices, confidences, ranks, predictions.classes)

    def hits(self, k: int) -> NDArray[np.bool_]:
        """Whether the right class is among the k highest scores, (videos,)."""
        return np.asarray(self.ranks < k)


def top_k_hits(scores: Scores, labels: Classes, k: int) -> NDArray[np.bool_]:
    """Whether the label is among the k highest scores, (videos,); ties go to the first class.

    Args:
        scores: (videos, classes).
        labels: (videos,), class indices.
        k: At least 1.
    """
    hits = np.empty(len(labels), np.bool_)
    for rows in cut_rows(len(labels), 4 * scores.shape[1]):
        hits[rows] = _rank(scores[rows], labels[rows]) < k
    return hits


def _rank(scores: Scores, labels: Classes) -> Classes:
    """How many classes come before the label."""
    own = scores[np.arange(len(labels)), labels][:, None]
    classes = np.arange(scores.shape[1])
    ahead = (scores > own) | ((scores == own) & (classes < labels[:, None]))
    return np.asarray(np.count_nonzero(ahead, axis=1), np.intp)
