"""HTML page of compared runs: the videos that one model got right and another wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidbench.errors import ConfigError
from vidbench.report.rendering import data_url, render_page, write_page
from vidbench.report.run_page import NUM_THUMBNAILS
from vidbench.report.thumbnails import collect_thumbnails
from vidbench.report.videos import Videos, describe_videos
from vidbench.runs.compare import common_rows
from vidbench.runs.comparison import Comparison, Pair
from vidbench.runs.finished import FinishedRun

MAX_RUNS = 8
_SHOWN = 5  # predicted classes listed for each video


def write_comparison(path: Path, runs: Sequence[FinishedRun], comparison: Comparison) -> None:
    """Write the page of runs that :func:`~vidbench.runs.compare.compare` has compared.

    Raises:
        ConfigError: There are more runs than a page can show side by side.
        DiskFullError: The disk is full.
    """
    if len(runs) > MAX_RUNS:
        raise ConfigError(f"a page shows up to {MAX_RUNS} runs side by side, not {len(runs)}")
    write_page(path, render_comparison(path.parent, runs, comparison))


def render_comparison(folder: Path, runs: Sequence[FinishedRun], comparison: Comparison) -> str:
    """HTML of the page, for a file in this folder.

    The frames of each video come from the first run that has some.
    """
    rows = common_rows(runs)
    videos = [
        _describe(run, comparison.k).only(run_rows)
        for run, run_rows in zip(runs, rows, strict=True)
    ]
    thumbnails = _thumbnails(runs, rows, videos)
    named = zip(videos, comparison.runs, strict=True)
    data = {
        "classes": [],
        "runs": [
            table.as_run(run.name) | {"classes": list(table.table.classes)} for table, run in named
        ],
        "videos": videos[0].as_columns(folder),
        "thumbnails": thumbnails,
        "embedded": {},
    }
    return render_page(
        "comparison.html",
        data,
        title=" vs. ".join(run.name for run in comparison.runs),
        comparison=comparison,
        signatures=[run.metrics.signature for run in runs],
        tables=[_both(pair, comparison.videos, videos, comparison) for pair in comparison.pairs],
        num_shown=len(thumbnails),
    )


def _describe(run: FinishedRun, k: int) -> Videos:
    return describe_videos(run, max(_SHOWN, k), k)


def _thumbnails(
    runs: Sequence[FinishedRun], rows: Sequence[Sequence[int]], videos: Sequence[Videos]
) -> Mapping[int, str]:
    """Strips by index of the video, for those on which the runs disagree first.

    Runs of predictions that another program made have no strips: those of the next run are used.
    """
    right = np.stack([table.states == 0 for table in videos])
    agreed = right.all(axis=0) | ~right.any(axis=0)
    chosen = np.argsort(agreed, kind="stable")[:NUM_THUMBNAILS].tolist()
    thumbnails: dict[int, str] = {}
    for run, run_rows in zip(runs, rows, strict=True):
        missing = [index for index in chosen if index not in thumbnails]
        strips = collect_thumbnails(run, [run_rows[index] for index in missing])
        for index in missing:
            if run_rows[index] in strips:
                thumbnails[index] = data_url("image/jpeg", strips[run_rows[index]])
    return thumbnails


def _both(
    pair: Pair, num_videos: int, videos: Sequence[Videos], comparison: Comparison
) -> dict[str, Any]:
    """Number of videos that both, one or neither of a pair got right, and the runs' indices."""
    names = [run.name for run in comparison.runs]
    a, b = (names.index(name) for name in (pair.a, pair.b))
    both = int(((videos[a].states == 0) & (videos[b].states == 0)).sum())
    only_a, only_b = len(pair.only_a), len(pair.only_b)
    neither = num_videos - both - only_a - only_b
    return {"a": a, "b": b, "both": both, "only_a": only_a, "only_b": only_b, "neither": neither}
