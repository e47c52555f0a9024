"""One process at a time: locks that end with whoever holds them, however it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: work may be done twice there, but files appear whole all the same
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Nobody else, thread or process, is inside for the same folder and name meanwhile.

    A name shares its lock with about one of 256 others, so whoever is inside must not ask for
    another one.

    Args:
        folder: Holds the lock files, at most 256, which stay; it is made.
        name: Of what must not be done twice at once.
    """
    if fcntl is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    share = hashlib.sha256(name.encode()).hexdigest()[:2]
    with (folder / f"{share}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, or the process dies
        yield
