"""Files that are there whole or not at all."""

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
"""Names of files that are being written, as :func:`temporary_path` makes them."""

BEGIN_BYTES = 512
"""Bytes of a file that a :data:`Check` looks at."""

Check = Callable[[bytes, int], None]
"""Told a file's first bytes and its size; raises what makes reading the rest of no use."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_STALE_SECONDS = 3600  # no file takes so long to write, on whatever machine its writer ran
_TEMPORARY = re.compile(r"\..*\.(?P<host>[\w-]+)-(?P<pid>\d+)\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to ``path`` if nothing went wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(folder: Path, needed: int | None = None) -> Iterator[None]:
    """Says in one line that a disk is full, instead of the system's own error.

    Args:
        folder: Where something is written; it need not exist yet.
        needed: Bytes that it takes, where they are known.

    Raises:
        DiskFullError: No room is left, the quota is used up, or files may not grow so large.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        wanted = "" if needed is None else f"{needed / 1e6:.1f} MB are needed, "
        raise DiskFullError(
            f"{folder} cannot take more ({error.strerror}): {wanted}{free_bytes(folder) / 1e6:.1f} "
            "MB are free; make room or choose another folder, and run the same command again"
        ) from error


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written on the disk of a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def seen_from(folder: Path, path: Path) -> str:
    """The path as seen from the folder, so that both may be moved together."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return path.absolute().as_posix()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the content, indented."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a table whose first line is the header.

    :func:`~vidbench.storage.csv_cells.csv_line` says what becomes of texts that look like formulas.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"{csv_line(row)}\n" for row in chain([header], rows))


def temporary_path(path: Path) -> Path:
    """A hidden name beside ``path`` that tells who writes there, for :func:`sweep`."""
    writer = f"{_host()}-{os.getpid()}"
    return path.with_name(f".{path.name}.{threading.get_native_id()}.{writer}.tmp")


def sweep(folder: Path, pattern: str) -> None:
    """Removes temporary files and folders whose writers are gone.

    Args:
        folder: Need not exist.
        pattern: Of the folders to look into, as in :meth:`pathlib.Path.glob`.
    """
    found: list[Path] = []
    with suppress(FileNotFoundError):  # a folder may vanish meanwhile; a later sweep looks again
        found += folder.glob(f"{pattern}/.*.tmp" if pattern else ".*.tmp")
    for path in found:
        with suppress(FileNotFoundError):  # another process may sweep too
            if not _is_abandoned(path):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _is_abandoned(path: Path) -> bool:
    found = _TEMPORARY.fullmatch(path.name)
    if found and found["host"] == _host() and not _is_alive(int(found["pid"])):
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
