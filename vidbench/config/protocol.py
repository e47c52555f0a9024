"""The protocol that is asked for: a preset or the model's own, and what goes over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from vidbench.data.spec import (
    KEEPING_SHAPE,
    OPEN_FIELDS,
    PRESETS,
    USUALLY_OPEN,
    PreprocessSpec,
)
from vidbench.models.base import load_model

PROTOCOL_OPTIONS = tuple(field.name for field in fields(PreprocessSpec))

_SHORT_SIDE = 256  # the usual one: the paper of I3D, and most that came later


def find_preset(name: str) -> PreprocessSpec:
    """The preset of this name, or the protocol of the model of this name.

    Raises:
        ConfigError: There is neither.
    """
    return PRESETS[name] if name in PRESETS else load_model(name).spec


def fixed_by(preset: str) -> frozenset[str]:
    """The options that a preset, or the protocol of a model, fixes: they contradict it."""
    return frozenset(PROTOCOL_OPTIONS) - OPEN_FIELDS.get(preset, USUALLY_OPEN)


def change(spec: PreprocessSpec, asked: Mapping[str, Any]) -> PreprocessSpec:
    """The spec with what is asked for, and with what follows from that.

    Args:
        spec: The preset, or the model's own protocol.
        asked: Fields by name.

    Raises:
        ConfigError: The fields contradict one another, or the spec.
    """
    return replace(spec, **{**_implied(spec, asked), **asked})


def _implied(spec: PreprocessSpec, asked: Mapping[str, Any]) -> dict[str, Any]:
    implied: dict[str, Any] = {}
    sampling = asked.get("sampling", spec.sampling)
    if "sampling" not in asked and sampling != "uniform":
        sampling = _by_clips(sampling, asked.get("num_clips", spec.num_clips))
        implied["sampling"] = sampling
    if sampling == "uniform":
        implied |= {"fps": None, "frame_stride": 1, "num_clips": 1}
    elif spec.too_short == "stretch":
        implied["too_short"] = "loop"
    if sampling == "center":
        implied["num_clips"] = 1
    if (sampling == "random") != (spec.sampling == "random"):
        implied["sampling_seed"] = 0 if sampling == "random" else None
    if "resize_type" in asked and asked["resize_type"] != spec.resize_type:
        implied |= _implied_resizing(asked["resize_type"], asked.get("crop_size", spec.crop_size))
    return implied


def _implied_resizing(resize_type: str, crop_size: int) -> dict[str, Any]:
    lengths = {"short_side": _SHORT_SIDE, "squash": crop_size}
    implied: dict[str, Any] = {"short_side": lengths.get(resize_type)}
    if resize_type not in KEEPING_SHAPE:
        implied["side_rounding"] = "nearest"
    return implied


def _by_clips(sampling: str, num_clips: int) -> str:
    """One clip of several is another thing than one alone, which lies in the middle."""
    if sampling == "center" and num_clips > 1:
        return "dense"
    return "center" if sampling == "dense" and num_clips == 1 else sampling
