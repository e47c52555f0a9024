"""Compute the metrics of a run from its predictions alone, without model or videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidbench.metrics.classification import (
    Calibration,
    accuracy,
    calibration,
    class_metrics,
    confusion_matrix,
    macro_averages,
    most_confused,
)
from vidbench.metrics.intervals import share
from vidbench.metrics.outcomes import Outcomes
from vidbench.metrics.ranking import PROBABILITIES, name_evidence
from vidbench.runs.choices import restrict_choices
from vidbench.runs.context import RunContext
from vidbench.runs.coverage import Bounds, bound, cover
from vidbench.runs.metrics_record import FewerViews, Macro, Metrics, Missing, Scored, Top
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.predictions import Predictions


def summarize(predictions: Predictions, top_n: int, context: RunContext) -> Metrics:
    """The metrics of a run, independent of time and machine.

    Args:
        predictions: Predictions with every requested video, scored or skipped.
        top_n: The k of the second accuracy.
        context: Context of the run.
    """
    predictions = restrict_choices(predictions, context.choices)
    coverage = cover(predictions, context.num_listed)
    outcomes, ks = outcomes_of(predictions), sorted({1, top_n})
    why = _why_not(predictions, outcomes)
    return Metrics(
        tops=_accuracies(outcomes, ks) if why is None else dict.fromkeys(ks, Missing(why)),
        scored=_summarize_scored(predictions, outcomes, ks, context) if why is None else None,
        requested=coverage.requested,
        evaluated=coverage.scored,
        skipped=coverage.skipped,
        views=context.views,
        evidence=predictions.evidence,
        coverage=coverage,
        labels=context.labels,
        leakage=context.leakage,
        signature=_sign(context.signature, predictions),
    )


def _sign(signature: str, predictions: Predictions) -> str:
    return signature.replace("{evaluated}", str(int(predictions.scored.sum())))


def _summarize_scored(
    predictions: Predictions, outcomes: Outcomes, ks: Sequence[int], context: RunContext
) -> Scored:
    classes = class_metrics(outcomes)
    macro = macro_averages(classes)
    return Scored(
        tied={k: _count_tied(outcomes, k) for k in ks if outcomes.why_no_accuracy(k) is None},
        mean_class_accuracy=macro.accuracy,
        macro=Macro(macro.precision, macro.recall, macro.f1),
        over_all=_over_all(predictions, outcomes, ks),
        bounds=_bounds(predictions, outcomes, context.num_listed),
        fewer_views=_fewer_views(predictions, ks, context),
        calibration=_calibration(outcomes),
        most_confused=tuple(most_confused(confusion_matrix(outcomes), outcomes.classes)),
    )


def _why_not(predictions: Predictions, outcomes: Outcomes) -> str | None:
    """Why there is no accuracy at all; None if there is one."""
    if not predictions.scored.any():
        return "no video could be evaluated"
    if not (predictions.labels != "").any():
        return "the split has no labels"
    if not len(outcomes.targets):
        return "the model has none of the classes of the scored videos"
    return outcomes.why_no_accuracy(1)


def _accuracies(outcomes: Outcomes, ks: Sequence[int]) -> dict[int, Top]:
    """The accuracies by k, or the reason if too few classes are ranked."""
    return {k: _accuracy(outcomes, k) for k in ks}


def _accuracy(outcomes: Outcomes, k: int) -> Top:
    if why := outcomes.why_no_accuracy(k):
        return Missing(why)
    return accuracy(outcomes, k)


def _count_tied(outcomes: Outcomes, k: int) -> int:
    """Number of videos whose hit or miss at k depends on equal scores."""
    return int(np.count_nonzero(outcomes.tied(k)))


def _calibration(outcomes: Outcomes) -> Calibration | Missing:
    if outcomes.evidence != PROBABILITIES:
        kind = name_evidence(outcomes.evidence)
        return Missing(f"the predictions are {kind}, not probabilities")
    return calibration(outcomes)


def _over_all(predictions: Predictions, outcomes: Outcomes, ks: Sequence[int]) -> dict[int, Top]:
    """Accuracies over all scored and labelled videos; labels without a class count as wrong."""
    rows = predictions.scored & (predictions.labels != "")
    lacking = np.flatnonzero((predictions.targets == "")[rows])
    tops: dict[int, Top] = {}
    for k in ks:
        if why := outcomes.why_no_accuracy(k):
            tops[k] = Missing(why)
            continue
        hits = np.insert(outcomes.hits(k), lacking - np.arange(len(lacking)), False)
        tops[k] = share(hits, predictions.groups[rows])
    return tops


def _bounds(predictions: Predictions, outcomes: Outcomes, num_listed: int) -> dict[str, Bounds]:
    """Bounds of top-1 over all requested and over all listed videos."""
    right, counted = int(outcomes.hits(1).sum()), len(outcomes.targets)
    totals = {"requested": len(predictions), "listed": max(num_listed, len(predictions))}
    return {name: bound(right, counted, total) for name, total in totals.items()}


def _fewer_views(
    predictions: Predictions, ks: Sequence[int], context: RunContext
) -> dict[str, FewerViews]:
    views = context.views
    return {
        f"{name} of {views}": FewerViews(
            _accuracies(outcomes_of(replace(predictions, scores=scores)), ks),
            _sign(
                context.signature.replace(f"| {views} view", f"| {name} of {views} view"),
                predictions,
            ),
        )
        for name, scores in predictions.fewer_views.items()
    }
