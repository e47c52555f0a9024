"""Shapes in a SavedModel's signatures, read without TensorFlow, which takes seconds to import.

The messages are the few fields needed of TensorFlow's ``saved_model.proto``,
``meta_graph.proto`` and ``tensor_shape.proto``; the numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.models._protobuf import message_classes

Shape = tuple[int | None, ...]

_AXES = {"B": "batch", "T": "frames", "H": "height", "W": "width", "C": "channels"}

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


class EntryPoint(NamedTuple):
    """What one signature takes and gives.

    Attributes:
        inputs: Shapes by name; None for a length that may vary; None in all for an unknown rank.
        outputs: Likewise.
    """

    inputs: Mapping[str, Shape | None]
    outputs: Mapping[str, Shape | None]


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


def read_entry_points(folder: Path) -> dict[str, EntryPoint]:
    """All signatures by name.

    Raises:
        ModelError: The folder holds no SavedModel.
    """
    path = folder / "saved_model.pb"
    try:
        saved = _messages()["SavedModel"].FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} is no SavedModel: {error}") from error
    entries = {e.key: e.value for g in saved.meta_graphs for e in g.signature_def}
    entries.pop("__saved_model_init_op", None)
    return {
        name: EntryPoint(
            {e.key: _shape(e.value) for e in entry.inputs},
            {e.key: _shape(e.value) for e in entry.outputs},
        )
        for name, entry in entries.items()
    }


def read_signature(folder: Path, output_name: str | None = None) -> Signature:
    """The signature ``default`` or ``serving_default``, or else the only one.

    Args:
        folder: Holds the SavedModel.
        output_name: The output that holds the scores, where there are several.

    Raises:
        ModelError: The folder holds no SavedModel, or none with one input and one output.
    """
    entries = read_entry_points(folder)
    names = [n for n in _PREFERRED if n in entries] or list(entries)[: len(entries) == 1]
    if not names:
        raise ModelError(f"{folder} has signatures {sorted(entries)}, none of them {_PREFERRED}")
    return _signature(folder, names[0], entries[names[0]], output_name)


def require_fit(
    model: Path,
    signature: Signature,
    spec: PreprocessSpec,
    num_classes: int,
    layout: str = "BTHWC",
) -> None:
    """Nothing, if clips of this spec and so many classes fit the signature.

    Args:
        model: For the message.
        signature: What the model takes and gives.
        spec: Of the clips.
        num_classes: Names in the model's class list.
        layout: Order of batch, time, height, width and channels in the model's input.

    Raises:
        ConfigError: They do not.
    """
    lengths = {"B": None, "T": spec.num_frames, "H": spec.crop_size, "W": spec.crop_size, "C": 3}
    clips = tuple(lengths[axis] for axis in layout)
    if not _fits(clips, signature.input_shape):
        raise ConfigError(
            f"{model} takes {_shown(signature.input_shape)}, the clips are {_shown(clips)} "
            f"[{', '.join(_AXES[axis] for axis in layout)}]: see --num_frames"
        )
    scores = signature.output_shape and signature.output_shape[-1:]
    if not _fits((num_classes,), scores):
        raise ConfigError(
            f"{model} gives {_shown(scores)} scores, its class list has {num_classes} names"
        )


def _fits(shape: Shape, wanted: Shape | None) -> bool:
    """Whether the lengths agree where both are known; an unknown rank takes anything."""
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )


def _shown(shape: Shape | None) -> str:
    return "[" + ", ".join("any" if n is None else str(n) for n in shape or ()) + "]"


def _signature(folder: Path, name: str, entry: EntryPoint, output_name: str | None) -> Signature:
    inputs, outputs = entry
    if len(inputs) != 1:
        raise ModelError(f"signature {name!r} of {folder} has inputs {sorted(inputs)}, must be one")
    if output_name is not None:
        if output_name not in outputs:
            raise ModelError(f"{folder} has outputs {sorted(outputs)}, none is {output_name!r}")
    elif "default" not in outputs and len(outputs) != 1:
        raise ModelError(
            f"signature {name!r} of {folder} has outputs {sorted(outputs)}, "
            "must be one, or one called 'default'"
        )
    output = output_name or ("default" if "default" in outputs else next(iter(outputs)))
    (input_name,) = inputs
    return Signature(name, input_name, inputs[input_name], output, outputs[output])


def _shape(info: Any) -> Shape | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)


@cache
def _messages() -> dict[str, Any]:
    return message_classes("vidbench_saved_model", _FIELDS)
