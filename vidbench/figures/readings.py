"""Read the values of figures from finished runs; damage is an error of one line."""

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
    """The runs with an accuracy, the best first, and why other runs have none."""
    tops = [(run, read_tops(run)) for run in runs]
    left_out = [f"{shorten(run.name)} ({_why_not(run)})" for run, by_k in tops if not by_k]
    results = [Result(run, by_k) for run, by_k in tops if by_k]
    if not results:
        raise NoFigureError(f"no run has an accuracy: {', '.join(left_out)}")
    return sorted(results, key=lambda result: -result.tops[1].value), left_out


def read_tops(run: FinishedRun) -> dict[int, Estimate]:
    """Accuracies of the lowest and the highest k; empty if the run has none."""
    metrics = run.metrics
    by_k = {k: metrics.accuracy(k) for k in sorted({1, metrics.largest_k})}
    return {k: estimate for k, estimate in by_k.items() if estimate}


def _why_not(run: FinishedRun) -> str:
    return shorten(run.metrics.not_scored or "", 60)


def require_accuracy(run: FinishedRun) -> Scored:
    """Return the metrics of a scored run.

    Raises:
        NoFigureError: The run has no accuracy.
    """
    if run.metrics.scored is None:
        raise NoFigureError(_why_not(run))
    return run.metrics.scored


def read_latency(run: FinishedRun) -> float | None:
    """Median milliseconds per video, of the session that timed the most videos."""
    session = run.record.timed_session
    return session.latency_ms.median or None if session and session.latency_ms else None


def read_calibration(run: FinishedRun) -> Calibration:
    """Calibration error of a run, with at least one bin.

    Raises:
        NoFigureError: The run has no accuracy, or its predictions are not probabilities.
    """
    calibration = require_accuracy(run).calibration
    if isinstance(calibration, Missing):
        raise NoFigureError(shorten(calibration.reason, 60))
    return calibration


def read_outcomes(run: FinishedRun) -> Outcomes:
    """Outcomes of a run, with at least one video.

    Raises:
        ConfigError: There is an accuracy but no scored video.
    """
    outcomes = outcomes_of(run.judged)
    if not len(outcomes.targets):
        raise ConfigError(f"{run.path} is damaged: an accuracy, but no scored video in scores.npz")
    return outcomes


def rate_classes(run: FinishedRun) -> list[ClassMetrics]:
    """Metrics of the classes with scored videos, the best first."""
    rated = [each for each in class_metrics(read_outcomes(run)) if each.accuracy]
    return sorted(rated, key=lambda each: each.accuracy[:3], reverse=True)  # type: ignore[index]


def count_labels(run: FinishedRun) -> tuple[Counter[str], Counter[str]]:
    """Requested and scored videos by label."""
    table = run.predictions
    labelled = table.labels != ""
    return (
        Counter(table.labels[labelled].tolist()),
        Counter(table.labels[labelled & table.scored].tolist()),
    )


def sign(runs: Sequence[FinishedRun], left_out: Sequence[str] = ()) -> str:
    """Footer of a figure: the main facts of each run, and the runs that are left out."""
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
    """Digest of the weights, or the digests of the fused runs."""
    return " ".join(member.digest for member in identity.members) or identity.weights or ""


def _read_videos(run: FinishedRun) -> tuple[str, str]:
    return run.record.identity.split_name, run.metrics.coverage.scored_digest
