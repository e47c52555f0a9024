"""A run's predictions become everything that ``metrics.json`` says; no model, no video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.metrics.classification import (
    accuracy,
    calibration,
    class_metrics,
    confusion_matrix,
    macro_averages,
    most_confused,
)
from vidbench.metrics.intervals import share
from vidbench.metrics.outcomes import Outcomes
from vidbench.metrics.ranking import PROBABILITIES, has_scores, name_evidence
from vidbench.runs.coverage import bound, cover
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.predictions import Predictions
from vidbench.storage.columns import Scores, stack_rows


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What is known of a run beside its predictions; kept in ``run.json``.

    Attributes:
        signature: What a number is of, with ``{evaluated}`` for the count of videos.
        views: Clips x crops, e.g. ``10x3``.
        num_listed: Videos on the split's official list.
        labels: Which of the model's classes the dataset's labels mean, as counts and lists.
        choices: Classes that the model may choose from; empty for all of its own.
        leakage: What is known of scored videos that the model was trained on.
    """

    signature: str
    views: str = "1x1"
    num_listed: int = 0
    labels: Mapping[str, Any]
    choices: Sequence[str] = ()
    leakage: Mapping[str, Any]

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> RunContext:
        """The facts in a ``run.json``.

        Raises:
            ConfigError: They are not there.
        """
        try:
            return cls(**run["facts"])
        except (KeyError, TypeError) as error:
            raise ConfigError(f"run.json has no facts to score by ({error})") from error

    def as_dict(self) -> dict[str, Any]:
        """For ``run.json``."""
        return asdict(self) | {"choices": list(self.choices)}


def summarize(predictions: Predictions, top_n: int, facts: RunContext) -> dict[str, Any]:
    """What ``metrics.json`` holds; nothing of time or place.

    Args:
        predictions: Every requested video, scored or skipped.
        top_n: The k of the second accuracy.
        facts: What else is known of the run.
    """
    predictions = restrict_choices(predictions, facts.choices)
    coverage = cover(predictions, facts.num_listed)
    return _scores(predictions, sorted({1, top_n}), facts) | {
        "requested": coverage["requested"],
        "evaluated": coverage["scored"],
        "skipped": coverage["skipped"],
        "views": facts.views,
        "evidence": predictions.evidence,
        "coverage": coverage,
        "labels": dict(facts.labels),
        "leakage": dict(facts.leakage),
        "signature": _sign(facts.signature, predictions),
    }


def restrict_choices(predictions: Predictions, choices: Sequence[str]) -> Predictions:
    """Predictions of a model that may choose among these classes only; all where there are none.

    The probabilities of the others are shared out in proportion; other scores stay as they are.

    Raises:
        ConfigError: The predictions do not score all classes.
    """
    if not choices:
        return predictions
    if not has_scores(predictions.evidence):
        raise ConfigError(
            f"the predictions are {name_evidence(predictions.evidence)}: only scores of all "
            "classes can be restricted to some of them"
        )
    if predictions.evidence != PROBABILITIES:
        return replace(predictions, choices=tuple(choices))
    allowed = np.isin(predictions.classes, choices)

    def restrict(scores: Scores) -> Scores:
        pieces = (_share_out(scores[rows], allowed) for rows in predictions.pieces())
        return stack_rows(pieces, (len(predictions), len(allowed)))

    fewer = {name: restrict(scores) for name, scores in predictions.fewer_views.items()}
    scores = restrict(predictions.scores)
    return replace(predictions, scores=scores, fewer_views=fewer, choices=tuple(choices))


def _share_out(scores: Scores, allowed: NDArray[np.bool_]) -> Scores:
    kept = np.where(allowed, scores, 0).astype(np.float32)
    kept[np.isnan(scores).any(axis=1)] = np.nan
    total = np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(kept / total, np.float32)


def _sign(signature: str, predictions: Predictions) -> str:
    return signature.replace("{evaluated}", str(int(predictions.scored.sum())))


