"""A list of videos, or of sections of videos, with labels: a table, or another program's list.

::

    vidbench evaluate --dataset manifest --dataset_path FILE

A table is CSV (with commas, semicolons or tabs) or Parquet, with a header:

========  ==================================================================================
column    meaning
========  ==================================================================================
path      the video, a file or a folder of frames; relative to the list's folder or
          ``--videos_path``, or absolute
label     class name, or index in ``--classes_file``; empty if unknown
group     source that it was cut from, e.g. a YouTube id; default: sections of one file are a group
start     start of the section, in seconds of playing time; empty for 0
end       end of the section, in seconds of playing time; empty for the video's end
fps       frames per second of a folder of frames; empty for the value of ``--frames_fps``
frames    number of frames of a folder of frames: further files are ignored, fewer are an error
video_id  name of the video in results; empty for its path
========  ==================================================================================

Only ``path`` is required (also under other names, such as ``file_name``), and unknown columns are
ignored. The manifests of ``vidbench subset`` have ``source_id``, which is used if there is no
``video_id``. Videos are taken in the order of the rows.

Lists without a header are read by :mod:`vidbench.data.datasets._peer_lists`, and JSON by
:mod:`vidbench.data.datasets._fiftyone`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vidbench.data.datasets._class_indices import name_labels, refuse_other_folders
from vidbench.data.datasets._fiftyone import read_labels
from vidbench.data.datasets._local_videos import (
    Listing,
    LocalVideos,
    declare,
    name_of,
    refuse_split,
    report_unknown_rate,
    require_path,
)
from vidbench.data.datasets._lost import tell_places
from vidbench.data.datasets._manifest_records import record_of, refuse_twins
from vidbench.data.datasets._manifest_rows import (
    Row,
    Table,
    find_delimiter,
    is_parquet,
    read_csv,
    read_parquet,
    read_text,
)
from vidbench.data.datasets._peer_lists import read_list
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.labels.class_lists import are_indices, find_classes

logger = logging.getLogger(__name__)

FAMILY = declare(
    "manifest",
    "your list of videos, CSV, Parquet or a peer's: --dataset_path FILE",
    options=frozenset({"classes_file", "videos_path"}),
    is_list=True,
)

COLUMNS = {
    "path": (
        *("path", "file_name", "filename", "filepath", "file_path", "file"),
        *("video_path", "video"),
    ),
    "label": ("label", "class", "class_name", "label_name", "category", "action"),
    "group": ("group",),
    "start": ("start",),
    "end": ("end",),
    "video_id": ("video_id",),
    "source_id": ("source_id",),
    "fps": ("fps",),
    "frames": ("frames",),
    "offset": ("offset",),
}
"""Names of each column, the best first."""

_NO_LABEL = "-1"  # index of mmaction2, SlowFast and PyTorchVideo for no label


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """Load the videos that the file ``--dataset_path`` lists.

    Raises:
        ConfigError: No file is given, or an option does not apply.
    """
    path = require_path("manifest", variant, options, "FILE")
    refuse_split("manifest", split)
    name = name_of("manifest", path.parent / path.stem)
    folder = options.videos_path or path.parent
    read = partial(_list, path, folder, options)
    return LocalVideos(name, split, folder, options.seed, read)


def _list(path: Path, folder: Path, options: FetchOptions) -> Listing:
    table = _read(path, folder)
    if not table.rows:
        raise ConfigError(f"{path} lists no videos")
    rows = _with_names(table.rows, path, options.classes_file)
    records = tuple(record_of(row, folder, options.frames_fps) for row in rows)
    refuse_twins(rows, records, folder)
    nowhere = _tell_lost(path, rows, records, folder)
    logger.info("%s is read as %s: %d videos", path, table.form, len(records))
    labelled = sum(record.label is not None for record in records)
    if 0 < labelled < len(records):
        logger.warning(
            "%s has no label for %d of its %d videos: they are predicted but not scored",
            path,
            len(records) - labelled,
            len(records),
        )
    report_unknown_rate(records)
    return Listing(records, nowhere=nowhere)


def _read(path: Path, folder: Path) -> Table:
    """Read the rows of the file; its format is recognised by content."""
    if is_parquet(path):
        return read_parquet(path, COLUMNS)
    text = read_text(path)
    if text.lstrip()[:1] in ("{", "["):
        return read_labels(path, text, folder, COLUMNS)
    if (delimiter := find_delimiter(text, COLUMNS)) is not None:
        return read_csv(path, text, COLUMNS, delimiter)
    return read_list(path, text, folder, COLUMNS)


def _with_names(rows: Sequence[Row], path: Path, classes_file: Path | None) -> list[Row]:
    """Replace indices by class names, if a class list is given."""
    labels = [row.cells["label"] for row in rows]
    if are_indices(labels):
        labels = ["" if label == _NO_LABEL else label for label in labels]
    if classes_file is not None:
        classes, written = find_classes(str(classes_file)), labels
        labels = name_labels(written, classes, path, classes_file)
        if labels != written:
            refuse_other_folders([row.cells["path"] for row in rows], labels, classes, path)
    return [
        Row(row.place, {**row.cells, "label": label})
        for row, label in zip(rows, labels, strict=True)
    ]


def _tell_lost(
    path: Path, rows: Sequence[Row], records: Sequence[VideoRecord], folder: Path
) -> str:
    """Error message if no video exists, else empty; if some are missing, log a warning."""
    lost = [row.cells["path"] for row, r in zip(rows, records, strict=True) if r.path is None]
    if not lost:
        return ""
    if len(lost) == len(records):
        advice = "name the folder that the paths are relative to with --videos_path"
        searched = tell_places(lost[0], folder, advice)
        return f"none of the {len(lost)} videos in {path} exists: {searched}"
    logger.warning(
        "%d of the %d videos in %s are missing: %s",
        len(lost),
        len(records),
        path,
        tell_places(lost[0], folder),
    )
    return ""
