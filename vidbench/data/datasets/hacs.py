"""HACS 1.1.1: segments and clips of actions in long videos, 200 classes.

::

    vidbench evaluate --dataset hacs/segments --dataset_path DIR
    vidbench evaluate --dataset hacs/clips --dataset_path DIR

Segments are whole actions; clips are two seconds that show the action (negative clips are left
out). Each counts as a video, and those of one file are a group.

Zhao, Torralba, Torresani, Yan: HACS: Human Action Clips and Segments Dataset for Recognition and
Temporal Localization. ICCV 2019 (arXiv:1712.09374).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from vidbench.data.datasets._annotated import (
    AnnotatedVideos,
    Entry,
    ListFiles,
    Lists,
    Source,
    load_annotated,
    no_such_list,
    read_text_lines,
)
from vidbench.data.datasets._segments import SPLITS, SUBSETS, read_segments
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.errors import ConfigError

_HEADER = ["classname", "youtube_id", "subset", "start", "end", "label"]
_SHOWS_IT = "1"
_VERSIONS = ("1.1.1", "1.1")


def load(variant: str, split: str, options: FetchOptions) -> AnnotatedVideos:
    """Load the ``segments`` or the ``clips`` of a split.

    Raises:
        ConfigError: There is no such variant or split, no folder is given, or an option does not
            apply.
    """
    if variant not in _SOURCES:
        raise ConfigError(f"hacs has no variant {variant!r}: use hacs/segments or hacs/clips")
    return load_annotated(_SOURCES[variant], "", split, options, f"hacs-{variant}")


def _read_segments(files: ListFiles, split: str) -> Lists:
    return read_segments(files.find(*(f"HACS_segments_v{v}.json" for v in _VERSIONS)), split)


def _read_clips(files: ListFiles, split: str) -> Lists:
    path = files.find(*(f"HACS_clips_v{v}.csv" for v in _VERSIONS))
    table = list(csv.reader(read_text_lines(path)))
    if table[:1] != [_HEADER]:
        raise no_such_list(path, "is not a list of clips", table[:1])
    clips = table[1:]
    classes = {row[0].replace("_", " ") for row in clips if row[0]}
    chosen = [row for row in clips if SUBSETS.get(row[2]) == split and row[5:] == [_SHOWS_IT]]
    entries = dict.fromkeys(_clip(row, path) for row in chosen)
    return Lists(list(entries), tuple(sorted(classes)))


def _clip(row: Sequence[str], path: Path) -> Entry:
    try:
        name, youtube_id, _, start, end, _ = row
        section = float(start), float(end)
    except ValueError as error:
        raise no_such_list(path, "has a line that is not a clip", ",".join(row)) from error
    return Entry(youtube_id, name.replace("_", " "), youtube_id, section)


_SOURCES = {
    "segments": Source(family="hacs", splits=dict.fromkeys(SPLITS), read=_read_segments),
    "clips": Source(family="hacs", splits={"train": None, "val": None}, read=_read_clips),
}

FAMILY = DatasetFamily(
    name="hacs",
    entries=tuple(
        DatasetEntry(
            name=f"hacs/{variant}",
            splits=source.splits,
            num_classes=200,
            source="http://hacs.csail.mit.edu: --dataset_path DIR",
        )
        for variant, source in _SOURCES.items()
    ),
    options=frozenset({"annotations"}),
    variants=tuple(_SOURCES),
    default_variant="segments",
)
