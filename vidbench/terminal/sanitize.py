"""Escape control characters in untrusted text, so that terminals do not act on it."""

from __future__ import annotations

import logging
import re

# Control characters, line ends, lone surrogates, and characters that change the direction of text
# (https://trojansource.codes).
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def escape_controls(text: object, keep: str = "") -> str:
    r"""The text on one line, with control characters as JSON escapes, e.g. ``\u001b``.

    Args:
        text: A file name, a label, the message of a server or a library, or anything else.
        keep: Control characters to keep.
    """

    def escaped(match: re.Match[str]) -> str:
        char = match[0]
        return char if char in keep else f"\\u{ord(char):04x}"

    return _UNSAFE.sub(escaped, str(text))


_LONGEST_LINE = 400
"""Characters; of longer messages the end is kept too, where libraries name the cause."""


def one_line(error: BaseException) -> str:
    """Message of an error on one line; a long message is cut in the middle."""
    text = "".join(c if c.isprintable() else " " for c in str(error))
    line = " ".join(text.split()) or type(error).__name__
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE // 3]} ... {line[-2 * _LONGEST_LINE // 3 :]}"


class VisibleFormatter(logging.Formatter):
    """Writes the message of each record on one line; tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in logging
        record.message = escape_controls(record.message)
        return super().formatMessage(record)
