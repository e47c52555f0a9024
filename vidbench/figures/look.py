"""The style of all figures: colours, matplotlib settings, layout, and saving to files.

    with style():
        figure = new_figure(WIDTH, 3, "Title", "how to read the figure")
        axes = figure.subplots()
        ...
        save(figure, Path("images/name"))

matplotlib's global settings are not changed, and no display is needed.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
from cycler import cycler
from matplotlib.figure import Figure

from vidbench.storage.files import replacing
from vidbench.terminal.sanitize import escape_controls

INK, MUTED, GRID, PAPER = "#1b1f24", "#5b6570", "#d9dee3", "#ffffff"
BLUE, ORANGE, GREEN, RED = "#2f6fb2", "#c77d1e", "#2e7d4f", "#c4372f"
"""Colours of the main series, a second series, right and wrong predictions."""

WIDTH = 7.5
"""Width in inches of a figure that fills a page, about 700 pixels on screen."""

_STYLE: dict[str, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # the first comes with matplotlib
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is a $
    "figure.facecolor": PAPER,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, MUTED]),
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 9,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "vidbench",
}
_TITLE, _SMALL = 13, 8  # points
_MARGIN = 0.12  # inches
_DPI = 150


@contextmanager
def style() -> Iterator[None]:
    """Context in which matplotlib uses this style, regardless of the caller's settings."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure(
    width: float, height: float, title: str = "", subtitle: str = "", footer: str = ""
) -> Figure:
    """New white figure, whose axes leave room for their labels and for these texts.

    Args:
        width: Width in inches; :data:`WIDTH` fills a page.
        height: Height in inches, including the texts.
        title: Title at the top left.
        subtitle: How to read the figure, below the title; may have several lines.
        footer: Small text at the bottom left; may have several lines.
    """
    top = _height(title, _TITLE) + _height(subtitle, 10)
    bottom = _height(footer, _SMALL)
    with style():
        figure = Figure(figsize=(width, height))
        figure.set_layout_engine(
            "constrained",
            rect=(0, bottom / height, 1, 1 - (top + bottom) / height),
            w_pad=_MARGIN,
            h_pad=_MARGIN,
        )
        left, up = _MARGIN / width, 1 - _MARGIN / height
        align: dict[str, Any] = {"ha": "left", "va": "top"}
        head = figure.suptitle(title, x=left, y=up, fontsize=_TITLE, fontweight="bold", **align)
        head.set_in_layout(False)  # the layout engine's rect reserves its room
        below = up - _height(title, _TITLE) / height
        figure.text(left, below, subtitle, color=MUTED, **align).set_in_layout(False)
        low = figure.text(left, _MARGIN / height, footer, color=MUTED, fontsize=_SMALL, va="bottom")
        low.set_in_layout(False)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``<stem>.png`` and ``<stem>.svg``, and return their paths.

    Equal figures give equal bytes. The SVG contains text, not outlines.
    """
    title = figure.get_suptitle()
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": None, "Title": title},
        "svg": {"Creator": None, "Date": None, "Title": title},
    }
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in metadata]
    for path, (suffix, entries) in zip(paths, metadata.items(), strict=True):
        with replacing(path) as temporary, style(), warnings.catch_warnings():
            # The SVG still has these characters, for the fonts of its viewer.
            warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font")
            figure.savefig(temporary, format=suffix, dpi=_DPI, metadata=entries)
    return paths


def shorten(text: str, length: int = 36) -> str:
    r"""The text on one line of limited length; a long text is cut in the middle.

    Args:
        text: Any text; invisible characters and those not allowed in XML become ``\u....``.
        length: Maximum length in Latin letters, at least 3; other letters may count twice.
    """
    whole = "".join(
        f"\\u{ord(char):04x}" if _is_no_character(char) else char for char in escape_controls(text)
    )
    if _width(whole) <= length:
        return whole
    head, tail = (length - 1) - (length - 1) // 2, (length - 1) // 2
    return _fitting(whole, head) + "…" + _fitting(whole[::-1], tail)[::-1]


def _fitting(text: str, width: int) -> str:
    """The longest beginning of a text that is not wider."""
    total = 0
    for end, char in enumerate(text):
        total += _width(char)
        if total > width:
            return text[:end]
    return text


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _is_no_character(char: str) -> bool:
    """Whether this is a noncharacter of Unicode, which XML does not allow."""
    return ord(char) & 0xFFFE == 0xFFFE


def _height(text: str, points: float) -> float:
    """Height in inches of the lines of a text with the space below; 0 for an empty text."""
    return (text.count("\n") + 1) * points * 1.25 / 72 + 0.05 if text else 0.0
