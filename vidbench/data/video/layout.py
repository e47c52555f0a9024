"""Expected length of a video file, from the lengths stored in its container format.

Most containers write the length of each part before it, so a truncated file ends within a part.
Only those lengths are read; no decoder is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

_PICTURE_BOXES = (b"moov", b"moof", b"mdat")
_BLOCK = 1 << 20
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675  # RFC 8794 and RFC 9559
_CLUSTER_NAME = _CLUSTER.to_bytes(4, "big")
_PICTURE_ELEMENTS = frozenset({_EBML, _SEGMENT, _CLUSTER, 0xA3, 0xA0})
_TAGS = (8, 9, 18)  # sound, pictures, data
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_MARK = bytes.fromhex("820000")  # of error correction
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def ends_early(path: Path, container_format: str) -> bool | None:
    """Whether the file ends within a part that contains pictures, or the start of one is damaged.

    Args:
        path: The file.
        container_format: FFmpeg's name of the demuxer.

    Returns:
        None if unknown: the container format has no lengths, this file has none because it was
        written as a stream, or its structure cannot be read.
    """
    measure = _MEASURES.get(container_format)
    if measure is None:
        return None
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            end = measure(file, size)
        except struct.error:  # the file ends within a header
            return True
    return None if end is None else end > size


def count_avi_chunks(path: Path, stream: int) -> int | None:
    """Number of non-empty chunks of this stream in an AVI.

    An empty chunk repeats the frame before it; FFmpeg gives no packet for it.

    Returns:
        None if the file is truncated or its structure is damaged.
    """
    number, count = f"{stream:02d}".encode(), 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        offset = end = 0
        while offset + 8 <= size:
            file.seek(offset)
            kind, length = struct.unpack("<4sI", file.read(8))
            if kind == b"RIFF":
                end = offset + 8 + length
            elif offset >= end > 12:
                break  # bytes after the last part do not belong to the video
            if offset + 8 + length > size or not all(32 <= byte < 127 for byte in kind):
                return None
            count += kind[:2] == number and kind[2:] in (b"dc", b"db") and length > 0
            offset += 12 if kind in (b"RIFF", b"LIST") else 8 + length + length % 2
    return count if offset >= end > 12 else None


def goes_on_in_fragments(path: Path) -> bool:
    """Whether an mp4 or mov is fragmented: its header counts only some of its frames."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"moov":
                return b"mvex" in file.read(length - 8)
            if length == 1:
                length = int.from_bytes(file.read(8), "big") - 8
            if length < 8:
                return False
            file.seek(length - 8, 1)
    return False


def _boxes_end(file: BinaryIO, size: int) -> int | None:
    """ISO/IEC 14496-12, 4.2: a box is its length, a name, and its content."""
    offset = 0
    while offset < size:
        file.seek(offset)
        if not any(head := file.read(8)):
            return _padding_end(file, offset, size, _PICTURE_BOXES)
        length, kind = struct.unpack(">I4s", head)
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length == 0 and kind == b"mdat":  # it extends to the end of the file
            return None
        is_picture = kind in _PICTURE_BOXES
        if length < 8 or (offset + length > size and not is_picture):
            # An index or padding may be truncated, and anything may follow the last picture.
            return _padding_end(file, offset, size, _PICTURE_BOXES)
        offset += length
    return offset


def _padding_end(file: BinaryIO, offset: int, size: int, parts: Sequence[bytes]) -> int:
    """End of the padding at ``offset``; beyond the end of the file if a part of a video follows."""
    file.seek(offset)
    before = b""
    while block := file.read(_BLOCK):
        if any(part in before + block for part in parts):
            return size + 1
        before = block[-3:]
    return size


def _segment_end(file: BinaryIO, size: int) -> int | None:
    """RFC 8794, 6: an element is a name, its length, and its content.

    A segment and its clusters have no length if they were written as a stream; their content does.
    """
    offset = 0
    while offset < size:
        file.seek(offset)
        name, length = _vint(file, keep_marker=True), _vint(file)
        is_streamed = length is None and name in (_SEGMENT, _CLUSTER)
        end = file.tell() + (length or 0)
        is_cut = end > size and name not in _PICTURE_ELEMENTS
        if name is None or is_cut or (length is None and not is_streamed):
            return _padding_end(file, offset, size, (_CLUSTER_NAME,))
        offset = end
    return offset


def _vint(file: BinaryIO, *, keep_marker: bool = False) -> int | None:
    """RFC 8794, 4: the leading zeros of the first byte say how many bytes follow it.

    A length whose bits are all ones is unknown.
    """
    (first,) = struct.unpack("B", file.read(1))
    more = 8 - first.bit_length()
    if more == 8:
        return None
    rest = struct.unpack(f"{more}s", file.read(more))[0]
    value = int.from_bytes(bytes([first]) + rest, "big")
    if keep_marker:
        return value
    length = value & (1 << 7 * (more + 1)) - 1
    return None if length == (1 << 7 * (more + 1)) - 1 else length


def _tags_end(file: BinaryIO, size: int) -> int | None:
    """Adobe's FLV specification 10.1, annex E: a header, then tags, each with its size.

    The total length is not stored. Bytes after the last tag do not belong to the video.
    """
    offset = 4 + int.from_bytes(file.read(9)[5:], "big")
    while offset < size:
        file.seek(offset)
        head = file.read(4)
        if len(head) < 4 or head[0] & 0x1F not in _TAGS:
            return size
        offset += 11 + int.from_bytes(head[1:], "big") + 4
    return offset


def _asf_end(file: BinaryIO, size: int) -> int | None:
    """The ASF specification, 3 and 5: the header, then packets of equal size.

    If the first packet begins with a mark, all do; FFmpeg (8.0) silently skips a hole of zeros, and
    often other bytes.
    """
    name, length = struct.unpack("<16sQ", file.read(24))
    header = file.read(min(length, 1 << 20) - 24)
    data, all_packets = struct.unpack("<16sQ26x", file.read(50))
    if (name, data) != (_ASF_HEADER, _ASF_DATA) or all_packets <= 50:  # unknown when streamed
        return None
    at = header.find(_ASF_FILE_PROPERTIES)
    (packet_size,) = struct.unpack_from("<I", header, at + 92) if at >= 0 else (0,)
    first = b""
    for offset in range(length + 50, min(size, length + all_packets), packet_size or size):
        file.seek(offset)
        mark = file.read(3)
        if not any(mark) or (offset > length + 50 and mark != _ASF_MARK == first):
            return size + 1
        first = mark if offset == length + 50 else first
    return int(length + all_packets)


_MEASURES: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes_end,
    "matroska,webm": _segment_end,
    "flv": _tags_end,
    "asf": _asf_end,
}
