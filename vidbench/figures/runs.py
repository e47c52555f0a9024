"""Figures of finished runs; each names the model, the dataset and the videos that it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.figures.classes import class_accuracy, class_counts, confusion
from vidbench.figures.look import BLUE, INK, MUTED, ORANGE, WIDTH, new_figure, shorten, style
from vidbench.figures.marks import (
    add_numbered,
    add_whiskers,
    name_rows,
    scale_costs,
    scale_counts,
    scale_shares,
    show_cost,
)
from vidbench.figures.readings import (
    NoFigureError,
    Result,
    rate_runs,
    read_calibration,
    read_latency,
    sign,
)
from vidbench.runs.finished import FinishedRun

MOST_RUNS = 20
"""Runs in a figure; of more, the best, and those on the Pareto front."""

_T = TypeVar("_T")


def draw(runs: Sequence[FinishedRun]) -> Iterator[tuple[str, Figure | NoFigureError]]:
    """Each figure of these runs by its name, or why there is none.

    Names are those of the functions; of several runs, what is of one run alone is named after its
    folder, too: ``<run>/confusion``.

    Raises:
        ConfigError: A run is unfinished or damaged, or two have the same name.
    """
    names = Counter(run.name for run in runs)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise ConfigError(f"{doubled[0]!r} names two runs: the files are named after the runs")
    for of_runs in (accuracy, accuracy_by_latency):
        yield of_runs.__name__, _attempt(of_runs, runs)
    for run in runs:
        alone = FinishedRun(run.path)  # so that the scores of one run at a time are in memory
        for of_run in (class_accuracy, confusion, reliability, class_counts):
            name = of_run.__name__ if len(runs) == 1 else f"{run.name}/{of_run.__name__}"
            yield name, _attempt(of_run, alone)


def _attempt(show: Callable[[_T], Figure], what: _T) -> Figure | NoFigureError:
    try:
        return show(what)
    except NoFigureError as why:
        return why


def accuracy(runs: Sequence[FinishedRun]) -> Figure:
    """Top-1 and top-k accuracy of each run, the best first, with 95 % intervals.

    Raises:
        NoFigureError: No run has an accuracy.
        ConfigError: A run is unfinished or damaged.
    """
    results, left_out = rate_runs(runs)
    shown = results[:MOST_RUNS]
    some = "" if shown == results else f": the best {len(shown)} of {len(results)} runs"
    footer = sign([result.run for result in shown], left_out)
    figure = new_figure(
        WIDTH,
        1.0 + 0.62 * len(shown) + 0.14 * footer.count("\n"),
        f"Accuracy with its 95 % interval{some}",
        "Blue: the first choice is right. Orange: one of the first k is.",
        footer,
    )
    with style():
        axes = figure.subplots()
        for place, result in enumerate(shown):
            _add_result(axes, place, result)
        name_rows(axes, [shorten(result.run.name, 34) for result in shown])
        low = min(one.low for result in shown for one in result.tops.values())
        scale_shares(axes, "x", max(0.0, low - 0.05))
    return figure


def _add_result(axes: Axes, place: int, result: Result) -> None:
    """A row of the run: dots and whiskers, the numbers at the right."""
    for top, (k, found) in enumerate(result.tops.items()):
        colour, y = (BLUE, ORANGE)[top], place + 0.3 * top - 0.15 * (len(result.tops) - 1)
        add_whiskers(axes, "x", [y], [found], colour)
        axes.plot(found.value, y, "o", color=colour, markersize=7)
        text = f"top-{k} {found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
        beside = axes.get_yaxis_transform()
        axes.text(1.03, y, text, color=colour, fontsize=8.5, va="center", transform=beside)


def accuracy_by_latency(runs: Sequence[FinishedRun]) -> Figure:
    """Top-1 accuracy against the median latency of a video; the Pareto front is a line.

    The latency is that of the last session of a run that evaluated a video; :func:`find_front` says
    which runs are on the front.

    Raises:
        NoFigureError: No run has both an accuracy and a latency.
        ConfigError: A run is unfinished or damaged.
    """
    rated, left_out = rate_runs(runs)
    speeds = {result.run.name: read_latency(result.run) for result in rated}
    left_out += [f"{shorten(name)} (no latency)" for name, speed in speeds.items() if not speed]
    timed = [result for result in rated if speeds[result.run.name]]
    if not timed:
        raise NoFigureError("no run has a latency")
    x = np.array([speeds[result.run.name] for result in timed], np.float64)
    y = np.array([result.tops[1].value for result in timed])
    front = find_front(x, y)
    others = [place for place in range(len(timed)) if place not in front]
    places = sorted([*front[::-1], *others][:MOST_RUNS])  # rated ones are the best first
    shown, x, y = [timed[place] for place in places], x[places], y[places]
    front = find_front(x, y)
    some = "" if shown == timed else f": {len(shown)} of {len(timed)} runs"
    footer = sign([result.run for result in shown], left_out)
    figure = new_figure(
        WIDTH,
        4.3 + 0.36 * len(shown) + 0.14 * footer.count("\n"),
        f"Accuracy against latency{some}",
        "Top-1 with its 95 % interval; the median time that the model took for a video, on the\n"
        "machine of each run. Blue: no other run is as fast and as right.",
        footer,
    )
    with style():
        axes, names = figure.subplots(2, height_ratios=[3.4, 0.36 * len(shown)])
        axes.plot(x[front], y[front], color=BLUE, linewidth=1.2, drawstyle="steps-post")
        for place, result in enumerate(shown):
            colour = BLUE if place in front else MUTED
            add_whiskers(axes, "y", [x[place]], [result.tops[1]], colour)
            add_numbered(axes, x[place], y[place], place + 1, colour)
        scale_costs(axes, x)
        low = min(result.tops[1].low for result in shown)
        scale_shares(axes, "y", max(0.0, low - 0.05))
        axes.set(xlabel="milliseconds a video", ylabel="top-1")
        _list_results(names, shown, x, front)
    return figure


def find_front(costs: NDArray[np.float64], gains: NDArray[np.float64]) -> list[int]:
    """Which points are on the Pareto front, the cheapest first.

    No other point costs as little or less and gains as much or more; of equal points all are on it.

    Args:
        costs: (points,), the lower the better.
        gains: (points,), the higher the better.
    """
    better = (costs[:, None] <= costs) & (gains[:, None] >= gains)
    better &= (costs[:, None] < costs) | (gains[:, None] > gains)
    front = np.flatnonzero(~better.any(axis=0))
    return [int(place) for place in front[np.argsort(costs[front], kind="stable")]]


def _list_results(
    axes: Axes, shown: Sequence[Result], latencies: NDArray[np.float64], front: Sequence[int]
) -> None:
    """What the numbers in the figure stand for."""
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.5))
    for place, result in enumerate(shown):
        colour = BLUE if place in front else MUTED
        speed = f"{result.tops[1].value:.1%}, {show_cost(latencies[place])} ms"
        axes.text(0, place, str(place + 1), color=colour, fontweight="bold", va="center")
        axes.text(0.04, place, shorten(result.run.name, 52), fontsize=9, va="center")
        axes.text(1, place, speed, color=colour, fontsize=9, ha="right", va="center")


def reliability(run: FinishedRun) -> Figure:
    """How often the first choice is right where its score is so high; below, how many videos.

    Raises:
        NoFigureError: The run has no accuracy.
        ConfigError: The run is unfinished or damaged.
    """
    found = read_calibration(run)
    lows, highs, counts = np.array([(one.low, one.high, one.num_videos) for one in found.bins]).T
    middles = ((lows + highs) / 2).tolist()
    figure = new_figure(
        WIDTH,
        5.6,
        f"Reliability: expected calibration error {found.error:.1%}",
        "Bars: share of right first choices, with 95 % intervals, by the first choice's score.\n"
        "Where bars end below the dashed line, scores promise too much.",
        sign([run]),
    )
    bar: dict[str, Any] = {"align": "edge", "color": BLUE, "edgecolor": "white"}
    with style():
        axes, strip = figure.subplots(2, sharex=True, height_ratios=[4, 1])
        axes.bar(lows, [one.accuracy.value for one in found.bins], highs - lows, **bar)
        add_whiskers(axes, "y", middles, [one.accuracy for one in found.bins], INK)
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
        strip.bar(lows, counts, highs - lows, **(bar | {"color": MUTED}))
        for place, count in zip(middles, counts.tolist(), strict=True):
            strip.text(place, count, f"{count:,.0f}", fontsize=7.5, ha="center", va="bottom")
        scale_shares(axes, "x")
        scale_shares(axes, "y")
        scale_counts(strip, "y")
        strip.set_ylim(0, 1.3 * counts.max())
        axes.set_ylabel("right")
        strip.set(xlabel="score of the first choice", ylabel="videos")
    return figure
