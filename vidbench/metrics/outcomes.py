"""What each video's scores came to: the right class, the first choice, hits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.metrics.ranking import Classes, count_ranked, has_scores, rank_labels
from vidbench.storage.columns import Scores, cut_rows


class Outcomes(NamedTuple):
    """The videos that count: those that were scored, and whose label the model has a class for.

    Each column is (videos,). Equal scores keep the order of the classes, and what a prediction
    does not rank has no rank: see :mod:`vidbench.metrics.ranking`.

    Attributes:
        targets: Index of the right class.
        groups: Source of each video; empty where no other video shares it.
        choices: Index of the highest score; -1 where the prediction ranks no class.
        confidences: The highest score.
        ranks: How many classes come before the right one; all of them where it has no rank.
        first_ranks: The same if the right class came first among equal scores.
        last_ranks: The same if it came last among them.
        ranked: How many classes the prediction ranks.
        classes: Names of the classes, by index.
        evidence: What the scores are, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
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
        """Whether the right class is among the k that rank highest, (videos,)."""
        return np.asarray(self.ranks < min(k, len(self.classes)))

    def tied(self, k: int) -> NDArray[np.bool_]:
        """Whether a hit hangs on the order among equal scores, (videos,); never of a ranking."""
        tied = (self.first_ranks < k) & (self.last_ranks >= k)
        return tied if has_scores(self.evidence) else np.zeros_like(tied)

    def why_no_accuracy(self, k: int) -> str | None:
        """Why there is no accuracy at k: too few classes are ranked; None where there is one.

        Scores must rank k classes for one video at least. A ranking must do so for every video
        for which it names a class; one without any is an answer, and a wrong one.
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

    :mod:`vidbench.metrics.ranking` says what equal scores count for.

    Args:
        scores: (videos, classes).
        labels: (videos,), class indices.
        k: At least 1.
    """
    hits = np.empty(len(labels), np.bool_)
    for rows in cut_rows(len(labels), 4 * scores.shape[1]):
        found = rank_labels(scores[rows], labels[rows], count_ranked(scores[rows]))
        hits[rows] = found.ranks < min(k, scores.shape[1])
    return hits


def _count(classes: int) -> str:
    return f"{classes} class" + ("es" if classes != 1 else "")
