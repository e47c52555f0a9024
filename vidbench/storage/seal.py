"""Sealed files: a checksum in the first bytes, verified before a parser sees the content.

HDF5 trusts its input: one flipped bit of its metadata can crash a process or hang it. It leaves
the first bytes of a file, the user block, to the application; they hold the seal.
"""

from __future__ import annotations

import io
import os

import numpy as np
import xxhash
from numpy.typing import NDArray

from vidbench.errors import CacheError

USER_BLOCK = 512
"""Size of the user block in bytes, the smallest that HDF5 permits."""

_MAGIC = b"vidbench clip 2\n"  # increase the number whenever the layout of files changes
_LENGTH = slice(len(_MAGIC), len(_MAGIC) + 8)


def seal(content: memoryview) -> None:
    """Fill the user block of a file's content in place; call it when the rest is complete."""
    content[:USER_BLOCK] = _user_block(content)


def require_length(begin: bytes, size: int) -> None:
    """Raise CacheError unless a file is as long as its seal states.

    The check avoids allocating memory for a file that is far too long.

    Args:
        begin: The file's first :data:`USER_BLOCK` bytes, or fewer if it is shorter.
        size: The file's size in bytes.
    """
    if not begin.startswith(_MAGIC):
        raise CacheError("this version of vidbench did not write it")
    if int.from_bytes(begin[_LENGTH], "little") != size or size < USER_BLOCK:
        raise CacheError(f"it has {size} bytes, which is not what was written")


def verify_seal(content: memoryview) -> NDArray[np.uint8]:
    """The content of a file as an array that shares its memory, after verifying the checksum.

    Raises:
        CacheError: The content is damaged, or has no seal.
    """
    begin = content[:USER_BLOCK].tobytes()
    require_length(begin, len(content))
    if begin != _user_block(content):
        raise CacheError("it does not hold what was written: its checksum differs")
    return np.frombuffer(content, np.uint8)


class BytesFile(io.RawIOBase):
    """A readable file over an array in memory that, unlike :class:`io.BytesIO`, does not copy it.

    Args:
        content: The bytes, in one dimension.
    """

    def __init__(self, content: NDArray[np.uint8]) -> None:
        super().__init__()
        self._content = content.data
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to ``offset`` from the beginning, the current position or the end; return it."""
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._content)}
        self._position = origins[whence] + offset
        return self._position

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # all that h5py gives
        """Copy bytes to ``target``; return how many, fewer than it holds only at the end."""
        piece = self._content[self._position : self._position + len(target)]
        target[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def _user_block(content: memoryview) -> bytes:
    """Magic and version in 16 bytes, length in 8, XXH3-128 of the rest in 16, then zeros."""
    checksum = xxhash.xxh3_128_digest(content[USER_BLOCK:])
    return (_MAGIC + len(content).to_bytes(8, "little") + checksum).ljust(USER_BLOCK, b"\0")
