"""Cells of CSV files, escaped so that spreadsheets do not run untrusted text as formulas."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Characters that begin a formula in a spreadsheet, full-width forms included, after any apostrophes
# that already escape it (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_HARMLESS = re.compile(r"-[A-Za-z0-9_.-]*")  # numbers and YouTube ids: cannot call a function


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV, without the newline, with formulas escaped.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break is prefixed with an
    apostrophe, and so is one that begins with apostrophes followed by one of these. So different
    texts stay different, and :func:`unescape_cell` restores them. Numbers are not escaped, nor is
    a ``-`` followed only by ASCII letters, digits, ``_``, ``-`` and ``.``, as in YouTube ids. None
    becomes an empty cell.
    """
    quoted = [_quoted(_cell(cell)) for cell in cells]
    return '""' if quoted == [""] else ",".join(quoted)  # readers skip empty lines


def unescape_cell(cell: str) -> str:
    """The original text of a cell that :func:`csv_line` wrote, as read by a CSV reader."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    is_formula = isinstance(value, str) and _FORMULA.match(text) and not _HARMLESS.fullmatch(text)
    return f"'{text}" if is_formula else text


def _quoted(cell: str) -> str:
    """The cell, quoted if necessary; the csv module does not quote a lone carriage return."""
    escaped = cell.replace('"', '""')
    return f'"{escaped}"' if any(char in cell for char in ',"\r\n') else cell
