"""Videos that are folders of numbered pictures: which of the files are the frames, by names alone.

``img_00001.jpg, img_00002.jpg, ...`` are the frames of one video in the order of their numbers,
with leading zeros or without, and with several endings where no number is there twice. Numbers may
begin anywhere and may be evenly spaced.
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
"""Endings of the pictures, in whatever case."""

USUAL_FPS = 25.0
"""Frames per second where not stated: those of FFmpeg's ``image2`` demuxer."""

_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)", re.DOTALL)
_FLOW = re.compile(r"(^|[^a-z])(flow|flow[^a-z]?[xyuv]|[xyuv])[^a-z0-9]*$", re.IGNORECASE)
_FEWEST = 2  # numbered pictures that make a folder a video
_SHOWN = 4  # kinds that a message names


class Kind(NamedTuple):
    """What all frames of a video have in common.

    Attributes:
        before: What stands before the number, e.g. ``img_``.
        after: What stands behind it, with the ending, e.g. ``.jpg``.
    """

    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.before}*{self.after}"

    @property
    def around(self) -> tuple[str, str]:
        """What stands around the number, whatever the ending: some pictures were saved again."""
        return self.before, os.path.splitext(f"*{self.after}")[0]  # noqa: PTH122


class Frames(NamedTuple):
    """The frames of one video.

    Attributes:
        paths: The files in the order of their numbers.
        places: Where each stands among all numbers, from 0; what lacks leaves a gap.
        first_missing: Name of the first that lacks between the first and the last; empty where
            none does.
    """

    paths: tuple[Path, ...]
    places: tuple[int, ...]
    first_missing: str

    @property
    def missing(self) -> int:
        """How many lack between the first and the last."""
        return self.places[-1] + 1 - len(self.places)


def is_picture(name: str) -> bool:
    """Whether the name is a picture's."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122 - takes a text


def are_frames(names: Iterable[str]) -> bool:
    """Whether these files of a folder make it a video: at least two are numbered pictures."""
    kinds = Counter(parsed[0].around for name in names if (parsed := _parse(name)) is not None)
    return any(count >= _FEWEST for count in kinds.values())


def other_kinds(names: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds of numbered pictures that are not the frames, such as optical flow, in order."""
    kinds = {parsed[0] for name in names if (parsed := _parse(name)) is not None}
    flow = {kind for kind in kinds if _is_flow(kind)}
    return tuple(sorted(flow)) if len({kind.around for kind in kinds - flow}) == 1 else ()


def find_frames(folder: Path) -> Frames:
    """The frames in a folder.

    Numbers that lack are told, and not filled. Where all numbers are multiples of one distance,
    e.g. where every fifth frame was kept, none lacks.

    Raises:
        VideoError: The folder cannot be listed, holds no numbered picture, pictures of several
            kinds, or one number twice.
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
    gap = next((place for place, found in enumerate(places) if place != found), None)
    lacking = None if gap is None else numbers[gap - 1] + step
    return Frames(
        paths=tuple(folder / name for name in names_by_number.values()),
        places=places,
        first_missing="" if lacking is None else _name_like(min(names_by_number.values()), lacking),
    )


def identify_frames(folder: Path) -> tuple[int, int]:
    """Bytes of all pictures in a folder, and a number that changes when one of them does.

    Nothing is read: names, sizes, times of change and inodes decide.

    Raises:
        OSError: The folder cannot be listed.
    """
    found: list[tuple[str, int, int, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_picture(entry.name):
                status = entry.stat()
                found.append((entry.name, status.st_size, status.st_mtime_ns, status.st_ino))
    text = repr(sorted(found)).encode("utf-8", "surrogateescape")
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1  # SQLite's are signed
    return sum(size for _, size, _, _ in found), number


def digest_frames(paths: Sequence[Path]) -> str:
    """SHA-256 of the names and the content of the files, 64 hexadecimal digits."""
    digest = hashlib.sha256(b"frames")
    for path in paths:
        content = path.read_bytes()
        digest.update(f"\0{path.name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()


def _parse(name: str) -> tuple[Kind, int] | None:
    """Kind and number of a picture; the number is what its last digits say."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    if suffix.lower() not in PICTURE_SUFFIXES or name.startswith("."):
        return None
    match = _NUMBERED.fullmatch(stem)
    return None if match is None else (Kind(match[1], match[3] + suffix), int(match[2]))


def _merge_endings(kinds: Mapping[Kind, dict[int, str]]) -> dict[Kind, dict[int, str]]:
    """Pictures whose names differ in their endings alone are of one kind if no number is twice."""
    merged: dict[Kind, dict[int, str]] = {}
    for kind, names in sorted(kinds.items()):
        alike = (k for k, found in merged.items() if k.around == kind.around)
        first = next((k for k in alike if merged[k].keys().isdisjoint(names)), kind)
        merged[first] = merged.get(first, {}) | names
    return merged


def _choose(kinds: dict[Kind, dict[int, str]]) -> Kind:
    """The kind of the frames: the only one beside those of optical flow."""
    if not kinds:
        raise VideoError("unreadable", "the folder holds no numbered picture")
    pictures = [kind for kind in kinds if not _is_flow(kind)] or list(kinds)
    if len(pictures) > 1:
        found = ", ".join(f"{len(kinds[kind])} {kind}" for kind in sorted(pictures)[:_SHOWN])
        raise VideoError("unreadable", f"pictures of several kinds: {found}: keep one of them")
    return pictures[0]


def _is_flow(kind: Kind) -> bool:
    """Whether the name ends as those of optical flow do, e.g. ``flow_x_`` or ``u``."""
    return _FLOW.search(kind.before) is not None


def _name_like(name: str, number: int) -> str:
    """The name that a number would have beside this one of a picture."""
    parsed = _parse(name)
    if parsed is None:
        return ""
    kind, _ = parsed
    width = len(name) - len(kind.before) - len(kind.after)
    return f"{kind.before}{number:0{width}d}{kind.after}"
