"""A list of videos, or of sections of videos, with their labels: a table, or a list of a peer.

::

    vidbench evaluate --dataset manifest --dataset_path FILE

A table is CSV (with commas, semicolons or tabs) or Parquet, with a header:

========  ==================================================================================
column    what it says
========  ==================================================================================
path      the video, a file or a folder of frames; relative to the list's folder or
          ``--videos_path``, or absolute
label     name of its class, or index in ``--classes_file``; empty where it has none
group     what it was cut from, e.g. a YouTube id; without it, sections of one file are a group
start     where the section that is meant begins, in seconds as a player shows them; empty for 0
end       where it ends, likewise; empty for the video's end
fps       frames per second of a folder of frames; empty for those of ``--frames_fps``
frames    how many frames a folder of frames has: the first so many are taken, and fewer are too few
video_id  what the video is called in results; the path where there is none
========  ==================================================================================

Only ``path`` is required (``file_name`` and others are names of it too), and other columns do
nothing. The manifests of ``vidbench subset`` have ``source_id``, which is read as ``video_id``
where there is none. Videos are taken in the order of the rows.

Lists without a header are those of :mod:`vidbench.data.datasets._peer_lists`, and JSON is that of
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
    EVERYTHING,
    Listing,
    LocalVideos,
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
from vidbench.data.datasets.base import DatasetEntry, DatasetFamily, FetchOptions
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.labels.class_lists import are_indices, find_classes

logger = logging.getLogger(__name__)

FAMILY = DatasetFamily(
    name="manifest",
    entries=(
        DatasetEntry(
            name="manifest",
            splits={EVERYTHING: None},
            licence="of your videos",
            source="your list of videos, CSV, Parquet or a peer's: --dataset_path FILE",
        ),
    ),
    default_split=EVERYTHING,
    options=frozenset({"classes_file", "videos_path"}),
    read_in_place=True,
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

_NO_LABEL = "-1"  # among indices: what mmaction2, SlowFast and PyTorchVideo write for none


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """The videos that the file ``--dataset_path`` lists.

    Raises:
        ConfigError: No file is given, or an option has no meaning here.
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
        raise ConfigError(f"{path} lists no video")
    rows = _with_names(table.rows, path, options.classes_file)
    records = tuple(record_of(row, folder, options.frames_fps) for row in rows)
    refuse_twins(rows, records, folder)
    nowhere = _tell_lost(path, rows, records, folder)
    logger.info("%s is read as %s: %d videos", path, table.form, len(records))
    labelled = sum(record.label is not None for record in records)
    if 0 < labelled < len(records):
        logger.warning(
            "%s has no label for %d of its %d videos: they are predicted and not scored",
            path,
            len(records) - labelled,
            len(records),
        )
    report_unknown_rate(records)
    return Listing(records, nowhere=nowhere)


def _read(path: Path, folder: Path) -> Table:
    """The rows of the file, whose content says what it is."""
    if is_parquet(path):
        return read_parquet(path, COLUMNS)
    text = read_text(path)
    if text.lstrip()[:1] in ("{", "["):
        return read_labels(path, text, folder, COLUMNS)
    if (delimiter := find_delimiter(text, COLUMNS)) is not None:
        return read_csv(path, text, COLUMNS, delimiter)
    return read_list(path, text, folder, COLUMNS)


def _with_names(rows: Sequence[Row], path: Path, classes_file: Path | None) -> list[Row]:
    """The rows with names in the place of indices, where a class list is given."""
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
    """What to say if no video is there; if only some are missing, it is said here."""
    lost = [row.cells["path"] for row, r in zip(rows, records, strict=True) if r.path is None]
    if not lost:
        return ""
    if len(lost) == len(records):
        advice = "--videos_path names the folder to which paths are relative"
        places = tell_places(lost[0], folder, advice)
        return f"none of the {len(lost)} videos that {path} lists is there: {places}"
    logger.warning(
        "%d of the %d videos that %s lists are missing: %s",
        len(lost),
        len(records),
        path,
        tell_places(lost[0], folder),
    )
    return ""
