"""What figures say of finished runs: read from their folders, or refused in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vidbench.errors import ConfigError, VidbenchError
from vidbench.figures.look import shorten
from vidbench.metrics.classification import Calibration, ClassMetrics, class_metrics
from vidbench.metrics.intervals import Estimate
from vidbench.metrics.outcomes import Outcomes
from vidbench.runs.finished import FinishedRun
from vidbench.runs.metrics_record import Missing, Scored
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.record import RecordedIdentity


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


def read_tops(run: FinishedRun) -> dict[int, Estimate]:
    """The accuracies of the lowest and the highest k; none where the run has none."""
    metrics = run.metrics
    found = {k: metrics.accuracy(k) for k in sorted({1, metrics.largest_k})}
    return {k: estimate for k, estimate in found.items() if estimate}


def _why_not(run: FinishedRun) -> str:
    return shorten(run.metrics.not_scored or "", 60)


def require_accuracy(run: FinishedRun) -> Scored:
    """What the run's accuracies come with.

    Raises:
        NoFigureError: It has none.
    """
    if run.metrics.scored is None:
        raise NoFigureError(_why_not(run))
    return run.metrics.scored


def read_latency(run: FinishedRun) -> float | None:
    """Median milliseconds a video, of the session that timed most videos."""
    session = run.record.timed_session
    return session.latency_ms.median or None if session and session.latency_ms else None


def read_calibration(run: FinishedRun) -> Calibration:
    """At least one bin, and the error.

    Raises:
        NoFigureError: The run has no accuracy, or its predictions are no probabilities.
    """
    found = require_accuracy(run).calibration
    if isinstance(found, Missing):
        raise NoFigureError(shorten(found.reason, 60))
    return found


def read_outcomes(run: FinishedRun) -> Outcomes:
    """At least one video.

    Raises:
        ConfigError: The scores have none, though there is an accuracy.
    """
    outcomes = outcomes_of(run.judged)
    if not len(outcomes.targets):
        raise ConfigError(f"{run.path} is damaged: an accuracy, but no scored video in scores.npz")
    return outcomes


def rate_classes(run: FinishedRun) -> list[ClassMetrics]:
    """Those that have scored videos, the best first."""
    rated = [one for one in class_metrics(read_outcomes(run)) if one.accuracy]
    return sorted(rated, key=lambda one: one.accuracy[:3], reverse=True)  # type: ignore[index]


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


def _sign_run(run: FinishedRun) -> str:
    identity, metrics = run.record.identity, run.metrics
    videos = f"{metrics.evaluated:,} of {metrics.requested:,} videos"
    views = f"{metrics.views} view" + "s" * (metrics.views != "1x1")
    return " | ".join(
        [
            f"{shorten(identity.model, 40)} {shorten(_weights(identity), 16)}".rstrip(),
            shorten(identity.split_name, 28),
            f"{videos} {shorten(metrics.coverage.requested_digest, 16)}",
            shorten(views, 24),
        ]
    )


def _weights(identity: RecordedIdentity) -> str:
    """Their digest, or those of the runs that were fused."""
    return " ".join(member.digest for member in identity.members) or identity.weights or ""


def _read_videos(run: FinishedRun) -> tuple[str, str]:
    return run.record.identity.split_name, run.metrics.coverage.scored_digest
