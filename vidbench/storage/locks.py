"""One process at a time: locks that end with whoever holds them, however it ends."""

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
except ImportError:  # Windows: work may be done twice there, but files appear whole nevertheless
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

# What a file system without locks answers: NFS without its lock service, Lustre without the mount
# option "flock", and several that run in user space.
_UNSUPPORTED = frozenset(
    {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
)
_threads: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
_warned: set[str] = set()


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Nobody else, thread or process, is inside for the same folder and name meanwhile.

    On a file system without locks only threads of this process wait for one another, which is
    said once.

    A name shares its lock with about one of 256 others, so whoever is inside must not ask for
    another one.

    Args:
        folder: Holds the lock files, at most 256, which stay; it is made.
        name: Of what must not be done twice at once.
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
    """Whether files in this folder can be locked as SQLite locks them; if not, it is said once.

    Args:
        folder: It is made.
    """
    if fcntl is None:
        return True
    (folder / ".locks").mkdir(parents=True, exist_ok=True)
    with (folder / ".locks" / "probe").open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # another process asks the same question
            return True
        except OSError as error:
            return _is_supported(error, folder)
    return True


def _take(file: IO[bytes], folder: Path) -> bool:
    """Waits for the lock of an open file; False where there are none."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        return _is_supported(error, folder)
    return True


def _is_supported(error: OSError, folder: Path) -> bool:
    """False after a warning; a worker leaves that to the process that started it.

    Raises:
        OSError: It is another error.
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
