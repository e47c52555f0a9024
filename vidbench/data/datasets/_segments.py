"""Read labelled segments of long videos, in the JSON format of ActivityNet and HACS.

Format: ``{"database": {ID: {"subset": "training", "annotations": [{"label": ..., "segment":
[start, end]}]}}}``, seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vidbench.data.datasets._annotated import Entry, Lists, no_such_list, read_json

SPLITS = ("train", "val", "test")
SUBSETS = {"training": "train", "validation": "val", "testing": "test"}
"""Splits by their names in the lists."""


def read_segments(path: Path, split: str) -> Lists:
    """Read the segments of a split, video by video; a video without segments is used as a whole.

    A segment that is listed twice with the same class counts once. The classes are those of all
    splits, sorted.

    Raises:
        ConfigError: The file is not such a list.
    """
    content = read_json(path)
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict):
        raise no_such_list(path, "has no database of videos", content)
    classes: set[str] = set()
    entries: dict[Entry, None] = {}
    for video_id, video in database.items():
        try:
            segments = list(_segments(video_id, video))
            subset = SUBSETS.get(video["subset"], video["subset"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise no_such_list(path, f"has no segments of {video_id}", video) from error
        classes |= {entry.label for entry in segments if entry.label is not None}
        if subset == split:
            entries.update(dict.fromkeys(segments))
    return Lists(list(entries), tuple(sorted(classes)))


def _segments(video_id: str, video: Mapping[str, Any]) -> Iterator[Entry]:
    annotations = video["annotations"]
    if not annotations:
        yield Entry(video_id, None)
    for annotation in annotations:
        start, end = (max(0.0, float(second)) for second in annotation["segment"])
        yield Entry(video_id, str(annotation["label"]), video_id, (start, end))
