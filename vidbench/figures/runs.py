"""Figures of finished runs; each states its models, dataset and videos."""

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
"""Maximum number of runs in a figure; of more, the best ones and the Pareto front."""

_T = TypeVar("_T")


def draw(runs: Sequence[FinishedRun]) -> Iterator[tuple[str, Figure | NoFigureError]]:
    """Yield the name of each figure of these runs, and the figure or why there is none.

    Names are those of the functions; with several runs, figures of a single run are named
    ``<run>/confusion`` and so on.

    Raises:
        ConfigError: A run is unfinished or damaged, or two have the same name.
    """
    names = Counter(run.name for run in runs)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise ConfigError(f"{doubled[0]!r} names two runs: the files are named after the runs")
    for of_runs in (accuracy, accuracy_by_latency):
        yield of_runs.__name__, _attempt(of_runs, runs)
    for run in runs:
        alone = FinishedRun(run.path)  # so that only one run's scores are in memory
        for of_run in (class_accuracy, confusion, reliability, class_counts):
            name = of_run.__name__ if len(runs) == 1 else f"{run.name}/{of_run.__name__}"
            yield name, _attempt(of_run, alone)


def _attempt(show: Callable[[_T], Figure], what: _T) -> Figure | NoFigureError:
    try:
        return show(what)
    except NoFigureError as why:
        return why


def accuracy(runs: Sequence[FinishedRun]) -> Figure:
    """Draw top-1 and top-k accuracy of each run, the best first, with 95 % intervals.

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
        "Blue: top-1. Orange: top-k.",
        footer,
    )
    with style():
        axes = figure.subplots()
        for row, result in enumerate(shown):
            _add_result(axes, row, result)
        name_rows(axes, [shorten(result.run.name, 34) for result in shown])
        low = min(each.low for result in shown for each in result.tops.values())
        scale_shares(axes, "x", max(0.0, low - 0.05))
    return figure


def _add_result(axes: Axes, row: int, result: Result) -> None:
    """Draw the row of a run: dots and whiskers, with the numbers at the right."""
    for top, (k, share) in enumerate(result.tops.items()):
        colour, y = (BLUE, ORANGE)[top], row + 0.3 * top - 0.15 * (len(result.tops) - 1)
        add_whiskers(axes, "x", [y], [share], colour)
        axes.plot(share.value, y, "o", color=colour, markersize=7)
        text = f"top-{k} {share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
        beside = axes.get_yaxis_transform()
        axes.text(1.03, y, text, color=colour, fontsize=8.5, va="center", transform=beside)


def accuracy_by_latency(runs: Sequence[FinishedRun]) -> Figure:
    """Draw top-1 accuracy against the median latency per video; the Pareto front is a line.

    The latency is that of the last session of a run that evaluated a video; :func:`find_front`
    finds the Pareto front.

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
    others = [index for index in range(len(timed)) if index not in front]
    chosen = sorted([*front[::-1], *others][:MOST_RUNS])  # they are in falling order of accuracy
    shown, x, y = [timed[index] for index in chosen], x[chosen], y[chosen]
    front = find_front(x, y)
    some = "" if shown == timed else f": {len(shown)} of {len(timed)} runs"
    footer = sign([result.run for result in shown], left_out)
    figure = new_figure(
        WIDTH,
        4.3 + 0.36 * len(shown) + 0.14 * footer.count("\n"),
        f"Accuracy against latency{some}",
        "Top-1 with its 95 % interval, and the model's median time per video on the machine of\n"
        "each run. Blue: the Pareto front.",
        footer,
    )
    with style():
        axes, names = figure.subplots(2, height_ratios=[3.4, 0.36 * len(shown)])
        axes.plot(x[front], y[front], color=BLUE, linewidth=1.2, drawstyle="steps-post")
        for index, result in enumerate(shown):
            colour = BLUE if index in front else MUTED
            add_whiskers(axes, "y", [x[index]], [result.tops[1]], colour)
            add_numbered(axes, x[index], y[index], index + 1, colour)
        scale_costs(axes, x)
        low = min(result.tops[1].low for result in shown)
        scale_shares(axes, "y", max(0.0, low - 0.05))
        axes.set(xlabel="milliseconds per video", ylabel="top-1")
        _list_results(names, shown, x, front)
    return figure


def find_front(costs: NDArray[np.float64], gains: NDArray[np.float64]) -> list[int]:
    """Indices of the points on the Pareto front, the cheapest first.

    A point is on it unless another has at most its cost, at least its gain, and differs from it.

    Args:
        costs: (points,), the lower the better.
        gains: (points,), the higher the better.
    """
    better = (costs[:, None] <= costs) & (gains[:, None] >= gains)
    better &= (costs[:, None] < costs) | (gains[:, None] > gains)
    front = np.flatnonzero(~better.any(axis=0))
    return [int(index) for index in front[np.argsort(costs[front], kind="stable")]]


def _list_results(
    axes: Axes, shown: Sequence[Result], latencies: NDArray[np.float64], front: Sequence[int]
) -> None:
    """Draw the legend of the numbered points."""
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.5))
    for row, result in enumerate(shown):
        colour = BLUE if row in front else MUTED
        speed = f"{result.tops[1].value:.1%}, {show_cost(latencies[row])} ms"
        axes.text(0, row, str(row + 1), color=colour, fontweight="bold", va="center")
        axes.text(0.04, row, shorten(result.run.name, 52), fontsize=9, va="center")
        axes.text(1, row, speed, color=colour, fontsize=9, ha="right", va="center")


def reliability(run: FinishedRun) -> Figure:
    """Draw a reliability diagram: top-1 accuracy by score; below it, the numbers of videos.

    Raises:
        NoFigureError: The run has no accuracy.
        ConfigError: The run is unfinished or damaged.
    """
    error, bins = read_calibration(run)
    lows, highs, counts = np.array([(each.low, each.high, each.num_videos) for each in bins]).T
    middles = ((lows + highs) / 2).tolist()
    figure = new_figure(
        WIDTH,
        5.6,
        f"Reliability: expected calibration error {error:.1%}",
        "Bars: top-1 accuracy, with 95 % intervals, by top-1 score.\n"
        "Bars that end below the dashed line mean overconfident scores.",
        sign([run]),
    )
    bar: dict[str, Any] = {"align": "edge", "color": BLUE, "edgecolor": "white"}
    with style():
        axes, strip = figure.subplots(2, sharex=True, height_ratios=[4, 1])
        axes.bar(lows, [each.accuracy.value for each in bins], highs - lows, **bar)
        add_whiskers(axes, "y", middles, [each.accuracy for each in bins], INK)
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
        strip.bar(lows, counts, highs - lows, **(bar | {"color": MUTED}))
        for middle, count in zip(middles, counts.tolist(), strict=True):
            strip.text(middle, count, f"{count:,.0f}", fontsize=7.5, ha="center", va="bottom")
        scale_shares(axes, "x")
        scale_shares(axes, "y")
        scale_counts(strip, "y")
        strip.set_ylim(0, 1.3 * counts.max())
        axes.set_ylabel("accuracy")
        strip.set(xlabel="top-1 score", ylabel="videos")
    return figure
