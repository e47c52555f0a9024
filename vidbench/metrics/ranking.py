"""Ranks of classes in a prediction, and the treatment of equal scores.

A row of scores ranks the classes above its lowest score; if only one class has the lowest score,
that class comes last, and all classes are ranked. So a row of one 1 and many 0 ranks one class, and
a row of equal scores ranks none. Equal scores above the lowest one keep class order. A class with a
score of minus infinity is excluded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PROBABILITIES = "probabilities"
SIMILARITY = "similarity"
RANKING = "ranking"
LABEL = "label"

EVIDENCE = (PROBABILITIES, SIMILARITY, RANKING, LABEL)
"""Kinds of predictions: a probability for each class; a score for each class on an arbitrary scale;
the best classes in order; only the best class."""

_NAMES = {
    PROBABILITIES: "probabilities",
    SIMILARITY: "scores on a scale of their own",
    RANKING: "a ranking without scores",
    LABEL: "one class a video",
}

Scores = NDArray[np.float32]
Classes = NDArray[np.intp]


class Ranks(NamedTuple):
    """Rank of the true class, (videos,) each; the number of classes if it has no rank.

    Attributes:
        ranks: Number of classes before the true class.
        first: The same, with the true class first among equal scores.
        last: The same, with the true class last among equal scores.
    """

    ranks: Classes
    first: Classes
    last: Classes


def name_evidence(evidence: str) -> str:
    """The kind of predictions in words, to follow "the predictions are"."""
    return _NAMES[evidence]


def has_scores(evidence: str) -> bool:
    """Whether predictions of this kind have a score for every class, on any scale."""
    return evidence in (PROBABILITIES, SIMILARITY)


def rank_scores(count: int) -> Scores:
    """Numbers in place of scores, for a ranking of so many classes: 1, 1/2, 1/3 and so on."""
    return np.asarray(1 / np.arange(1, count + 1), np.float32)


def count_ranked(scores: Scores) -> Classes:
    """Number of classes that each row of scores ranks, (videos,); 0 if a score is NaN.

    Args:
        scores: (videos, classes).
    """
    allowed = scores > -np.inf
    lowest = np.where(allowed, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    sharing = np.count_nonzero(allowed & (scores == lowest), axis=1)
    above = np.count_nonzero(allowed, axis=1) - np.where(sharing > 1, sharing, 0)
    return np.where(np.isnan(scores).any(axis=1), 0, above)


def rank_labels(scores: Scores, labels: Classes, ranked: Classes) -> Ranks:
    """Rank of each row's label.

    Args:
        scores: (videos, classes).
        labels: (videos,), indices of the true classes.
        ranked: (videos,), number of classes that each row ranks.
    """
    label_scores = scores[np.arange(len(labels)), labels][:, None]
    equal = scores == label_scores
    first = np.count_nonzero(scores > label_scores, axis=1)
    before = np.count_nonzero(equal & (np.arange(scores.shape[1]) < labels[:, None]), axis=1)
    last = first + np.count_nonzero(equal, axis=1) - 1
    ranks = np.where(first + before < ranked, first + before, scores.shape[1])
    return Ranks(*(each.astype(np.intp) for each in (ranks, first, last)))


def best_classes(scores: Scores, ranked: Classes, top_n: int) -> Classes:
    """The best classes of each row, best first, (videos, at most ``top_n``); -1 if not ranked.

    Args:
        scores: (videos, classes).
        ranked: (videos,), number of classes that each row ranks.
        top_n: Maximum number of classes.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top_n]
    return np.where(np.arange(best.shape[1]) < ranked[:, None], best, -1)
