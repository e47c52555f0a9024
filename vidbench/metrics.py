"""Per-video outcomes first, then accuracies; numpy only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidbench.predictions import Predictions
from vidbench.statistics import Estimate, wilson

if TYPE_CHECKING:
    import pandas as pd


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


def compute_accuracy(results_df: pd.DataFrame, num_top_classes: int = 1) -> Estimate:
    """Top-k accuracy of a table of predictions, with its 95 % Wilson interval.

    Args:
        results_df: Columns ``label`` and ``pred_1`` to ``pred_k``, as in ``predictions.csv``;
            videos without a label do not count.
        num_top_classes: The k, at least 1.

    Raises:
        ValueError: The table has no labelled videos, or fewer predicted classes than asked for.
    """
    columns = [f"pred_{rank}" for rank in range(1, num_top_classes + 1)]
    if missing := {"label", *columns} - set(results_df.columns):
        raise ValueError(f"top-{num_top_classes} needs the columns {sorted(missing)}")
    labelled = results_df[results_df["label"].notna() & results_df["label"].ne("")]
    if labelled.empty:
        raise ValueError("the table has no labelled videos")
    hits = labelled[columns].eq(labelled["label"], axis=0).any(axis=1)
    return wilson(int(hits.sum()), len(hits))


def summarize(predictions: Predictions, top_n: int, signature: str) -> dict[str, Any]:
    """What ``metrics.json`` holds: accuracies, counts and signature; nothing of time or place.

    Args:
        predictions: Every requested video, scored or skipped.
        top_n: The k of the second accuracy.
        signature: What the numbers are of.
    """
    scored = predictions.scored
    skipped = Counter(predictions.reasons[~scored].tolist())
    summary: dict[str, Any] = _accuracies(predictions, sorted({1, top_n}))
    return summary | {
        "requested": len(predictions),
        "evaluated": int(scored.sum()),
        "skipped": dict(sorted(skipped.items())),
        "signature": signature,
    }


def _accuracies(predictions: Predictions, ks: Sequence[int]) -> dict[str, Any]:
    index = {name: place for place, name in enumerate(predictions.classes)}
    rows = predictions.scored & (predictions.labels != "")
    if not rows.any():
        reason = (
            "no video could be evaluated"
            if not predictions.scored.any()
            else "the split has no labels"
        )
        return {f"top{k}": None for k in ks} | {"not_scored": reason}
    labels = np.array([index[label] for label in predictions.labels[rows]], np.intp)
    accuracies = {}
    for k in ks:
        hits = top_k_hits(predictions.scores[rows], labels, k)
        accuracies[f"top{k}"] = wilson(int(hits.sum()), len(hits))._asdict()
    return accuracies
