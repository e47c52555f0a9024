"""Determine the kind of a file's scores, and combine the scores of several views of a video."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.external.answers import ScoreRows
from vidbench.metrics.ranking import LABEL, PROBABILITIES, SIMILARITY

logger = logging.getLogger(__name__)

LOGITS = "logits"

KINDS = ("auto", PROBABILITIES, LOGITS, SIMILARITY)
"""Kinds of scores; ``auto`` detects whether they are probabilities."""

POOLS = ("mean", "max")
"""Ways to combine the scores of several rows of a video."""

_SUM = 0.02  # tolerance for the sum of probabilities of low precision, or rounded in text

Rows = NDArray[np.intp]


class Scored(NamedTuple):
    """Scores of rows, and their kind.

    Attributes:
        scores: (rows, classes).
        evidence: One of :data:`~vidbench.metrics.ranking.EVIDENCE`.
        how: How they were converted, in a few words; empty if they are unchanged.
        why: Reason for a detected kind that may surprise; else empty.
    """

    scores: ScoreRows
    evidence: str
    how: str = ""
    why: str = ""


def interpret(scores: ScoreRows, kind: str, keys: Sequence[str]) -> Scored:
    """Determine the kind of the scores; convert logits to probabilities if ``kind`` says so.

    Args:
        scores: (rows, classes).
        kind: One of :data:`KINDS`.
        keys: Names of the rows, for messages.

    Raises:
        ConfigError: Scores are not finite, or not of the given kind.
    """
    _refuse_infinite(scores, keys)
    scores = scores if scores.itemsize >= 4 else scores.astype(np.float32)
    odd = _odd_rows(scores)
    if kind == LOGITS:
        if not len(odd):
            raise ConfigError("the scores are probabilities already: omit --scores_are logits")
        return Scored(_softmax(scores), PROBABILITIES, "softmax of logits")
    if kind == PROBABILITIES and len(odd):
        raise ConfigError(f"the scores are not probabilities: {_describe(scores, odd, keys)}")
    if kind == SIMILARITY:
        return Scored(scores, SIMILARITY)
    if len(odd):
        why = f"not probabilities, as {_describe(scores, odd, keys)} (--scores_are logits?)"
        return Scored(scores, SIMILARITY, why=why)
    if scores.shape[1] > 1 and (np.count_nonzero(scores, axis=1) == 1).all():
        return Scored(scores, LABEL, why="each row has only one class that is not 0")
    return Scored(scores, PROBABILITIES)


def pool_rows(scored: Scored, videos: Rows, count: int, how: str) -> Scored:
    """Combine scores of rows to scores of videos, (count, classes); NaN for a video without rows.

    Args:
        scored: Scores of rows.
        videos: (rows,), index of each row's video.
        count: Number of videos.
        how: One of :data:`POOLS`. The maxima of several views' probabilities are no longer
            probabilities.
    """
    views = np.bincount(videos, minlength=count)
    if views.max(initial=0) <= 1:
        pooled = np.full((count, scored.scores.shape[1]), np.nan)
        pooled[videos] = scored.scores
        return scored._replace(scores=pooled)
    if how == "max":
        pooled = np.full((count, scored.scores.shape[1]), -np.inf)
        np.maximum.at(pooled, videos, scored.scores)
        evidence = SIMILARITY
    else:
        pooled = np.zeros((count, scored.scores.shape[1]))
        np.add.at(pooled, videos, scored.scores)
        pooled /= np.maximum(views, 1)[:, None]
        evidence = SIMILARITY if scored.evidence == LABEL else scored.evidence  # shares of votes
    pooled[views == 0] = np.nan
    given = views[views > 0]
    if given.min() != given.max():
        logger.warning(
            "videos have %d to %d rows each, which are pooled as views: does one occur twice?",
            given.min(),
            given.max(),
        )
    some = str(given.min()) if given.min() == given.max() else f"{given.min()} to {given.max()}"
    text = f"{how} of {some} rows a video"
    return Scored(pooled, evidence, ", ".join(filter(None, (scored.how, text))), scored.why)


def _refuse_infinite(scores: ScoreRows, keys: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise ConfigError(
            f"{len(bad)} of {len(scores)} rows have scores that are not finite, e.g. that of "
            f"{keys[bad[0]]!r}: leave out videos without a prediction"
        )


def _odd_rows(scores: ScoreRows) -> Rows:
    """Rows that are not probabilities of all classes."""
    sums = scores.sum(axis=1, dtype=np.float64)
    low, high = scores.min(axis=1, initial=0), scores.max(axis=1, initial=0)
    return np.flatnonzero((np.abs(sums - 1) > _SUM) | (low < 0) | (high > 1 + _SUM))


def _describe(scores: ScoreRows, odd: Rows, keys: Sequence[str]) -> str:
    row = scores[odd[0]]
    return (
        f"{len(odd)} of {len(scores)} rows do not sum up to 1 within 0 to 1: that of "
        f"{keys[odd[0]]!r} sums up to {row.sum():.4g}, from {row.min():.4g} to {row.max():.4g}"
    )


def _softmax(scores: ScoreRows) -> ScoreRows:
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
