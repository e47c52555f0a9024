"""A finished run as one page to look at: its numbers, and every video behind them."""

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
"""Of so many videos a page shows frames unless told otherwise: some 5 MB."""

_EMBED_EACH = 4 << 20
_EMBED_ALL = 100 << 20  # browsers read a file of this size in seconds


@dataclass(frozen=True)
class ReportOptions:
    """What a page holds beside the numbers.

    Attributes:
        num_thumbnails: Of how many videos it shows frames, wrong ones first.
        embed: Whether videos of up to 4 MB lie inside, up to 100 MB in all, wrong ones first.
    """

    num_thumbnails: int = NUM_THUMBNAILS
    embed: bool = False


def write_report(run: FinishedRun, options: ReportOptions | None = None) -> Path:
    """Where the page was written: ``report.html`` in the run's folder.

    Raises:
        ConfigError: The folder holds no finished run.
        DiskFullError: There is no room; an earlier page is kept.
    """
    page = render_report(run, options or ReportOptions())
    path = run.path / FILE
    write_page(path, page)
    return path


def render_report(run: FinishedRun, options: ReportOptions) -> str:
    """The page of a run; ends in ``report.html`` of its folder, whose neighbours it refers to."""
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
    """Class, first choice and count of each pair that occurs."""
    matrix = confusion_matrix(outcomes)
    return [[*pair, int(matrix[tuple(pair)])] for pair in np.argwhere(matrix).tolist()]


def _embed(run: FinishedRun, rows: Sequence[int]) -> dict[int, str]:
    """Small videos as addresses that hold their bytes, by row, as many as a page can take."""
    found: dict[int, str] = {}
    room = _EMBED_ALL
    for row in rows:
        path = run.videos_dir / str(run.predictions.paths[row])
        if path.is_file() and path.stat().st_size <= min(room, _EMBED_EACH):
            content = path.read_bytes()
            room -= len(content)
            found[row] = data_url(_media_type(path), content)
    return found


def _media_type(path: Path) -> str:
    known = {".webm": "video/webm", ".mkv": "video/x-matroska", ".avi": "video/x-msvideo"}
    return known.get(path.suffix.lower(), "video/mp4")
