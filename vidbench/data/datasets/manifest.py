"""A manifest: a CSV or Parquet file that names videos, or sections of videos, and their labels.

::

    vidbench evaluate --dataset manifest --dataset_path FILE

========  ==================================================================================
column    what it says
========  ==================================================================================
path      the video, a file or a folder of frames; relative to the manifest's folder, or absolute
label     name of its class; empty where it has none
group     what it was cut from, e.g. a YouTube id; without it, sections of one file are a group
start     where the section that is meant begins, in seconds as a player shows them; empty for 0
end       where it ends, likewise; empty for the video's end
fps       frames per second of a folder of frames; empty for those of ``--frames_fps``
frames    how many frames a folder of frames has: the first so many are taken, and fewer are too few
video_id  what the video is called in results; the path where there is none
========  ==================================================================================

Only ``path`` is required, and other columns do nothing. The manifests of ``vidbench subset`` have
``source_id``, which is read as ``video_id`` where there is none. Videos are taken in the order of
the rows.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from vidbench.data.datasets._local import (
    EVERYTHING,
    Listing,
    LocalVideos,
    name_of,
    refuse_split,
    report_unknown_rate,
    require_path,
)
from vidbench.data.datasets._tables import Row, read_table
from vidbench.data.datasets.base import DatasetCard, FetchOptions
from vidbench.data.records import FrameFolder, Section, VideoRecord
from vidbench.errors import ConfigError

logger = logging.getLogger(__name__)

DEFAULT_SPLIT = EVERYTHING

CARDS = (
    DatasetCard(
        name="manifest",
        splits={EVERYTHING: None},
        num_classes=None,
        size="",
        licence="of your videos",
        source="your list of videos, CSV or Parquet: --dataset_path FILE",
    ),
)

Default = TypeVar("Default")

_MOST_FRAMES = 1e9

_OTHERS = ("label", "group", "start", "end", "fps", "frames", "video_id", "source_id")


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """The videos that the file ``--dataset_path`` lists.

    Raises:
        ConfigError: No file is given, or an option has no meaning here.
    """
    path = require_path("manifest", variant, options, "FILE")
    refuse_split("manifest", split)
    name = name_of("manifest", path.parent / path.stem)
    return LocalVideos(
        name, split, path.parent, options.seed, partial(_list, path, options.frames_fps)
    )


def _list(path: Path, fps: float | None) -> Listing:
    rows = read_table(path, "path", _OTHERS)
    if not rows:
        raise ConfigError(f"{path} lists no video")
    records = tuple(_record(row, path.parent, fps) for row in rows)
    _refuse_twins(rows, records, path.parent)
    labelled = sum(record.label is not None for record in records)
    if 0 < labelled < len(records):
        logger.warning(
            "%s has no label for %d of its %d videos: they are predicted and not scored",
            path,
            len(records) - labelled,
            len(records),
        )
    report_unknown_rate(records)
    return Listing(records)


def _record(row: Row, folder: Path, fps: float | None) -> VideoRecord:
    if not row.cells["path"].strip():
        raise ConfigError(f"{row.place}: the path is empty")
    path = Path(row.cells["path"])
    section, is_folder = _section(row), os.path.isdir(folder / path)  # noqa: PTH112 - any name
    video_id = row.cells["video_id"] or row.cells["source_id"] or path.as_posix()
    label = row.cells["label"]
    return VideoRecord(
        video_id=video_id if section is None else _with_section(video_id, section),
        path=path if is_folder or os.path.isfile(folder / path) else None,  # noqa: PTH113
        label=label if label.strip() else None,
        group=row.cells["group"] or ("" if section is None else path.as_posix()),
        section=section,
        frames=_frames(row, fps) if is_folder else None,
    )


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


def _refuse_twins(rows: Sequence[Row], records: Sequence[VideoRecord], folder: Path) -> None:
    """Refuses rows that name one video: it would count twice."""
    seen: dict[object, str] = {}
    for row, record in zip(rows, records, strict=True):
        file = os.path.normpath(folder / row.cells["path"])
        for key, what in (
            (record.video_id, f"the id {record.video_id!r}"),
            ((file, record.section), f"the video {row.cells['path']!r}"),
        ):
            if (first := seen.setdefault(key, row.place)) != row.place:
                raise ConfigError(f"{row.place} has {what} again, after {first}: drop one of them")
