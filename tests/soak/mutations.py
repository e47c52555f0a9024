"""Ways to damage a video file, each decided by a seed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf", b"mvex")
_EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADER_BYTES = 2048  # where the structure of a container is not read
_BODIES = (b"mdat", b"movi", b"free", b"JUNK", b"idx1")


class Part(NamedTuple):
    """A box of an mp4 or a chunk of an avi: where it begins, with its header, and where it ends."""

    kind: bytes
    start: int
    end: int


Mutation = Callable[[bytes, Random], bytes]


def parts(content: bytes) -> list[Part]:
    """All boxes of an mp4, or all chunks of an avi, outer ones first; none of other containers."""
    if content[:4] == b"RIFF":
        return list(_chunks(content, 12, len(content)))
    if content[4:8] == b"ftyp":
        return list(_boxes(content, 0, len(content)))
    return []


def _boxes(content: bytes, start: int, end: int) -> Iterator[Part]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        if not 8 <= size <= end - start:
            return
        yield Part(kind, start, start + size)
        if kind in _CONTAINERS:
            yield from _boxes(content, start + 8, start + size)
        start += size


def _chunks(content: bytes, start: int, end: int) -> Iterator[Part]:
    while start + 8 <= end:
        kind, size = struct.unpack_from("<4sI", content, start)
        if size > end - start - 8:
            return
        is_list = kind == b"LIST"
        name = content[start + 8 : start + 12] if is_list else kind
        yield Part(name, start, start + 8 + size)
        if is_list and name != b"movi":
            yield from _chunks(content, start + 12, start + 8 + size)
        start += 8 + size + size % 2


def _header(content: bytes, draw: Random) -> tuple[int, int]:
    """Where some part of the header lies."""
    headers = [part for part in parts(content) if part.kind not in _BODIES]
    if not headers:
        return 0, min(_HEADER_BYTES, len(content))
    chosen = draw.choice(headers)
    return chosen.start, chosen.end


def _body(content: bytes) -> tuple[int, int]:
    bodies = [part for part in parts(content) if part.kind in (b"mdat", b"movi")]
    if not bodies:
        return min(_HEADER_BYTES, len(content) // 2), len(content)
    largest = max(bodies, key=lambda part: part.end - part.start)
    return largest.start + 12, largest.end


def _flip(content: bytes, span: tuple[int, int], number: int, draw: Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(number):
        damaged[draw.randrange(*span)] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def flip_in_header(content: bytes, draw: Random) -> bytes:
    return _flip(content, _header(content, draw), draw.choice((1, 1, 2, 8)), draw)


def flip_in_body(content: bytes, draw: Random) -> bytes:
    return _flip(content, _body(content), draw.choice((1, 2, 8, 64, 512)), draw)


def truncate(content: bytes, draw: Random) -> bytes:
    return content[: draw.randrange(len(content))]


def set_header_field(content: bytes, draw: Random) -> bytes:
    """A field of 1, 2 or 4 bytes in some box or chunk takes an extreme or a random value."""
    damaged, size = bytearray(content), draw.choice((1, 2, 4, 4))
    for _ in range(draw.choice((1, 1, 1, 3))):
        start, end = _header(content, draw)
        place = draw.randrange(start, max(start + 1, end - size + 1))
        value = draw.choice((*_EXTREMES, draw.getrandbits(32))) & (1 << 8 * size) - 1
        field = value.to_bytes(size, draw.choice(("big", "little")))
        damaged[place : place + size] = field[: len(damaged) - place]
    return bytes(damaged)


def set_part_size(content: bytes, draw: Random) -> bytes:
    """A box or a chunk claims another size."""
    found = parts(content)
    if not found:
        return set_header_field(content, draw)
    part, damaged = draw.choice(found), bytearray(content)
    size = draw.choice((*_EXTREMES, draw.randrange(1 << 12), len(content), part.end - part.start))
    if content[:4] == b"RIFF":
        struct.pack_into("<I", damaged, part.start + 4, size)
    else:
        struct.pack_into(">I", damaged, part.start, size)
    return bytes(damaged)


def set_table_entry(content: bytes, draw: Random) -> bytes:
    """An entry of an mp4's sample tables, or of an avi's index or stream header, is extreme."""
    tables = (b"stts", b"stsz", b"stsc", b"stco", b"ctts", b"stss", b"elst", b"strh", b"idx1")
    found = [part for part in parts(content) if part.kind in tables and part.end > part.start + 16]
    if not found:
        return set_header_field(content, draw)
    part, damaged = draw.choice(found), bytearray(content)
    place = draw.randrange((part.end - part.start - 12) // 4) * 4 + part.start + 12
    value = draw.choice((*_EXTREMES, draw.randrange(1 << 16)))
    struct.pack_into("<I" if content[:4] == b"RIFF" else ">I", damaged, place, value)
    return bytes(damaged)


def _block(content: bytes, draw: Random) -> tuple[int, int]:
    length = min(len(content), draw.choice((16, 256, 4096, len(content) // 8 + 1)))
    start = draw.randrange(len(content) - length + 1)
    return start, start + length


def swap_blocks(content: bytes, draw: Random) -> bytes:
    start, end = _block(content, draw)
    other = draw.randrange(len(content) - (end - start) + 1)
    damaged, length = bytearray(content), end - start
    damaged[start:end] = content[other : other + length]
    damaged[other : other + length] = content[start:end]
    return bytes(damaged)


def swap_parts(content: bytes, draw: Random) -> bytes:
    """Two neighbours among the boxes or chunks change places."""
    found = parts(content)
    pairs = [(a, b) for a in found for b in found if a.end == b.start]
    if not pairs:
        return swap_blocks(content, draw)
    a, b = draw.choice(pairs)
    second, first = content[b.start : b.end], content[a.start : a.end]
    return content[: a.start] + second + first + content[b.end :]


def zero_run(content: bytes, draw: Random) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + bytes(end - start) + content[end:]


def remove_block(content: bytes, draw: Random) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + content[end:]


def repeat_block(content: bytes, draw: Random) -> bytes:
    start, end = _block(content, draw)
    return content[:end] + content[start:]


def concatenate(content: bytes, draw: Random) -> bytes:
    """The file, or its head, before itself or its tail, with or without noise between them."""
    head = content[: draw.choice((len(content), draw.randrange(len(content))))]
    tail = content[draw.choice((0, draw.randrange(len(content)))) :]
    return head + draw.randbytes(draw.choice((0, 0, 7, 4096))) + tail


MUTATIONS: dict[str, Mutation] = {
    "bits flipped in a header": flip_in_header,
    "bits flipped in the body": flip_in_body,
    "truncated": truncate,
    "field of a header": set_header_field,
    "size of a box or chunk": set_part_size,
    "entry of a table": set_table_entry,
    "blocks swapped": swap_blocks,
    "boxes or chunks swapped": swap_parts,
    "run of zeros": zero_run,
    "block removed": remove_block,
    "block repeated": repeat_block,
    "concatenated": concatenate,
}


def mutate(content: bytes, kind: str, seed: int) -> bytes:
    """The content damaged in this way; the same for the same seed."""
    return MUTATIONS[kind](content, Random(f"{kind}/{seed}"))  # noqa: S311 - nothing secret
