"""Convert a file's rows to a table with one row per video of a dataset's split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.external.answers import Answers
from vidbench.external.classes import name_columns, name_rankings
from vidbench.external.scores import interpret, pool_rows
from vidbench.metrics.ranking import LABEL, RANKING, rank_scores

Rows = NDArray[np.intp]


class ForeignTable(NamedTuple):
    """Predictions of videos.

    Attributes:
        classes: All classes of the model.
        scores: (videos, classes), NaN if there is no prediction; placeholders for a ranking.
        ranked: (videos,), maximum number of classes that each prediction ranks.
        evidence: Kind of the predictions, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
        how: How they were converted, in a few words; empty if they are unchanged.
        why: Reason for a detected kind that may surprise; else empty.
    """

    classes: tuple[str, ...]
    scores: NDArray[np.float32]
    ranked: Rows
    evidence: str
    how: str = ""
    why: str = ""

    @property
    def given(self) -> NDArray[np.bool_]:
        """Whether there is a prediction, (videos,)."""
        return np.asarray(~np.isnan(self.scores).any(axis=1), np.bool_)


def tabulate(
    answers: Answers,
    rows: Rows,
    count: int,
    listed: Sequence[str] | None,
    known: Sequence[str],
    *,
    aliases: Mapping[str, str] | None = None,
    kind: str = "auto",
    pool: str = "mean",
) -> ForeignTable:
    """Convert rows to a table of videos; if the classes are the dataset's, they are in its order.

    Args:
        answers: Content of the file.
        rows: Index of each row's video.
        count: Number of videos.
        listed: The model's classes, if a list is given.
        known: The dataset's classes.
        aliases: The predicted class for some of the dataset's names.
        kind: One of :data:`~vidbench.external.scores.KINDS`.
        pool: One of :data:`~vidbench.external.scores.POOLS`.

    Raises:
        ConfigError: The classes are unknown, or the scores are not of this kind.
    """
    if answers.scores is None and kind != "auto":
        raise ConfigError(f"the file ranks classes, and has no scores: omit --scores_are {kind}")
    if answers.scores is None:
        named = name_rankings(answers.rankings or (), listed, known, aliases)
        return _of_rankings(*named, rows, count)
    classes = name_columns(answers.classes, answers.scores.shape[1], listed)
    scored = pool_rows(interpret(answers.scores, kind, answers.keys), rows, count, pool)
    scores = scored.scores.astype(np.float32)
    if set(classes) == set(known):  # so that runs with the same classes can be fused
        scores = scores[:, [classes.index(name) for name in known]]
        classes = tuple(known)
    most = 1 if scored.evidence == LABEL else len(classes)
    return ForeignTable(
        classes, scores, np.full(count, most), scored.evidence, scored.how, scored.why
    )


def _of_rankings(
    classes: tuple[str, ...], rankings: Sequence[tuple[str, ...]], rows: Rows, count: int
) -> ForeignTable:
    """Represent ranks by scores 1, 1/2, 1/3 and so on, and other classes by 0."""
    index_of = {name: index for index, name in enumerate(classes)}
    scores, ranked = np.full((count, len(classes)), np.nan, np.float32), np.zeros(count, np.intp)
    for row, ranking in zip(rows.tolist(), rankings, strict=True):
        scores[row] = 0
        scores[row, [index_of[name] for name in ranking]] = rank_scores(len(ranking))
        ranked[row] = len(ranking)
    if not ranked.any():
        raise ConfigError("the file names no class for any video")
    return ForeignTable(classes, scores, ranked, LABEL if ranked.max() == 1 else RANKING)
