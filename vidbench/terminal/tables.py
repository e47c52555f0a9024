"""Render tables as aligned text, CSV, Markdown or JSON."""

from __future__ import annotations

import html
import json
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from vidbench.storage.csv_cells import csv_line
from vidbench.terminal.sanitize import escape_controls

FORMATS = ("text", "csv", "markdown", "json")

_WIDTH = 80


@dataclass(frozen=True)
class Table:
    """Rows of named values; None is an empty cell.

    Attributes:
        columns: Names, in order.
        rows: Values by name; values of other names appear only in JSON.
    """

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]

    def without_constants(self, keep: Collection[str] = ()) -> tuple[Table, dict[str, Any]]:
        """Split off columns with equal values in all rows: the remaining table, and the values.

        Args:
            keep: Columns to keep in any case.
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
        """Render the table in one of :data:`FORMATS`, without a final line end.

        Args:
            form: One of :data:`FORMATS`.
            width: Maximum characters per line of text; None for no limit. A wider table wraps its
                texts, or puts a last column of names on separate lines, or else becomes one
                paragraph per row.
        """
        if form == "json":
            return json.dumps([dict(row) for row in self.rows], indent=2)
        if form == "csv":
            cells = [[_shown(row.get(name)) for name in self.columns] for row in self.rows]
            return "\n".join(map(csv_line, [self.columns, *cells]))
        lines = self._lines()
        return _markdown(*lines) if form == "markdown" else _fitting(lines, width)

    def shown(self) -> str:
        """The table as text that fits the terminal, or 80 columns in a pipe or a file."""
        return self.render(width=terminal_width())

    def details(self) -> str:
        """One paragraph per row, with a line for each non-empty value."""
        return _paragraphs(self._lines(), terminal_width())

    def _lines(self) -> list[list[str]]:
        """Column names and cells, safe to print."""
        cells = [[_shown(row.get(name)) for name in self.columns] for row in self.rows]
        return [[escape_controls(cell) for cell in line] for line in ([*self.columns], *cells)]


def terminal_width() -> int:
    """Columns of the terminal on standard output; 80 if it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _markdown(columns: Sequence[str], *cells: Sequence[str]) -> str:
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines)


def _markdown_cell(text: str) -> str:
    """Escape HTML, which Markdown would pass through, including scripts."""
    return html.escape(text, quote=False).replace("|", "\\|")


def _fitting(lines: Sequence[Sequence[str]], width: int | None) -> str:
    """The first layout that is narrow enough; paragraphs always are."""
    if width is None or len(lines) == 1:
        return _aligned(lines)
    return _side_by_side(lines, width) or _hanging(lines, width) or _paragraphs(lines, width)


def _side_by_side(lines: Sequence[Sequence[str]], width: int) -> str | None:
    """Columns with texts wrapped as needed; None if that is not enough."""
    rows = _folded(lines, width)
    return None if rows is None else _aligned([piece for row in rows for piece in row])


def _hanging(lines: Sequence[Sequence[str]], width: int) -> str | None:
    """Move each name in the last column below its row; None if that is not a column of names."""
    rows = _folded([line[:-1] for line in lines], width)
    if rows is None or len(lines[0]) < 2 or any(" " in line[-1] for line in lines):
        return None
    pieces = iter(_aligned([piece for row in rows for piece in row]).split("\n"))
    blocks = [
        [*islice(pieces, len(row)), f"  {line[-1]}"] for row, line in zip(rows, lines, strict=True)
    ]
    return "\n".join(piece for block in blocks for piece in block)


def _folded(lines: Sequence[Sequence[str]], width: int) -> list[list[tuple[str, ...]]] | None:
    """Wrap the cells of each line to fit; None if a word is too long."""
    widths = _widths(lines)
    least = [max(map(_longest_word, column)) for column in zip(*lines, strict=True)]
    if _width(least) > width:
        return None
    while _width(widths) > width:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        widths[widest] -= 1
    return [list(zip_longest(*map(_wrap, line, widths), fillvalue="")) for line in lines]


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split(" ")))


def _wrap(text: str, width: int) -> list[str]:
    """Break text into lines between words; a longer word gets its own line."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _paragraphs(lines: Sequence[Sequence[str]], width: int) -> str:
    """One line per value, after the name of its column; empty values are left out."""
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
    """Columns separated by two blanks; numbers are right-aligned."""
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
