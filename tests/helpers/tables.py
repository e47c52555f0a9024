"""Random tables of predictions and what is known of their runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Skip, VideoRecord
from vidbench.metrics.outcomes import Outcomes
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.predictions import Predictions


def random_table(
    seed: int, videos: int, classes: int, skips: int = 0, unlabelled: int = 0
) -> Predictions:
    rng = np.random.default_rng(seed)
    names = tuple(f"class {i}" for i in range(classes))
    records = [
        VideoRecord(
            f"video {i}",
            Path(f"{i}.mp4"),
            None if i >= videos - unlabelled else names[rng.integers(classes)],
        )
        for i in range(videos)
    ]
    table = Predictions.pending(records, names)
    for row in range(skips, videos):
        table.set_scores(row, rng.dirichlet(np.ones(classes)).astype(np.float32))
    for row in range(skips):
        table.set_skip(row, Skip(str(rng.choice(["missing", "truncated"])), "found nothing"))
    return table


def outcomes_where(
    scores: NDArray[np.floating], targets: NDArray[np.intp], groups: NDArray[np.str_] | None = None
) -> Outcomes:
    """Of videos that are all scored, by scores (videos, classes) and right classes."""
    count, names = len(scores), np.array([f"class {i}" for i in range(scores.shape[1])])
    table = Predictions(
        classes=tuple(names.tolist()),
        video_ids=np.arange(count).astype(np.str_),
        paths=np.full(count, "x.mp4"),
        labels=names[targets],
        targets=names[targets],
        groups=np.full(count, "") if groups is None else groups,
        scores=scores.astype(np.float32),
        reasons=np.full(count, "", np.object_),
        details=np.full(count, "", np.object_),
    )
    return outcomes_of(table)
