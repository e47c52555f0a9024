"""Ends and operators of a TFLite model, read without TensorFlow, which takes seconds to import.

The layout of tables and vectors is FlatBuffers', https://flatbuffers.dev/internals/; the numbers
of fields, types and operators are those of TensorFlow's ``schema.fbs``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from vidbench.models._files.signature import Shape, Tensor, type_name

_OPERATOR_CODES, _SUBGRAPHS = 1, 2  # of Model
_DEPRECATED_CODE, _CUSTOM_CODE, _BUILTIN_CODE = 0, 1, 3  # of OperatorCode
_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS = 0, 1, 2, 3  # of SubGraph
_OPCODE_INDEX, _TAKEN, _GIVEN = 0, 1, 2  # of Operator
_SHAPE, _TYPE, _NAME, _QUANTIZATION, _SHAPE_SIGNATURE = 0, 1, 3, 4, 7  # of Tensor
_SCALE = 2  # of QuantizationParameters

_TYPES = (  # by their numbers
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16"),
    *("complex64", "int8", "float64", "complex128", "uint64", "resource", "variant"),
    *("uint32", "uint16", "int4", "bfloat16"),
)
_QUANTISED = ("uint8", "int8", "int16")
_BUILTINS = {  # those that are looked for
    0: "add",
    3: "conv_2d",
    6: "dequantize",
    9: "fully_connected",
    14: "logistic",
    22: "reshape",
    25: "softmax",
    39: "transpose",
    40: "mean",
    43: "squeeze",
    50: "log_softmax",
    53: "cast",
    70: "expand_dims",
    114: "quantize",
    126: "batch_matmul",
    132: "conv_3d",
}


class Model(NamedTuple):
    """What the first graph of a TFLite model says of itself.

    Attributes:
        inputs: By name; of quantised ones the type that their numbers stand for.
        outputs: Likewise.
        custom: Names of operators that TFLite does not have itself.
        producers: By the name of each tensor the operator that makes it, and what it takes.
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    custom: tuple[str, ...]
    producers: Mapping[str, tuple[str, list[str]]]


def read_model(content: bytes) -> Model:
    """What the model's first graph takes, does and gives.

    Raises:
        ValueError: The bytes are damaged.
    """
    buffer = _Buffer(content)
    try:
        root = buffer.pointed(0)
        codes = buffer.tables(root, _OPERATOR_CODES)
        (graph, *_) = buffer.tables(root, _SUBGRAPHS)
        tensors = buffer.tables(graph, _TENSORS)
        names = [buffer.text(tensor, _NAME) for tensor in tensors]
        inputs, outputs = (
            {names[number]: _tensor(buffer, tensors[number]) for number in ends}
            for ends in (buffer.integers(graph, _INPUTS), buffer.integers(graph, _OUTPUTS))
        )
        operators = [_operator(buffer, code) for code in codes]
        producers = {
            names[given]: (
                operators[buffer.number(node, _OPCODE_INDEX, "<I")],
                [names[taken] for taken in buffer.integers(node, _TAKEN) if taken >= 0],
            )
            for node in buffer.tables(graph, _OPERATORS)
            for given in buffer.integers(node, _GIVEN)
        }
    except (struct.error, IndexError) as error:
        raise ValueError("its tables point outside of the file") from error
    custom = (buffer.text(code, _CUSTOM_CODE) for code in codes)
    return Model(inputs, outputs, tuple(filter(None, custom)), producers)


def _operator(buffer: _Buffer, code: int) -> str:
    number = max(
        buffer.number(code, _DEPRECATED_CODE, "<b"), buffer.number(code, _BUILTIN_CODE, "<i")
    )
    return _BUILTINS.get(number, f"operator {number}")


def _tensor(buffer: _Buffer, tensor: int) -> Tensor:
    lengths = buffer.integers(tensor, _SHAPE_SIGNATURE) or buffer.integers(tensor, _SHAPE)
    shape: Shape = tuple(length if length >= 0 else None for length in lengths)
    number = buffer.number(tensor, _TYPE, "<b")
    dtype = type_name(_TYPES, number)
    quantization = buffer.table(tensor, _QUANTIZATION)
    scaled = dtype in _QUANTISED and quantization and buffer.integers(quantization, _SCALE)
    return Tensor(shape, "float32" if scaled else dtype)


class _Buffer:
    """Tables and vectors by their places in the bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def pointed(self, place: int) -> int:
        """Where an offset leads."""
        return place + self._number("<I", place)

    def table(self, table: int, field: int) -> int:
        """Place of the table in a field; 0 where the field is not there."""
        place = self._field(table, field)
        return self.pointed(place) if place else 0

    def tables(self, table: int, field: int) -> list[int]:
        """Places of the tables in a vector of them."""
        start, length = self._vector(table, field)
        return [self.pointed(start + 4 * i) for i in range(length)]

    def integers(self, table: int, field: int) -> list[int]:
        """The 32-bit values of a vector, as integers."""
        start, length = self._vector(table, field)
        return [self._number("<i", start + 4 * i) for i in range(length)]

    def text(self, table: int, field: int) -> str:
        """A text."""
        start, length = self._vector(table, field)
        return self._content[start : start + length].decode(errors="replace")

    def number(self, table: int, field: int, kind: str) -> int:
        """A number; 0 where the field is not there."""
        place = self._field(table, field)
        return self._number(kind, place) if place else 0

    def _vector(self, table: int, field: int) -> tuple[int, int]:
        """Where the vector in a field begins, and its length; 0 where the field is not there."""
        place = self._field(table, field)
        if not place:
            return 0, 0
        vector = self.pointed(place)
        return vector + 4, self._number("<I", vector)

    def _field(self, table: int, field: int) -> int:
        """Where a field of a table lies; 0 where it is not there."""
        vtable = table - self._number("<i", table)
        entry = 4 + 2 * field
        size = self._number("<H", vtable)
        offset = self._number("<H", vtable + entry) if entry < size else 0
        return table + offset if offset else 0

    def _number(self, kind: str, place: int) -> int:
        if place < 0:  # which Python would count from the end
            raise IndexError(place)
        return int(struct.unpack_from(kind, self._content, place)[0])
