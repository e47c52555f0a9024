"""CSV files of predictions: a ranking in ``pred_1`` to ``pred_n``, or scores in a column per class.

The delimiter is a comma, semicolon or tab, whichever is most frequent in the header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.external.answers import Answers, Name
from vidbench.storage.csv_cells import unescape_cell

# Columns other than scores, unless a class has that name; pandas writes its index without a name.
_BESIDE = ("", "index", "video_id", "path", "label", "target", "group", "note", "view", "split")
_RANK = re.compile(r"(?:pred|score)_\d+")

Cells = Mapping[str, str]


def read_csv(path: Path, expected: Collection[str]) -> Answers:
    """Read the predictions of a CSV file.

    Args:
        path: The file.
        expected: The classes that a file with scores of all classes would have.

    Raises:
        ConfigError: The file cannot be read, or its columns have neither of the two forms.
    """
    rows = _read_rows(path)
    first = next(rows, None)
    if first is None:
        raise ConfigError(f"{path} has no predictions: there is no row below the header")
    header, rows = list(first[1]), chain([first], rows)
    key = next((name for name in ("video_id", "path") if name in header), None)
    if key is None:
        raise ConfigError(
            f"{path} has no column video_id or path: it begins with {','.join(header)[:80]!r}"
        )
    if "pred_1" in header:
        columns = _rank_columns(path, header)
        ranked = [(cells[key], _ranking(place, cells, columns)) for place, cells in rows]
        return Answers([k for k, _ in ranked], key == "path", rankings=[r for _, r in ranked])
    names = _score_columns(path, header, expected)
    scored = [(cells[key], _scores(place, cells, names)) for place, cells in rows]
    scores = np.array([numbers for _, numbers in scored])
    return Answers([k for k, _ in scored], key == "path", tuple(names), scores)


def _read_rows(path: Path) -> Iterator[tuple[str, Cells]]:
    """Yield the position of each row, for messages, and its cells by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            lines = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            header = [unescape_cell(name.strip()) for name in next(lines, [])]
            if len(set(header)) < len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise ConfigError(f"{path} has the column {twice!r} twice")
            for cells in filter(None, lines):
                place = f"{path}, line {lines.line_num}"
                if len(cells) != len(header):
                    raise ConfigError(
                        f"{place} has {len(cells)} cells, and the header {len(header)}: a cell "
                        "with a comma in it needs quotes"
                    )
                yield place, dict(zip(header, map(unescape_cell, cells), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error


def _rank_columns(path: Path, header: Sequence[str]) -> list[str]:
    given = sum(name.startswith("pred_") for name in header)
    if "pred_0" in header:
        raise ConfigError(f"{path} has a column pred_0: the best class must be in pred_1")
    columns = list(takewhile(set(header).__contains__, (f"pred_{k + 1}" for k in range(given))))
    if len(columns) < given:
        raise ConfigError(f"{path} has no column pred_{len(columns) + 1}, but later ones")
    return columns


def _score_columns(path: Path, header: Sequence[str], expected: Collection[str]) -> list[str]:
    others = [name for name in header if name not in _BESIDE and not _RANK.fullmatch(name)]
    names = [name for name in header if name in others or name in expected]
    if not names:
        raise ConfigError(f"{path} has neither pred_1 nor columns of scores with class names")
    return names


def _ranking(place: str, cells: Cells, columns: Sequence[str]) -> tuple[Name, ...]:
    ranking = [cells[name].strip() for name in columns]
    ranked = list(takewhile(bool, ranking))
    if any(ranking[len(ranked) :]):
        raise ConfigError(f"{place}: pred_{len(ranked) + 1} is empty, and a later one is not")
    scores = [cells.get(f"score_{k + 1}", "") for k in range(len(ranked))]
    if all(scores) and sorted(scores, key=lambda text: -_number(place, text)) != scores:
        raise ConfigError(
            f"{place}: the scores {', '.join(scores)[:80]} must be in falling order, best first"
        )
    return tuple(ranked)


def _scores(place: str, cells: Cells, names: Sequence[str]) -> NDArray[np.float64]:
    """Scores as an array, so that a large file needs no more memory than its scores."""
    try:
        return np.array([float(cells[name]) for name in names])
    except ValueError:
        return np.array([_number(f"{place}, column {name!r}", cells[name]) for name in names])


def _number(place: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(
            f"{place}: {text[:40]!r} is not a number, and every column except "
            f"{', '.join(filter(None, _BESIDE))} is the score of a class; a ranking is in pred_1, "
            "pred_2 and so on"
        ) from error
