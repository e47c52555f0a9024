"""What the commands print of a finished run: its metrics for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vidbench.metrics.intervals import Estimate
from vidbench.runs.metrics_record import Metrics, Scored, Top
from vidbench.storage.locations import Location
from vidbench.storage.store import open_store


def result_lines(folder: Path, metrics: Metrics, location: Location | None = None) -> list[str]:
    """The accuracies with their intervals, over which videos, and the signature that they need.

    Args:
        folder: The run's, on this machine.
        metrics: Of the run.
        location: Where the run is, if that is another folder.
    """
    store, page = open_store(location or folder), folder / "report.html"
    lines = [f"results    {store.address()}"]
    lines += [f"report     {store.address(page.name)}"] if page.exists() else []
    lines += [f"videos     {_videos(metrics)}"]
    lines += [f"{f'top-{k}':<10} {_accuracy(top)}" for k, top in metrics.tops.items()]
    if metrics.scored is not None:
        lines.append(f"{'mean class':<10} {metrics.scored.mean_class_accuracy}")
        lines += _caveats(metrics, metrics.scored)
    return [*lines, f"signature  {metrics.signature}"]


def _videos(metrics: Metrics) -> str:
    skipped = ", ".join(f"{count} {reason}" for reason, count in metrics.skipped.items())
    return (
        f"{metrics.evaluated} evaluated of {metrics.requested} requested"
        f" of {metrics.coverage.listed} on the list" + (f"; skipped: {skipped}" if skipped else "")
    )


def _accuracy(top: Top) -> str:
    return str(top) if isinstance(top, Estimate) else f"not scored: {top.reason}"


def _caveats(metrics: Metrics, scored: Scored) -> Iterator[str]:
    """What else the accuracy could be said to be: of fewer views, all classes, all videos."""
    for views, fewer in scored.fewer_views.items():
        yield f"{views:<10} {_briefly(fewer.tops)}"
    if metrics.labels.num_missing:
        top1 = _accuracy(scored.over_all[1])
        yield f"over all   top-1 {top1}, classes that the model lacks being wrong"
    if metrics.evaluated < metrics.requested:
        low, high = scored.bounds["requested"]
        yield (
            f"bounds     top-1 {low:.1%} to {high:.1%}: "
            "had all videos that were not scored been wrong, or right"
        )


def _briefly(tops: Mapping[int, Top]) -> str:
    return ", ".join(
        f"top-{k} {top.value:.1%} ({top.low:.1%} to {top.high:.1%})"
        for k, top in tops.items()
        if isinstance(top, Estimate)
    )
