"""Escape control characters in text from outside, so that no terminal obeys it."""

from __future__ import annotations

import logging
import re

# Control characters, ends of lines, lone surrogates, and what changes the order in which a text is
# shown (https://trojansource.codes).
_OBEYED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def escape_controls(text: object, keep: str = "") -> str:
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
        record.message = escape_controls(record.message)
        return super().formatMessage(record)
