"""Tables as people and programs read them: aligned text, CSV, Markdown and JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidbench.harmless import csv_line, visible

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

    def render(self, form: str = "text") -> str:
        """The table in one of :data:`FORMATS`, without a line end."""
        if form == "json":
            return json.dumps([dict(row) for row in self.rows], indent=2)
        cells = [[_shown(row.get(name)) for name in self.columns] for row in self.rows]
        if form == "csv":
            return "\n".join(map(csv_line, [self.columns, *cells]))
        lines = [[visible(cell) for cell in line] for line in ([*self.columns], *cells)]
        return _markdown(*lines) if form == "markdown" else _aligned(lines)


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


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns two blanks apart; those of numbers to the right."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
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
