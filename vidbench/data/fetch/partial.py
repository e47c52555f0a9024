"""A download that is not finished: the first bytes of a file, and what the file is known by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from vidbench.errors import DiskFullError
from vidbench.storage.files import disk_errors, free_bytes

OnBytes = Callable[[int], None]


class Partial:
    """The part of a file that has come so far, beside the place where the file goes.

    Args:
        target: Where the whole file goes; its folder is made.
        on_bytes: Called with the bytes that are held at first, and with each change.
    """

    def __init__(self, target: Path, on_bytes: OnBytes) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._validator_path = target.with_name(f"{target.name}.part.etag")
        self._on_bytes = on_bytes
        target.parent.mkdir(parents=True, exist_ok=True)
        on_bytes(self.size())

    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self) -> str | None:
        """What the server calls this version of the file; None if its rest cannot be asked for."""
        if self.size() and self._validator_path.exists():
            return self._validator_path.read_text("utf-8")
        return None

    def restart(self, validator: str | None) -> None:
        """Forgets what has come, and remembers what the file that comes now is known by."""
        self.discard()
        if validator and not validator.startswith("W/"):  # weak: does not promise equal bytes
            self._validator_path.write_text(validator, "utf-8")

    def discard(self) -> None:
        """Forgets what has come."""
        self._on_bytes(-self.size())
        self.path.unlink(missing_ok=True)
        self._validator_path.unlink(missing_ok=True)

    def append(self, chunks: Iterable[bytes]) -> None:
        """Adds bytes; after an error those are kept that came before it.

        Raises:
            DiskFullError: The disk does not take them.
        """
        with disk_errors(self.path.parent), self.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                self._on_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())

    def finish(self, target: Path) -> Path:
        """The target, which is the whole file from now on."""
        self._validator_path.unlink(missing_ok=True)
        return self.path.replace(target)


def require_room(folder: Path, needed: int, what: str) -> None:
    """Check that the disk of a folder has room.

    Args:
        folder: Need not exist yet.
        needed: Bytes.
        what: For whose sake.

    Raises:
        DiskFullError: It has less.
    """
    free = free_bytes(folder)
    if needed > free:
        raise DiskFullError(
            f"{folder} has no room for {what}: {needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} "
            "MB are free; make room or choose another folder, and run the same command again"
        )
