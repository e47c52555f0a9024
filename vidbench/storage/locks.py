"""Locks between processes and threads, released even if the holder is killed."""

from __future__ import annotations

import errno
import hashlib
import logging
import multiprocessing
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: work may be done twice there, but writes stay atomic
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

# Errors of file systems without locks: NFS without its lock service, Lustre without the mount
# option "flock", and several FUSE file systems.
_UNSUPPORTED = frozenset(
    {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
)
_threads: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
_warned: set[str] = set()


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock that excludes other threads and processes with the same folder and name.

    On a file system without locks only the threads of this process exclude each other; a warning
    is logged once.

    A name shares its lock with about one in 256 others, so do not take a second lock inside.

    Args:
        folder: Folder of the lock files, at most 256, which are kept; created if missing.
        name: Name of the work that must not run twice at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:2]}.lock"
    with path.open("ab") as file:
        if _take(file, folder):  # released when the file is closed, or the process dies
            yield
        else:
            with _threads[path.absolute()]:
                yield


def has_record_locks(folder: Path) -> bool:
    """Whether SQLite can lock files in this folder; if not, a warning is logged once.

    Args:
        folder: Created if missing.
    """
    if fcntl is None:
        return True
    (folder / ".locks").mkdir(parents=True, exist_ok=True)
    with (folder / ".locks" / "probe").open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # another process holds it: locks work
            return True
        except OSError as error:
            return _is_supported(error, folder)
    return True


def _take(file: IO[bytes], folder: Path) -> bool:
    """Wait for the lock of an open file; False if the file system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        return _is_supported(error, folder)
    return True


def _is_supported(error: OSError, folder: Path) -> bool:
    """Return False if the error means that locks are unsupported.

    Warns once, and only in the main process, not in its workers.

    Raises:
        OSError: The error has another cause.
    """
    if error.errno not in _UNSUPPORTED:
        raise error
    if str(error) not in _warned and multiprocessing.parent_process() is None:
        _warned.add(str(error))
        logger.warning(
            "%s is on a file system without locks (%s): run one vidbench at a time with it, or "
            "choose another --data_dir and --cache_dir",
            folder,
            error.strerror,
        )
    return False
