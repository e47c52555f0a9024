"""Read Kinetics annotation files and clip names."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.data.datasets._manifest_rows import find_columns
from vidbench.data.datasets._split_words import split_of
from vidbench.errors import FetchError

_CLIP_NAME = re.compile(r"(?P<youtube_id>.{11})_(?P<start>\d{6})_(?P<end>\d{6})\.mp4")

_COLUMNS = {
    "youtube_id": ("youtube_id", "video-id", "video_id"),
    "time_start": ("time_start", "start-time", "start_time"),
    "time_end": ("time_end", "end-time", "end_time"),
    "label": ("label", "label-name", "label_name"),
    "split": ("split", "subset"),
}
"""Names of each column: those of the published lists, then those of the download scripts in
https://github.com/activitynet/ActivityNet/tree/master/Crawler/Kinetics."""
_REQUIRED = ("youtube_id", "time_start", "time_end")
_SHOWN = 80  # characters of unexpected content in a message


class ClipKey(NamedTuple):
    """Identity of a clip: six K600 videos are listed twice, with different starts and labels."""

    youtube_id: str
    start_seconds: int


class Annotation(NamedTuple):
    """One line of an annotation file."""

    key: ClipKey
    end_seconds: int
    label: str | None
    split: str | None = None

    @property
    def video_id(self) -> str:
        """The clip's file name on the server, without its suffix."""
        return f"{self.key.youtube_id}_{self.key.start_seconds:06d}_{self.end_seconds:06d}"


def parse_name(name: str) -> ClipKey | None:
    """Parse the key from a clip's file name; None if it is not named like a clip."""
    match = _CLIP_NAME.fullmatch(name)
    return None if match is None else ClipKey(match["youtube_id"], int(match["start"]))


def is_json(path: Path) -> bool:
    """Whether the file begins like JSON; False if it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(_SHOWN).lstrip().startswith("{")
    except (OSError, UnicodeDecodeError):
        return False


def is_annotation_file(path: Path) -> bool:
    """Whether the file begins like a Kinetics annotation file; False if it is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            begin = file.read(1000)
    except (OSError, UnicodeDecodeError):
        return False
    if begin.lstrip().startswith("{"):
        return '"annotations"' in begin and '"segment"' in begin
    lines = begin.splitlines()[:1]
    header: list[str] = next(csv.reader(lines, delimiter=_delimiter(begin)), [])
    return set(_REQUIRED) <= find_columns(header, _COLUMNS).keys()


def read_annotations(path: Path, split: str | None = None) -> dict[ClipKey, Annotation]:
    """Read the clips of an annotation file, CSV or JSON; labels are None if it has none.

    The published lists exist in both forms: CSV with a header, and JSON that maps YouTube ids to
    ``annotations`` (``label`` and ``segment``) and ``subset``.

    Args:
        path: The file; JSON is recognised by content.
        split: Leave out clips of other splits; None for all.

    Raises:
        FetchError: The file is not such a list, has no clip of the split, or has two labels for
            one clip.
    """
    annotations: dict[ClipKey, Annotation] = {}
    others: set[str] = set()
    for annotation in _read(path):
        if split is not None and (annotation.split or split) != split:
            others.add(annotation.split or "")
        elif annotations.setdefault(annotation.key, annotation).label != annotation.label:
            raise FetchError(f"{path} has two labels for {annotation.video_id!r}")
    if others and not annotations:
        raise FetchError(f"{path} lists videos of {', '.join(sorted(others))}, none of {split}")
    return annotations


def _read(path: Path) -> Iterator[Annotation]:
    try:
        text = path.read_text("utf-8-sig")
        if text.lstrip().startswith("{"):
            yield from _read_json(json.loads(text), path)
        else:
            file = io.StringIO(text, newline="")
            yield from _read_csv(csv.reader(file, delimiter=_delimiter(text)), path)
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise FetchError(f"{path} is not a Kinetics annotation file: {error}") from error


def _delimiter(text: str) -> str:
    """Delimiter of the first line: commas, or a spreadsheet's semicolons or tabs."""
    return max(",;\t", key=text.partition("\n")[0].count)


def _read_csv(lines: Any, path: Path) -> Iterator[Annotation]:
    header: list[str] = next(lines, [])
    columns = find_columns(header, _COLUMNS)
    if not set(_REQUIRED) <= columns.keys():
        begin = ",".join(header)[:_SHOWN]
        raise FetchError(f"{path} is not a Kinetics annotation file: it begins with {begin!r}")
    for cells in lines:
        if cells:
            row = {name: cells[index] for name, index in columns.items() if index < len(cells)}
            yield _annotation(row, f"{path}, line {lines.line_num}")


def _read_json(content: Any, path: Path) -> Iterator[Annotation]:
    videos = content.get("database", content)
    if not isinstance(videos, dict):
        raise FetchError(f"{path} is not a Kinetics annotation file: it does not map video ids")
    for youtube_id, video in videos.items():
        place = f"{path}, video {youtube_id!r}"
        try:
            clips = video["annotations"]
            for clip in clips if isinstance(clips, list) else [clips]:
                start, end = clip["segment"]
                row = {"youtube_id": youtube_id, "time_start": start, "time_end": end}
                row |= {"label": clip.get("label") or "", "split": video.get("subset") or ""}
                yield _annotation(row, place)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FetchError(f"{place}: no annotations with label and segment") from error


def _annotation(row: Mapping[str, Any], place: str) -> Annotation:
    try:
        start, end = (int(float(row.get(name, ""))) for name in ("time_start", "time_end"))
        key = ClipKey(row.get("youtube_id") or "", start)
    except (ValueError, OverflowError, TypeError) as error:  # also for nan and inf
        raise FetchError(f"{place}: {error}") from error
    split = str(row.get("split") or "")
    return Annotation(key, end, row.get("label") or None, split_of(split) or split or None)