def _scores(predictions: Predictions, ks: Sequence[int], facts: RunContext) -> dict[str, Any]:
    outcomes = outcomes_of(predictions)
    if why := _why_not(predictions, outcomes):
        return {f"top{k}": None for k in ks} | {"not_scored": why}
    classes = class_metrics(outcomes)
    confused = most_confused(confusion_matrix(outcomes), outcomes.classes)
    macro = macro_averages(classes)
    tops = _accuracies(outcomes, ks)
    return {
        **tops,
        "tied": {f"top{k}": _count_tied(outcomes, k) for k in ks if "low" in tops[f"top{k}"]},
        "mean_class_accuracy": macro.accuracy._asdict(),
        "macro": {"precision": macro.precision, "recall": macro.recall, "f1": macro.f1},
        "over_all": _over_all(predictions, outcomes, ks),
        "bounds": _bounds(predictions, outcomes, facts.num_listed),
        "fewer_views": _fewer_views(predictions, ks, facts),
        "calibration": _calibration(outcomes),
        "most_confused": [confusion._asdict() for confusion in confused],
    }


def _why_not(predictions: Predictions, outcomes: Outcomes) -> str | None:
    """Why there is no accuracy at all; None where there is one."""
    if not predictions.scored.any():
        return "no video could be evaluated"
    if not (predictions.labels != "").any():
        return "the split has no labels"
    if not len(outcomes.targets):
        return "the model has none of the classes of the scored videos"
    return outcomes.why_no_accuracy(1)


def _accuracies(outcomes: Outcomes, ks: Sequence[int]) -> dict[str, Any]:
    """The accuracies by their names; where too few classes are ranked, why there is none."""
    return {f"top{k}": _accuracy(outcomes, k) for k in ks}


def _accuracy(outcomes: Outcomes, k: int) -> dict[str, Any]:
    if why := outcomes.why_no_accuracy(k):
        return {"value": None, "reason": why}
    return accuracy(outcomes, k)._asdict()


def _count_tied(outcomes: Outcomes, k: int) -> int:
    """Videos for which equal scores decide whether the right class is among the first k."""
    return int(np.count_nonzero(outcomes.tied(k)))


def _calibration(outcomes: Outcomes) -> dict[str, Any]:
    if outcomes.evidence != PROBABILITIES:
        why = f"the predictions are {name_evidence(outcomes.evidence)}, not probabilities"
        return {"error": None, "bins": [], "reason": why}
    found = calibration(outcomes)
    bins = [one._asdict() | {"accuracy": one.accuracy._asdict()} for one in found.bins]
    return {"error": found.error, "bins": bins}


def _over_all(predictions: Predictions, outcomes: Outcomes, ks: Sequence[int]) -> dict[str, Any]:
    """Accuracies over all labelled videos; where the model lacks the class it is wrong."""
    rows = predictions.scored & (predictions.labels != "")
    lacking = np.flatnonzero((predictions.targets == "")[rows])
    found: dict[str, Any] = {}
    for k in ks:
        if why := outcomes.why_no_accuracy(k):
            found[f"top{k}"] = {"value": None, "reason": why}
            continue
        hits = np.insert(outcomes.hits(k), lacking - np.arange(len(lacking)), False)
        found[f"top{k}"] = share(hits, predictions.groups[rows])._asdict()
    return found


def _bounds(predictions: Predictions, outcomes: Outcomes, num_listed: int) -> dict[str, Any]:
    """Top-1 over all requested and over all listed videos, the others being wrong or right."""
    right, counted = int(outcomes.hits(1).sum()), len(outcomes.targets)
    totals = {"requested": len(predictions), "listed": max(num_listed, len(predictions))}
    return {name: bound(right, counted, total) for name, total in totals.items()}


def _fewer_views(predictions: Predictions, ks: Sequence[int], facts: RunContext) -> dict[str, Any]:
    return {
        f"{name} of {facts.views}": {
            **_accuracies(outcomes_of(replace(predictions, scores=scores)), ks),
            "signature": _sign(
                facts.signature.replace(f"| {facts.views} view", f"| {name} of {facts.views} view"),
                predictions,
            ),
        }
        for name, scores in predictions.fewer_views.items()
    }
