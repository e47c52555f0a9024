"""Whether clips, pixels and classes fit what a model takes and gives, told by its file alone."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models._files.description import Description
from vidbench.models._files.interface import (
    BYTES,
    LAYOUTS,
    Interface,
    PixelRange,
    fed_range,
    is_integer,
)
from vidbench.models._files.signature import Shape, Signature

logger = logging.getLogger(__name__)

_AXES = {"B": "batch", "N": "views", "T": "frames", "H": "height", "W": "width", "C": "channels"}
_PICTURES = "BHWC"
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def require_fit(
    model: Path,
    signature: Signature,
    spec: PreprocessSpec,
    num_classes: int,
    layout: str = "BTHWC",
) -> None:
    """Check that clips of this spec and so many classes fit the signature.

    Args:
        model: For the message.
        signature: What the model takes and gives.
        spec: Of the clips.
        num_classes: Names in the model's class list.
        layout: Order of the axes of the model's input, one of
            :data:`~vidbench.models._files.interface.LAYOUTS`.

    Raises:
        ConfigError: They do not.
    """
    clips = _lengths(spec, layout)
    if not fits(clips, signature.input_shape):
        others = [o for o in LAYOUTS if fits(_lengths(spec, o), signature.input_shape)]
        advice = f', or layout = "{others[0]}" in [pixels] of its TOML file' if others else ""
        if len(signature.input_shape or ()) == len(_PICTURES):
            advice = "; it takes single pictures: export a network that takes clips"
        raise ConfigError(
            f"{model} takes {_shown(signature.input_shape)}, the clips are {_shown(clips)} "
            f"[{', '.join(_AXES[axis] for axis in layout)}]: see --num_frames{advice}"
        )
    require_count(model, count_scores(signature.output_shape), num_classes)


def warn_of_default_frames(
    model: object, signature: Signature, described: Description, spec: PreprocessSpec
) -> None:
    """Warn where a model takes any number of frames and gets the default, as nothing states one.

    Args:
        model: For the message.
        signature: What the model takes.
        described: What its TOML file says.
        spec: Of the clips.
    """
    default, shape = PreprocessSpec().num_frames, signature.input_shape
    other = replace(spec, num_frames=default + 1)
    takes_any = fits(_lengths(other, described.interface.layout), shape)
    if spec.num_frames == default and takes_any and not described.states_frames:
        logger.warning(
            "nothing states how many frames %s was trained on, so it gets %d: --num_frames or a "
            "TOML file beside it takes another number",
            model,
            default,
        )


def require_count(model: Path, num_scores: int | None, num_classes: int) -> None:
    """Check that there is a score for each class, or one for two classes; or it is not known.

    Raises:
        ConfigError: There are more or fewer.
    """
    if num_classes == 1:
        raise ConfigError(f"{model} has a class list of one name: there is nothing to choose from")
    if num_scores not in (None, num_classes, 1 if num_classes == 2 else None):
        raise ConfigError(
            f"{model} gives [{num_scores}] scores, its class list has {num_classes} names"
            + (": a single score is that of the second of two classes" if num_scores == 1 else "")
        )


def require_types(
    model: Path, signature: Signature, interface: Interface, said: PixelRange | None
) -> None:
    """Check that pixels in this range can be held by the input, and the output holds scores.

    Args:
        model: For the message.
        signature: What the model takes and gives.
        interface: What is done to pixels once they are in the range.
        said: The range, where somebody says one.

    Raises:
        ConfigError: The input takes other than numbers, or whole numbers that pixels in this range
            are not; or the output gives other than floating point numbers.
    """
    taken, given = signature.input_dtype, signature.output_dtype
    if taken is not None and taken not in _FLOATS and not is_integer(taken):
        why = ": serialised examples or encoded pictures, not clips" if taken == "string" else ""
        raise ConfigError(f"{model} takes {taken}{why}; export it for arrays of pixels")
    if given is not None and given not in _FLOATS:
        raise ConfigError(
            f"{model} gives {given} as {signature.output_name!r}, must be floating point numbers, "
            "the scores of all classes"
        )
    if taken is not None and is_integer(taken):
        _require_whole(model, taken, interface, fed_range(said, taken))


def _require_whole(model: Path, dtype: str, interface: Interface, range_: PixelRange) -> None:
    low, high = range_
    limits = np.iinfo(dtype)
    whole = (high - low) % 255 == 0 and low.is_integer()
    if not whole or interface.normalises or not limits.min <= low < high <= limits.max:
        holds_pixels = limits.max >= BYTES[1]
        fitting, or_out = (
            ("[0, 255]", ", or leave them out") if holds_pixels else ("[-128, 127]", "")
        )
        raise ConfigError(
            f"{model} takes {dtype}, whole numbers: state [pixels] range = {fitting}, without mean "
            f"and std, in its TOML file{or_out}"
        )


def count_scores(shape: Shape | None) -> int | None:
    """How many scores an output (batch, ...) of this shape has; None where that may vary."""
    if shape is None or not shape or (len(shape) == 1 and shape[0] not in (None, 1)):
        return None
    lengths = [length for length in shape[1:] if length is not None]
    return math.prod(lengths) if len(lengths) == len(shape) - 1 else None


def fits(shape: Shape, wanted: Shape | None) -> bool:
    """Whether the lengths agree where both are known; an unknown rank takes anything."""
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )


def _lengths(spec: PreprocessSpec, layout: str) -> Shape:
    size = spec.crop_size
    lengths = {"B": None, "N": None, "T": spec.num_frames, "H": size, "W": size, "C": 3}
    return tuple(lengths[axis] for axis in layout)


def _shown(shape: Shape | None) -> str:
    return "[" + ", ".join("any" if n is None else str(n) for n in shape or ()) + "]"
