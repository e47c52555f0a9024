"""Folders whose files others may share, seen from one machine."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidbench.storage.files import replacing

TEMPORARY = ".*.tmp"
"""Names of files that are being written, as ``temporary_path`` of ``files.py`` makes them."""


class Folder(Protocol):
    """A local folder, whose files others may share. All paths are local ones below it.

    Attributes:
        local: The folder.
    """

    @property
    def local(self) -> Path: ...

    def address(self, path: Path) -> str:
        """Where others find the path, without a password."""
        ...

    def has(self, path: Path) -> bool:
        """Whether the file exists."""
        ...

    def size(self, path: Path) -> int | None:
        """Bytes of the file; None if there is none."""
        ...

    def names(self, folder: Path) -> list[Path]:
        """What lies right below, without temporary files; nothing where there is no folder."""
        ...

    def borrow(self, path: Path) -> AbstractContextManager[Path]:
        """A copy of the file under the same name that is gone afterwards, or the file itself.

        Several processes may borrow one file at once.

        Raises:
            FileNotFoundError: There is no such file; a local one is not looked at.
        """
        ...

    def bring(self, path: Path) -> bool:
        """Whether the file exists; if so, it lies at ``path`` now, whole."""
        ...

    def write(self, path: Path, content: memoryview) -> None:
        """Makes a file for everybody at once, whole or not at all; no local copy need stay."""
        ...

    def publish(self, path: Path, source: Path | None = None) -> None:
        """Gives others the local file, or a source that lies elsewhere, whole or not at all."""
        ...

    def remove(self, path: Path) -> None:
        """Removes a file for everybody, if it is there."""
        ...

    def clear(self, path: Path) -> None:
        """Removes a folder with all that is in it, or a file, for everybody, if it is there."""
        ...

    def drop(self, path: Path) -> None:
        """Removes the local copy alone; a video, which datasets list, leaves an empty file."""
        ...

    def forget(self, folder: Path) -> None:
        """Removes all local copies below a folder."""
        ...


@dataclass(frozen=True)
class LocalFolder:
    """A :class:`Folder` that nobody shares: its files are the truth."""

    local: Path

    def address(self, path: Path) -> str:
        return str(path)

    def has(self, path: Path) -> bool:
        return path.is_file()

    def size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size
        except OSError:
            return None

    def names(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            return []
        return sorted(path for path in folder.iterdir() if not path.match(TEMPORARY))

    def borrow(self, path: Path) -> AbstractContextManager[Path]:
        return nullcontext(path)

    def bring(self, path: Path) -> bool:
        return path.is_file()

    def write(self, path: Path, content: memoryview) -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def publish(self, path: Path, source: Path | None = None) -> None:
        if source not in (None, path):
            with replacing(path) as temporary:
                shutil.copyfile(str(source), temporary)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def clear(self, path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def drop(self, path: Path) -> None:
        pass

    def forget(self, folder: Path) -> None:
        pass
