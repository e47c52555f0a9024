"""SHA-256 of files, remembered in SQLite so that each file is read only once for its hash."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import weakref
from pathlib import Path
from typing import NamedTuple

from vidbench.storage.frame_folder import digest_frames, find_frames, identify_frames
from vidbench.storage.locks import has_record_locks

_CHUNK_BYTES = 1 << 20


class FileIdentity(NamedTuple):
    """Metadata that changes with a file or a folder of frames, so that it need not be read."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        status = path.stat()
        if path.is_dir():  # a folder's modification time does not change with its files' content
            return cls(*identify_frames(path), status.st_ino)
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, or of a folder's frames, 64 hexadecimal digits.

    Raises:
        OSError: The file or folder cannot be read.
        VideoError: The folder has no frames.
    """
    if path.is_dir():
        return digest_frames(find_frames(path).paths)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class HashMemory:
    """Hashes by absolute path and file identity, in one SQLite file; safe between processes.

    Args:
        path: The SQLite file, created on first use. On a file system without locks nothing is
            written, and hashes last as long as this object.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def recall(self, path: Path) -> str | None:
        """The remembered hash of a file; None if it is new or has changed.

        Raises:
            OSError: The file does not exist.
        """
        identity = FileIdentity.of(path)
        with self._lock:
            row = (
                self._open()
                .execute(
                    "SELECT sha256 FROM files WHERE path = ? AND size = ? AND mtime_ns = ? "
                    "AND inode = ?",
                    (str(path.resolve()), *identity),
                )
                .fetchone()
            )
        return None if row is None else str(row[0])

    def remember(self, path: Path, identity: FileIdentity, sha256: str) -> None:
        """Store the hash of a file that had this identity before it was read."""
        with self._lock, self._open() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                (str(path.resolve()), *identity, sha256),
            )

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Without locks SQLite would wait for a minute, then report a locked database.
            database = self._path if has_record_locks(self._path.parent) else ":memory:"
            connection = sqlite3.connect(database, timeout=60, check_same_thread=False)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, "
                "mtime_ns INTEGER, inode INTEGER, sha256 TEXT)"
            )
            weakref.finalize(self, connection.close)
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
