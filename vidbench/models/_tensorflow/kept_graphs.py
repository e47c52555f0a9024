"""Frozen graphs on disk: a graph, then its weights where a processor likes them to lie."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.models.base import GRAPH_FOLDER
from vidbench.storage.files import replacing, sweep

logger = logging.getLogger(__name__)

_VERSION = 3  # raised whenever a graph is made or kept otherwise
_ALIGNMENT = 64  # TensorFlow copies an array that begins elsewhere, at every call
_CHECKSUM_BYTES = 16
_LENGTH_BYTES = 8


class Frozen(NamedTuple):
    """A graph without state.

    Attributes:
        meta: A ``MetaGraphDef``; its signature ``serve`` takes clips and gives scores.
        weights: What its other placeholders take, by their names.
    """

    meta: Any
    weights: Mapping[str, NDArray[Any]]


class GraphUsage(NamedTuple):
    """How many graphs are kept, and in how many bytes."""

    models: int
    num_bytes: int


class KeptGraphs:
    """The graphs kept in one folder; constructing it touches no disk.

    A file is the XXH3-128 of the rest, the graph's length in 8 bytes, the graph, and the weights
    in the order of their placeholders, each at a multiple of 64 bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def name(precision: str, digest: str) -> str:
        """Of a file: TensorFlow's version and ours, the precision, a digest of what else counts."""
        return f"{_prefix()}{precision}-{digest}.graph"

    def read(self, name: str) -> Frozen | None:
        """The graph that was kept, or None if there is none or it is damaged."""
        path = self._folder / name
        try:
            content = _read_aligned(path)
        except OSError:
            return None
        checksum, rest = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if xxhash.xxh3_128_digest(rest.data) != bytes(checksum):
            logger.warning("%s does not hold what was written: making it again", path)
            return None
        return _unpack(content)

    def write(self, name: str, frozen: Frozen) -> None:
        """Keeps the graph, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        sweep(self._folder, "")
        with replacing(self._folder / name) as temporary, temporary.open("w+b") as file:
            file.seek(_CHECKSUM_BYTES)
            checksum = xxhash.xxh3_128()
            for part in _parts(frozen):
                file.write(part)
                checksum.update(part)
            file.seek(0)
            file.write(checksum.digest())

    def usage(self) -> GraphUsage:
        """What is there."""
        return _usage(self._paths())

    def prune(self, name: str | None = None) -> GraphUsage:
        """What was removed: graphs of other versions of the software, or with a name maybe all.

        Args:
            name: ``graphs`` or ``all`` for all of them; any other name means none.
        """
        stale = [path for path in self._paths() if not path.name.startswith(_prefix())]
        everything = self._paths() if name in (GRAPH_FOLDER, "all") else []
        chosen = stale if name is None else everything
        removed = _usage(chosen)
        for path in chosen:
            path.unlink(missing_ok=True)
        sweep(self._folder, "")
        return removed

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("tensorflow-*"))


def _prefix() -> str:
    return f"tensorflow-{metadata.version('tensorflow')}-v{_VERSION}-"


def _usage(paths: Sequence[Path]) -> GraphUsage:
    return GraphUsage(len(paths), sum(path.stat().st_size for path in paths))


def _parts(frozen: Frozen) -> list[bytes | memoryview]:
    """All of a file but its checksum, in order."""
    graph = frozen.meta.SerializeToString()
    parts: list[bytes | memoryview] = [len(graph).to_bytes(_LENGTH_BYTES, "little"), graph]
    position = _CHECKSUM_BYTES + _LENGTH_BYTES + len(graph)
    for node in _weight_nodes(frozen.meta):
        weight = np.ascontiguousarray(frozen.weights[node.name])
        gap = -position % _ALIGNMENT
        parts += [bytes(gap), weight.reshape(-1).view(np.uint8).data]
        position += gap + weight.nbytes
    return parts


def _unpack(content: NDArray[np.uint8]) -> Frozen:
    tf = import_tensorflow()
    begin = _CHECKSUM_BYTES + _LENGTH_BYTES
    end = begin + int.from_bytes(content[_CHECKSUM_BYTES:begin], "little")
    meta = tf.compat.v1.MetaGraphDef.FromString(content[begin:end].tobytes())
    weights = {}
    for node in _weight_nodes(meta):
        shape = [dim.size for dim in node.attr["shape"].shape.dim]
        dtype = np.dtype(tf.dtypes.as_dtype(node.attr["dtype"].type).as_numpy_dtype)
        begin = end + -end % _ALIGNMENT
        end = begin + math.prod(shape) * dtype.itemsize
        weights[node.name] = content[begin:end].view(dtype).reshape(shape)
    return Frozen(meta, weights)


def _weight_nodes(meta: Any) -> list[Any]:
    """The placeholders that the signature does not name."""
    named = {entry.name for entry in meta.signature_def["serve"].inputs.values()}
    nodes = meta.graph_def.node
    return [node for node in nodes if node.op == "Placeholder" and f"{node.name}:0" not in named]


def _read_aligned(path: Path) -> NDArray[np.uint8]:
    """The file's content, read rather than mapped: it stays what was verified."""
    with path.open("rb") as file:
        size = path.stat().st_size
        room = np.empty(size + _ALIGNMENT, np.uint8)
        begin = -room.ctypes.data % _ALIGNMENT
        content = room[begin : begin + size]
        return content[: file.readinto(content.data)]
