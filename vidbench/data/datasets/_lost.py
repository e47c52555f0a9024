"""Where a list's video was looked for, and where it may be instead."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_LEVELS_ABOVE = 2  # of the list, as in data/annotations/lists/val.txt
_MAX_FOLDERS = 200  # beside the list, in which a video is looked for


def tell_places(path: str, folder: Path, advice: str = "") -> str:
    """Says where a video was looked for, and where it is, if anywhere near.

    Args:
        path: As a list has it.
        folder: Relative paths are below it.
        advice: What to do if it is nowhere near.
    """
    looked = [str(folder / path)]
    for place, remedy in _elsewhere(path, folder):
        if os.path.exists(place):  # noqa: PTH110 - takes any name
            return f"{path!r} was looked for at {looked[0]}; it is at {place}: {remedy}"
        looked.append(str(place))
    near = next(
        (f for f in _folders(folder) if os.path.exists(f / path)),  # noqa: PTH110
        None,
    )
    if near is not None:
        return f"{path!r} was looked for at {looked[0]}; it is at {near / path}: {_add(near)}"
    if os.path.isabs(path):  # noqa: PTH117
        advice = "write where it is, or paths relative to --videos_path" if advice else ""
    where = ", ".join(dict.fromkeys(looked))
    return f"{path!r} was looked for at {where}" + (f": {advice}" if advice else "")


def _elsewhere(path: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """Places that the list may mean, and what to do if the video is there."""
    here = Path.cwd()
    if not os.path.isabs(path):  # noqa: PTH117
        near = (here, *folder.absolute().parents[:_LEVELS_ABOVE])
        yield from ((place / path, _add(place)) for place in near if place != folder.absolute())
    if path.startswith("~"):
        home = Path(os.path.expanduser(path))  # noqa: PTH111 - leaves unknown users as they are
        yield home, "write the home folder in full, as only a shell knows ~"
    if "\\" in path:
        plain = path.replace("\\", "/")
        for root in dict.fromkeys((folder, here)):
            yield root / plain, "write / in place of \\ in the list"


def _add(folder: Path) -> str:
    return f"add --videos_path {shlex.quote(str(folder))}"


def _folders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from islice((Path(e.path) for e in entries if e.is_dir()), _MAX_FOLDERS)
    except OSError:
        return
