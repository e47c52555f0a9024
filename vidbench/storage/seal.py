"""Files whose first bytes verify all others, so that nothing damaged reaches a parser.

HDF5 trusts what it reads: one flipped bit of its metadata can crash a process or never end. It
leaves the first bytes of a file, the user block, to whoever writes it; here they hold the seal.
"""

from __future__ import annotations

import io
import os

import numpy as np
import xxhash
from numpy.typing import NDArray

from vidbench.errors import CacheError

USER_BLOCK = 512
"""Bytes before HDF5's own; the smallest number that it permits."""

_MAGIC = b"vidbench clip 2\n"  # the number is raised whenever files are laid out otherwise
_LENGTH = slice(len(_MAGIC), len(_MAGIC) + 8)


def seal(content: memoryview) -> None:
    """Fills the user block of a file's content, in place, when all else is there."""
    content[:USER_BLOCK] = _user_block(content)


def require_length(begin: bytes, size: int) -> None:
    """Raise CacheError unless a file is as long as its seal says.

    So no memory is taken for a file that is far too long.

    Args:
        begin: The file's first bytes, :data:`USER_BLOCK` of them if it has so many.
        size: Of the file.
    """
    if not begin.startswith(_MAGIC):
        raise CacheError("this version of vidbench did not write it")
    if int.from_bytes(begin[_LENGTH], "little") != size or size < USER_BLOCK:
        raise CacheError(f"it has {size} bytes, which is not what was written")


def verify_seal(content: memoryview) -> NDArray[np.uint8]:
    """The content of a file as an array, not copied, if all of it is what was sealed.

    Raises:
        CacheError: It is damaged, or has no seal.
    """
    begin = content[:USER_BLOCK].tobytes()
    require_length(begin, len(content))
    if begin != _user_block(content):
        raise CacheError("it does not hold what was written: its checksum differs")
    return np.frombuffer(content, np.uint8)


class BytesFile(io.RawIOBase):
    """A file to read whose content lies in memory and is not copied, as :class:`io.BytesIO` does.

    Args:
        content: All of it, in one dimension.
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
        """The new position: ``offset`` from the begin, the present position or the end."""
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._content)}
        self._position = origins[whence] + offset
        return self._position

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # all that h5py gives
        """How many bytes were copied to ``target``; fewer than it holds at the end only."""
        found = self._content[self._position : self._position + len(target)]
        target[: len(found)] = found
        self._position += len(found)
        return len(found)


def _user_block(content: memoryview) -> bytes:
    """Magic word and version in 16 bytes, length in 8, XXH3-128 of what follows in 16, zeros."""
    checksum = xxhash.xxh3_128_digest(content[USER_BLOCK:])
    return (_MAGIC + len(content).to_bytes(8, "little") + checksum).ljust(USER_BLOCK, b"\0")
