"""What the commands print of a finished run: its metrics for a person to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidbench.metrics.intervals import Estimate
from vidbench.storage.store import Folder, LocalFolder


def result_lines(
    folder: Path, metrics: Mapping[str, Any], files: Folder | None = None
) -> list[str]:
    """The accuracies with their intervals, over which videos, and the signature that they need.

    Args:
        folder: The run's, on this machine.
        metrics: Its ``metrics.json``.
        files: Tells where others find the folder, if they share it.
    """
    files = files or LocalFolder(folder)
    page = folder / "report.html"
    lines = [f"results    {files.address(folder)}"]
    lines += [f"to look at {files.address(page)}"] if page.exists() else []
    lines += [f"videos     {_videos(metrics)}"]
    lines += [
        f"{name.replace('top', 'top-'):<10} {_accuracy(metrics, name)}" for name in _tops(metrics)
    ]
    if metrics["top1"]:
        lines.append(f"{'mean class':<10} {show(metrics['mean_class_accuracy'])}")
        lines += _caveats(metrics)
    return [*lines, f"signature  {metrics['signature']}"]


def show(estimate: Mapping[str, Any]) -> str:
    """An estimate as it stands in ``metrics.json``."""
    return str(Estimate(**estimate))


def _videos(metrics: Mapping[str, Any]) -> str:
    skipped = ", ".join(f"{count} {reason}" for reason, count in metrics["skipped"].items())
    coverage = metrics["coverage"]
    return (
        f"{metrics['evaluated']} evaluated of {metrics['requested']} requested"
        f" of {coverage['listed']} on the list" + (f"; skipped: {skipped}" if skipped else "")
    )


def _tops(metrics: Mapping[str, Any]) -> list[str]:
    return [name for name in metrics if name.startswith("top")]


def _accuracy(metrics: Mapping[str, Any], name: str) -> str:
    estimate = metrics[name]
    if estimate and estimate["value"] is not None:
        return show(estimate)
    return f"not scored: {estimate['reason'] if estimate else metrics['not_scored']}"


def _caveats(metrics: Mapping[str, Any]) -> list[str]:
    """What else the accuracy could be said to be: of fewer views, all classes, all videos."""
    lines = [f"{views:<10} {_briefly(tops)}" for views, tops in metrics["fewer_views"].items()]
    if metrics["labels"].get("num_missing"):
        over_all = show(metrics["over_all"]["top1"])
        lines.append(f"over all   top-1 {over_all}, classes that the model lacks being wrong")
    if metrics["evaluated"] < metrics["requested"]:
        low, high = (metrics["bounds"]["requested"][end] for end in ("low", "high"))
        lines.append(
            f"bounds     top-1 {low:.1%} to {high:.1%}: "
            "had all videos that were not scored been wrong, or right"
        )
    return lines


def _briefly(tops: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('top', 'top-')} {found['value']:.1%} "
        f"({found['low']:.1%} to {found['high']:.1%})"
        for name, found in tops.items()
        if name.startswith("top") and found["value"] is not None
    )
