"""Shapes in a TFLite model, read without TensorFlow, which takes seconds to import.

The layout of tables and vectors is FlatBuffers', https://flatbuffers.dev/internals/; the numbers
of fields are those of TensorFlow's ``schema.fbs``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from vidbench.models._signature import Shape

_SUBGRAPHS = 2  # of Model
_TENSORS, _INPUTS, _OUTPUTS = 0, 1, 2  # of SubGraph
_SHAPE, _NAME, _SHAPE_SIGNATURE = 0, 3, 7  # of Tensor


class Ends(NamedTuple):
    """Shapes of a model's inputs and outputs by name, None for a length that may vary."""

    inputs: Mapping[str, Shape | None]
    outputs: Mapping[str, Shape | None]


def read_ends(content: bytes) -> Ends:
    """What the model's first graph takes and gives.

    Raises:
        ValueError: The bytes are damaged.
    """
    buffer = _Buffer(content)
    try:
        (graph, *_) = buffer.tables(buffer.pointed(0), _SUBGRAPHS)
        tensors = buffer.tables(graph, _TENSORS)
        ends = (
            [tensors[number] for number in buffer.integers(graph, field)]
            for field in (_INPUTS, _OUTPUTS)
        )
        return Ends(*({buffer.text(t, _NAME): _shape(buffer, t) for t in end} for end in ends))
    except (struct.error, IndexError) as error:
        raise ValueError("its tables point outside of the file") from error


def _shape(buffer: _Buffer, tensor: int) -> Shape:
    lengths = buffer.integers(tensor, _SHAPE_SIGNATURE) or buffer.integers(tensor, _SHAPE)
    return tuple(length if length >= 0 else None for length in lengths)


class _Buffer:
    """Tables and vectors by their places in the bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def pointed(self, place: int) -> int:
        """Where an offset leads."""
        return place + self._number("<I", place)

    def tables(self, table: int, field: int) -> list[int]:
        """Places of the tables in a vector of them."""
        start, length = self._vector(table, field)
        return [self.pointed(start + 4 * i) for i in range(length)]

    def integers(self, table: int, field: int) -> list[int]:
        """The 32-bit integers of a vector."""
        start, length = self._vector(table, field)
        return [self._number("<i", start + 4 * i) for i in range(length)]

    def text(self, table: int, field: int) -> str:
        """A text."""
        start, length = self._vector(table, field)
        return self._content[start : start + length].decode(errors="replace")

    def _vector(self, table: int, field: int) -> tuple[int, int]:
        """Where the vector in a field begins, and its length; 0 where the field is not there."""
        vtable = table - self._number("<i", table)
        entry = 4 + 2 * field
        size = self._number("<H", vtable)
        offset = self._number("<H", vtable + entry) if entry < size else 0
        if not offset:
            return 0, 0
        vector = self.pointed(table + offset)
        return vector + 4, self._number("<I", vector)

    def _number(self, kind: str, place: int) -> int:
        if place < 0:  # which Python would count from the end
            raise IndexError(place)
        return int(struct.unpack_from(kind, self._content, place)[0])
