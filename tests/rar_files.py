"""Rar 5 archives, whose members are stored as they are; by the format's technical note.

https://www.rarlab.com/technote.htm
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SIGNATURE = b"Rar!\x1a\x07\x01\x00"
STORED, NORMAL = 0, 3


class RarFile(NamedTuple):
    """A member.

    Attributes:
        name: Path with slashes.
        content: What is kept, as it is.
        method: 0 says that it is stored; above 0, that it is compressed, which it never is.
        size: What the header declares; None for the length of the content.
        link: Target of a symbolic link, which the member is then.
        folder: Whether the member is one.
    """

    name: str
    content: bytes = b""
    method: int = STORED
    size: int | None = None
    link: str | None = None
    folder: bool = False


def write_rar(path: Path, members: Iterable[RarFile], *, encrypted: bool = False) -> Path:
    """Writes an archive, with a header that says that the others are encrypted if it is to."""
    first = [_block(4, 0, _number(0) + _number(0) + b"\x0f" + bytes(16))] if encrypted else []
    blocks = [*first, _block(1, 0, _number(0)), *map(_file, members), _block(5, 0, _number(0))]
    path.write_bytes(SIGNATURE + b"".join(blocks))
    return path


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
    return _block(2, 2, b"".join(fields), extra, member.content)


def _link(target: bytes) -> bytes:
    record = _number(5) + _number(1) + _number(0) + _number(len(target)) + target
    return _number(len(record)) + record


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
