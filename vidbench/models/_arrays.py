"""A network of any framework that takes and gives arrays: uint8 clips in, probabilities out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ModelError
from vidbench.models._interface import Interface, PixelRange, to_pixels, to_probabilities
from vidbench.models._signature import Signature

Run = Callable[[NDArray[Any]], NDArray[np.floating[Any]]]

_PIECE_VALUES = 1 << 24
"""Input values that go through a network at once, as with a SavedModel on a CPU."""


class Network(NamedTuple):
    """A network of any framework, loaded.

    Attributes:
        signature: What it takes and gives.
        run: From an array as the network takes it to scores (batch, ...).
        dtype: Of the input; uint8 takes pixels as they are.
    """

    signature: Signature
    run: Run
    dtype: np.dtype[Any] = np.dtype(np.float32)


class ArrayClassifier:
    """A network that takes and gives arrays: uint8 clips in, probabilities out.

    Args:
        network: What runs.
        interface: What it wants of pixels, and what it gives.
        pixel_range: What 0 and 255 become.

    Raises:
        ModelError: It takes bytes, and nobody says that they are pixels from 0 to 255.
    """

    def __init__(self, network: Network, interface: Interface, pixel_range: PixelRange) -> None:
        self._network, self._interface, self._range = network, interface, pixel_range
        self._raw = network.dtype == np.uint8
        if self._raw and (pixel_range != (0.0, 255.0) or interface.normalises):
            raise ModelError(
                "the model takes uint8: state [pixels] range = [0, 255], without mean and std, "
                "in the TOML file beside it"
            )

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB.

        Raises:
            ModelError: The network takes other clips.
        """
        batch = (self._network.signature.input_shape or (None,))[0]
        step = batch or max(1, _PIECE_VALUES // math.prod(clips.shape[1:]))
        pieces = [clips[start : start + step] for start in range(0, len(clips), step)]
        return np.concatenate([self._predict_piece(piece, batch) for piece in pieces])

    def _predict_piece(self, clips: Views, batch: int | None) -> NDArray[np.float32]:
        full = clips
        if batch is not None and len(clips) < batch:  # of a network whose batch is fixed
            full = np.concatenate([clips, np.repeat(clips[-1:], batch - len(clips), axis=0)])
        scores = self._network.run(self._feed(full))
        if len(scores) != len(full):
            raise ModelError(f"the model gave {len(scores)} rows of scores for {len(full)} clips")
        return to_probabilities(scores[: len(clips)], self._interface.output)

    def _feed(self, clips: Views) -> NDArray[Any]:
        if self._raw:
            fed: NDArray[Any] = np.ascontiguousarray(clips.transpose(self._interface.axes))
        else:
            fed = to_pixels(clips, self._interface, self._range)
        wanted = self._network.signature.input_shape
        if wanted is not None and not _fits(fed.shape, wanted):
            raise ModelError(
                f"the model takes {list(wanted)}, the clips are {list(fed.shape)} "
                f"({self._interface.layout}): see --num_frames, --crop_size and layout"
            )
        return fed.astype(self._network.dtype, copy=False)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        length is None or length == found for found, length in zip(shape, wanted, strict=True)
    )
