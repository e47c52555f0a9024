"""H.264 of single fields, as camcorders write it: two packets a frame, and no encoder at hand."""

from __future__ import annotations

_SIZE = 64
_GROUP = 25  # frames


class _Bits(list[int]):
    """Bits of a bitstream, as ITU-T H.264, 7.2, writes them."""

    def u(self, length: int, value: int) -> None:
        self.extend(value >> place & 1 for place in reversed(range(length)))

    def ue(self, *values: int) -> None:
        for value in values:
            self.u(2 * (value + 1).bit_length() - 1, value + 1)

    def align(self) -> None:
        self.extend([0] * (-len(self) % 8))


def field_stream(num_frames: int) -> bytes:
    """Frame ``i`` is grey of level 40 + 2 i, with its second field one level brighter."""
    found = bytearray()
    for number in range(num_frames):
        found += b"\0\0\0\1\x09\x10"
        if number % _GROUP == 0:
            found += _sequence() + _picture()
        found += _field(number, 0) + _field(number, 1)
    return bytes(found)


def _unit(head: int, bits: _Bits) -> bytes:
    bits.append(1)
    bits.align()
    found, zeros = bytearray([head]), 0
    for place in range(0, len(bits), 8):
        byte = int("".join(map(str, bits[place : place + 8])), 2)
        if zeros >= 2 and byte <= 3:
            found.append(3)
            zeros = 0
        found.append(byte)
        zeros = 0 if byte else zeros + 1
    return b"\0\0\0\1" + bytes(found)


def _sequence() -> bytes:
    bits = _Bits()
    bits.u(24, 0x4D001E)  # main profile, level 3
    bits.ue(0, 0, 0, 4, 1)
    bits.u(1, 0)
    bits.ue(_SIZE // 16 - 1, _SIZE // 32 - 1)
    bits.u(5, 0b00101)  # fields may be coded, and the rate follows
    bits.u(5, 0b00001)
    bits.u(32, 1)
    bits.u(32, 50)
    bits.u(1, 1)
    bits.u(4, 0)
    return _unit(0x67, bits)


def _picture() -> bytes:
    bits = _Bits()
    bits.ue(0, 0)
    bits.u(2, 0)
    bits.ue(0, 0, 0)
    bits.u(3, 0)
    bits.ue(0, 0, 0)
    bits.u(3, 0b100)
    return _unit(0x68, bits)


def _field(number: int, is_bottom: int) -> bytes:
    place = number % _GROUP
    is_key = place == 0 and not is_bottom
    bits = _Bits()
    bits.ue(0, 7, 0)
    bits.u(4, place % 16)
    bits.u(2, 0b10 | is_bottom)
    if is_key:
        bits.ue(number // _GROUP % 2)
    bits.u(8, 2 * place + is_bottom)
    bits.u(2 if is_key else 1, 0)
    bits.ue(0, 1)
    for _ in range(_SIZE * _SIZE // 512):
        bits.ue(25)  # a block of plain samples
        bits.align()
        for level, count in ((40 + 2 * number + is_bottom, 256), (128, 128)):
            for _ in range(count):
                bits.u(8, level)
    return _unit(0x25 if is_key else 0x21, bits)
