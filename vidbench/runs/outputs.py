"""Everything of a finished run that follows from its predictions, written into its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidbench.errors import ConfigError
from vidbench.metrics.classification import ClassMetrics, class_metrics, confusion_matrix
from vidbench.metrics.outcomes import Outcomes
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.predictions import Predictions
from vidbench.runs.summary import RunContext, restrict_choices, summarize
from vidbench.storage.files import write_csv, write_json

logger = logging.getLogger(__name__)

_MANY_TIED = 0.01  # of the hits


def write_outputs(
    folder: Path, predictions: Predictions, run: Mapping[str, Any], top_n: int
) -> dict[str, Any]:
    """The content of ``metrics.json``, which is written with the tables beside it.

    The tables: ``predictions.csv`` and ``skipped.csv`` have a line for each video,
    ``per_class.csv`` one for each class, ``confusion.csv`` one for each pair of a class and a
    first choice that occurs.

    Args:
        folder: The run's.
        predictions: Every requested video.
        run: The content of ``run.json``.
        top_n: The k of the second accuracy, and the predictions listed for each video.

    Raises:
        ConfigError: The model has fewer classes than ``top_n``, or nothing is known of the run.
    """
    facts = RunContext.of(run)
    num_classes = len(facts.choices or predictions.classes)
    if top_n > num_classes:
        raise ConfigError(f"top_n is {top_n}, but there are only {num_classes} classes to choose")
    metrics = summarize(predictions, top_n, facts)
    for warning in warnings_of_ties(metrics):
        logger.warning("%s", warning)
    judged = restrict_choices(predictions, facts.choices)
    judged.write_csv(folder / "predictions.csv", top_n)
    judged.write_skipped_csv(folder / "skipped.csv")
    _write_classes(folder, outcomes_of(judged))
    write_json(folder / "metrics.json", metrics)
    return metrics


def warnings_of_ties(metrics: Mapping[str, Any]) -> Iterator[str]:
    """A line for each accuracy of which equal scores decide more than 1 % of the hits.

    Args:
        metrics: The content of ``metrics.json``; an older one counts no ties.
    """
    for name, tied in metrics.get("tied", {}).items():
        found = metrics[name]
        hits = round(found["value"] * found["num_videos"])
        if tied > _MANY_TIED * hits:
            yield (
                f"{name.replace('top', 'top-')} hangs on equal scores for {tied} videos, with "
                f"{hits} hits in all: equal scores keep the order of the classes, and those that "
                "share a video's lowest score are no hits"
            )


def _write_classes(folder: Path, outcomes: Outcomes) -> None:
    columns = ["videos", "accuracy", "low", "high", "precision", "recall", "f1"]
    rows = [_class_row(found) for found in class_metrics(outcomes)]
    write_csv(folder / "per_class.csv", ["class", *columns], rows)
    matrix = confusion_matrix(outcomes)
    pairs = [
        (outcomes.classes[truth], outcomes.classes[choice], int(matrix[truth, choice]))
        for truth, choice in np.argwhere(matrix).tolist()
    ]
    write_csv(folder / "confusion.csv", ["class", "prediction", "videos"], pairs)


def _class_row(found: ClassMetrics) -> list[object]:
    shares = found.accuracy[:3] if found.accuracy else (None, None, None)
    values = [*shares, found.precision, found.recall, found.f1]
    return [
        found.name,
        found.num_videos,
        *("" if value is None else f"{value:.6f}" for value in values),
    ]
