"""Tables as people and programs read them: aligned text, CSV, Markdown and JSON."""

from __future__ import annotations

import html
import json
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from vidbench.storage.csv_cells import csv_line
from vidbench.terminal.sanitize import escape_controls

FORMATS = ("text", "csv", "markdown", "json")


@dataclass(frozen=True)
class Table:
    """Rows of named values; None is an empty cell.

    Attributes:
        columns: Names, in order.
        rows: Values by name; others than those of the columns are in JSON only.
    """

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]

    def without_constants(self, keep: Collection[str] = ()) -> tuple[Table, dict[str, Any]]:
        """The table without columns that say the same in all of several rows, and what they say.

        Args:
            keep: Columns that stay in any case.
        """
        if len(self.rows) < 2:
            return self, {}
        constant = {
            name: self.rows[0].get(name)
            for name in self.columns
            if name not in keep and len({row.get(name) for row in self.rows}) == 1
        }
        return Table([name for name in self.columns if name not in constant], self.rows), constant

    def render(self, form: str = "text", width: int | None = None) -> str:
        """The table in one of :data:`FORMATS`, without a line end.

        Args:
            form: One of :data:`FORMATS`.
            width: Characters in a line of text. Cells of texts take several lines where columns
                would not fit; where that is not enough, each row is a paragraph with a line for
                each value. None: no line is too long.
        """
        if form == "json":
            return json.dumps([dict(row) for row in self.rows], indent=2)
        cells = [[_shown(row.get(name)) for name in self.columns] for row in self.rows]
        if form == "csv":
            return "\n".join(map(csv_line, [self.columns, *cells]))
        lines = [[escape_controls(cell) for cell in line] for line in ([*self.columns], *cells)]
        return _markdown(*lines) if form == "markdown" else _fitting(lines, width)

    def shown(self) -> str:
        """The table as text, no wider than the terminal that it is printed to, if it is one."""
        return self.render(width=_terminal_width())


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _markdown(columns: Sequence[str], *cells: Sequence[str]) -> str:
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines)


def _markdown_cell(text: str) -> str:
    """As plain text: Markdown lets HTML through, scripts too."""
    return html.escape(text, quote=False).replace("|", "\\|")


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _fitting(lines: Sequence[Sequence[str]], width: int | None) -> str:
    """The columns side by side if they fit, and else a paragraph for each row."""
    if width is None or len(lines) == 1 or _width(widths := _widths(lines)) <= width:
        return _aligned(lines)
    least = [max(map(_longest_word, column)) for column in zip(*lines, strict=True)]
    if _width(least) > width:
        return _paragraphs(lines, width)
    while _width(widths) > width:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        widths[widest] -= 1
    return _aligned([piece for line in lines for piece in _folded(line, widths)])


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split(" ")))


def _folded(line: Sequence[str], widths: Sequence[int]) -> list[tuple[str, ...]]:
    """The line's cells in as many lines as they need."""
    pieces = [_wrap(cell, width) for cell, width in zip(line, widths, strict=True)]
    return list(zip_longest(*pieces, fillvalue=""))


def _wrap(text: str, width: int) -> list[str]:
    """Lines that end between words; a longer word has a line of its own."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _paragraphs(lines: Sequence[Sequence[str]], width: int) -> str:
    """A line for each value, behind the name of its column; empty ones are left out."""
    names, *rows = lines
    start = max(map(len, names)) + 2
    newline = "\n" + " " * start
    paragraphs = [
        "\n".join(
            name.ljust(start) + newline.join(_wrap(cell, max(1, width - start)))
            for name, cell in zip(names, row, strict=True)
            if cell
        )
        for row in rows
    ]
    return "\n\n".join(paragraphs)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns two blanks apart; those of numbers to the right."""
    columns = list(zip(*lines, strict=True))
    widths = _widths(lines)
    right = [len(column) > 1 and all(map(_is_number, column[1:])) for column in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip("%±+") or "0")
    except ValueError:
        return False
    return True
