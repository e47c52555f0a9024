"""What a SavedModel's signatures take and give, read without TensorFlow, which takes seconds.

The messages are the few fields needed of TensorFlow's ``saved_model.proto``, ``meta_graph.proto``,
``graph.proto``, ``function.proto`` and ``tensor_shape.proto``; the numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from vidbench.errors import ModelError
from vidbench.models._files.protobuf import message_classes

Shape = tuple[int | None, ...]

_PREFERRED = ("default", "serving_default")
_SERVED = "serve"  # the tag of the graph that is meant to be run, of several

_FIELDS = """
SavedModel: MetaGraphDef* meta_graphs 2
MetaGraphDef: MetaInfo meta_info 1, GraphDef graph 2, SignatureEntry* signature_def 5
MetaInfo: string* tags 4
GraphDef: Node* node 1, Functions functions 2
Functions: Function* defined 1
Function: Operation signature 1, Node* node 3, TextEntry* returned 4
Operation: string name 1, Argument* output 3
Argument: string name 1
TextEntry: string key 1, string value 2
Node: string name 1, string op 2, string* input 3, AttributeEntry* attribute 5
AttributeEntry: string key 1, Attribute value 2
Attribute: FunctionName function 10
FunctionName: string name 1
SignatureEntry: string key 1, SignatureDef value 2
SignatureDef: TensorEntry* inputs 1, TensorEntry* outputs 2
TensorEntry: string key 1, TensorInfo value 2
TensorInfo: string name 1, int32 dtype 2, TensorShape tensor_shape 3
TensorShape: Dim* dim 2, bool unknown_rank 3
Dim: int64 size 1
"""

_TYPES = (  # of types.proto, by their numbers
    *("invalid", "float32", "float64", "int32", "uint8", "int16", "int8", "string"),
    *("complex64", "int64", "bool", "qint8", "quint8", "qint32", "bfloat16", "qint16"),
    *("quint16", "uint16", "complex128", "float16", "resource", "variant", "uint32"),
    *("uint64",),
)


class Tensor(NamedTuple):
    """What goes into a model, or comes out of it.

    Attributes:
        shape: None for a length that may vary; None in all for an unknown rank.
        dtype: E.g. ``float32``; None where the file does not say.
    """

    shape: Shape | None
    dtype: str | None = None


def type_name(names: Sequence[str], number: int) -> str:
    """Name of a type by its number in a format, e.g. ``float32``."""
    return names[number] if 0 <= number < len(names) else f"type {number}"


class EntryPoint(NamedTuple):
    """What one signature takes and gives, by name."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


class Signature(NamedTuple):
    """One entry point of a model, with one input.

    Attributes:
        name: Its key in a SavedModel, e.g. ``default``.
        input_name: The input's key.
        input_shape: None for a length that may vary; None in all for an unknown rank.
        output_name: The key of the output that holds the scores.
        output_shape: Likewise.
        input_dtype: E.g. ``float32``; None where the file does not say.
        output_dtype: Likewise.
    """

    name: str
    input_name: str
    input_shape: Shape | None
    output_name: str
    output_shape: Shape | None
    input_dtype: str | None = None
    output_dtype: str | None = None


def read_meta_graph(folder: Path) -> Any:
    """The graph of a SavedModel that is run, as a message; of several, the one for serving.

    Raises:
        ModelError: The folder holds no SavedModel.
    """
    path = folder / "saved_model.pb"
    try:
        saved = _messages()["SavedModel"].FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} is no SavedModel: {error}") from error
    if not saved.meta_graphs:
        raise ModelError(f"{path} is no SavedModel: it holds no graph")
    return min(saved.meta_graphs, key=_rank)


def _rank(graph: Any) -> int:
    """Low for what is meant to be run: a graph for serving, or of TF1 Hub, which has no tags."""
    tags = set(graph.meta_info.tags)
    return 0 if _SERVED in tags else 1 if not tags else 2


def read_entry_points(folder: Path) -> dict[str, EntryPoint]:
    """All signatures by name.

    Raises:
        ModelError: The folder holds no SavedModel.
    """
    graph = read_meta_graph(folder)
    entries = {entry.key: entry.value for entry in graph.signature_def}
    entries.pop("__saved_model_init_op", None)
    return {
        name: EntryPoint(
            {e.key: _tensor(e.value) for e in entry.inputs},
            {e.key: _tensor(e.value) for e in entry.outputs},
        )
        for name, entry in entries.items()
    }


def read_signature(
    folder: Path, output_name: str | None = None, signature_name: str | None = None
) -> Signature:
    """The signature that is named, else ``default`` or ``serving_default``, or else the only one.

    Args:
        folder: Holds the SavedModel.
        output_name: The output that holds the scores, where there are several.
        signature_name: Its key.

    Raises:
        ModelError: The folder holds no SavedModel, or none with one input and one output.
    """
    entries = read_entry_points(folder)
    if signature_name is not None:
        preferred = [signature_name] if signature_name in entries else []
    else:
        preferred = [n for n in _PREFERRED if n in entries] or list(entries)[: len(entries) == 1]
    if not preferred:
        wanted = repr(signature_name) if signature_name else " or ".join(map(repr, _PREFERRED))
        raise ModelError(
            f"{folder} has signatures {sorted(entries)}, none of them {wanted}: "
            "state one as signature in [tensors] of its TOML file"
        )
    return _signature(folder, preferred[0], entries[preferred[0]], output_name)


def _signature(folder: Path, name: str, entry: EntryPoint, output_name: str | None) -> Signature:
    inputs, outputs = entry
    if len(inputs) != 1:
        raise ModelError(f"signature {name!r} of {folder} has inputs {sorted(inputs)}, must be one")
    if output_name is not None:
        if output_name not in outputs:
            raise ModelError(f"{folder} has outputs {sorted(outputs)}, none is {output_name!r}")
    elif "default" not in outputs and len(outputs) != 1:
        raise ModelError(
            f"signature {name!r} of {folder} has outputs {sorted(outputs)}: "
            "state the one that holds the scores as output in [tensors] of its TOML file"
        )
    output = output_name or ("default" if "default" in outputs else next(iter(outputs)))
    (input_name,) = inputs
    return join(name, input_name, inputs[input_name], output, outputs[output])


def join(name: str, input_name: str, taken: Tensor, output_name: str, given: Tensor) -> Signature:
    """The signature of this input and this output."""
    return Signature(
        name, input_name, taken.shape, output_name, given.shape, taken.dtype, given.dtype
    )


def _tensor(info: Any) -> Tensor:
    dtype = type_name(_TYPES, info.dtype)
    if info.tensor_shape.unknown_rank:
        return Tensor(None, dtype)
    lengths = (dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
    return Tensor(tuple(lengths), dtype)


@cache
def _messages() -> dict[str, Any]:
    return message_classes("vidbench_saved_model", _FIELDS)
