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
"""Maximum number of classes with a named row each; of more, only those at the ends are named."""

ENDS = 12
"""Number of classes named at either end if there are more."""

MOST_CONFUSED = 20
"""Maximum number of classes in a confusion matrix."""

_WORST, _FEWEST = ("worst", "best"), ("smallest", "largest")


def class_accuracy(run: FinishedRun) -> Figure:
    """Draw the accuracy of each class with its 95 % interval, the best first.

    Raises:
        NoFigureError: The run has no accuracy.
        ConfigError: The run is unfinished or damaged.
    """
    mean, classes = require_accuracy(run).mean_class_accuracy, rate_classes(run)
    figure = _class_figure(
        len(classes),
        ("Accuracy of", _WORST),
        f"With 95 % intervals; number of videos in brackets. Dashed: the mean, {mean.value:.1%}.",
        run,
    )
    accuracies = [each.accuracy for each in classes if each.accuracy]
    with style():
        curve, parts = _class_axes(figure, len(classes), _WORST)
        for axes, part in parts:
            values = [accuracy.value for accuracy in accuracies[part]]
            axes.barh(range(len(values)), values, height=0.7, color=BLUE)
            add_whiskers(axes, "x", range(len(values)), accuracies[part], INK)
            axes.axvline(mean.value, color=INK, linestyle="--", linewidth=1)
            rows = [_name_class(each.name, each.num_videos, part) for each in classes[part]]
            name_rows(axes, rows)
            scale_shares(axes, "x", steps=5 if curve is None else 3)
        if curve is not None:
            ranks = range(1, len(accuracies) + 1)
            values, lows, highs, _ = np.array(accuracies).T
            curve.fill_between(ranks, lows, highs, color=BLUE, alpha=0.2, linewidth=0)
            curve.plot(ranks, values, color=BLUE)
            curve.axhline(mean.value, color=INK, linestyle="--", linewidth=1)
            curve.set(xlabel="classes, the best first", xlim=(1, len(accuracies)))
            scale_shares(curve, "y")
    return figure


def class_counts(run: FinishedRun) -> Figure:
    """Draw the numbers of requested and of scored videos of each class of the dataset.

    Raises:
        NoFigureError: No video has a label.
        ConfigError: The run is unfinished or damaged.
    """
    requested, scored = count_labels(run)
    if not requested:
        raise NoFigureError("the split has no labels")
    labels = sorted(requested, key=lambda label: (-requested[label], -scored[label], label))
    lost = requested.total() - scored.total()
    subtitle = f"Blue: {scored.total():,} scored. Orange: {lost:,} more requested but not scored."
    figure = _class_figure(
        len(labels),
        ("Videos of", _FEWEST),
        subtitle if lost else f"All {scored.total():,} requested videos with a label were scored.",
        run,
    )
    with style():
        curve, parts = _class_axes(figure, len(labels), _FEWEST)
        for axes, part in parts:
            rows = range(len(labels[part]))
            axes.barh(rows, [requested[label] for label in labels[part]], height=0.7, color=ORANGE)
            axes.barh(rows, [scored[label] for label in labels[part]], height=0.7, color=BLUE)
            name_rows(axes, [_name_class(label, requested[label], part) for label in labels[part]])
            scale_counts(axes, "x")
        if curve is not None:
            edges = np.arange(len(labels) + 1) + 0.5
            curve.stairs([requested[label] for label in labels], edges, fill=True, color=ORANGE)
            curve.stairs([scored[label] for label in labels], edges, fill=True, color=BLUE)
            curve.set(xlabel="classes, the largest first", xlim=(0.5, edges[-1]))
            scale_counts(curve, "y")
    return figure


def confusion(run: FinishedRun) -> Figure:
    """Draw the confusion matrix: the share of each class's videos (rows) by prediction (columns).

    Of more than :data:`MOST_CONFUSED` classes, those with the most confused videos are shown, with
    a column for all others.

    Raises:
        NoFigureError: The run has no accuracy.
        ConfigError: The run is unfinished or damaged.
    """
    require_accuracy(run)
    outcomes = read_outcomes(run)
    matrix = confusion_matrix(outcomes)
    shown = _choose_confused(matrix, outcomes.classes)
    every = int(np.count_nonzero(matrix.sum(axis=0) + matrix.sum(axis=1)))
    part = matrix[np.ix_(shown, shown)]
    totals = matrix[shown].sum(axis=1)
    names = [shorten(outcomes.classes[index], 30) for index in shown]
    columns = names
    if len(shown) < every:
        part = np.column_stack([part, totals - part.sum(axis=1)])
        columns = [*names, "any other class"]
    shares = part / np.maximum(totals, 1)[:, None]
    some = "" if len(shown) == every else f": the {len(shown)} most confused of {every} classes"
    figure = new_figure(
        WIDTH,
        1.5 + 0.28 * max(len(names), 6) + 0.085 * max(map(len, columns)),
        f"Confusion matrix{some}",
        "Rows: true class, with the number of videos in brackets. Columns: predicted class.\n"
        "Percent of the row's videos; blue is right, red is wrong.",
        sign([run]),
    )
    with style():
        rows = [f"{name} ({total:,})" for name, total in zip(names, totals, strict=True)]
        add_cells(figure.subplots(), shares, rows, columns)
    return figure


def _choose_confused(matrix: NDArray[np.intp], classes: Sequence[str]) -> list[int]:
    """Classes to show: all; or those of the most frequent confusions, and then the largest."""
    present = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    if len(present) <= MOST_CONFUSED:
        return [int(index) for index in present]
    index_of = {name: index for index, name in enumerate(classes)}
    pairs = most_confused(matrix, classes, MOST_CONFUSED)
    confused = [index_of[name] for pair in pairs for name in (pair.label, pair.predicted)]
    largest = np.argsort(-matrix.sum(axis=1), kind="stable").tolist()
    return list(dict.fromkeys([*confused, *largest]))[:MOST_CONFUSED]


def _class_figure(
    count: int, title: tuple[str, tuple[str, str]], subtitle: str, run: FinishedRun
) -> Figure:
    """New figure with a row per class; for many classes with a curve and rows for the ends."""
    what, (last, first) = title
    many = count > MOST_NAMED
    text = f"{what} {count} " + ("classes" if count > 1 else "class")
    text += f"; named: the {ENDS} {last} and the {ENDS} {first}" if many else ""
    height = 1.5 + 0.24 * (ENDS if many else count) + 2.4 * many
    return new_figure(WIDTH, height, text, subtitle, sign([run]))


def _class_axes(
    figure: Figure, count: int, ends: tuple[str, str]
) -> tuple[Axes | None, list[tuple[Axes, slice]]]:
    """Axes for the curve of many classes (else None); and axes for rows, with their classes."""
    if count <= MOST_NAMED:
        return None, [(figure.subplots(), slice(None))]
    mosaic: list[Any] = [["all", "all"], [*ends]]
    axes = figure.subplot_mosaic(mosaic, height_ratios=[2.2, 0.24 * ENDS])
    for end in ends:
        axes[end].set_title(f"the {ENDS} {end}")
    last, first = slice(None, -ENDS - 1, -1), slice(ENDS)
    return axes["all"], [(axes[ends[0]], last), (axes[ends[1]], first)]


def _name_class(name: str, count: int, part: slice) -> str:
    """Label of a row; shorter if there are two columns of rows."""
    return f"{shorten(name, 38 if part == slice(None) else 22)} ({count:,})"
