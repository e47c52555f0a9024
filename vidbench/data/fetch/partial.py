"""A partial download: the first bytes of a file, and the validator (ETag) of its version."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from vidbench.errors import DiskFullError
from vidbench.storage.files import disk_errors, free_bytes

OnBytes = Callable[[int], None]


class Partial:
    """The part of a file that has been downloaded so far, stored beside the target.

    Args:
        target: Path of the complete file; its folder is created.
        on_bytes: Called with the number of bytes held at first, and then with each change.
    """

    def __init__(self, target: Path, on_bytes: OnBytes) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._validator_path = target.with_name(f"{target.name}.part.etag")
        self._on_bytes = on_bytes
        target.parent.mkdir(parents=True, exist_ok=True)
        on_bytes(self.size())

    def size(self) -> int:
        """Number of bytes received."""
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self) -> str | None:
        """ETag or date of this version of the file; None if the download cannot be resumed."""
        if self.size() and self._validator_path.exists():
            return self._validator_path.read_text("utf-8")
        return None

    def restart(self, validator: str | None) -> None:
        """Discard the bytes received, and store the validator of the file that follows."""
        self.discard()
        if validator and not validator.startswith("W/"):  # weak: does not promise equal bytes
            self._validator_path.write_text(validator, "utf-8")

    def discard(self) -> None:
        """Discard the bytes received."""
        self._on_bytes(-self.size())
        self.path.unlink(missing_ok=True)
        self._validator_path.unlink(missing_ok=True)

    def append(self, chunks: Iterable[bytes]) -> None:
        """Append chunks; after an error, the bytes before it are kept.

        Raises:
            DiskFullError: The disk is full.
        """
        with disk_errors(self.path.parent), self.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                self._on_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())

    def finish(self, target: Path) -> Path:
        """Rename the complete file to the target; return the target."""
        self._validator_path.unlink(missing_ok=True)
        return self.path.replace(target)


def require_room(folder: Path, needed: int, what: str) -> None:
    """Raise DiskFullError unless the disk of a folder has room.

    Args:
        folder: The folder; it need not exist yet.
        needed: Number of bytes.
        what: Name of the download, for the error message.
    """
    free = free_bytes(folder)
    if needed > free:
        raise DiskFullError(
            f"{folder} has no room for {what}: it needs {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB "
            "are free; free some space or choose another folder, and run the same command again"
        )
