"""Stores: files by key, in a local folder or behind a URL."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from vidbench.storage.files import BEGIN_BYTES, TEMPORARY, Check, replacing
from vidbench.storage.locations import Location, is_remote
from vidbench.storage.remote_store import RemoteStore

_THREADS = 16  # concurrent requests, which mostly wait for the network

T = TypeVar("T")


class Store(Protocol):
    """Files by key: a path relative to the store, with ``/`` between its parts.

    Attributes:
        local: The folder itself, or the local working folder of a remote one: for locks, and for
            files before they are put or after they are downloaded.

    Raises:
        SharedError: By any method: a remote store cannot be reached, or refuses the request.
    """

    @property
    def local(self) -> Path: ...

    def address(self, key: str = "") -> str:
        """Path or URL of the file for messages, without a password."""

    def exists(self, key: str) -> bool:
        """Whether the file exists."""

    def get(self, key: str, check: Check | None = None) -> memoryview:
        """The file's content.

        Args:
            key: The file's key.
            check: Called with the beginning of the file, before the rest of a local file is read;
                its errors are passed on.

        Raises:
            FileNotFoundError: There is no such file.
        """

    def put(self, key: str, content: memoryview | Path) -> None:
        """Create or replace a file atomically; a path names a local file to copy."""

    def list(self, folder: str = "") -> list[str]:
        """Keys of files and folders in a folder, without temporary ones; empty if it is missing."""

    def delete(self, key: str) -> None:
        """Delete the file if it exists."""

    def delete_tree(self, key: str = "") -> None:
        """Delete the folder and all its content, or the file, if it exists."""

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """Context with the path of a local copy, or of the file itself if it is local.

        Raises:
            FileNotFoundError: A remote file does not exist; a local one is not checked.
        """

    def download(self, key: str) -> bool:
        """Copy the file to ``local / key`` and return True, or False if it does not exist."""

    def evict(self) -> None:
        """Remove the working folder of a remote store."""


def open_store(location: Location) -> Store:
    """The store at a location; does no I/O."""
    return RemoteStore(str(location)) if is_remote(location) else LocalStore(Path(location))


@dataclass(frozen=True)
class LocalStore:
    """A :class:`Store` in a local folder."""

    local: Path

    def address(self, key: str = "") -> str:
        return str(self.local / key)

    def exists(self, key: str) -> bool:
        return (self.local / key).is_file()

    def get(self, key: str, check: Check | None = None) -> memoryview:
        path = self.local / key
        if not path.is_file():  # opening a pipe would wait for its writer
            raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if check:
                check(file.read(BEGIN_BYTES), size)
                file.seek(0)
            content = np.empty(size, np.uint8)
            return content.data[: file.readinto(content.data)]

    def put(self, key: str, content: memoryview | Path) -> None:
        path = self.local / key
        if content == path:
            return
        with replacing(path) as temporary:
            if isinstance(content, Path):
                shutil.copyfile(content, temporary)
            else:
                temporary.write_bytes(content)

    def list(self, folder: str = "") -> list[str]:
        path = self.local / folder
        if not path.is_dir():
            return []
        names = sorted(child.name for child in path.iterdir() if not child.match(TEMPORARY))
        return [f"{folder}/{name}" if folder else name for name in names]

    def delete(self, key: str) -> None:
        (self.local / key).unlink(missing_ok=True)

    def delete_tree(self, key: str = "") -> None:
        path = self.local / key
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        return nullcontext(self.local / key)

    def download(self, key: str) -> bool:
        return self.exists(key)

    def evict(self) -> None:
        pass


def at_once(do: Callable[[str], T], keys: Iterable[str]) -> list[T]:
    """Results of ``do`` for all keys, in order, computed in parallel threads."""
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = [pool.submit(do, key) for key in keys]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
