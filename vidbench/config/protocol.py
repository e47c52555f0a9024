"""The protocol of a run: a preset or the model's own, changed by options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from vidbench.config.options import ANY_COUNT, ANY_PIXELS, ANY_RATE, ANY_SEED, option
from vidbench.data.spec import (
    KEEPING_SHAPE,
    OPEN_FIELDS,
    PRESETS,
    RESIZE_FILTERS,
    RESIZE_TYPES,
    SAMPLINGS,
    SIDE_ROUNDINGS,
    TOO_SHORT,
    USUALLY_OPEN,
    PreprocessSpec,
)
from vidbench.models.base import load_model

PROTOCOL_OPTIONS = tuple(field.name for field in fields(PreprocessSpec))

_PRESETS = ", ".join(f"{name} ({spec.describe()})" for name, spec in PRESETS.items())
_SHORT_SIDE = 256  # pixels, as in the paper of I3D and most later ones


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions:
    """Preprocessing of clips; options that are not given are those of the preset."""

    preset: str | None = option(
        None,
        f"a whole protocol: {_PRESETS}, or that of a model by its name (default: this model's)",
        "NAME",
        page="protocol",
    )
    num_frames: int | None = option(None, "frames in a clip", "N", limits=ANY_COUNT)
    sampling: str | None = option(
        None, "where clips lie in a video: {choices}", "NAME", choices=SAMPLINGS
    )
    fps: float | None = option(
        None, "resample to this many frames per second first", "RATE", limits=ANY_RATE
    )
    frame_stride: int | None = option(None, "take every Nth frame", "N", limits=ANY_COUNT)
    num_clips: int | None = option(None, "clips per video, averaged", "N", limits=(1, 1_000))
    num_crops: int | None = option(None, "1 or 3 crops per clip, averaged", "N", limits=(1, 3))
    sampling_seed: int | None = option(
        None, "seed for --sampling random (default 0)", "N", limits=ANY_SEED
    )
    resize_type: str | None = option(
        None, "how frames become squares: {choices}", "NAME", choices=RESIZE_TYPES
    )
    short_side: int | None = option(
        None,
        "length of the shorter side for --resize_type short_side (default 256)",
        "PX",
        limits=ANY_PIXELS,
    )
    resize_filter: str | None = option(
        None, "how pixels are interpolated: {choices}", "NAME", choices=RESIZE_FILTERS
    )
    side_rounding: str | None = option(
        None, "how the longer side is rounded: {choices}", "NAME", choices=SIDE_ROUNDINGS
    )
    crop_size: int | None = option(
        None, "height and width of the model's input", "PX", limits=ANY_PIXELS
    )
    too_short: str | None = option(
        None, "what becomes of a video that is too short: {choices}", "NAME", choices=TOO_SHORT
    )

    def spec(self, default: PreprocessSpec) -> PreprocessSpec:
        """Preprocessing of clips: the preset or the model's own, changed by options.

        Raises:
            ConfigError: The options contradict one another, or the protocol.
        """
        spec = default if self.preset is None else find_preset(self.preset)
        return change(spec, self.protocol())

    def protocol(self) -> dict[str, Any]:
        """The options of the protocol that are given."""
        values = {name: getattr(self, name) for name in PROTOCOL_OPTIONS}
        return {name: value for name, value in values.items() if value is not None}


def find_preset(name: str) -> PreprocessSpec:
    """The preset of this name, or the protocol of the model of this name.

    Raises:
        ConfigError: There is no such preset or model.
    """
    return PRESETS[name] if name in PRESETS else load_model(name).spec


def fixed_by(preset: str) -> frozenset[str]:
    """The options that a preset, or the protocol of a model, fixes, and so contradict it."""
    return frozenset(PROTOCOL_OPTIONS) - OPEN_FIELDS.get(preset, USUALLY_OPEN)


def change(spec: PreprocessSpec, changes: Mapping[str, Any]) -> PreprocessSpec:
    """The spec with some fields changed, and with changes of other fields that these imply.

    Args:
        spec: The preset, or the model's own protocol.
        changes: New values of fields by name.

    Raises:
        ConfigError: The fields contradict one another, or the spec.
    """
    return replace(spec, **{**_implied(spec, changes), **changes})


def _implied(spec: PreprocessSpec, changes: Mapping[str, Any]) -> dict[str, Any]:
    implied: dict[str, Any] = {}
    sampling = changes.get("sampling", spec.sampling)
    if "sampling" not in changes and sampling != "uniform":
        sampling = _by_clips(sampling, changes.get("num_clips", spec.num_clips))
        implied["sampling"] = sampling
    if sampling == "uniform":
        implied |= {"fps": None, "frame_stride": 1, "num_clips": 1}
    elif spec.too_short == "stretch":
        implied["too_short"] = "loop"
    if sampling == "center":
        implied["num_clips"] = 1
    if (sampling == "random") != (spec.sampling == "random"):
        implied["sampling_seed"] = 0 if sampling == "random" else None
    if "resize_type" in changes and changes["resize_type"] != spec.resize_type:
        crop_size = changes.get("crop_size", spec.crop_size)
        implied |= _implied_resizing(changes["resize_type"], crop_size)
    return implied


def _implied_resizing(resize_type: str, crop_size: int) -> dict[str, Any]:
    lengths = {"short_side": _SHORT_SIDE, "squash": crop_size}
    implied: dict[str, Any] = {"short_side": lengths.get(resize_type)}
    if resize_type not in KEEPING_SHAPE:
        implied["side_rounding"] = "nearest"
    return implied


def _by_clips(sampling: str, num_clips: int) -> str:
    """The sampling for a number of clips: a single clip is the centre one, several are dense."""
    if sampling == "center" and num_clips > 1:
        return "dense"
    return "center" if sampling == "dense" and num_clips == 1 else sampling
