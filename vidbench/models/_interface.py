"""How clips are fed to a network that somebody brings, and how what comes out is read."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ModelError

Channels = tuple[float, float, float]
PixelRange = tuple[float, float]

LAYOUTS = ("BTHWC", "BCTHW", "BTCHW")
"""Orders of batch, time, height, width and channels."""

OUTPUTS = ("logits", "probabilities")

UNIT: PixelRange = (0.0, 1.0)

_ROUNDING = 0.01  # what probabilities in float16 may sum up to beside 1


class Interface(NamedTuple):
    """What a network wants of pixels once they are in a range, and what it gives.

    Attributes:
        mean: Is subtracted from red, green and blue, in units of the range.
        std: What they are divided by then.
        layout: One of :data:`LAYOUTS`.
        output: One of :data:`OUTPUTS`; None where nobody says, which is taken for logits.
        input_name: The input, for a model that names it; None for the only one.
        output_name: The output that holds the scores, likewise.
    """

    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    layout: str = "BTHWC"
    output: str | None = None
    input_name: str | None = None
    output_name: str | None = None

    @property
    def axes(self) -> tuple[int, ...]:
        """Where each axis of the network's input is in (batch, frames, height, width, 3)."""
        return tuple("BTHWC".index(axis) for axis in self.layout)

    @property
    def normalises(self) -> bool:
        """Whether mean and std change anything."""
        return (self.mean, self.std) != (Interface().mean, Interface().std)


def decisive(interface: Interface, pixel_range: PixelRange) -> list[str]:
    """Lines for a digest: none where all is as it is where nobody says anything."""
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
    return np.ascontiguousarray(pixels.transpose(interface.axes))


def to_probabilities(scores: NDArray[np.floating], output: str | None) -> NDArray[np.float32]:
    """Probabilities (batch, classes) of what a network gives; lengths of 1 are dropped.

    Args:
        scores: (batch, ...).
        output: One of :data:`OUTPUTS`, or None for logits that must not look like probabilities.

    Raises:
        ModelError: They do: a softmax of a softmax ranks alike, but is another probability.
    """
    rows = scores.reshape(len(scores), -1).astype(np.float64)
    if output == "probabilities":
        return rows.astype(np.float32)
    if output is None and _are_probabilities(rows):
        raise ModelError(not_said())
    odds = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


def not_said() -> str:
    """What to say where scores taken for logits are probabilities."""
    return (
        "the model gives scores that are probabilities already, and nobody says so: state "
        'output = "probabilities" (or "logits") in the TOML file beside it, see '
        "docs/model_files.md"
    )


def _are_probabilities(rows: NDArray[np.float64]) -> bool:
    return bool(
        rows.shape[1] > 1 and rows.min() >= 0 and np.abs(rows.sum(axis=1) - 1).max() < _ROUNDING
    )
