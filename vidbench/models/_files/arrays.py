"""A network of any framework that takes and gives arrays: uint8 clips in, probabilities out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ModelError
from vidbench.models._files.fit import fits
from vidbench.models._files.interface import (
    BYTES,
    Interface,
    PixelRange,
    arranged,
    fed_range,
    is_integer,
    to_pixels,
)
from vidbench.models._files.signature import Shape, Signature
from vidbench.models._scores import Undeclared, to_probabilities

Run = Callable[[NDArray[Any]], NDArray[np.floating[Any]]]

_PIECE_VALUES = 1 << 24
"""Input values that go through a network at once, as with a SavedModel on a CPU."""


class Network(NamedTuple):
    """A network of any framework, loaded.

    Attributes:
        signature: What it takes and gives.
        run: From an array as the network takes it to scores (batch, ...).
        dtype: Of the input.
    """

    signature: Signature
    run: Run
    dtype: np.dtype[Any] = np.dtype(np.float32)


class ArrayClassifier:
    """A network that takes and gives arrays: uint8 clips in, probabilities out.

    Args:
        network: What runs.
        interface: What it wants of pixels, and what it gives.
        said: What 0 and 255 become; None where not stated, see
            :func:`~vidbench.models._files.interface.fed_range`.
        ending: The network's last operation, where its file tells.
    """

    def __init__(
        self,
        network: Network,
        interface: Interface,
        said: PixelRange | None,
        ending: str | None = None,
    ) -> None:
        self._network, self._interface = network, interface
        self._undeclared = Undeclared(ending) if interface.output is None else None
        self._range = fed_range(said, network.dtype.name)
        self._views = _views(interface, network.signature.input_shape)

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB.

        Raises:
            ModelError: The network takes other clips.
        """
        batch = (self._network.signature.input_shape or (None,))[0]
        step = batch or max(1, _PIECE_VALUES // math.prod(clips.shape[1:]))
        return in_full_batches(clips, step, batch, self._predict_piece)

    def _predict_piece(self, clips: Views) -> NDArray[np.float32]:
        scores = self._network.run(self._feed(clips))
        if self._views > 1 and len(scores) == len(clips) * self._views:
            scores = scores.reshape(len(clips), self._views, -1).mean(axis=1)  # of equal views
        if len(scores) != len(clips):
            raise ModelError(f"the model gave {len(scores)} rows of scores for {len(clips)} clips")
        if self._undeclared is not None:
            self._undeclared.look(scores)
        return to_probabilities(scores, self._interface.output)

    def _feed(self, clips: Views) -> NDArray[Any]:
        if self._range == BYTES and is_integer(self._network.dtype.name):
            fed: NDArray[Any] = arranged(clips, self._interface)
        else:
            fed = to_pixels(clips, self._interface, self._range)
        if self._views > 1:
            fed = np.repeat(fed, self._views, axis=self._interface.views_axis)
        wanted = self._network.signature.input_shape
        if not fits(fed.shape, wanted):
            raise ModelError(
                f"the model takes {list(wanted or ())}, the clips are {list(fed.shape)} "
                f"({self._interface.layout}): see --num_frames, --crop_size and layout"
            )
        if is_integer(self._network.dtype.name):
            fed = np.rint(fed)
        return fed.astype(self._network.dtype, copy=False)


def in_full_batches(
    clips: Views,
    step: int,
    batch: int | None,
    run: Callable[[Views], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """What ``run`` gives for all clips, (clips, ...), ``step`` of them at a time.

    Args:
        clips: (clips, ...).
        step: Most clips at a time.
        batch: How many the network takes, no fewer and no more; the last clip is repeated where
            there are fewer. None for any number.
        run: From (pieces, ...) to an array with as many rows.
    """
    found = []
    for start in range(0, len(clips), step):
        piece = clips[start : start + step]
        lacking = 0 if batch is None else batch - len(piece)
        full = np.concatenate([piece, np.repeat(piece[-1:], lacking, axis=0)]) if lacking else piece
        found.append(run(full)[: len(piece)])
    return np.concatenate(found)


def _views(interface: Interface, shape: Shape | None) -> int:
    """How many views of a video the network takes at once; each is given the same."""
    axis = interface.views_axis
    return 1 if axis is None or shape is None or len(shape) <= axis else shape[axis] or 1
