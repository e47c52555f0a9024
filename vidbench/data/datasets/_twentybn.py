"""The lists of Jester and of the first Something-Something: an id and a class, ``;`` between them.

As published by TwentyBN (``jester-v1-train.csv``), by Qualcomm (``labels/train.csv``), and by
mirrors of them with a header and commas (``Train.csv``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidbench.data.datasets._annotated import (
    Entry,
    ListFiles,
    Lists,
    no_such_list,
    read_text_lines,
)

SPLITS = ("train", "val", "test")

FPS = 12.0
"""Frames per second of both, as their authors extracted them."""

_WORDS = {"train": "train", "val": "validation", "test": "test"}


def read_lists(files: ListFiles, split: str, name: str) -> Lists:
    """The videos of a split, labelled where some list has labels for it.

    Args:
        files: Finds the lists.
        split: ``train``, ``val`` or ``test``.
        name: What the names of the lists begin with, e.g. ``jester-v1``.

    Raises:
        ConfigError: A list is missing or is none.
    """
    word = _WORDS[split]
    names = [f"{name}-{word}.csv", f"{word}.csv"]
    if split == "test" and (answers := files.look_for(f"{name}-test-answers.csv",
                                                      "test-answers.csv")):  # fmt: skip
        path = answers
    else:
        path = files.find(*names)
    rows = list(_rows(path))
    classes = _classes(files, name, rows)
    return Lists([Entry(row[0], row[1] or None, num_frames=row[2]) for row in rows], classes)


_Row = tuple[str, str, int | None]


def _rows(path: Path) -> Iterator[_Row]:
    """Id, class (empty where there is none) and count of frames of each line."""
    lines = read_text_lines(path)
    separator = ";" if lines and ";" in lines[0] else ","
    table = list(csv.reader(lines, delimiter=separator))
    header = [cell.strip().lower() for cell in table[0]] if table else []
    columns = {"id": 0, "label": 1}
    if "label" in header and header[0] in ("id", "video_id"):
        columns = {"id": 0} | {name: place for place, name in enumerate(header)}
        table = table[1:]
    for cells in table:
        found = {n: cells[place].strip() for n, place in columns.items() if place < len(cells)}
        if not found.get("id"):
            raise no_such_list(path, "is no list of ids and classes", separator.join(cells))
        count = found.get("frames", "")
        yield found["id"], found.get("label", ""), int(count) if count.isdecimal() else None


def _classes(files: ListFiles, name: str, rows: Sequence[_Row]) -> tuple[str, ...]:
    """The official list; where a mirror has none, the classes that occur, by name."""
    path = files.look_for(f"{name}-labels.csv", "labels.csv")
    if path is None:
        return tuple(sorted({label for _, label, _ in rows if label}))
    return tuple(dict.fromkeys(line.strip('"') for line in read_text_lines(path)))
