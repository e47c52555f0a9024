"""Read FiftyOne's ``labels.json``, stored beside the folder ``data``.

``{"classes": [...], "labels": {NAME: LABEL}}``, where NAME is a file of ``data`` without suffix and
LABEL is a class, its index in ``classes``, ``{"label": ...}``, null, or a list of sections
(``FiftyOneTemporalDetectionDataset``) with ``timestamps`` in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidbench.data.datasets._manifest_rows import Columns, Table, row_of
from vidbench.errors import ConfigError
from vidbench.storage.video_files import is_media, list_files

_DATA = "data"


def read_labels(path: Path, text: str, folder: Path, columns: Columns) -> Table:
    """Read a ``labels.json`` into rows with ``path``, ``label``, ``start`` and ``end``.

    Args:
        path: The file, for messages.
        text: Its content.
        folder: Folder of the videos, or the parent of their folder ``data``.
        columns: Columns of each row.

    Raises:
        ConfigError: It is not such a file, or has sections in frames.
    """
    try:
        content = json.loads(text)
        labels: dict[str, Any] = dict(content["labels"])
        classes: list[str] = content.get("classes") or []
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not a list of videos: the only JSON that is read is FiftyOne's "
            f"labels.json, with 'classes' and 'labels' ({type(error).__name__}: {error})"
        ) from error
    files = _find_files(folder)
    rows = [
        row_of(f"{path}, {name!r}", {**cells, "path": files.get(name, name)}, columns)
        for name, value in labels.items()
        for cells in _sections(f"{path}, {name!r}", value, classes)
    ]
    if not rows:
        raise ConfigError(f"{path} lists no videos")
    return Table("labels.json of FiftyOne", rows)


def _find_files(folder: Path) -> dict[str, str]:
    """Paths of videos by name in ``data`` or the folder, with and without suffix."""
    root = folder / _DATA if (folder / _DATA).is_dir() else folder
    paths: dict[str, str] = {}
    for file in list_files(root) if root.is_dir() else []:
        if is_media(file):
            path = file.relative_to(folder).as_posix()
            name = file.relative_to(root)
            for key in (name.with_suffix("").as_posix(), name.as_posix()):
                paths.setdefault(key, path)
    return paths


def _sections(place: str, value: Any, classes: Sequence[str]) -> Iterator[dict[str, str]]:
    if not isinstance(value, list):
        yield {"label": _label(place, value, classes)}
        return
    for section in value:
        times = section.get("timestamps") if isinstance(section, dict) else None
        if not isinstance(times, list) or len(times) != 2:
            raise ConfigError(
                f"{place}: a section has no timestamps; export it with use_timestamps=True"
            )
        start, end = map(str, times)
        yield {"label": _label(place, section, classes), "start": start, "end": end}


def _label(place: str, value: Any, classes: Sequence[str]) -> str:
    if isinstance(value, dict):
        value = value.get("label")
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if not classes:
            return str(value)  # as in FiftyOne; --classes_file may name the classes
        if 0 <= value < len(classes):
            return str(classes[value])
        raise ConfigError(f"{place}: the label {value} is not an index of {len(classes)} classes")
    raise ConfigError(f"{place}: {value!r:.80} is not a label")
