"""HTML report of a finished run: its metrics and every video behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidbench.metrics.classification import class_metrics, confusion_matrix
from vidbench.metrics.outcomes import Outcomes
from vidbench.report.rendering import data_url, render_page, write_page
from vidbench.report.thumbnails import collect_thumbnails
from vidbench.report.videos import describe_videos
from vidbench.runs.finished import FinishedRun
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.outputs import warnings_of_ties

FILE = "report.html"

NUM_THUMBNAILS = 500
"""Default number of videos that a page shows frames of, about 5 MB."""

_EMBED_EACH = 4 << 20
_EMBED_ALL = 100 << 20  # browsers read a file of this size in seconds


@dataclass(frozen=True)
class ReportOptions:
    """Content of a report besides the metrics.

    Attributes:
        num_thumbnails: Number of videos to show frames of, wrong ones first.
        embed: Whether to embed videos of up to 4 MB, up to 100 MB in total, wrong ones first.
    """

    num_thumbnails: int = NUM_THUMBNAILS
    embed: bool = False


def write_report(run: FinishedRun, options: ReportOptions | None = None) -> Path:
    """Write ``report.html`` into the run's folder; return its path.

    Raises:
        ConfigError: The folder has no finished run.
        DiskFullError: The disk is full; an earlier page is kept.
    """
    page = render_report(run, options or ReportOptions())
    path = run.path / FILE
    write_page(path, page)
    return path


def render_report(run: FinishedRun, options: ReportOptions) -> str:
    """HTML of a run's report, with links relative to the run's folder."""
    judged, metrics, record = run.judged, run.metrics, run.record
    outcomes = outcomes_of(judged)
    videos = describe_videos(run, metrics.largest_k)
    shown = videos.wrong_first()
    thumbnails = collect_thumbnails(run, shown[: options.num_thumbnails])
    embedded = _embed(run, shown) if options.embed else {}
    data = {
        "classes": list(judged.classes),
        "confusion": _confusion(outcomes),
        "runs": [videos.as_run(run.name)],
        "videos": videos.as_columns(run.path),
        "thumbnails": {row: data_url("image/jpeg", strip) for row, strip in thumbnails.items()},
        "embedded": embedded,
    }
    return render_page(
        "report.html",
        data,
        title=f"{record.identity.model} on {record.identity.split_name}",
        run=record,
        name=run.name,
        metrics=metrics,
        scored=metrics.scored,
        classes=class_metrics(outcomes),
        labels=dict(zip(judged.targets.tolist(), judged.labels.tolist(), strict=True)),
        session=record.timed_session,
        ties=list(warnings_of_ties(metrics)),
        num_shown=len(thumbnails),
        num_embedded=len(embedded),
    )


def _confusion(outcomes: Outcomes) -> list[list[int]]:
    """Class, first choice and count of each pair of classes that occurs."""
    matrix = confusion_matrix(outcomes)
    return [[*pair, int(matrix[tuple(pair)])] for pair in np.argwhere(matrix).tolist()]


def _embed(run: FinishedRun, rows: Sequence[int]) -> dict[int, str]:
    """Small videos as ``data:`` URLs by row, as many as fit into a page."""
    embedded: dict[int, str] = {}
    room = _EMBED_ALL
    for row in rows:
        path = run.videos_dir / str(run.predictions.paths[row])
        if path.is_file() and path.stat().st_size <= min(room, _EMBED_EACH):
            content = path.read_bytes()
            room -= len(content)
            embedded[row] = data_url(_media_type(path), content)
    return embedded


def _media_type(path: Path) -> str:
    types = {".webm": "video/webm", ".mkv": "video/x-matroska", ".avi": "video/x-msvideo"}
    return types.get(path.suffix.lower(), "video/mp4")
