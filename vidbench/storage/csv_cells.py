"""Cells of CSV files: no spreadsheet takes text from outside for a formula."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What a spreadsheet takes for the beginning of a formula, wide forms too, behind the apostrophes
# that keep it from doing so (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_HARMLESS = re.compile(r"-[A-Za-z0-9_.-]*")  # numbers and ids of YouTube: no call, no command


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV without its end, in which no spreadsheet finds a formula.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or an end of a line gets an apostrophe
    before it, and so does one that begins with apostrophes and then one of these. So different
    texts stay different, and :func:`unescape_cell` gives them back. Numbers stay as they
    are, and so does a text of ``-`` and ASCII letters, digits, ``_``, ``-`` and ``.`` alone, as the
    ids of YouTube are. None is an empty cell.
    """
    shown = [_quoted(_cell(cell)) for cell in cells]
    return '""' if shown == [""] else ",".join(shown)  # an empty line would be no row


def unescape_cell(cell: str) -> str:
    """The text of a cell that :func:`csv_line` wrote and a CSV reader has read."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    is_formula = isinstance(value, str) and _FORMULA.match(text) and not _HARMLESS.fullmatch(text)
    return f"'{text}" if is_formula else text


def _quoted(cell: str) -> str:
    """In quotes where need be; the csv module leaves a carriage return bare, which ends a row."""
    escaped = cell.replace('"', '""')
    return f'"{escaped}"' if any(char in cell for char in ',"\r\n') else cell
