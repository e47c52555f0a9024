"""Find the frames of videos that are folders of numbered pictures, by file name alone.

``img_00001.jpg, img_00002.jpg, ...`` are the frames of one video in the order of their numbers,
with or without leading zeros, and with several file extensions as long as no number repeats.
Numbers may begin anywhere and may be evenly spaced.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from vidbench.errors import VideoError

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""File extensions of pictures, in lower case."""

USUAL_FPS = 25.0
"""Default frame rate in frames per second, that of FFmpeg's ``image2`` demuxer."""

_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)", re.DOTALL)
_FLOW = re.compile(r"(^|[^a-z])(flow|flow[^a-z]?[xyuv]|[xyuv])[^a-z0-9]*$", re.IGNORECASE)
_FEWEST = 2  # a folder with fewer numbered pictures is not a video
_SHOWN = 4  # kinds listed in a message


class Kind(NamedTuple):
    """The part of their names that all frames of a video share.

    Attributes:
        before: Text before the number, e.g. ``img_``.
        after: Text after the number, extension included, e.g. ``.jpg``.
    """

    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.before}*{self.after}"

    @property
    def around(self) -> tuple[str, str]:
        """Text around the number without the extension: some pictures were saved again."""
        return self.before, os.path.splitext(f"*{self.after}")[0]  # noqa: PTH122


class Frames(NamedTuple):
    """The frames of one video.

    Attributes:
        paths: The files in the order of their numbers.
        places: Index of each frame from 0; missing frames leave gaps.
        first_missing: Name of the first missing frame between the first and the last; empty if
            none is missing.
    """

    paths: tuple[Path, ...]
    places: tuple[int, ...]
    first_missing: str

    @property
    def missing(self) -> int:
        """Number of missing frames between the first and the last."""
        return self.places[-1] + 1 - len(self.places)


def is_picture(name: str) -> bool:
    """Whether the name is that of a picture."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122 - takes a text


def are_frames(names: Iterable[str]) -> bool:
    """Whether these files of a folder make it a video: at least two are numbered pictures."""
    kinds = Counter(parsed[0].around for name in names if (parsed := _parse(name)) is not None)
    return any(count >= _FEWEST for count in kinds.values())


def other_kinds(names: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds of numbered pictures that are not frames, such as optical flow, sorted."""
    kinds = {parsed[0] for name in names if (parsed := _parse(name)) is not None}
    flow = {kind for kind in kinds if _is_flow(kind)}
    return tuple(sorted(flow)) if len({kind.around for kind in kinds - flow}) == 1 else ()


def find_frames(folder: Path) -> Frames:
    """The frames in a folder.

    Missing numbers are reported, not filled in. Numbers that are evenly spaced, e.g. because every
    fifth frame was kept, have none missing.

    Raises:
        VideoError: The folder cannot be listed, has no numbered picture, has pictures of several
            kinds, or has a number twice.
    """
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208
    except OSError as error:
        raise VideoError("unreadable", f"the folder cannot be listed: {error.strerror}") from error
    kinds: dict[Kind, dict[int, str]] = {}
    for name in sorted(names):
        if (parsed := _parse(name)) is not None:
            kind, number = parsed
            if (twin := kinds.setdefault(kind, {}).setdefault(number, name)) != name:
                raise VideoError("unreadable", f"{twin} and {name} have one number")
    kinds = _merge_endings(kinds)
    names_by_number = dict(sorted(kinds[_choose(kinds)].items()))
    numbers = list(names_by_number)
    step = math.gcd(*(after - before for before, after in pairwise(numbers))) or 1
    places = tuple((number - numbers[0]) // step for number in numbers)
    gap = next((index for index, place in enumerate(places) if index != place), None)
    missing = None if gap is None else numbers[gap - 1] + step
    return Frames(
        paths=tuple(folder / name for name in names_by_number.values()),
        places=places,
        first_missing="" if missing is None else _name_like(min(names_by_number.values()), missing),
    )


def identify_frames(folder: Path) -> tuple[int, int]:
    """Total bytes of the pictures in a folder, and a number that changes when one of them does.

    The number is computed from names, sizes, modification times and inodes; no file is read.

    Raises:
        OSError: The folder cannot be listed.
    """
    pictures: list[tuple[str, int, int, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_picture(entry.name):
                status = entry.stat()
                pictures.append((entry.name, status.st_size, status.st_mtime_ns, status.st_ino))
    text = repr(sorted(pictures)).encode("utf-8", "surrogateescape")
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1  # SQLite's are signed
    return sum(size for _, size, _, _ in pictures), number


def digest_frames(paths: Sequence[Path]) -> str:
    """SHA-256 of the files' names and content, 64 hexadecimal digits."""
    digest = hashlib.sha256(b"frames")
    for path in paths:
        content = path.read_bytes()
        digest.update(f"\0{path.name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()


def _parse(name: str) -> tuple[Kind, int] | None:
    """Kind and number of a picture; the number is the last group of digits in its name."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    if suffix.lower() not in PICTURE_SUFFIXES or name.startswith("."):
        return None
    match = _NUMBERED.fullmatch(stem)
    return None if match is None else (Kind(match[1], match[3] + suffix), int(match[2]))


def _merge_endings(kinds: Mapping[Kind, dict[int, str]]) -> dict[Kind, dict[int, str]]:
    """Merge kinds that differ only in their extension, if no number repeats."""
    merged: dict[Kind, dict[int, str]] = {}
    for kind, names in sorted(kinds.items()):
        alike = (other for other in merged if other.around == kind.around)
        first = next((k for k in alike if merged[k].keys().isdisjoint(names)), kind)
        merged[first] = merged.get(first, {}) | names
    return merged


def _choose(kinds: dict[Kind, dict[int, str]]) -> Kind:
    """The kind of the frames: the only one that is not optical flow."""
    if not kinds:
        raise VideoError("unreadable", "the folder holds no numbered picture")
    pictures = [kind for kind in kinds if not _is_flow(kind)] or list(kinds)
    if len(pictures) > 1:
        counts = ", ".join(f"{len(kinds[kind])} {kind}" for kind in sorted(pictures)[:_SHOWN])
        raise VideoError("unreadable", f"pictures of several kinds: {counts}: keep one of them")
    return pictures[0]


def _is_flow(kind: Kind) -> bool:
    """Whether the name ends like that of optical flow, e.g. in ``flow_x_`` or ``u``."""
    return _FLOW.search(kind.before) is not None


def _name_like(name: str, number: int) -> str:
    """The name of this picture with another number."""
    parsed = _parse(name)
    if parsed is None:
        return ""
    kind, _ = parsed
    width = len(name) - len(kind.before) - len(kind.after)
    return f"{kind.before}{number:0{width}d}{kind.after}"
