"""Read the lists of Jester and Something-Something v1: id and class, separated by ``;``.

Published by TwentyBN (``jester-v1-train.csv``), by Qualcomm (``labels/train.csv``), and by mirrors
with a header and commas (``Train.csv``).
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
"""Frames per second at which the authors of both extracted them."""

_WORDS = {"train": "train", "val": "validation", "test": "test"}


def read_lists(files: ListFiles, split: str, name: str) -> Lists:
    """Read the videos of a split, with labels if a list has them.

    Args:
        files: Finds the lists.
        split: ``train``, ``val`` or ``test``.
        name: Prefix of the lists' names, e.g. ``jester-v1``.

    Raises:
        ConfigError: A list is missing or invalid.
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
    """Yield id, class (empty if unknown) and number of frames of each line."""
    lines = read_text_lines(path)
    separator = ";" if lines and ";" in lines[0] else ","
    table = list(csv.reader(lines, delimiter=separator))
    header = [cell.strip().lower() for cell in table[0]] if table else []
    columns = {"id": 0, "label": 1}
    if "label" in header and header[0] in ("id", "video_id"):
        columns = {"id": 0} | {name: index for index, name in enumerate(header)}
        table = table[1:]
    for cells in table:
        row = {name: cells[i].strip() for name, i in columns.items() if i < len(cells)}
        if not row.get("id"):
            raise no_such_list(path, "is not a list of ids and classes", separator.join(cells))
        count = row.get("frames", "")
        yield row["id"], row.get("label", ""), int(count) if count.isdecimal() else None


def _classes(files: ListFiles, name: str, rows: Sequence[_Row]) -> tuple[str, ...]:
    """The official class list; if a mirror has none, the classes that occur, sorted."""
    path = files.look_for(f"{name}-labels.csv", "labels.csv")
    if path is None:
        return tuple(sorted({label for _, label, _ in rows if label}))
    return tuple(dict.fromkeys(line.strip('"') for line in read_text_lines(path)))
