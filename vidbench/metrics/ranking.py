"""Which classes a prediction ranks, in which order, and where its order hangs on equal scores.

A row of scores ranks the classes that stand above its lowest score; where one class alone has the
lowest score, that class is the last in the order, and all are ranked. So a row of one 1 and many 0
ranks one class, and a row of equal scores ranks none. Equal scores above the lowest one keep the
order of the classes. A class of minus infinity is not to be chosen.
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
"""What a prediction can be: a probability of each class; a score of each class on a scale of its
own; the best classes in order; the best class alone."""

_NAMES = {
    PROBABILITIES: "probabilities",
    SIMILARITY: "scores on a scale of their own",
    RANKING: "a ranking without scores",
    LABEL: "one class a video",
}

Scores = NDArray[np.float32]
Classes = NDArray[np.intp]


class Ranks(NamedTuple):
    """Where the right class stands, (videos,) each; the number of classes where it has no rank.

    Attributes:
        ranks: How many classes come before it.
        first: The same if it came first among the classes of its score.
        last: The same if it came last among them.
    """

    ranks: Classes
    first: Classes
    last: Classes


def name_evidence(evidence: str) -> str:
    """The kind in words, as it follows "the predictions are"."""
    return _NAMES[evidence]


def has_scores(evidence: str) -> bool:
    """Whether predictions of this kind score every class, on whatever scale."""
    return evidence in (PROBABILITIES, SIMILARITY)


def count_ranked(scores: Scores) -> Classes:
    """How many classes each row of scores ranks, (videos,); none where a score is NaN.

    Args:
        scores: (videos, classes).
    """
    allowed = scores > -np.inf
    lowest = np.where(allowed, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    sharing = np.count_nonzero(allowed & (scores == lowest), axis=1)
    above = np.count_nonzero(allowed, axis=1) - np.where(sharing > 1, sharing, 0)
    return np.where(np.isnan(scores).any(axis=1), 0, above)


def rank_labels(scores: Scores, labels: Classes, ranked: Classes) -> Ranks:
    """Where each row's label stands.

    Args:
        scores: (videos, classes).
        labels: (videos,), indices of the right classes.
        ranked: (videos,), how many classes each row ranks.
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    equal = scores == own
    first = np.count_nonzero(scores > own, axis=1)
    before = np.count_nonzero(equal & (np.arange(scores.shape[1]) < labels[:, None]), axis=1)
    last = first + np.count_nonzero(equal, axis=1) - 1
    ranks = np.where(first + before < ranked, first + before, scores.shape[1])
    return Ranks(*(each.astype(np.intp) for each in (ranks, first, last)))


def best_classes(scores: Scores, ranked: Classes, top_n: int) -> Classes:
    """The best classes of each row, best first, (videos, at most ``top_n``); -1 beyond its ranks.

    Args:
        scores: (videos, classes).
        ranked: (videos,), how many classes each row ranks.
        top_n: At most how many.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top_n]
    return np.where(np.arange(best.shape[1]) < ranked[:, None], best, -1)
