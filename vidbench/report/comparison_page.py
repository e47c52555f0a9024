"""Compared runs as one page to look at: what one model got right and the other wrong."""

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
_SHOWN = 5  # classes that are told of each video


def write_comparison(path: Path, runs: Sequence[FinishedRun], comparison: Comparison) -> None:
    """Writes the page of runs that :func:`~vidbench.runs.compare.compare` has compared.

    Raises:
        ConfigError: They are more than a page can show side by side.
        DiskFullError: There is no room.
    """
    if len(runs) > MAX_RUNS:
        raise ConfigError(f"a page shows up to {MAX_RUNS} runs side by side, not {len(runs)}")
    write_page(path, render_comparison(path.parent, runs, comparison))


def render_comparison(folder: Path, runs: Sequence[FinishedRun], comparison: Comparison) -> str:
    """The page, to lie in this folder; each video's frames are the first run's that has some."""
    rows = common_rows(runs)
    videos = [_describe(run, comparison.k).only(own) for run, own in zip(runs, rows, strict=True)]
    thumbnails = _thumbnails(runs, rows, videos)
    described = zip(videos, comparison.runs, strict=True)
    data = {
        "classes": [],
        "runs": [
            each.as_run(run.name) | {"classes": list(each.table.classes)} for each, run in described
        ],
        "videos": videos[0].as_columns(folder),
        "thumbnails": thumbnails,
        "embedded": {},
    }
    return render_page(
        "comparison.html",
        data,
        title=" against ".join(run.name for run in comparison.runs),
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
    """Strips by place in the page, those of videos on which the runs disagree first.

    A run of predictions that another program made has none: the next one's are taken.
    """
    right = np.stack([each.states == 0 for each in videos])
    agreed = right.all(axis=0) | ~right.any(axis=0)
    places = np.argsort(agreed, kind="stable")[:NUM_THUMBNAILS].tolist()
    found: dict[int, str] = {}
    for run, own in zip(runs, rows, strict=True):
        lacking = [place for place in places if place not in found]
        strips = collect_thumbnails(run, [own[place] for place in lacking])
        for place in lacking:
            if own[place] in strips:
                found[place] = data_url("image/jpeg", strips[own[place]])
    return found


def _both(
    pair: Pair, num_videos: int, videos: Sequence[Videos], comparison: Comparison
) -> dict[str, Any]:
    """How many videos both, one, or none of a pair got right, and the letters of the two."""
    names = [run.name for run in comparison.runs]
    a, b = (names.index(name) for name in (pair.a, pair.b))
    both = int(((videos[a].states == 0) & (videos[b].states == 0)).sum())
    only_a, only_b = len(pair.only_a), len(pair.only_b)
    neither = num_videos - both - only_a - only_b
    return {"a": a, "b": b, "both": both, "only_a": only_a, "only_b": only_b, "neither": neither}
