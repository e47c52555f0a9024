"""Parts of figures: whiskers, rows with names, scales, the cells of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from vidbench.figures.look import BLUE, GRID, INK, MUTED, PAPER, RED
from vidbench.metrics.intervals import Estimate

_WIDE = 8  # a scale whose ends differ by more than this factor is logarithmic


def add_whiskers(
    axes: Axes, along: str, positions: Sequence[float], shares: Sequence[Estimate], colour: str
) -> None:
    """Draw the intervals of shares.

    Args:
        axes: Axes to draw on.
        along: The axis of the shares, ``x`` or ``y``.
        positions: Position of each share on the other axis.
        shares: The shares.
        colour: Colour of the whiskers.
    """
    reach = np.array([[each.value - each.low, each.high - each.value] for each in shares]).T
    values = [each.value for each in shares]
    x, y = (values, positions) if along == "x" else (positions, values)
    look: dict[str, Any] = {"fmt": "none", "ecolor": colour, "elinewidth": 1.1, "capsize": 2.5}
    axes.errorbar(x, y, zorder=3, **look | {f"{along}err": np.maximum(reach, 0)})


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Turn the positions 0, 1, ... of the y axis into rows with these names, from the top."""
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def scale_shares(axes: Axes, along: str, low: float = 0.0, steps: int = 5) -> None:
    """Make an axis a percentage scale from ``low`` to 1, with at most ``steps`` steps."""
    axis = _find_axis(axes, along)
    room = 0.02 * (1 - low)  # for marks at the ends
    axes.set(**{f"{along}lim": (low - room * (low == 0), 1 + room)})
    axis.set_major_locator(MaxNLocator(steps, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(PercentFormatter(1, decimals=None if low > 0.9 else 0))


def scale_counts(axes: Axes, along: str) -> None:
    """Make an axis a scale of integers from 0."""
    axis = _find_axis(axes, along)
    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(**{f"{along}lim": (0, None)})


def scale_costs(axes: Axes, costs: NDArray[np.float64]) -> None:
    """Make the x axis a scale of positive costs: logarithmic if they differ much, else from 0."""
    axis, low, high = _find_axis(axes, "x"), float(costs.min()), float(costs.max())
    if high > _WIDE * low:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.5, high * 1.5)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, high * 1.15)
    axis.set_major_formatter(FuncFormatter(lambda value, _: show_cost(value)))


def show_cost(cost: float) -> str:
    """Format a number with three significant digits, or all digits of the integer part."""
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"


def _find_axis(axes: Axes, along: str) -> Axis:
    """Return the axis, with the style set for ticks that are created later, while drawing."""
    axis: Axis = axes.xaxis if along == "x" else axes.yaxis
    axis.set_tick_params(color=GRID, labelcolor=MUTED, labelsize=9)
    axis.set_tick_params(grid_color=GRID, grid_linewidth=0.7)
    return axis


def add_cells(
    axes: Axes, shares: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Draw a confusion matrix: shares in percent, right ones on blue, wrong ones on red.

    Args:
        axes: Axes to draw on.
        shares: (rows, columns), 0 to 1; the diagonal is right.
        rows: Names of the rows.
        columns: Names of the columns, at least as many.
    """
    right = np.eye(*shares.shape, dtype=np.bool_)
    colours = np.where(right[..., None], _shade(BLUE, shares), _shade(RED, shares))
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(shares > 0).tolist():
        share = shares[row, column]
        text = f"{share:.0%}".rstrip("%") if share >= 0.005 else "<1"
        ink = PAPER if share > 0.5 else INK
        axes.text(column, row, text, color=ink, fontsize=7.5, ha="center", va="center")
    axes.set_yticks(range(len(rows)), rows, color=INK, fontsize=8.5)
    axes.set_xticks(range(len(columns)), columns, color=INK, fontsize=8.5, rotation=90, ha="center")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    edges: dict[str, Any] = {"color": GRID, "linewidth": 0.5}
    axes.hlines(np.arange(1, len(rows)) - 0.5, -0.5, len(columns) - 0.5, **edges)
    axes.vlines(np.arange(1, len(columns)) - 0.5, -0.5, len(rows) - 0.5, **edges)
    axes.spines[["top", "right"]].set_visible(True)


def _shade(colour: str, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGBA from paper to the colour; even a small share is visible."""
    shades = LinearSegmentedColormap.from_list("shades", [PAPER, colour])
    return np.asarray(shades(np.where(shares > 0, 0.12 + 0.88 * shares, 0.0)))


def add_numbered(axes: Axes, x: float, y: float, number: int, colour: str = MUTED) -> None:
    """Draw a dot with a number in it."""
    axes.plot(x, y, "o", color=colour, markersize=13, zorder=4)
    axes.text(x, y, str(number), color=PAPER, fontsize=7.5, ha="center", va="center", zorder=5)
