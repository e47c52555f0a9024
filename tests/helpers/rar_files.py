"""Rar archives, whose members are stored as they are.

Rar 5 by the format's technical note (https://www.rarlab.com/technote.htm), rar 3 by the note that
came with the program before.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIGNATURE, SIGNATURE_3 = b"Rar!\x1a\x07\x01\x00", b"Rar!\x1a\x07\x00"
STORED, NORMAL = 0, 3
_NOISE = np.random.default_rng(5).bytes(400)  # what encrypted headers look like


class RarFile(NamedTuple):
    """A member.

    Attributes:
        name: Path with slashes.
        content: What is kept, as it is.
        method: 0 says that it is stored; above 0, that it is compressed, which it never is.
        size: What the header declares; None for the length of the content.
        link: Target of a symbolic link, which the member is then.
        folder: Whether the member is one.
        is_secret: Say that it is encrypted, which it never is.
    """

    name: str
    content: bytes = b""
    method: int = STORED
    size: int | None = None
    link: str | None = None
    folder: bool = False
    is_secret: bool = False


def write_rar(path: Path, members: Iterable[RarFile]) -> Path:
    """Writes an archive."""
    blocks = [_block(1, 0, _number(0)), *map(_file, members), _block(5, 0, _number(0))]
    path.write_bytes(SIGNATURE + b"".join(blocks))
    return path


def write_rar_of_secret_names(path: Path) -> Path:
    """Writes an archive of which only the header can be read that says that all are encrypted."""
    header = _block(4, 0, _number(0) + _number(0) + b"\x0f" + bytes(range(16)))
    path.write_bytes(SIGNATURE + header + _NOISE)
    return path


def write_rar3(
    path: Path, content: bytes, *, comment: bytes = b"", is_secret: bool = False
) -> Path:
    """Writes an archive of rar 3 with the file ``a.avi``.

    Args:
        path: Of the archive.
        content: Of the file.
        comment: As it is compressed, which it never is.
        is_secret: Say that the file is encrypted, which it never is.
    """
    blocks = [_block3(0x73, 0, bytes(6)), _file3("a.avi", content, 0x74, 4 if is_secret else 0)]
    blocks += [_file3("CMT", comment, 0x7A, method=0x33)] if comment else []
    path.write_bytes(SIGNATURE_3 + b"".join([*blocks, _block3(0x7B, 0x4000)]))
    return path


def write_rar3_of_secret_names(path: Path) -> Path:
    """As :func:`write_rar_of_secret_names`, of rar 3."""
    path.write_bytes(SIGNATURE_3 + _block3(0x73, 0x80, bytes(6)) + _NOISE)
    return path


def _file3(name: str, content: bytes, kind: int, flags: int = 0, method: int = 0x30) -> bytes:
    checksum = zlib.crc32(content)
    fields = struct.pack("<LLBLLBBHL", len(content), len(content), 3, checksum, 0, 29, method,
                         len(name), 0o100644)  # fmt: skip
    return _block3(kind, 0x8000 | flags, fields + name.encode()) + content


def _block3(kind: int, flags: int, fields: bytes = b"") -> bytes:
    header = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
    return struct.pack("<H", zlib.crc32(header) & 0xFFFF) + header


def _file(member: RarFile) -> bytes:
    name = member.name.encode()
    size = len(member.content) if member.size is None else member.size
    fields = [
        _number(1 if member.folder else 4),  # a folder, or a file with a checksum
        _number(size),
        _number(0o40755 if member.folder else 0o100644),
        b"" if member.folder else zlib.crc32(member.content).to_bytes(4, "little"),
        _number(member.method << 7),
        _number(1),  # Unix
        _number(len(name)),
        name,
    ]
    extra = b"" if member.link is None else _link(member.link.encode())
    extra += _SECRET if member.is_secret else b""
    return _block(2, 2, b"".join(fields), extra, member.content)


def _link(target: bytes) -> bytes:
    record = _number(5) + _number(1) + _number(0) + _number(len(target)) + target
    return _number(len(record)) + record


# A record of 36 bytes: kind, version, flags, power of two of rounds, salt, first vector.
_SECRET = bytes([36, 1, 0, 0, 15]) + bytes(range(32))


def _block(kind: int, flags: int, fields: bytes, extra: bytes = b"", data: bytes = b"") -> bytes:
    flags |= 1 if extra else 0
    sizes = (_number(len(extra)) if flags & 1 else b"") + (_number(len(data)) if flags & 2 else b"")
    header = _number(kind) + _number(flags) + sizes + fields + extra
    header = _number(len(header)) + header
    return zlib.crc32(header).to_bytes(4, "little") + header + data


def _number(value: int) -> bytes:
    """7 bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
