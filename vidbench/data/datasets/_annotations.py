"""Annotation files of Kinetics, and the names of its clips."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from vidbench.errors import FetchError

_CLIP_NAME = re.compile(r"(?P<youtube_id>.{11})_(?P<start>\d{6})_(?P<end>\d{6})\.mp4")


class ClipKey(NamedTuple):
    """What identifies a clip: six K600 videos are listed twice, with other starts and labels."""

    youtube_id: str
    start_seconds: int


class Annotation(NamedTuple):
    """One line of an annotation file."""

    key: ClipKey
    end_seconds: int
    label: str | None

    @property
    def video_id(self) -> str:
        """The clip's file name on the server, without its suffix."""
        return f"{self.key.youtube_id}_{self.key.start_seconds:06d}_{self.end_seconds:06d}"


def parse_name(name: str) -> ClipKey | None:
    """The key in a clip's file name, or None if it is not named like a clip."""
    match = _CLIP_NAME.fullmatch(name)
    return None if match is None else ClipKey(match["youtube_id"], int(match["start"]))


def read_annotations(path: Path) -> dict[ClipKey, Annotation]:
    """The lines of an official annotation file, by clip; labels are None where it has none.

    Raises:
        FetchError: The file is no such list, or gives one clip two labels.
    """
    annotations: dict[ClipKey, Annotation] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for annotation in _read(csv.DictReader(file), path):
                if annotations.setdefault(annotation.key, annotation).label != annotation.label:
                    raise FetchError(f"{path} gives {annotation.video_id!r} two labels")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FetchError(f"{path} is no Kinetics annotation file: {error}") from error
    return annotations


def _read(rows: csv.DictReader[str], path: Path) -> Iterator[Annotation]:
    names = rows.fieldnames or ()
    if not {"youtube_id", "time_start", "time_end"} <= set(names):
        begin = ",".join(names)[:80]
        raise FetchError(f"{path} is no Kinetics annotation file: it begins {begin!r}")
    for row in rows:
        yield _annotation(row, path, rows.line_num)


def _annotation(row: Mapping[str, str | None], path: Path, line: int) -> Annotation:
    try:
        start, end = (int(float(row[name] or "")) for name in ("time_start", "time_end"))
        key = ClipKey(row["youtube_id"] or "", start)
    except (ValueError, OverflowError) as error:  # of nan and of inf
        raise FetchError(f"{path}, line {line}: {error}") from error
    return Annotation(key, end, row.get("label") or None)
