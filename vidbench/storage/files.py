"""Atomic writes: a file appears complete or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from vidbench.errors import DiskFullError
from vidbench.storage.csv_cells import csv_line

TEMPORARY = ".*.tmp"
"""Glob pattern of the names that :func:`temporary_path` makes."""

BEGIN_BYTES = 512
"""Number of bytes at the beginning of a file that are passed to a :data:`Check`."""

Check = Callable[[bytes, int], None]
"""Takes a file's first bytes and its size; raises if the rest need not be read."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_STALE_SECONDS = 3600  # longer than any file takes to write, on any machine
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 60
_TEMPORARY = re.compile(r"\..*\.(?P<host>[\w-]+)-(?P<pid>\d+)\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, renamed to ``path`` if no error occurs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(folder: Path, needed: int | None = None) -> Iterator[None]:
    """Turn the system's errors of a full disk into a one-line DiskFullError.

    Args:
        folder: Folder that is written to; it need not exist yet.
        needed: Number of bytes to write, if known.

    Raises:
        DiskFullError: The disk is full, the quota is used up, or the file is too large for it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        required = "" if needed is None else f"{needed / 1e6:.1f} MB are needed, "
        free = f"{free_bytes(folder) / 1e6:.1f}"
        raise DiskFullError(
            f"{folder} cannot take more ({error.strerror}): {required}{free} "
            "MB are free; make room or choose another folder, and run the same command again"
        ) from error


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def seen_from(folder: Path, path: Path) -> str:
    """The path relative to the folder, so that both can be moved together."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path.absolute().as_posix()


def plain_name(text: str) -> str:
    """The text as part of a file's name: up to 60 letters, digits, ``.``, ``_`` and ``-``."""
    return _NOT_IN_NAMES.sub("-", text)[:_LONGEST_NAME].strip("-.")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write the content as indented JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a header line.

    Texts that look like formulas are escaped by :func:`~vidbench.storage.csv_cells.csv_line`.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"{csv_line(row)}\n" for row in chain([header], rows))


def temporary_path(path: Path) -> Path:
    """A hidden path beside ``path`` that names the writing process, for :func:`sweep`."""
    writer = f"{_host()}-{os.getpid()}"
    return path.with_name(f".{path.name}.{threading.get_native_id()}.{writer}.tmp")


def sweep(folder: Path, pattern: str) -> None:
    """Remove temporary files and folders whose writers no longer run.

    Args:
        folder: Need not exist.
        pattern: Folders to search below it, as in :meth:`pathlib.Path.glob`.
    """
    temporary: list[Path] = []
    with suppress(FileNotFoundError):  # a folder was removed by another process
        temporary += folder.glob(f"{pattern}/.*.tmp" if pattern else ".*.tmp")
    for path in temporary:
        with suppress(FileNotFoundError):  # another process may sweep too
            if not _is_abandoned(path):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _is_abandoned(path: Path) -> bool:
    match = _TEMPORARY.fullmatch(path.name)
    if match and match["host"] == _host() and not _is_alive(int(match["pid"])):
        return True
    return time.time() - path.stat().st_mtime > _STALE_SECONDS


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    return re.sub(r"[^\w-]", "-", socket.gethostname())
