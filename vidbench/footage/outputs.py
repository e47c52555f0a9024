"""Output files of `vidbench predict`: each video is written as soon as it is done."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from vidbench.storage.csv_cells import csv_line
from vidbench.storage.files import disk_errors

_TAIL = "\n  ]\n}\n"

COLUMNS = (
    "video",
    "kind",
    "class",
    "start",
    "end",
    "share",
    "score",
    "mean",
    "is_label",
    "reason",
)
"""Columns of the CSV; docs/segments.md describes them."""


class Outputs:
    """A JSON document and a CSV table that are complete after each video.

    Args:
        json_path: Path of the document; None for no document.
        csv_path: Path of the table; None for no table.
        request: Content of the document before the videos.
    """

    def __init__(
        self, json_path: Path | None, csv_path: Path | None, request: Mapping[str, Any]
    ) -> None:
        self._paths = [path for path in (json_path, csv_path) if path is not None]
        self._stack = ExitStack()
        self._json, self._csv = self._open(json_path), self._open(csv_path)
        self._empty = True
        if self._json is not None:
            head = json.dumps(request, indent=2).removesuffix("\n}")
            self._write(self._json, f'{head},\n  "videos": [')
            self._end = self._json.tell()
            self._write(self._json, _TAIL)
        if self._csv is not None:
            self._write(self._csv, csv_line(COLUMNS) + "\n")

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Write the results of a video."""
        if self._json is not None:
            text = textwrap.indent(json.dumps(record, indent=2), "    ")
            text = f"{'' if self._empty else ','}\n{text}"
            self._json.seek(self._end)
            self._write(self._json, text + _TAIL)  # in one write, so that the document is complete
            self._end += len(text)  # bytes too, because json.dumps escapes non-ASCII characters
            self._empty = False
        if self._csv is not None:
            lines = [csv_line([row.get(name) for name in COLUMNS]) for row in _rows(record)]
            self._write(self._csv, "".join(f"{line}\n" for line in lines))

    def _open(self, path: Path | None) -> TextIO | None:
        if path is None:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._stack.enter_context(path.open("w", encoding="utf-8", newline=""))

    def _write(self, file: TextIO, text: str) -> None:
        with disk_errors(Path(file.name).parent):
            file.write(text)
            file.flush()


def _rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    video = {"video": record["video"]}
    if "failed" in record:
        yield video | {"kind": "failed", "reason": record["failed"]}
        return
    labels = {row["class"] for row in record["labels"]}
    listed = {row["class"] for row in record["classes"]}
    for row in [*record["classes"], *(r for r in record["labels"] if r["class"] not in listed)]:
        is_label = "yes" if row["class"] in labels else "no"
        yield video | row | {"kind": "class", "is_label": is_label, "reason": record.get("damage")}
    for segment in record.get("segments", ()):
        yield video | segment | {"kind": "segment"}
