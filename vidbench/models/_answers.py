"""The lines of JSON in which a program says what it sees in videos."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from vidbench.data.records import Skip
from vidbench.errors import ModelError
from vidbench.models.base import Answer

_SHOWN = 200  # characters of a line
_LARGEST = 3e38  # of a 32-bit float
_KEYS = frozenset({"path", "classes", "scores", "error"})
_FORM = 'a line is {"path": ..., "classes": [best first], "scores": [optional]}'


def read_answers(
    output: bytes, paths: Sequence[str], classes: Collection[str]
) -> list[Answer | Skip]:
    """What is said of each path, in their order; ``error`` in place of classes skips a video.

    Args:
        output: Lines of JSON, in any order; empty lines are left out.
        paths: Of the videos.
        classes: That may be named.

    Raises:
        ModelError: A line is not in the form, or a path has none or two.
    """
    found: dict[str, Answer | Skip] = {}
    for number, line in enumerate(_lines(output), 1):
        if not line.strip():
            continue
        try:
            path, answer = _read_line(line, classes)
            if path not in paths:
                raise ModelError(f"path {path!r:.{_SHOWN}} is none of those that it was given")
            if path in found:
                raise ModelError(f"path {path!r} has a line already")
        except ModelError as error:
            raise ModelError(f"line {number}, {line.strip()[:_SHOWN]!r}: {error}") from error
        found[path] = answer
    missing = [path for path in paths if path not in found]
    if missing:
        raise ModelError(
            f"there is no line for {len(missing)} of {len(paths)} videos, e.g. {missing[0]!r}; "
            'print {"path": ..., "error": "why"} for a video that it cannot judge'
        )
    return [found[path] for path in paths]


def _lines(output: bytes) -> list[str]:
    try:
        return output.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ModelError("its output is no UTF-8") from error


def _read_line(line: str, classes: Collection[str]) -> tuple[str, Answer | Skip]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"it is no JSON; {_FORM}") from error
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        raise ModelError(f"it has no path; {_FORM}")
    if unknown := sorted(row.keys() - _KEYS):
        raise ModelError(f"{unknown[0]!r:.{_SHOWN}} is unknown; {_FORM}")
    path: str = row["path"]
    return path, _read_error(row) if "error" in row else _read_answer(row, classes)


def _read_error(row: Mapping[str, Any]) -> Skip:
    if not isinstance(row["error"], str) or not row["error"].strip() or len(row) > 2:
        raise ModelError('beside "path", "error" stands alone, and is a text')
    return Skip("failed", " ".join(row["error"].split())[:_SHOWN])


def _read_answer(row: Mapping[str, Any], classes: Collection[str]) -> Answer:
    names = row.get("classes")
    if not isinstance(names, list) or not names:
        raise ModelError(f"it names no class; {_FORM}")
    for name in names:
        if not isinstance(name, str) or name not in classes:
            raise ModelError(f"class {name!r:.{_SHOWN}} is not in --classes_file")
    if len(set(names)) < len(names):
        raise ModelError("it names a class twice")
    scores = row.get("scores")
    return Answer(tuple(names), () if scores is None else _read_scores(scores, len(names)))


def _read_scores(scores: Any, count: int) -> tuple[float, ...]:
    if not isinstance(scores, list) or len(scores) != count:
        raise ModelError(f"it has {count} classes, and not as many scores")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise ModelError(f"score {score!r:.{_SHOWN}} is no number")
    if not all(abs(score) <= _LARGEST for score in scores):  # which NaN is not
        raise ModelError("a score is no finite number, or too large")
    found = tuple(map(float, scores))
    if any(worse > better for better, worse in pairwise(found)):
        raise ModelError("its scores rise: the best class comes first")
    return found
