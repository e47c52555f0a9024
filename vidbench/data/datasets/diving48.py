"""Diving48 (version 2 of its labels): competitive dives in 48 similar classes.

::

    vidbench evaluate --dataset diving48 --dataset_path DIR

The videos are ``rgb/<name>.mp4``, with ``Diving48_V2_<split>.json`` beside them.

A class is a list of four attributes, and its name is that list in Python notation, as in V-JEPA 2's
heads: ``['Inward', '35som', 'NoTwis', 'TUCK']``.

Li, Li, Vasconcelos: RESOUND: Towards Action Recognition without Representation Bias. ECCV 2018.
"""

from __future__ import annotations

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
)
from vidbench.labels.class_lists import load_classes

_SERVER = "http://www.svcl.ucsd.edu/projects/resound"


def _read(files: ListFiles, split: str) -> Lists:
    vocabulary = files.look_for("Diving48_vocab.json")
    classes = load_classes("diving48") if vocabulary is None else _classes(vocabulary)
    path = files.find(f"Diving48_V2_{split}.json")
    items = read_json(path)
    if not isinstance(items, list):
        raise no_such_list(path, "is not a list of videos", items)
    return Lists([_entry(item, classes, path) for item in items], classes)


def _entry(item: Any, classes: tuple[str, ...], path: Path) -> Entry:
    """Convert an item to a video; videos whose names differ only in the last number are a group."""
    try:
        name, index = str(item["vid_name"]), int(item["label"])
    except (KeyError, TypeError, ValueError) as error:
        raise no_such_list(path, "has a video without vid_name and label", item) from error
    if not 0 <= index < len(classes):
        raise no_such_list(path, f"has a class index outside of {len(classes)} classes", item)
    return Entry(name, classes[index], group=name.rpartition("_")[0])


def _classes(path: Path) -> tuple[str, ...]:
    classes = read_json(path)
    if not isinstance(classes, list) or not all(isinstance(parts, list) for parts in classes):
        raise no_such_list(path, "is not a list of class attributes", classes)
    return tuple(str(parts) for parts in classes)


_SOURCE = Source(family="diving48", splits={"train": None, "test": None}, read=_read)

load = partial(load_annotated, _SOURCE)

FAMILY = declare(
    _SOURCE,
    default_split="test",
    num_classes=48,
    source=f"{_SERVER}: --dataset_path DIR",
)
