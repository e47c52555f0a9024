"""Read lists without a header in the formats of other programs, recognised by content.

==============================  ====================================================================
line                            format of
==============================  ====================================================================
``a/b.mp4 12``                  mmaction2 ``VideoDataset``, SlowFast and PyTorchVideo, VideoMAE
``a/b.mp4,12``                  UniFormer, InternVideo
``a/b 120 12``                  mmaction2 ``RawframeDataset``, VideoMAE V2: a folder of 120 frames
``a/b 40 120 12``               mmaction2 ``RawframeDataset`` with offsets: from frame 40 on
``a/b.mp4``                     PyTorchVideo: no label
``a/b.mp4 12 7``                mmaction2 ``multi_class``: several labels, which is refused
==============================  ====================================================================

A label may be a name, and a path may have blanks: the label comes last, or after the suffix of the
video. The reading is used that makes the most lines plausible: their paths have a video suffix, or
exist. Lines that begin with ``#`` and a blank are comments.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vidbench.data.datasets._lost import tell_places
from vidbench.data.datasets._manifest_rows import (
    Columns,
    Table,
    describe_comments,
    is_comment,
    row_of,
)
from vidbench.errors import ConfigError
from vidbench.storage.video_files import MEDIA_SUFFIXES, names_media

_SHOWN = 80  # characters of a line
_ENDINGS = "|".join(re.escape(suffix) for suffix in sorted(MEDIA_SUFFIXES))
_ENDING = re.compile(rf"\S(?:{_ENDINGS})(?=\s|$)", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d+")
_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons", None: "blanks"}
_BEHIND_ENDING = {
    delimiter: re.compile(rf"(.*?(?:{_ENDINGS})){between}(\S.*)", re.IGNORECASE)
    for delimiter, between in (
        (None, r"[ \t]+"),
        *((each, rf"\s*{each}\s*") for each in _DELIMITERS if each),
    )
}
_UNLABELLED = "-1"  # label of PyTorchVideo and mmaction2 for a line without one


class Entry(NamedTuple):
    """Content of one line.

    Attributes:
        path: The path as written.
        labels: One, several, or none.
        frames: Number of frames of the folder at the path; empty if it is not a folder of frames.
        offset: Number of frames to leave out at the start; empty for none.
    """

    path: str
    labels: tuple[str, ...] = ()
    frames: str = ""
    offset: str = ""


class Reading(NamedTuple):
    """One possible reading of a list.

    Attributes:
        form: Description of the format, for the user.
        entries: Entries of all lines.
    """

    form: str
    entries: tuple[Entry, ...]


Parse = Callable[[str], Entry | None]
"""Parses a line; returns None if it does not have this format."""


def read_list(path: Path, text: str, folder: Path, columns: Columns) -> Table:
    """Read a list into rows with ``path``, ``label``, ``frames`` and ``offset``.

    Args:
        path: The list, for messages.
        text: Its content.
        folder: Base of relative paths.
        columns: Columns of each row.

    Raises:
        ConfigError: The list has no known format, is ambiguous, or has several labels per video.
    """
    written = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in written if line and not is_comment(line)]
    if is_headed := bool(lines) and _is_header(lines[0][1], columns):
        lines = lines[1:]
    if not lines:
        raise ConfigError(f"{path} lists no videos")
    reading = _choose(path, [line for _, line in lines], folder)
    several = [len(entry.labels) > 1 for entry in reading.entries]
    if any(several):
        example = lines[several.index(True)][1][:_SHOWN]
        raise ConfigError(
            f"{path} has {reading.form}, e.g. {example!r}: vidbench scores one class per video; "
            "if the first number counts frames, leave it out"
        )
    _refuse_unknown_header(path, lines[0][1], reading, folder)
    rows = [
        row_of(f"{path}, line {number}", _cells(entry), columns)
        for (number, _), entry in zip(lines, reading.entries, strict=True)
    ]
    header = " and a header" if is_headed else ""
    comments = describe_comments(line for _, line in written)
    return Table(f"{reading.form}{header}{comments}", rows)


def _is_header(line: str, columns: Columns) -> bool:
    """Whether the line is a header separated by blanks, e.g. ``path label``.

    Columns between path and label, for numbers of frames, may have any name.
    """
    first, *_, last = line.casefold().split() * 2
    return first in columns["path"] and last in columns["label"]


def _refuse_unknown_header(path: Path, line: str, reading: Reading, folder: Path) -> None:
    """Raise ConfigError if only the first line has no video path: it is probably a header.

    Read as an entry, it would become a video and a class.
    """
    first, *others = reading.entries
    if not others or "/" in first.path or _is_plausible(first, folder):
        return
    if 2 * sum(names_media(entry.path) for entry in others) >= len(others):
        raise ConfigError(
            f"{path} begins with {line[:_SHOWN]!r}, which is not a video, unlike other lines: if "
            "it is a header, call the columns path and label; if not, remove it"
        )


def _cells(entry: Entry) -> dict[str, str]:
    label = entry.labels[0] if entry.labels else ""
    return {
        "path": entry.path,
        "label": "" if label == _UNLABELLED else label,
        "frames": entry.frames,
        "offset": entry.offset,
    }


def _choose(path: Path, lines: Sequence[str], folder: Path) -> Reading:
    """Choose the reading with the most plausible lines, then with the most existing paths."""
    readings = list(_readings(lines))
    scored = [(_count(_is_plausible, r, folder), r) for r in readings]
    most = max((score for score, _ in scored), default=0)
    if not most:
        first = readings[0].entries[0].path
        raise ConfigError(
            f"{path} has no column 'path', and is not a list of paths and labels: it begins with "
            f"{lines[0][:_SHOWN]!r}, and no path in it has a video suffix or exists; "
            + tell_places(first, folder)
        )
    best = [reading for score, reading in scored if score == most]
    if len({reading.entries for reading in best}) > 1:
        existing = [(_count(_exists, reading, folder), reading) for reading in best]
        most = max(score for score, _ in existing)
        best = [reading for score, reading in existing if score == most]
    if len({reading.entries for reading in best}) > 1:
        raise ConfigError(_ambiguous(path, lines, best))
    return best[0]


def _readings(lines: Sequence[str]) -> Iterator[Reading]:
    """Yield all formats that fit every line."""
    for form, parse in _forms(lines):
        entries = tuple(entry for line in lines if (entry := parse(line)) is not None)
        if len(entries) == len(lines):
            yield Reading(form, entries)


def _forms(lines: Sequence[str]) -> Iterator[tuple[str, Parse]]:
    for delimiter, name in _DELIMITERS.items():
        if delimiter is not None and not all(delimiter in line for line in lines):
            continue
        between = f"with {name} between"
        yield f"path and label {between}", partial(_path_and_label, delimiter)
        yield f"folder of frames, count of frames and label {between}", partial(_framed, delimiter)
        yield f"folder of frames, first frame, count and label {between}", partial(_cut, delimiter)
        yield f"path and several labels {between}", partial(_path_and_labels, delimiter)
        if delimiter is not None and len({line.count(delimiter) for line in lines}) > 1:
            yield f"path and label {between}", partial(_path_and_name, delimiter)
    yield "path and label with blanks between", partial(_path_and_name, None)
    yield "path alone", lambda line: Entry(_unquoted(line))


def _path_and_label(delimiter: str | None, line: str) -> Entry | None:
    """Parse a line whose label follows the last delimiter, or is the second of two CSV cells."""
    cells = line.rsplit(delimiter, 1)
    if delimiter is not None:
        parsed = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        cells = parsed if len(parsed) == 2 else [cell for cell in cells if cell.strip()]
    if len(cells) < 2 or names_media(cells[1].strip()):
        return None
    path = _unquoted(cells[0].strip())
    return Entry(path, (cells[1].strip(),)) if path else None


def _path_and_name(delimiter: str | None, line: str) -> Entry | None:
    """Parse a line whose label follows the suffix of the video, and may contain delimiters."""
    match = _BEHIND_ENDING[delimiter].fullmatch(line)
    if match is None or _ENDING.search(match[2]):
        return None
    words = [word.strip() for word in match[2].split(delimiter)]
    several = len(words) > 1 and all(map(_WHOLE.fullmatch, words))
    return None if several or not words[-1] else Entry(match[1], (_unquoted(match[2]),))


def _framed(delimiter: str | None, line: str) -> Entry | None:
    path, numbers = _numbers(delimiter, line, 2)
    return Entry(path, (numbers[1],), numbers[0]) if path else None


def _cut(delimiter: str | None, line: str) -> Entry | None:
    path, numbers = _numbers(delimiter, line, 3)
    return Entry(path, (numbers[2],), numbers[1], numbers[0]) if path else None


def _path_and_labels(delimiter: str | None, line: str) -> Entry | None:
    counts = range(1, len(line.split(delimiter)))
    parsed = [entry for n in counts if (entry := _numbers(delimiter, line, n))[0]]
    return Entry(*parsed[-1]) if parsed else None


def _numbers(delimiter: str | None, line: str, count: int) -> tuple[str, tuple[str, ...]]:
    """The path and the last ``count`` cells; an empty path unless all of these are integers."""
    path, *numbers = (cell.strip() for cell in line.rsplit(delimiter, count))
    whole = len(numbers) == count and all(map(_WHOLE.fullmatch, numbers))
    return (_unquoted(path), tuple(numbers)) if whole else ("", ())


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"') if quoted else text


def _count(of: Callable[[Entry, Path], bool], reading: Reading, folder: Path) -> int:
    return sum(of(entry, folder) for entry in reading.entries)


def _is_plausible(entry: Entry, folder: Path) -> bool:
    named = names_media(entry.path)
    if entry.frames:
        return not named and os.path.isdir(_join(folder, entry))  # noqa: PTH112 - takes any name
    if len(entry.labels) > 1:
        return named or os.path.isfile(_join(folder, entry))  # noqa: PTH113
    return named or _exists(entry, folder)


def _exists(entry: Entry, folder: Path) -> bool:
    return os.path.exists(_join(folder, entry))  # noqa: PTH110 - takes any name


def _join(folder: Path, entry: Entry) -> str:
    return os.path.join(folder, entry.path)  # noqa: PTH118 - takes any name, and is fast


def _ambiguous(path: Path, lines: Sequence[str], readings: Sequence[Reading]) -> str:
    """Message with the two meanings of the first ambiguous line."""
    first, second = readings[0], next(r for r in readings if r.entries != readings[0].entries)
    row = next(n for n, entry in enumerate(first.entries) if entry != second.entries[n])
    return (
        f"{path} is ambiguous: {lines[row][:_SHOWN]!r} is {_tell(first, row)}, or "
        f"{_tell(second, row)}; write a table with a header, path,label, instead"
    )


def _tell(reading: Reading, row: int) -> str:
    entry = reading.entries[row]
    label = " and ".join(entry.labels) or "none"
    frames = f", {entry.frames} frames" if entry.frames else ""
    return f"the video {entry.path!r}{frames} with label {label}"
