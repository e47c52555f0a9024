"""Shapes in a SavedModel's signature, read without TensorFlow, which takes seconds to import.

The messages are the few fields needed of TensorFlow's ``saved_model.proto``,
``meta_graph.proto`` and ``tensor_shape.proto``; the numbers are theirs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from vidbench.errors import ModelError

Shape = tuple[int | None, ...]

_PREFERRED = ("default", "serving_default")

_FIELDS = {  # message: (field, number, type, repeated)
    "SavedModel": [("meta_graphs", 2, "MetaGraphDef", True)],
    "MetaGraphDef": [("signature_def", 5, "SignatureEntry", True)],
    "SignatureEntry": [("key", 1, "string", False), ("value", 2, "SignatureDef", False)],
    "SignatureDef": [("inputs", 1, "TensorEntry", True), ("outputs", 2, "TensorEntry", True)],
    "TensorEntry": [("key", 1, "string", False), ("value", 2, "TensorInfo", False)],
    "TensorInfo": [("tensor_shape", 3, "TensorShape", False)],
    "TensorShape": [("dim", 2, "Dim", True), ("unknown_rank", 3, "bool", False)],
    "Dim": [("size", 1, "int64", False)],
}


class Signature(NamedTuple):
    """One entry point of a SavedModel, with one input.

    Attributes:
        name: Its key, e.g. ``default``.
        input_name: The input's key.
        input_shape: None for a length that may vary; None in all for an unknown rank.
        output_name: The key of the output that holds the scores.
        output_shape: Likewise.
    """

    name: str
    input_name: str
    input_shape: Shape | None
    output_name: str
    output_shape: Shape | None


def read_signature(folder: Path) -> Signature:
    """The signature ``default`` or ``serving_default``, or else the only one.

    Raises:
        ModelError: The folder holds no SavedModel, or none with one input and one output.
    """
    path = folder / "saved_model.pb"
    try:
        saved = _messages()["SavedModel"].FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} is no SavedModel: {error}") from error
    entries = {e.key: e.value for g in saved.meta_graphs for e in g.signature_def}
    entries.pop("__saved_model_init_op", None)
    names = [n for n in _PREFERRED if n in entries] or list(entries)[: len(entries) == 1]
    if not names:
        raise ModelError(f"{folder} has signatures {sorted(entries)}, none of them {_PREFERRED}")
    return _signature(folder, names[0], entries[names[0]])


def _signature(folder: Path, name: str, entry: Any) -> Signature:
    inputs = {e.key: _shape(e.value) for e in entry.inputs}
    outputs = {e.key: _shape(e.value) for e in entry.outputs}
    if len(inputs) != 1:
        raise ModelError(f"signature {name!r} of {folder} has inputs {sorted(inputs)}, must be one")
    if "default" not in outputs and len(outputs) != 1:
        raise ModelError(
            f"signature {name!r} of {folder} has outputs {sorted(outputs)}, "
            "must be one, or one called 'default'"
        )
    output = "default" if "default" in outputs else next(iter(outputs))
    (input_name,) = inputs
    return Signature(name, input_name, inputs[input_name], output, outputs[output])


def _shape(info: Any) -> Shape | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)


@cache
def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="vidbench.proto", package="vidbench")
    file.syntax = "proto3"
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind in _FIELDS:
                field.type, field.type_name = field.TYPE_MESSAGE, f".vidbench.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"vidbench.{name}"))
        for name in _FIELDS
    }
