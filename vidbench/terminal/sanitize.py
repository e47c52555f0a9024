"""Text from outside, made harmless: no terminal obeys it, and no spreadsheet computes it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

# Control characters, ends of lines, lone surrogates, and what changes the order in which a text is
# shown (https://trojansource.codes).
_OBEYED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# What a spreadsheet takes for the beginning of a formula, wide forms too, behind the apostrophes
# that keep it from doing so (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_HARMLESS = re.compile(r"-[A-Za-z0-9_.-]*")  # numbers and ids of YouTube: no call, no command


def visible(text: object, keep: str = "") -> str:
    r"""The text in one line, with what a terminal would obey shown as in JSON, e.g. ``\u001b``.

    Args:
        text: A file's name, a label, the message of a server or a library, or anything else.
        keep: Control characters that stay as they are.
    """

    def shown(found: re.Match[str]) -> str:
        char = found[0]
        return char if char in keep else f"\\u{ord(char):04x}"

    return _OBEYED.sub(shown, str(text))


_LONGEST_LINE = 400
"""Characters; the end of a longer message is where libraries say what is wrong."""


def one_line(error: BaseException) -> str:
    """What an error of a library says, as one line; of a long one its beginning and its end."""
    text = "".join(c if c.isprintable() else " " for c in str(error))
    line = " ".join(text.split()) or type(error).__name__
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE // 3]} ... {line[-2 * _LONGEST_LINE // 3 :]}"


class VisibleFormatter(logging.Formatter):
    """Writes the message of each record in one line; tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in logging
        record.message = visible(record.message)
        return super().formatMessage(record)


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV without its end, in which no spreadsheet finds a formula.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or an end of a line gets an apostrophe
    before it, and so does one that begins with apostrophes and then one of these. So different
    texts stay different, and :func:`csv_text` gives them back. Numbers stay as they
    are, and so does a text of ``-`` and ASCII letters, digits, ``_``, ``-`` and ``.`` alone, as the
    ids of YouTube are. None is an empty cell.
    """
    shown = [_quoted(_cell(cell)) for cell in cells]
    return '""' if shown == [""] else ",".join(shown)  # an empty line would be no row


def csv_text(cell: str) -> str:
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
