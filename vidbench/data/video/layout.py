"""How far a video file goes by its own account, read from its bytes without any decoder.

Most containers write the length of each part before it, so that a file that was cut ends within
a part. Nothing but those lengths is read.
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
    """Whether the file ends within a part that holds pictures, or is damaged where one begins.

    Args:
        path: The file.
        container_format: FFmpeg's name of the demuxer.

    Returns:
        None where neither can be told: the container keeps no lengths, this file keeps none
        because it was written as a stream, or what lies there is not its structure.
    """
    measure = _MEASURES.get(container_format)
    if measure is None:
        return None
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            end = measure(file, size)
        except struct.error:  # a header is cut in two
            return True
    return None if end is None else end > size


def count_avi_chunks(path: Path, stream: int) -> int | None:
    """How many chunks of this stream an AVI holds that are not empty.

    An empty chunk repeats the frame before it; FFmpeg gives no packet for it.

    Returns:
        None where the file is cut or its structure is damaged.
    """
    number, found = f"{stream:02d}".encode(), 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        place = end = 0
        while place + 8 <= size:
            file.seek(place)
            kind, length = struct.unpack("<4sI", file.read(8))
            if kind == b"RIFF":
                end = place + 8 + length
            elif place >= end > 12:
                break  # what follows the last part is none of the video's
            if place + 8 + length > size or not all(32 <= byte < 127 for byte in kind):
                return None
            found += kind[:2] == number and kind[2:] in (b"dc", b"db") and length > 0
            place += 12 if kind in (b"RIFF", b"LIST") else 8 + length + length % 2
    return found if place >= end > 12 else None


def goes_on_in_fragments(path: Path) -> bool:
    """Whether the header of an mp4 or mov counts some of its frames, and fragments hold others."""
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
    """ISO/IEC 14496-12, 4.2: a box is its length, a name, and what it holds."""
    place = 0
    while place < size:
        file.seek(place)
        if not any(head := file.read(8)):
            return _padding_end(file, place, size, _PICTURE_BOXES)
        length, kind = struct.unpack(">I4s", head)
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length == 0 and kind == b"mdat":  # it goes to the end of the file, wherever that is
            return None
        is_picture = kind in _PICTURE_BOXES
        if length < 8 or (place + length > size and not is_picture):
            # An index or padding may be cut, and anything may lie behind the last picture.
            return _padding_end(file, place, size, _PICTURE_BOXES)
        place += length
    return place


def _padding_end(file: BinaryIO, place: int, size: int, parts: Sequence[bytes]) -> int:
    """The end of what is no part of a video; beyond the file where such a part follows."""
    file.seek(place)
    before = b""
    while block := file.read(_BLOCK):
        if any(part in before + block for part in parts):
            return size + 1
        before = block[-3:]
    return size


def _segment_end(file: BinaryIO, size: int) -> int | None:
    """RFC 8794, 6: an element is a name, its length, and what it holds.

    A segment and its clusters have no length where they were written as a stream; what they hold
    has one.
    """
    place = 0
    while place < size:
        file.seek(place)
        name, length = _vint(file, keep_marker=True), _vint(file)
        is_streamed = length is None and name in (_SEGMENT, _CLUSTER)
        end = file.tell() + (length or 0)
        is_cut = end > size and name not in _PICTURE_ELEMENTS
        if name is None or is_cut or (length is None and not is_streamed):
            return _padding_end(file, place, size, (_CLUSTER_NAME,))
        place = end
    return place


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

    The length of the whole stands nowhere. What lies behind the last tag is none of the video's.
    """
    place = 4 + int.from_bytes(file.read(9)[5:], "big")
    while place < size:
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[0] & 0x1F not in _TAGS:
            return size
        place += 11 + int.from_bytes(head[1:], "big") + 4
    return place


def _asf_end(file: BinaryIO, size: int) -> int | None:
    """The ASF specification, 3 and 5: the header, then packets of one size.

    Where the first packet begins with a mark, all do; FFmpeg (8.0) passes over a hole of zeros, and
    often over other bytes, without a word.
    """
    name, length = struct.unpack("<16sQ", file.read(24))
    header = file.read(min(length, 1 << 20) - 24)
    data, all_packets = struct.unpack("<16sQ26x", file.read(50))
    if (name, data) != (_ASF_HEADER, _ASF_DATA) or all_packets <= 50:  # a stream does not know it
        return None
    at = header.find(_ASF_FILE_PROPERTIES)
    (packet_size,) = struct.unpack_from("<I", header, at + 92) if at >= 0 else (0,)
    first = b""
    for place in range(length + 50, min(size, length + all_packets), packet_size or size):
        file.seek(place)
        mark = file.read(3)
        if not any(mark) or (place > length + 50 and mark != _ASF_MARK == first):
            return size + 1
        first = mark if place == length + 50 else first
    return int(length + all_packets)


_MEASURES: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes_end,
    "matroska,webm": _segment_end,
    "flv": _tags_end,
    "asf": _asf_end,
}
