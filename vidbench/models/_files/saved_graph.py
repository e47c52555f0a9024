"""What a SavedModel's graph tells without TensorFlow: its last operation, and its variables.

Variables lie in a *tensor bundle*: an index, which is a table of TensorFlow's ``core/lib/io``
(that of LevelDB, https://github.com/google/leveldb/blob/main/doc/table_format.md), and files of
data. The messages are the few fields needed of ``tensor_bundle.proto``; the numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from vidbench.errors import ModelError
from vidbench.models._files.protobuf import message_classes
from vidbench.models._files.signature import Signature, read_meta_graph
from vidbench.models._scores import last_operation

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
_DEEPEST = 64  # calls within calls: more than any model has

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER_BYTES = 48
_FIELDS = """
Header: int32 num_shards 1
Entry: int32 shard 3, int64 offset 4, int64 size 5
"""


def read_ending(folder: Path, signature: Signature) -> str | None:
    """The last operation on the scores, see :func:`~vidbench.models._scores.last_operation`.

    Raises:
        ModelError: The folder holds no SavedModel.
    """
    meta = read_meta_graph(folder)
    entry = next(e.value for e in meta.signature_def if e.key == signature.name)
    tensor = next(e.value.name for e in entry.outputs if e.key == signature.output_name)
    functions = {each.signature.name: each for each in meta.graph.functions.defined}
    graph = _Graph(meta.graph.node, functions)
    return last_operation(graph.producer, tensor)


def require_variables(folder: Path) -> None:
    """Check that the files of variables are there, and as long as their index says.

    Raises:
        ModelError: They are not; or the folder holds no SavedModel.
    """
    index = folder / "variables" / "variables.index"
    if not index.is_file():
        if any(node.op in _VARIABLES for node in read_meta_graph(folder).graph.node):
            raise ModelError(f"{folder} has no {index.relative_to(folder)}: {_ADVICE}")
        return
    try:
        lengths = _data_lengths(index.read_bytes())
    except (ValueError, IndexError, DecodeError) as error:
        raise ModelError(f"{index} is damaged: {_ADVICE}") from error
    for name, length in lengths.items():
        data = index.with_name(name)
        found = data.stat().st_size if data.is_file() else None
        if found is None:
            raise ModelError(f"{folder} has no variables/{name}, which holds variables: {_ADVICE}")
        if found < length:
            raise ModelError(f"{data} has {found} bytes, its index says {length}: {_ADVICE}")


_ADVICE = "the model is not whole, fetch or copy it again"


class _Graph:
    """Operations by the tensors that they make, through calls of functions.

    A tensor of a function is named with the calls that lead to it before a bar.
    """

    def __init__(self, nodes: Sequence[Any], functions: Mapping[str, Any]) -> None:
        self._functions = functions
        self._scopes = {"": {node.name: node for node in nodes}}

    def producer(self, tensor: str) -> tuple[str, list[str]] | None:
        scope, _, local = tensor.rpartition("|")
        name, *position = local.split(":")
        node = self._scopes[scope].get(name)
        if node is None:
            return None
        if node.op not in _CALLS:
            prefix = f"{scope}|" if scope else ""
            return node.op, [prefix + source for source in node.input]
        place = int(position[-1]) if position and position[-1].isdecimal() else 0
        inner = self._enter(scope, node, place)
        return ("Identity", [inner]) if inner else None

    def _enter(self, scope: str, node: Any, place: int) -> str | None:
        """The tensor that a function gives at this place."""
        called = next((a.value.function.name for a in node.attribute if a.key == "f"), "")
        function = self._functions.get(called)
        depth = scope.count("|")
        if function is None or place >= len(function.signature.output) or depth > _DEEPEST:
            return None
        inside = f"{scope}|{node.name}" if scope else node.name
        self._scopes.setdefault(inside, {n.name: n for n in function.node})
        wanted = function.signature.output[place].name
        found = next((r.value for r in function.returned if r.key == wanted), None)
        return found and f"{inside}|{found}"


def _data_lengths(index: bytes) -> dict[str, int]:
    """How long each file of data must be at least, by its name."""
    if len(index) < _FOOTER_BYTES or index[-8:] != _MAGIC:
        raise ValueError("no table")
    footer = index[-_FOOTER_BYTES:]
    _, place = _varint(footer, 0)  # of the block about blocks
    _, place = _varint(footer, place)
    messages, num_shards, ends = _messages(), 1, dict[int, int]()
    for _, handle in _entries(index, footer, place):
        for key, value in _entries(index, handle, 0):
            if not key:
                num_shards = messages["Header"].FromString(value).num_shards
                continue
            entry = messages["Entry"].FromString(value)
            ends[entry.shard] = max(ends.get(entry.shard, 0), entry.offset + entry.size)
    return {f"variables.data-{shard:05d}-of-{num_shards:05d}": end for shard, end in ends.items()}


def _entries(table: bytes, handle: bytes, place: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the block that a handle, its offset and its size, leads to."""
    offset, place = _varint(handle, place)
    size, _ = _varint(handle, place)
    block = table[offset : offset + size]
    if len(block) < size or size < 4 or table[offset + size] != 0:  # 0: not compressed
        raise ValueError("a block is not whole")
    restarts = int.from_bytes(block[-4:], "little")
    place, end, key = 0, size - 4 * (restarts + 1), b""
    while place < end:
        shared, place = _varint(block, place)
        added, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + added]
        place += added
        yield key, block[place : place + length]
        place += length


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    number = shift = 0
    while True:
        byte = content[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place


@cache
def _messages() -> dict[str, Any]:
    return message_classes("vidbench_tensor_bundle", _FIELDS)
