"""Message for a listed video that is missing: where it was searched, and where it may be."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_LEVELS_ABOVE = 2  # above the list, as in data/annotations/lists/val.txt
_MAX_FOLDERS = 200  # beside the list, in which a video is searched


def tell_places(path: str, folder: Path, advice: str = "") -> str:
    """Describe where a video was searched, and where it is, if found nearby.

    Args:
        path: The path as written in a list.
        folder: Base of relative paths.
        advice: What to do if it is not found nearby.
    """
    searched = [str(folder / path)]
    for candidate, remedy in _elsewhere(path, folder):
        if os.path.exists(candidate):  # noqa: PTH110 - takes any name
            return f"{path!r} is not at {searched[0]}; it is at {candidate}: {remedy}"
        searched.append(str(candidate))
    near = next(
        (f for f in _folders(folder) if os.path.exists(f / path)),  # noqa: PTH110
        None,
    )
    if near is not None:
        return f"{path!r} is not at {searched[0]}; it is at {near / path}: {_add(near)}"
    if os.path.isabs(path):  # noqa: PTH117
        advice = "correct the path, or write paths relative to --videos_path" if advice else ""
    where = " or ".join(dict.fromkeys(searched))
    return f"{path!r} is not at {where}" + (f": {advice}" if advice else "")


def _elsewhere(path: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield other paths that the list may mean, and what to do if the video is there."""
    here = Path.cwd()
    if not os.path.isabs(path):  # noqa: PTH117
        near = (here, *folder.absolute().parents[:_LEVELS_ABOVE])
        yield from ((base / path, _add(base)) for base in near if base != folder.absolute())
    if path.startswith("~"):
        home = Path(os.path.expanduser(path))  # noqa: PTH111 - leaves unknown users as they are
        yield home, "write the home folder in full, because only a shell expands ~"
    if "\\" in path:
        plain = path.replace("\\", "/")
        for root in dict.fromkeys((folder, here)):
            yield root / plain, "write / instead of \\ in the list"


def _add(folder: Path) -> str:
    return f"add --videos_path {shlex.quote(str(folder))}"


def _folders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from islice((Path(e.path) for e in entries if e.is_dir()), _MAX_FOLDERS)
    except OSError:
        return
