"""What each video's scores came to: the right class, the first choice, hits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.predictions import Predictions


class Outcomes(NamedTuple):
    """The videos that count: those that were scored, and whose label the model has a class for.

    Attributes:
        scores: (videos, classes), probabilities.
        targets: (videos,), index of the right class.
        groups: (videos,), source of each video; empty where no other video shares it.
        classes: Names of the scores' columns.
    """

    scores: NDArray[np.float32]
    targets: NDArray[np.intp]
    groups: NDArray[np.str_]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, predictions: Predictions) -> Outcomes:
        """The outcomes of a run; none where nothing was scored or nothing has a label."""
        rows = predictions.scored & (predictions.targets != "")
        index = {name: place for place, name in enumerate(predictions.classes)}
        names, places = np.unique(predictions.targets[rows], return_inverse=True)
        indices = np.array([index[name] for name in names.tolist()], np.intp)
        return cls(
            scores=predictions.scores[rows],
            targets=indices[places],
            groups=predictions.groups[rows],
            classes=predictions.classes,
        )

    @property
    def choices(self) -> NDArray[np.intp]:
        """Index of the highest score of each video, (videos,); ties go to the first class."""
        return np.asarray(np.argmax(self.scores, axis=1), np.intp)

    def hits(self, k: int) -> NDArray[np.bool_]:
        """Whether the right class is among the k highest scores, (videos,)."""
        return top_k_hits(self.scores, self.targets, k)


def top_k_hits(scores: NDArray[np.float32], labels: NDArray[np.intp], k: int) -> NDArray[np.bool_]:
    """Whether the label is among the k highest scores, (videos,); ties go to the first class.

    Args:
        scores: (videos, classes).
        labels: (videos,), class indices.
        k: At least 1.
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    classes = np.arange(scores.shape[1])
    ahead = (scores > own) | ((scores == own) & (classes < labels[:, None]))
    return np.asarray(np.count_nonzero(ahead, axis=1) < k)
