"""JSON lines of predictions: one object per video, with ``classes``, ``scores``, or both.

``{"video_id": "a", "classes": ["best", "second"]}``, ``{"video_id": "a", "scores": {"best": 0.9}}``
or ``{"video_id": "a", "scores": [0.9, 0.1]}``; ``path`` may be used instead of ``video_id``. A JSON
file with a list of such objects is read too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidbench.errors import ConfigError
from vidbench.external.answers import Answers, Name

_SUM = 0.02  # tolerance for the sum of rounded probabilities

Entry = tuple[str, Mapping[str, Any]]
"""The position of an object in the file, for messages, and the object."""


def read_json(path: Path, expected: Collection[str]) -> Answers:
    """Read the predictions of a JSON lines or JSON file.

    Args:
        path: The file.
        expected: The classes that a file with scores of all classes would have.

    Raises:
        ConfigError: The file cannot be read, or its objects have unknown or different forms.
    """
    entries = list(_read_entries(path))
    if not entries:
        raise ConfigError(f"{path} has no predictions: it is empty")
    key = next((name for name in ("video_id", "path") if name in entries[0][1]), None)
    if key is None:
        raise ConfigError(f"{entries[0][0]} has neither video_id nor path")
    keys = [_key(place, entry, key) for place, entry in entries]
    forms = {_form(place, entry): place for place, entry in entries}
    if len(forms) > 1:
        (first, place), (second, _) = list(forms.items())[:2]
        raise ConfigError(
            f"{place} has {first}, and other rows have {second}: all must have the same form"
        )
    (form,) = forms
    if form == "classes":
        rankings = [_ranking(place, entry["classes"]) for place, entry in entries]
        return Answers(keys, key == "path", rankings=rankings)
    if form == "a list of scores":
        return Answers(keys, key == "path", scores=_matrix(path, entries))
    return _read_named(keys, key == "path", [_named(*entry) for entry in entries], expected)


def _read_entries(path: Path) -> Iterator[Entry]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as JSON lines: {error}") from error
    if text.lstrip().startswith("["):
        values = enumerate(_parse(f"{path}", text), 1)
        yield from (_entry(f"{path}, object {number}", value) for number, value in values)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield _entry(place, _parse(place, line))


def _parse(place: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place} is not valid JSON: {error}") from error


def _entry(place: str, value: Any) -> Entry:
    if not isinstance(value, dict):
        raise ConfigError(f"{place} is not an object like {{'video_id': ...}}")
    return place, value


def _key(place: str, entry: Mapping[str, Any], key: str) -> str:
    if key not in entry:
        raise ConfigError(f"{place} has no {key}")
    if not isinstance(entry[key], str | int) or isinstance(entry[key], bool):
        raise ConfigError(f"{place}: {key} is {entry[key]!r:.40}, neither a string nor an integer")
    return str(entry[key])


def _form(place: str, entry: Mapping[str, Any]) -> str:
    classes, scores = entry.get("classes"), entry.get("scores")
    if isinstance(scores, dict) or (isinstance(scores, list) and isinstance(classes, list)):
        return "scores with their classes"
    if isinstance(scores, list):
        return "a list of scores"
    if isinstance(classes, list) and scores is None:
        return "classes"
    raise ConfigError(f"{place} has neither a list of classes nor scores")


def _ranking(place: str, classes: Sequence[Any]) -> tuple[Name, ...]:
    for name in classes:
        is_index = isinstance(name, int) and not isinstance(name, bool)
        if not (
            isinstance(name, str) or is_index or (isinstance(name, float) and name.is_integer())
        ):
            raise ConfigError(f"{place}: {name!r:.40} is neither a class nor its index")
    return tuple(name if isinstance(name, str) else int(name) for name in classes)


def _matrix(path: Path, entries: Sequence[Entry]) -> Any:
    length = len(entries[0][1]["scores"])
    for place, entry in entries:
        if len(entry["scores"]) != length:
            raise ConfigError(f"{place} has {len(entry['scores'])} scores, and the first {length}")
    return np.array([_numbers(place, entry["scores"]) for place, entry in entries])


def _numbers(place: str, scores: Sequence[Any]) -> list[float]:
    for score in scores:
        if not isinstance(score, int | float) or isinstance(score, bool):
            raise ConfigError(f"{place}: {score!r:.40} is not a number")
    return [float(score) for score in scores]


def _named(place: str, entry: Mapping[str, Any]) -> Mapping[Name, float]:
    scores = entry["scores"]
    classes = list(scores) if isinstance(scores, dict) else _ranking(place, entry["classes"])
    values = list(scores.values()) if isinstance(scores, dict) else scores
    if len(classes) != len(values) or len(set(classes)) < len(classes):
        raise ConfigError(
            f"{place}: classes and scores must have the same length, without repeated classes"
        )
    return dict(zip(classes, _numbers(place, values), strict=True))


def _read_named(
    keys: Sequence[str],
    by_path: bool,
    rows: Sequence[Mapping[Name, float]],
    expected: Collection[str],
) -> Answers:
    """Read scores with their classes: as scores if all classes have one, else as a ranking."""
    classes = tuple(rows[0])
    if all(row.keys() == rows[0].keys() for row in rows):
        scores = np.array([[row[name] for name in classes] for row in rows])
        sums_to_1 = bool(len(classes)) and bool((np.abs(scores.sum(axis=1) - 1) <= _SUM).all())
        if sums_to_1 or set(expected) <= {str(name) for name in classes}:
            return Answers(keys, by_path, classes, scores)
    most = max(map(len, rows))
    note = f"scores of up to {most} classes per video, not of all: read as a ranking, best first"
    rankings = [tuple(sorted(row, key=lambda name: -row[name])) for row in rows]
    return Answers(keys, by_path, rankings=rankings, notes=(note,))
