"""Rows of a list become records of videos, sections and folders of frames."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from vidbench.data.datasets._manifest_rows import Row
from vidbench.data.records import FrameFolder, Section, VideoRecord
from vidbench.errors import ConfigError
from vidbench.storage.frame_folder import USUAL_FPS

Default = TypeVar("Default")

_MOST_FRAMES = 1e9


def record_of(row: Row, folder: Path, fps: float | None) -> VideoRecord:
    """The video that a row names.

    Args:
        row: With the columns of :data:`vidbench.data.datasets.manifest.COLUMNS`.
        folder: Relative paths are below it.
        fps: Frames per second of folders of frames whose row says nothing.

    Raises:
        ConfigError: The row has no path, or a section or a number that no video can have.
    """
    if not row.cells["path"].strip():
        raise ConfigError(f"{row.place}: the path is empty")
    path = Path(row.cells["path"])
    place = os.path.join(folder, path)  # noqa: PTH118 - lists are long, and a Path takes its time
    is_folder = os.path.isdir(place)  # noqa: PTH112 - takes any name
    frames = _frames(row, fps) if is_folder else None
    section = _section(row) if not row.cells["offset"] else _section_of_frames(row, frames)
    video_id = row.cells["video_id"] or row.cells["source_id"] or path.as_posix()
    label = row.cells["label"]
    return VideoRecord(
        video_id=video_id if section is None else _with_section(video_id, section),
        path=path if is_folder or os.path.isfile(place) else None,  # noqa: PTH113
        label=label if label.strip() else None,
        group=row.cells["group"] or ("" if section is None else path.as_posix()),
        section=section,
        frames=frames._replace(num_frames=None) if frames and row.cells["offset"] else frames,
    )


def _section_of_frames(row: Row, frames: FrameFolder | None) -> Section:
    """The part that begins behind ``offset`` frames and has ``frames`` of them.

    Its ends lie in the middle between two frames, so that no rounding moves one over them.

    Raises:
        ConfigError: The numbers are none.
    """
    offset = _number(row, "offset", "number of frames", 0.0)
    count = _number(row, "frames", "count", 0.0)
    fps = (frames and frames.fps) or USUAL_FPS
    if not 0 <= offset < _MOST_FRAMES or count < 1:
        raise ConfigError(f"{row.place}: {count:g} frames from {offset:g} on are no section")
    return max(0.0, round((offset - 0.5) / fps, 6)), round((offset + count - 0.5) / fps, 6)


def _frames(row: Row, fps: float | None) -> FrameFolder:
    """What the row says of a folder of frames.

    Raises:
        ConfigError: The rate or the count is none.
    """
    own, count = _number(row, "fps", "rate", fps), _number(row, "frames", "count", None)
    if own is not None and not 0 < own < math.inf:
        raise ConfigError(f"{row.place}: fps is {own:g}, no frames per second")
    if count is not None and not (1 <= count < _MOST_FRAMES and count == int(count)):
        raise ConfigError(f"{row.place}: frames is {count:g}, no count of frames")
    return FrameFolder(own, None if count is None else int(count))


def _section(row: Row) -> Section | None:
    """The part that the row means; None for the whole video.

    Raises:
        ConfigError: No video can have it.
    """
    start = _number(row, "start", "number of seconds", 0.0)
    end = _number(row, "end", "number of seconds", math.inf)
    if not 0 <= start < end or start == math.inf:
        raise ConfigError(f"{row.place}: a section from {start:g} to {end:g} s has no frames")
    return None if (start, end) == (0, math.inf) else (start, end)


def _number(row: Row, column: str, what: str, default: Default) -> float | Default:
    text = row.cells[column].strip()
    try:
        return float(text) + 0.0 if text else default  # no -0.0, which looks different
    except ValueError as error:
        shown = f"{text!r:.40}"
        raise ConfigError(f"{row.place}: {column} is {shown}, no {what}") from error


def _with_section(video_id: str, section: Section) -> str:
    """The id with the exact section behind it, e.g. ``a.mp4@1.5-4``, unless it is there already."""
    suffix = "@" + "-".join(repr(second).removesuffix(".0") for second in section)
    return video_id if video_id.endswith(suffix) else video_id + suffix


def refuse_twins(rows: Sequence[Row], records: Sequence[VideoRecord], folder: Path) -> None:
    """Refuses rows that name one video: it would count twice."""
    seen: dict[object, str] = {}
    for row, record in zip(rows, records, strict=True):
        file = os.path.normpath(os.path.join(folder, row.cells["path"]))  # noqa: PTH118
        for key, what in (
            (record.video_id, f"the id {record.video_id!r}"),
            ((file, record.section), f"the video {row.cells['path']!r}"),
        ):
            if (first := seen.setdefault(key, row.place)) != row.place:
                raise ConfigError(f"{row.place} has {what} again, after {first}: drop one of them")
