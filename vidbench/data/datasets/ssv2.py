"""Something-Something v2: 174 classes of what people do with things.

::

    vidbench evaluate --dataset ssv2 --dataset_path DIR

The videos are ``20bn-something-something-v2/<id>.webm``, with the JSON lists beside them.

The class of a video is its template without brackets: ``Putting something onto something``.
V-JEPA 2's heads keep the brackets; :func:`vidbench.labels.alignment.align` treats both as equal.

Goyal et al.: The "something something" video database for learning and evaluating visual common
sense. ICCV 2017 (arXiv:1706.04261).
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

from vidbench.data.datasets._annotated import (
    Entry,
    ListFiles,
    Lists,
    Source,
    declare,
    load_annotated,
    no_such_list,
    read_json,
    read_text_lines,
)
from vidbench.labels.alignment import without_brackets

_NAME = "something-something-v2"
_WORDS = {"train": "train", "val": "validation", "test": "test"}


def _read(files: ListFiles, split: str) -> Lists:
    classes = _classes(files.beside(f"{_NAME}-labels.json", "labels.json"))
    word = _WORDS[split]
    answers = files.look_for("test-answers.csv") if split == "test" else None
    if answers is not None:
        rows = csv.reader(read_text_lines(answers), delimiter=";")
        return Lists([Entry(row[0], without_brackets(row[1])) for row in rows if row[1:]], classes)
    path = files.find(f"{_NAME}-{word}.json", f"{word}.json")
    items = read_json(path)
    if not isinstance(items, list):
        raise no_such_list(path, "is not a list of videos", items)
    return Lists([_entry(item, path) for item in items], classes)


def _entry(item: Any, path: Path) -> Entry:
    try:
        template = item.get("template")
        return Entry(str(item["id"]), None if template is None else without_brackets(template))
    except (KeyError, TypeError, AttributeError) as error:
        raise no_such_list(path, "has a video without id", item) from error


def _classes(path: Path) -> tuple[str, ...]:
    """Read the class names of ``labels.json`` in the order of the indices that it maps them to."""
    indices = read_json(path)
    try:
        return tuple(sorted(indices, key=lambda name: int(indices[name])))
    except (TypeError, ValueError) as error:
        raise no_such_list(path, "does not map classes to indices", indices) from error


_SPLITS = {"train": 168913, "val": 24777, "test": 27157}
_SOURCE = Source(family="ssv2", splits=_SPLITS, read=_read)

load = partial(load_annotated, _SOURCE)

FAMILY = declare(
    _SOURCE,
    num_classes=174,
    size="19.4 GB",
    licence="free for academic research, as its page states",
    source="developer.qualcomm.com: --dataset_path DIR",
)
