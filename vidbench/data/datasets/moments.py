"""Moments in Time: three-second events, 339 classes in the first version.

::

    vidbench evaluate --dataset moments --dataset_path DIR

The videos are ``training/<class>/<name>.mp4`` or ``validation/...``, with the lists beside them.

Monfort et al.: Moments in Time Dataset: one million videos for event understanding. TPAMI 2019
(arXiv:1801.03150).
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path, PurePosixPath

from vidbench.data.datasets._annotated import (
    Entry,
    ListFiles,
    Lists,
    Source,
    declare,
    load_annotated,
    no_such_list,
    read_text_lines,
)

_NAMES = {"train": "trainingSet.csv", "val": "validationSet.csv"}


def _read(files: ListFiles, split: str) -> Lists:
    classes = _classes(files.beside("moments_categories.txt"))
    path = files.find(_NAMES[split])
    return Lists([_entry(row, path) for row in csv.reader(read_text_lines(path))], classes)


def _entry(row: list[str], path: Path) -> Entry:
    """Convert a row to a video; the first cell has folder and name, the second the class."""
    name = PurePosixPath(row[0].strip())
    label = row[1].strip() if len(row) > 1 else name.parent.name
    if not name.name or not label:
        raise no_such_list(path, "has a line without a video and its class", ",".join(row))
    return Entry(name.with_suffix("").as_posix(), label)


def _classes(path: Path) -> tuple[str, ...]:
    """The names of ``name,index`` lines, in the order of their indices."""
    indices: dict[str, int] = {}
    for line in read_text_lines(path):
        name, _, index = line.rpartition(",")
        if not name or not index.strip().isdecimal():
            raise no_such_list(path, "is not a list of classes and indices", line)
        indices[name] = int(index)
    return tuple(sorted(indices, key=indices.__getitem__))


_SOURCE = Source(family="moments", splits={"train": None, "val": None}, read=_read)

load = partial(load_annotated, _SOURCE)

FAMILY = declare(
    _SOURCE,
    licence="its own: license.txt beside the videos",
    source="http://moments.csail.mit.edu: --dataset_path DIR",
)
