"""Figures of the classes of one run: accuracies, counts, confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidbench.figures.look import BLUE, INK, ORANGE, WIDTH, new_figure, shorten, style
from vidbench.figures.marks import add_cells, add_whiskers, name_rows, scale_counts, scale_shares
from vidbench.figures.readings import (
    NoFigureError,
    count_labels,
    rate_classes,
    read_outcomes,
    require_accuracy,
    sign,
)
from vidbench.metrics.classification import confusion_matrix, most_confused
from vidbench.runs.finished import FinishedRun

MOST_NAMED = 40
"""Classes that are named one by one; of more, only those at the ends are."""

ENDS = 12
"""Classes that are named at either end where there are more."""

MOST_CONFUSED = 20
"""Classes in a confusion matrix."""

_WORST, _FEWEST = ("worst", "best"), ("smallest", "largest")


def class_accuracy(run: FinishedRun) -> Figure:
    """The accuracy of each class with its 95 % interval, the best first.

    Raises:
        NoFigureError: The run has no accuracy.
        ConfigError: The run is unfinished or damaged.
    """
    mean, classes = require_accuracy(run).mean_class_accuracy, rate_classes(run)
    figure = _class_figure(
        len(classes),
        ("Accuracy of", _WORST),
        f"With 95 % intervals; in brackets how many videos. Dashed: the mean, {mean.value:.1%}.",
        run,
    )
    found = [one.accuracy for one in classes if one.accuracy]
    with style():
        curve, parts = _class_axes(figure, len(classes), _WORST)
        for axes, part in parts:
            values = [one.value for one in found[part]]
            axes.barh(range(len(values)), values, height=0.7, color=BLUE)
            add_whiskers(axes, "x", range(len(values)), found[part], INK)
            axes.axvline(mean.value, color=INK, linestyle="--", linewidth=1)
            name_rows(axes, [_name_class(one.name, one.num_videos, part) for one in classes[part]])
            scale_shares(axes, "x", steps=5 if curve is None else 3)
        if curve is not None:
            ranks, (values, lows, highs, _) = range(1, len(found) + 1), np.array(found).T
            curve.fill_between(ranks, lows, highs, color=BLUE, alpha=0.2, linewidth=0)
            curve.plot(ranks, values, color=BLUE)
            curve.axhline(mean.value, color=INK, linestyle="--", linewidth=1)
            curve.set(xlabel="classes, the best first", xlim=(1, len(found)))
            scale_shares(curve, "y")
    return figure


def class_counts(run: FinishedRun) -> Figure:
    """How many videos of each of the dataset's classes were requested, and how many scored.

    Raises:
        NoFigureError: No video has a label.
        ConfigError: The run is unfinished or damaged.
    """
    requested, scored = count_labels(run)
    if not requested:
        raise NoFigureError("the split has no labels")
    labels = sorted(requested, key=lambda label: (-requested[label], -scored[label], label))
    lost = requested.total() - scored.total()
    said = (
        f"Blue: {scored.total():,} scored. Orange: {lost:,} more that were requested, not scored."
    )
    figure = _class_figure(
        len(labels),
        ("Videos of", _FEWEST),
        said if lost else f"All {scored.total():,} requested videos that have a label were scored.",
        run,
    )
    with style():
        curve, parts = _class_axes(figure, len(labels), _FEWEST)
        for axes, part in parts:
            rows = range(len(labels[part]))
            axes.barh(rows, [requested[one] for one in labels[part]], height=0.7, color=ORANGE)
            axes.barh(rows, [scored[one] for one in labels[part]], height=0.7, color=BLUE)
            name_rows(axes, [_name_class(one, requested[one], part) for one in labels[part]])
            scale_counts(axes, "x")
        if curve is not None:
            edges = np.arange(len(labels) + 1) + 0.5
            curve.stairs([requested[one] for one in labels], edges, fill=True, color=ORANGE)
            curve.stairs([scored[one] for one in labels], edges, fill=True, color=BLUE)
            curve.set(xlabel="classes, those with most videos first", xlim=(0.5, edges[-1]))
            scale_counts(curve, "y")
    return figure


def confusion(run: FinishedRun) -> Figure:
    """The share of each class's videos (rows) that is taken for which class (columns).

    Of more than :data:`MOST_CONFUSED` classes those are shown that most videos are confused of,
    with a column for all others.

    Raises:
        NoFigureError: The run has no accuracy.
        ConfigError: The run is unfinished or damaged.
    """
    require_accuracy(run)
    outcomes = read_outcomes(run)
    matrix = confusion_matrix(outcomes)
    places = _choose_confused(matrix, outcomes.classes)
    every = int(np.count_nonzero(matrix.sum(axis=0) + matrix.sum(axis=1)))
    part = matrix[np.ix_(places, places)]
    totals = matrix[places].sum(axis=1)
    names = [shorten(outcomes.classes[place], 30) for place in places]
    columns = names
    if len(places) < every:
        part = np.column_stack([part, totals - part.sum(axis=1)])
        columns = [*names, "any other class"]
    shares = part / np.maximum(totals, 1)[:, None]
    some = "" if len(places) == every else f": the {len(places)} most confused of {every} classes"
    figure = new_figure(
        WIDTH,
        1.5 + 0.28 * max(len(names), 6) + 0.085 * max(map(len, columns)),
        f"What is taken for what{some}",
        "Rows: the right class, in brackets how many videos. Columns: the first choice.\n"
        "Percent of the row's videos; blue is right, red is wrong.",
        sign([run]),
    )
    with style():
        rows = [f"{name} ({total:,})" for name, total in zip(names, totals, strict=True)]
        add_cells(figure.subplots(), shares, rows, columns)
    return figure


def _choose_confused(matrix: NDArray[np.intp], classes: Sequence[str]) -> list[int]:
    """The classes to show: all; or those of the commonest confusions, and then the largest."""
    present = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    if len(present) <= MOST_CONFUSED:
        return [int(place) for place in present]
    index = {name: place for place, name in enumerate(classes)}
    pairs = most_confused(matrix, classes, MOST_CONFUSED)
    confused = [index[name] for pair in pairs for name in (pair.label, pair.predicted)]
    largest = np.argsort(-matrix.sum(axis=1), kind="stable").tolist()
    return list(dict.fromkeys([*confused, *largest]))[:MOST_CONFUSED]


def _class_figure(
    count: int, title: tuple[str, tuple[str, str]], subtitle: str, run: FinishedRun
) -> Figure:
    """A figure for rows of so many classes; of many for a curve, and rows of those at the ends."""
    what, (last, first) = title
    many = count > MOST_NAMED
    said = f"{what} {count} " + ("classes" if count > 1 else "class")
    said += f"; by name the {ENDS} {last} and the {ENDS} {first}" if many else ""
    height = 1.5 + 0.24 * (ENDS if many else count) + 2.4 * many
    return new_figure(WIDTH, height, said, subtitle, sign([run]))


def _class_axes(
    figure: Figure, count: int, ends: tuple[str, str]
) -> tuple[Axes | None, list[tuple[Axes, slice]]]:
    """Axes for the curve of all classes, where they are many, and those for which classes' rows."""
    if count <= MOST_NAMED:
        return None, [(figure.subplots(), slice(None))]
    places: list[Any] = [["all", "all"], [*ends]]
    found = figure.subplot_mosaic(places, height_ratios=[2.2, 0.24 * ENDS])
    for end in ends:
        found[end].set_title(f"the {ENDS} {end}")
    last, first = slice(None, -ENDS - 1, -1), slice(ENDS)
    return found["all"], [(found[ends[0]], last), (found[ends[1]], first)]


def _name_class(name: str, count: int, part: slice) -> str:
    """The label of a row; shorter where rows stand in two columns."""
    return f"{shorten(name, 38 if part == slice(None) else 22)} ({count:,})"
