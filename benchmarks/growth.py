"""How seconds, bytes and memory grow with the number of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.cache import clip_bytes
from benchmarks.mirror import build_sample_mirror
from benchmarks.programs import Finished, evaluate
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
    runs = _Runs(workspace.temporary / "growth", sizes)
    seconds = _medians(runs.seconds, sizes, workspace.rounds)
    memory = _medians(runs.peak_megabytes, sizes, workspace.rounds)
    cached = {size: runs.cached_megabytes(size) for size in sizes}
    _draw(workspace.out / "growth.png", seconds, cached, memory)
    yield from _rows(workspace, seconds, cached, memory)


def evaluate_sample(home: Path, count: int, *, keep: bool, watch: bool = False) -> Finished:
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
        watch_memory=watch,
    )


class _Runs:
    """Runs with nothing cached, by number of videos; each is a program started anew."""

    def __init__(self, home: Path, sizes: Sequence[int]) -> None:
        self._homes = {size: home / str(size) for size in sizes}
        for size, folder in self._homes.items():
            build_sample_mirror(folder / "mirror", size)

    def seconds(self, size: int) -> float:
        return evaluate_sample(self._homes[size], size, keep=False).seconds

    def peak_megabytes(self, size: int) -> float:
        return evaluate_sample(self._homes[size], size, keep=False, watch=True).peak_bytes / 1e6

    def cached_megabytes(self, size: int) -> float:
        """What the last run left of clips."""
        return clip_bytes(ClipCache(self._homes[size] / "run" / "cache")) / 1e6


def _medians(
    measure: Callable[[int], float], sizes: Sequence[int], rounds: int
) -> dict[int, float]:
    found = interleaved({str(size): partial(measure, size) for size in sizes}, rounds)
    return {size: found[str(size)] for size in sizes}


def _rows(
    workspace: Workspace, seconds: Numbers, cached: Numbers, memory: Numbers
) -> Iterator[Row]:
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
    yield Row("growth", case, measure, memory[most], memory[few], workspace.goal("<= 1.15"))


def _draw(path: Path, seconds: Numbers, cached: Numbers, memory: Numbers) -> None:
    """Three panels, each from zero, so that a straight line is seen as one."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, numbers, title in (
        (panels[0], seconds, "seconds, nothing cached"),
        (panels[1], cached, "MB of cached clips"),
        (panels[2], memory, "peak MB of all processes"),
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
