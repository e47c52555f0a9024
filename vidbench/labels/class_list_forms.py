"""Recognise files of class names that are not a plain list with one name per line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"\s*(\d+)(?:\s*[.:,;)\t]\s*|\s+)(\S.*)")
_NUMBER_LAST = re.compile(r"(.*\S)(?:\s*[,;\t]\s*|\s+)(\d+)\s*")
_HEADER = frozenset(
    {*("id", "index", "idx", "label_id", "class_id", "class_index", "number", "name", "label")}
    | {*("class", "class_name", "label_name", "classes", "action")}
)
_FEWEST = 3  # lines needed to tell numbered names from names that begin with a number


def other_form(text: str) -> str | None:
    """Describe the form of a class list that is JSON, numbered or a table; None for a plain list.

    Names that begin with a number, such as ``1 finger``, ``2 fingers``, ``3 fingers``, are not a
    numbered list: two of them are equal without the numbers.

    Args:
        text: Content of a file of class names.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _json_form(text)
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and _is_header(lines[0]):
        return f"a table with the header {lines[0].strip()!r} and {len(lines) - 1} classes"
    for pattern, number, name, where in (
        (_NUMBERED, 1, 2, "in front of"),
        (_NUMBER_LAST, 2, 1, "behind"),
    ):
        matches = [match for line in lines if (match := pattern.fullmatch(line)) is not None]
        if len(matches) == len(lines) >= _FEWEST:
            first = _first_number([int(match[number]) for match in matches])
            if first is not None and len({match[name] for match in matches}) == len(lines):
                return f"a list with numbers from {first} {where} its {len(lines)} names"
    return None


def _json_form(text: str) -> str | None:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    kind = "object" if isinstance(content, dict) else "array"
    return f"a JSON {kind} of {len(content)} entries"


def _is_header(line: str) -> bool:
    cells = [cell.strip().strip('"').casefold() for cell in re.split(r"[,;\t]", line)]
    return len(cells) > 1 and all(cell in _HEADER for cell in cells)


def _first_number(numbers: Sequence[int]) -> int | None:
    """Return 0 or 1 if the numbers, once sorted, count up from there; else None."""
    ordered = sorted(numbers)
    first = ordered[0]
    return (
        first if first in (0, 1) and ordered == list(range(first, first + len(ordered))) else None
    )
