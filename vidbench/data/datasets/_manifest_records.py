"""Convert rows of a list to records of videos, sections and folders of frames."""

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
    """Convert a row to a video record.

    Args:
        row: A row with the columns of :data:`vidbench.data.datasets.manifest.COLUMNS`.
        folder: Base of relative paths.
        fps: Frames per second of folders of frames whose row states none.

    Raises:
        ConfigError: The row has no path, or an invalid section or number.
    """
    if not row.cells["path"].strip():
        raise ConfigError(f"{row.place}: the path is empty")
    path = Path(row.cells["path"])
    joined = os.path.join(folder, path)  # noqa: PTH118 - lists are long, and Path is slow
    is_folder = os.path.isdir(joined)  # noqa: PTH112 - takes any name
    frames = _frames(row, fps) if is_folder else None
    section = _section(row) if not row.cells["offset"] else _section_of_frames(row, frames)
    video_id = row.cells["video_id"] or row.cells["source_id"] or path.as_posix()
    label = row.cells["label"]
    return VideoRecord(
        video_id=video_id if section is None else _with_section(video_id, section),
        path=path if is_folder or os.path.isfile(joined) else None,  # noqa: PTH113
        label=label if label.strip() else None,
        group=row.cells["group"] or ("" if section is None else path.as_posix()),
        section=section,
        frames=frames._replace(num_frames=None) if frames and row.cells["offset"] else frames,
    )


def _section_of_frames(row: Row, frames: FrameFolder | None) -> Section:
    """Section that starts after ``offset`` frames and has ``frames`` of them.

    Its ends are halfway between two frames, so that rounding does not change which are included.

    Raises:
        ConfigError: The numbers are invalid.
    """
    offset = _number(row, "offset", "number of frames", 0.0)
    count = _number(row, "frames", "count", 0.0)
    fps = (frames and frames.fps) or USUAL_FPS
    if not 0 <= offset < _MOST_FRAMES or count < 1:
        raise ConfigError(f"{row.place}: {count:g} frames from {offset:g} on is not a section")
    return max(0.0, round((offset - 0.5) / fps, 6)), round((offset + count - 0.5) / fps, 6)


def _frames(row: Row, fps: float | None) -> FrameFolder:
    """Rate and number of frames of a folder of frames.

    Raises:
        ConfigError: The rate or the number is invalid.
    """
    rate, count = _number(row, "fps", "rate", fps), _number(row, "frames", "count", None)
    if rate is not None and not 0 < rate < math.inf:
        raise ConfigError(f"{row.place}: fps is {rate:g}, not a frame rate above 0")
    if count is not None and not (1 <= count < _MOST_FRAMES and count == int(count)):
        raise ConfigError(f"{row.place}: frames is {count:g}, not a number of frames")
    return FrameFolder(rate, None if count is None else int(count))


def _section(row: Row) -> Section | None:
    """Section of a row; None for the whole video.

    Raises:
        ConfigError: The section is invalid.
    """
    start = _number(row, "start", "number of seconds", 0.0)
    end = _number(row, "end", "number of seconds", math.inf)
    if not 0 <= start < end or start == math.inf:
        raise ConfigError(f"{row.place}: a section from {start:g} to {end:g} s has no frames")
    return None if (start, end) == (0, math.inf) else (start, end)


def _number(row: Row, column: str, what: str, default: Default) -> float | Default:
    text = row.cells[column].strip()
    try:
        return float(text) + 0.0 if text else default  # -0.0 becomes 0.0
    except ValueError as error:
        shown = f"{text!r:.40}"
        raise ConfigError(f"{row.place}: {column} is {shown}, not a {what}") from error


def _with_section(video_id: str, section: Section) -> str:
    """Append the exact section to an id, e.g. ``a.mp4@1.5-4``, unless it has it already."""
    suffix = "@" + "-".join(repr(second).removesuffix(".0") for second in section)
    return video_id if video_id.endswith(suffix) else video_id + suffix


def refuse_twins(rows: Sequence[Row], records: Sequence[VideoRecord], folder: Path) -> None:
    """Raise ConfigError if two rows name the same video: it would count twice."""
    seen: dict[object, str] = {}
    for row, record in zip(rows, records, strict=True):
        file = os.path.normpath(os.path.join(folder, row.cells["path"]))  # noqa: PTH118
        for key, what in (
            (record.video_id, f"the id {record.video_id!r}"),
            ((file, record.section), f"the video {row.cells['path']!r}"),
        ):
            if (first := seen.setdefault(key, row.place)) != row.place:
                raise ConfigError(f"{row.place} repeats {what} of {first}: remove one of them")
