"""How clips are fed to a network that somebody brings."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views

Channels = tuple[float, float, float]
PixelRange = tuple[float, float]

LAYOUTS = ("BTHWC", "BCTHW", "BTCHW", "BNCTHW")
"""Orders of batch, time, height, width and channels; N are views, fed alike."""

OUTPUTS = ("logits", "probabilities")

UNIT: PixelRange = (0.0, 1.0)
BYTES: PixelRange = (0.0, 255.0)


class Interface(NamedTuple):
    """What a network wants of pixels once they are in a range, and what it gives.

    Attributes:
        mean: Is subtracted from red, green and blue, in units of the range.
        std: What they are divided by then.
        layout: One of :data:`LAYOUTS`.
        output: One of :data:`OUTPUTS`; None where not stated, which is taken for logits.
        input_name: The input, for a model that names it; None for the only one.
        output_name: The output that holds the scores, likewise.
        signature_name: Of a SavedModel that has several.
    """

    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    layout: str = "BTHWC"
    output: str | None = None
    input_name: str | None = None
    output_name: str | None = None
    signature_name: str | None = None

    @property
    def axes(self) -> tuple[int, ...]:
        """Where each axis of the network's input, but for views, is in (batch, T, H, W, 3)."""
        return tuple("BTHWC".index(axis) for axis in self.layout if axis != "N")

    @property
    def views_axis(self) -> int | None:
        """Where the network's input has an axis of views; None where it has none."""
        return self.layout.index("N") if "N" in self.layout else None

    @property
    def normalises(self) -> bool:
        """Whether mean and std change anything."""
        return (self.mean, self.std) != (Interface().mean, Interface().std)


def decisive(interface: Interface, pixel_range: PixelRange) -> list[str]:
    """Lines for a digest: none where all is as usual, pixels from 0 to 1 and logits."""
    said = interface._replace(output=interface.output or "logits")._asdict()
    said["range"] = pixel_range
    usual = Interface(output="logits")._asdict() | {"range": UNIT}
    changed = {name: value for name, value in said.items() if value != usual[name]}
    return ["", json.dumps(changed, sort_keys=True)] if changed else []


def to_pixels(clips: Views, interface: Interface, pixel_range: PixelRange) -> NDArray[np.float32]:
    """Clips (batch, frames, height, width, 3) uint8 RGB as the network wants them."""
    low, high = pixel_range
    mean, std = np.array(interface.mean), np.array(interface.std)
    scale, offset = (high - low) / 255 / std, (low - mean) / std
    pixels = clips.astype(np.float32)
    pixels *= scale.astype(np.float32)
    pixels += offset.astype(np.float32)
    return arranged(pixels, interface)


def arranged(pixels: NDArray[Any], interface: Interface) -> NDArray[Any]:
    """An array (batch, frames, height, width, 3) with the axes that the network wants."""
    turned = np.ascontiguousarray(pixels.transpose(interface.axes))
    axis = interface.views_axis
    return turned if axis is None else np.expand_dims(turned, axis)


def is_integer(dtype: str) -> bool:
    """Whether this names a type of whole numbers, such as ``uint8``."""
    return dtype.removeprefix("u") in ("int8", "int16", "int32", "int64")


def fed_range(said: PixelRange | None, dtype: str | None) -> PixelRange:
    """What 0 and 255 become: what is said, else themselves in an input of whole numbers, or 1."""
    if said is not None:
        return said
    return BYTES if dtype is not None and is_integer(dtype) else UNIT
