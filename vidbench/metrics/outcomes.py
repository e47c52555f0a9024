"""Outcome of each scored video: its true class, top-1 prediction and the rank of the true class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.metrics.ranking import Classes, count_ranked, has_scores, rank_labels
from vidbench.storage.columns import Scores, cut_rows


class Outcomes(NamedTuple):
    """The videos that count: those that were scored and whose label maps to a model class.

    Each column is (videos,). Equal scores keep class order, and a class that a prediction does not
    rank has no rank: see :mod:`vidbench.metrics.ranking`.

    Attributes:
        targets: Index of the true class.
        groups: Source of each video; empty if no other video shares it.
        choices: Index of the highest score; -1 if the prediction ranks no class.
        confidences: The highest score.
        ranks: Number of classes ranked above the true class; the number of classes if it has no
            rank.
        first_ranks: The same, with the true class first among equal scores.
        last_ranks: The same, with the true class last among equal scores.
        ranked: Number of classes that the prediction ranks.
        classes: Names of the classes, by index.
        evidence: Kind of the scores, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
    """

    targets: Classes
    groups: NDArray[np.str_]
    choices: Classes
    confidences: NDArray[np.float64]
    ranks: Classes
    first_ranks: Classes
    last_ranks: Classes
    ranked: Classes
    classes: tuple[str, ...]
    evidence: str

    def hits(self, k: int) -> NDArray[np.bool_]:
        """Whether the true class is among the top k, (videos,)."""
        return np.asarray(self.ranks < min(k, len(self.classes)))

    def tied(self, k: int) -> NDArray[np.bool_]:
        """Whether a hit depends on the order of equal scores, (videos,); never for a ranking."""
        tied = (self.first_ranks < k) & (self.last_ranks >= k)
        return tied if has_scores(self.evidence) else np.zeros_like(tied)

    def why_no_accuracy(self, k: int) -> str | None:
        """Reason why top-k accuracy cannot be computed (too few ranked classes), or None.

        Scores must rank k classes for at least one video. A ranking must do so for every video
        for which it names a class; an empty ranking counts as a wrong prediction.
        """
        named = self.ranked[self.ranked > 0]
        if not len(named):
            return "no video has a class that ranks above others"
        if has_scores(self.evidence):
            most = int(named.max())
            return None if most >= k else f"no video has more than {_count(most)} with a rank"
        few = int(np.count_nonzero(named < k))
        least = _count(int(named.min()))
        return f"{few} of {len(named)} videos have only {least} with a rank" if few else None


def top_k_hits(scores: Scores, labels: Classes, k: int) -> NDArray[np.bool_]:
    """Whether the label is among the k highest scores, (videos,).

    See :mod:`vidbench.metrics.ranking` for the treatment of equal scores.

    Args:
        scores: (videos, classes).
        labels: (videos,), class indices.
        k: At least 1.
    """
    hits = np.empty(len(labels), np.bool_)
    for rows in cut_rows(len(labels), 4 * scores.shape[1]):
        label_ranks = rank_labels(scores[rows], labels[rows], count_ranked(scores[rows])).ranks
        hits[rows] = label_ranks < min(k, scores.shape[1])
    return hits


def _count(classes: int) -> str:
    return f"{classes} class" + ("es" if classes != 1 else "")
