"""Tarballs of videos become files of a shared folder, each fetched once by one machine.

Beside the folder of a tarball's files lies ``<tarball>.files.json``, the list of their names, which
is published last: where it is, all files are.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from vidbench.data.fetch.tarballs import fetch_tarball, tarball_name
from vidbench.errors import SharedError
from vidbench.storage.files import sweep, temporary_path
from vidbench.storage.locks import locked
from vidbench.storage.remote_store import bring_all, publish_all
from vidbench.storage.store import Folder
from vidbench.storage.video_files import is_media
from vidbench.terminal.progress import Advance

logger = logging.getLogger(__name__)

_STAGING = ".fetched"  # beside the folders of videos that datasets list, and not in them
_LISTING = ".files.json"


def fetch_shared(
    source: str, folder: Path, shared: Folder, on_bytes: Advance | None = None
) -> list[str]:
    """Names of a tarball's files, all of which the shared folder holds afterwards.

    What was fetched before, by whatever machine, is not fetched again. A tarball that two machines
    fetch at once is published twice with equal files.

    Args:
        source: Of the tarball.
        folder: Where the folder of its files belongs, relative to the shared folder or below
            this machine's stand-in, in which only temporary files are made.
        shared: Holds the folder.
        on_bytes: Told how many bytes of the tarball have come.

    Raises:
        FetchError, ArchiveError: The tarball could not be had.
        DiskFullError: This machine has no room for its files, which it holds for a while.
        SharedError: The shared folder cannot be read or written.
    """
    name, folder = tarball_name(source), shared.local / folder
    with locked(folder / ".locks" / "shared", name):
        found = _read_listing(folder / f"{name}{_LISTING}", shared)
        return _fetch(source, folder, shared, on_bytes) if found is None else found


def _fetch(source: str, folder: Path, shared: Folder, on_bytes: Advance | None) -> list[str]:
    name = tarball_name(source)
    staging = folder / _STAGING
    sweep(staging, "")
    extracted = fetch_tarball(source, staging, on_bytes)
    files = sorted(path.name for path in extracted.iterdir())
    publish_all(shared, {folder / name / file: extracted / file for file in files})
    shared.write(folder / f"{name}{_LISTING}", memoryview(json.dumps(files).encode()))
    shutil.rmtree(extracted.rename(temporary_path(extracted)), ignore_errors=True)
    logger.debug("published %d files of %s", len(files), source)
    return files


def _read_listing(path: Path, shared: Folder) -> list[str] | None:
    try:
        with shared.borrow(path) as file:
            names = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _bad_listing(path, shared) from error
    if not isinstance(names, list) or not all(map(_is_name, names)):
        raise _bad_listing(path, shared)
    return [str(name) for name in names]


def _is_name(name: object) -> bool:
    """Whether this is one plain name; what lies in a bucket is not trusted."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {*name} & {"/", "\\", "\0"}


def _bad_listing(path: Path, shared: Folder) -> SharedError:
    return SharedError(f"{shared.address(path)} is no list of files: remove it and run again")


def show_tarball(names: Sequence[str], folder: Path) -> None:
    """Makes the folder of a tarball, with empty files of these names in it.

    Args:
        names: What :func:`fetch_shared` gave.
        folder: Appears whole; one that shows something else is replaced.
    """
    with locked(folder.parent / ".locks" / "shown", folder.name):
        if folder.is_dir() and {path.name for path in folder.iterdir()} == set(names):
            return
        staging = temporary_path(folder)
        staging.mkdir(parents=True)
        for name in names:
            (staging / name).touch()
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)


def bring_split(shared: Folder, folder: Path) -> None:
    """Makes the stand-in of a split agree with what is shared of it.

    Annotations, lists and ``root.txt`` are brought. What lies here alone is removed: such lists,
    which may be of another root, and the folders of tarballs that nobody has published.

    Args:
        shared: Holds the split.
        folder: Of the split, e.g. ``<data folder>/kinetics-400/val``.
    """
    there = shared.names(folder)
    listed = {path.name.removesuffix(_LISTING) for path in there if path.name.endswith(_LISTING)}
    lists = [path for path in there if _is_list(path)]
    for path in folder.glob("[!.]*"):
        if path.is_dir() and path.name not in listed:
            shutil.rmtree(path)
        elif path.is_file() and _is_list(path) and path not in lists:
            path.unlink(missing_ok=True)
    bring_all(shared, lists)


def share_lists(shared: Folder, folder: Path) -> None:
    """Publishes what this machine fetched of a split beside videos, where it is not there yet.

    To be called before a tarball is published, so that nobody adds those of another root.

    Args:
        shared: Holds the split.
        folder: Of the split.
    """
    there = set(shared.names(folder))
    mine = [path for path in sorted(folder.glob("[!.]*")) if path.is_file() and _is_list(path)]
    publish_all(shared, {path: path for path in mine if path not in there})


def _is_list(path: Path) -> bool:
    """Whether a dataset reads it; listings of tarballs are many, and read one by one."""
    hidden = path.name.startswith(".") or path.name.endswith((_LISTING, ".download"))
    return bool(path.suffix) and not hidden and not is_media(path)
