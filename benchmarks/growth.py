"""How seconds, bytes and memory grow with the number of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.cache import clip_bytes
from benchmarks.mirror import build_sample_mirror
from benchmarks.programs import Finished, Watch, evaluate, memory
from benchmarks.rows import Row, interleaved
from benchmarks.workspace import Workspace
from vidbench.data.clips.cache import ClipCache
from vidbench.data.datasets.sample import ROOT as SAMPLE

_SIZES = (16, 64, 256, 512)
_SMOKE_SIZES = (4, 8, 16, 24)

Numbers = Mapping[int, float]
"""By number of videos."""


def rows(workspace: Workspace) -> Iterator[Row]:
    """The largest number of videos against a smaller one; the figure has them all."""
    sizes = _SMOKE_SIZES if workspace.smoke else _SIZES
    homes = {size: workspace.temporary / "growth" / str(size) for size in sizes}
    for size, home in homes.items():
        build_sample_mirror(home / "mirror", size)

    def run(size: int, watch: Watch | None = None) -> Finished:
        """A program that starts with nothing cached."""
        return evaluate_sample(homes[size], size, keep=False, watch=watch)

    rounds = workspace.rounds
    seconds = _medians(lambda size: run(size).seconds, sizes, rounds)
    peaks = _medians(lambda size: run(size, memory).peaks["bytes"] / 1e6, sizes, rounds)
    cached = {
        size: clip_bytes(ClipCache(home / "run" / "cache")) / 1e6 for size, home in homes.items()
    }
    _draw(workspace.out / "growth.png", seconds, cached, peaks)
    yield from _rows(workspace, seconds, cached, peaks)


def evaluate_sample(home: Path, count: int, *, keep: bool, watch: Watch | None = None) -> Finished:
    """vidbench, started anew, on ``home/mirror`` with the sample's own light model."""
    return evaluate(
        home / "run",
        count,
        "--dataset=sample",
        f"--kinetics_root_url={home / 'mirror'}",
        "--model_type=saved_model",
        f"--model_path={SAMPLE / 'model'}",
        "--num_frames=16",
        keep=keep,
        watch=watch,
    )


def _medians(
    measure: Callable[[int], float], sizes: Sequence[int], rounds: int
) -> dict[int, float]:
    found = interleaved({str(size): partial(measure, size) for size in sizes}, rounds)
    return {size: found[str(size)] for size in sizes}


def _rows(workspace: Workspace, seconds: Numbers, cached: Numbers, peaks: Numbers) -> Iterator[Row]:
    """Further videos are shown without start-up, which most of a short run consists of.

    They have no goal: of the first ones, many are decoded while TensorFlow is imported.
    """
    _, few, more, most = seconds
    case, against = f"{most} videos", f"against {few}"
    for measure, numbers, bound in (
        (f"seconds per video, nothing cached, {against}", seconds, "<= 1.25"),
        (f"MB of cached clips per video, {against}", cached, "<= 1.05"),
    ):
        value, other = numbers[most] / most, numbers[few] / few
        yield Row("growth", case, measure, value, other, workspace.goal(bound))
    value = (seconds[most] - seconds[more]) / (most - more)
    other = (seconds[more] - seconds[few]) / (more - few)
    measure = f"seconds per further video, {more} to {most} against {few} to {more}"
    yield Row("growth", case, measure, value, other)
    measure = f"peak MB of all processes, {against}"
    yield Row("growth", case, measure, peaks[most], peaks[few], workspace.goal("<= 1.15"))


def _draw(path: Path, seconds: Numbers, cached: Numbers, peaks: Numbers) -> None:
    """Three panels, each from zero, so that a straight line is seen as one."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, numbers, title in (
        (panels[0], seconds, "seconds, nothing cached"),
        (panels[1], cached, "MB of cached clips"),
        (panels[2], peaks, "peak MB of all processes"),
    ):
        panel.plot(list(numbers), list(numbers.values()), marker="o", clip_on=False, zorder=3)
        panel.set_xlim(0, max(numbers) * 1.04)
        panel.set_ylim(0, max(numbers.values()) * 1.15)
        panel.set_xticks(list(numbers))
        panel.set_xlabel("videos")
        panel.set_title(title, loc="left", fontsize="medium")
        panel.grid(visible=True, alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
