"""What figures say of finished runs: read from their folders, or refused in one line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, TypeVar

from vidbench.errors import ConfigError, VidbenchError
from vidbench.figures.look import shorten
from vidbench.metrics.classification import Calibration, CalibrationBin, ClassMetrics, class_metrics
from vidbench.metrics.intervals import Estimate
from vidbench.metrics.outcomes import Outcomes
from vidbench.runs.finished import FinishedRun
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.summary import restrict_choices

_DAMAGES = (KeyError, TypeError, AttributeError, IndexError, ValueError)
_T = TypeVar("_T")


class NoFigureError(VidbenchError):
    """A run has nothing to show in a figure; the message says why."""


class Result(NamedTuple):
    """A run's accuracies by k, the lowest k first."""

    run: FinishedRun
    tops: Mapping[int, Estimate]


def rate_runs(runs: Sequence[FinishedRun]) -> tuple[list[Result], list[str]]:
    """The runs that have an accuracy, the best first, and why others have none."""
    tops = [(run, read_tops(run)) for run in runs]
    left_out = [f"{shorten(run.name)} ({_why_not(run)})" for run, found in tops if not found]
    results = [Result(run, found) for run, found in tops if found]
    if not results:
        raise NoFigureError(f"no run has an accuracy: {', '.join(left_out)}")
    return sorted(results, key=lambda result: -result.tops[1].value), left_out


def _reading(read: Callable[[FinishedRun], _T]) -> Callable[[FinishedRun], _T]:
    """A reader whose failures say which run is damaged."""

    @wraps(read)
    def checked(run: FinishedRun) -> _T:
        try:
            return read(run)
        except _DAMAGES as error:
            raise ConfigError(f"{run.path} is damaged: {error!r}") from error

    return checked


@_reading
def read_tops(run: FinishedRun) -> dict[int, Estimate]:
    """The accuracies of the lowest and the highest k; none where the run has none."""
    metrics = run.metrics
    ks = {int(name[3:]) for name in metrics if name.startswith("top") and name[3:].isdecimal()}
    found = {k: metrics[f"top{k}"] for k in sorted({1, max(ks)})}
    return {k: _estimate(one) for k, one in found.items() if one and one["value"] is not None}


@_reading
def _why_not(run: FinishedRun) -> str:
    return shorten(str(run.metrics["not_scored"]), 60)


def require_accuracy(run: FinishedRun) -> None:
    """Check that the run has an accuracy.

    Raises:
        NoFigureError: It has none.
    """
    if not read_tops(run):
        raise NoFigureError(_why_not(run))


@_reading
def read_latency(run: FinishedRun) -> float | None:
    """Median milliseconds a video, of the session that timed most videos."""
    session = run.timed_session
    latency = float(session["latency_ms"]["median"]) if session else 0.0
    if not 0 <= latency < math.inf:
        raise ValueError(f"a latency of {latency} ms")
    return latency or None


@_reading
def read_mean(run: FinishedRun) -> Estimate:
    """The mean class accuracy."""
    return _estimate(run.metrics["mean_class_accuracy"])


@_reading
def read_calibration(run: FinishedRun) -> Calibration:
    """At least one bin, and the error.

    Raises:
        NoFigureError: The predictions are no probabilities.
    """
    found = run.metrics["calibration"]
    if found["error"] is None:
        raise NoFigureError(shorten(str(found["reason"]), 60))
    bins = [
        CalibrationBin(
            low=_fraction(one["low"]),
            high=_fraction(one["high"]),
            num_videos=int(one["num_videos"]),
            confidence=_fraction(one["confidence"]),
            accuracy=_estimate(one["accuracy"]),
        )
        for one in found["bins"]
    ]
    if not bins:
        raise ValueError("calibration without bins")
    return Calibration(_fraction(found["error"]), bins)


@_reading
def read_outcomes(run: FinishedRun) -> Outcomes:
    """At least one video."""
    outcomes = outcomes_of(restrict_choices(run.predictions, run.facts.choices))
    if not len(outcomes.targets):
        raise ValueError("an accuracy, but no scored video")
    return outcomes


def _estimate(found: Mapping[str, Any]) -> Estimate:
    """As it stands in ``metrics.json``."""
    value, low, high = (_fraction(found[name]) for name in ("value", "low", "high"))
    return Estimate(value, low, high, int(found["num_videos"]))


def _fraction(number: Any) -> float:
    if not 0 <= float(number) <= 1:  # so that nan is refused
        raise ValueError(f"{number} is no share")
    return float(number)


def rate_classes(run: FinishedRun) -> list[ClassMetrics]:
    """Those that have scored videos, the best first."""
    rated = [one for one in class_metrics(read_outcomes(run)) if one.accuracy]
    return sorted(rated, key=lambda one: one.accuracy[:3], reverse=True)  # type: ignore[index]


@_reading
def count_labels(run: FinishedRun) -> tuple[Counter[str], Counter[str]]:
    """Requested and scored videos by label."""
    table = run.predictions
    labelled = table.labels != ""
    return (
        Counter(table.labels[labelled].tolist()),
        Counter(table.labels[labelled & table.scored].tolist()),
    )


def sign(runs: Sequence[FinishedRun], left_out: Sequence[str] = ()) -> str:
    """What the figure is of: the signature's first facts of each run; what is not in it."""
    lines = [_sign_run(run) for run in runs]
    lines += [f"left out: {why}" for why in left_out]
    if len({_read_videos(run) for run in runs}) > 1:
        lines.append("These runs did not score the same videos: this figure does not rank them.")
    return "\n".join(dict.fromkeys(lines))


@_reading
def _sign_run(run: FinishedRun) -> str:
    identity, metrics = run.run["identity"], run.metrics
    videos = f"{metrics['evaluated']:,} of {metrics['requested']:,} videos"
    views = f"{metrics['views']} view" + "s" * (metrics["views"] != "1x1")
    return " | ".join(
        [
            f"{shorten(identity['model'], 40)} {shorten(_weights(identity), 16)}".rstrip(),
            shorten(f"{identity['dataset']}/{identity['split']}", 28),
            f"{videos} {shorten(metrics['coverage']['requested_digest'], 16)}",
            shorten(views, 24),
        ]
    )


def _weights(identity: Mapping[str, Any]) -> str:
    """Their digest, or those of the runs that were fused."""
    fused = " ".join(str(member["digest"]) for member in identity.get("members", ()))
    return fused if fused else str(identity["weights"])


@_reading
def _read_videos(run: FinishedRun) -> tuple[str, str, str]:
    identity, coverage = run.run["identity"], run.metrics["coverage"]
    return identity["dataset"], identity["split"], coverage["scored_digest"]
