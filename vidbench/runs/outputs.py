"""Write the files of a finished run that are computed from its predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidbench.errors import ConfigError
from vidbench.metrics.classification import ClassMetrics, class_metrics, confusion_matrix
from vidbench.metrics.outcomes import Outcomes
from vidbench.metrics.ranking import best_classes
from vidbench.runs.choices import restrict_choices
from vidbench.runs.context import RunContext
from vidbench.runs.metrics_record import Metrics
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.predictions import Predictions
from vidbench.runs.summary import summarize
from vidbench.storage.files import write_csv, write_json

logger = logging.getLogger(__name__)

_MANY_TIED = 0.01  # share of the hits


def write_outputs(
    folder: Path, predictions: Predictions, context: RunContext, top_n: int
) -> Metrics:
    """Write ``metrics.json`` and the tables beside it; return the metrics.

    The tables: ``predictions.csv`` and ``skipped.csv`` have a line for each video,
    ``per_class.csv`` one for each class, ``confusion.csv`` one for each pair of a class and a
    first choice that occurs.

    Args:
        folder: Folder of the run.
        predictions: Predictions with every requested video.
        context: Context of the run.
        top_n: The k of the second accuracy, and the number of predictions listed for each video.

    Raises:
        ConfigError: The model has fewer classes than ``top_n``.
    """
    num_classes = len(context.choices or predictions.classes)
    if top_n > num_classes:
        raise ConfigError(f"top_n is {top_n}, but there are only {num_classes} classes to choose")
    metrics = summarize(predictions, top_n, context)
    for warning in warnings_of_ties(metrics):
        logger.warning("%s", warning)
    judged = restrict_choices(predictions, context.choices)
    write_predictions(folder / "predictions.csv", judged, top_n)
    write_skipped(folder / "skipped.csv", judged)
    _write_classes(folder, outcomes_of(judged))
    write_json(folder / "metrics.json", metrics.as_json())
    return metrics


def warnings_of_ties(metrics: Metrics) -> Iterator[str]:
    """A line for each accuracy with more than 1 % as many ties as hits.

    Args:
        metrics: Metrics of a run; those of earlier versions count no ties.
    """
    for k, tied in (metrics.scored.tied if metrics.scored else {}).items():
        accuracy = metrics.accuracy(k)
        hits = round(accuracy.value * accuracy.num_videos) if accuracy else 0
        if tied > _MANY_TIED * hits:
            yield (
                f"top-{k}, with {hits} hits, depends on equal scores for {tied} videos: "
                "equal scores keep the order of the classes, and classes that "
                "share a video's lowest score never count as hits"
            )


def write_predictions(path: Path, table: Predictions, top_n: int) -> None:
    """Write ``predictions.csv``: a line for each scored video, its top classes and scores."""
    ranks = range(1, top_n + 1)
    header = ["video_id", "path", "label", "target"]
    header += [f"pred_{k}" for k in ranks] + [f"score_{k}" for k in ranks] + ["note"]
    write_csv(path, header, _prediction_lines(table, top_n))


def _prediction_lines(table: Predictions, top_n: int) -> Iterator[list[object]]:
    scored = table.scored
    for rows in table.pieces():
        best = best_classes(*table.ranking(rows), top_n).tolist()
        for row, top in zip(range(rows.start, rows.stop), best, strict=True):
            if scored[row]:
                yield [
                    *_names(table, row),
                    table.targets[row],
                    *("" if index < 0 else table.classes[index] for index in top),
                    *(_show_score(table, row, index) for index in top),
                    table.details[row],
                ]


def write_skipped(path: Path, table: Predictions) -> None:
    """Write ``skipped.csv``: a line for each video that was not scored, and why."""
    lines = (
        [*_names(table, row), table.reasons[row], table.details[row]]
        for row in np.flatnonzero(~table.scored).tolist()
    )
    write_csv(path, ["video_id", "path", "label", "reason", "detail"], lines)


def _names(table: Predictions, row: int) -> list[str]:
    return [str(column[row]) for column in (table.video_ids, table.paths, table.labels)]


def _show_score(table: Predictions, row: int, index: int) -> str:
    return f"{table.scores[row, index]:.6f}" if table.has_scores and index >= 0 else ""


def _write_classes(folder: Path, outcomes: Outcomes) -> None:
    columns = ["videos", "accuracy", "low", "high", "precision", "recall", "f1"]
    rows = [_class_row(metrics) for metrics in class_metrics(outcomes)]
    write_csv(folder / "per_class.csv", ["class", *columns], rows)
    matrix = confusion_matrix(outcomes)
    pairs = [
        (outcomes.classes[truth], outcomes.classes[choice], int(matrix[truth, choice]))
        for truth, choice in np.argwhere(matrix).tolist()
    ]
    write_csv(folder / "confusion.csv", ["class", "prediction", "videos"], pairs)


def _class_row(metrics: ClassMetrics) -> list[object]:
    shares = metrics.accuracy[:3] if metrics.accuracy else (None, None, None)
    values = [*shares, metrics.precision, metrics.recall, metrics.f1]
    return [
        metrics.name,
        metrics.num_videos,
        *("" if value is None else f"{value:.6f}" for value in values),
    ]
