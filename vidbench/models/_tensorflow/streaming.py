"""A streaming SavedModel: frames and states in, probabilities and new states out.

The interface is that of the TensorFlow Model Garden's ``export_saved_model.py`` with ``--causal``:
the signature ``init_states`` gives states for the shape of a video, ``call`` takes them beside the
next frames, and gives logits beside the states after these frames, under the same names.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.signature import Shape, Signature, join, read_entry_points
from vidbench.models._tensorflow.classifier import choose_device, choose_threads
from vidbench.models._tensorflow.frozen import PixelRange
from vidbench.models._tensorflow.imports import has_gpu, import_tensorflow
from vidbench.models._tensorflow.weights import Weights
from vidbench.system.runtime import Runtime

logger = logging.getLogger(__name__)

_START, _STEP, _IMAGE = "init_states", "call", "image"

States = dict[str, Any]
"""What a streaming model remembers of the frames so far: tensors by name, never changed in place.

So they may be kept, and a stream may be gone on with from any of its earlier states.
"""


class StreamSignature(NamedTuple):
    """How a streaming SavedModel is called.

    Attributes:
        shape_name: The one input of ``init_states``: a video's shape.
        states: Names of the states.
        scores: The signature ``call`` without them; its number of frames counts as free where it
            is 1, since frames are fed one by one.
    """

    shape_name: str
    states: frozenset[str]
    scores: Signature


def read_stream_signature(folder: Path) -> StreamSignature:
    """How the streaming SavedModel in this folder is called, read without TensorFlow.

    Raises:
        ConfigError: It is no streaming model.
        ModelError: The folder holds no SavedModel.
    """
    entries = read_entry_points(folder)
    if not {_START, _STEP} <= entries.keys():
        raise ConfigError(
            f"{folder} is no streaming model: it has signatures {sorted(entries)}, "
            f"must have {_START!r} and {_STEP!r}"
        )
    start, step = entries[_START], entries[_STEP]
    states = step.inputs.keys() - {_IMAGE}
    scores = step.outputs.keys() - states
    kept = states <= start.outputs.keys() and states <= step.outputs.keys()
    if _IMAGE not in step.inputs or not kept or len(scores) != 1 or len(start.inputs) != 1:
        raise ConfigError(
            f"{folder} is no streaming model: {_STEP!r} must take {_IMAGE!r} and the states of "
            f"{_START!r}, and give these states and one output of scores"
        )
    (shape_name,), (output,) = start.inputs, scores
    image = step.inputs[_IMAGE]
    taken = image._replace(shape=_any_length(image.shape))
    return StreamSignature(
        shape_name, frozenset(states), join(_STEP, _IMAGE, taken, output, step.outputs[output])
    )


def _any_length(shape: Shape | None) -> Shape | None:
    """The shape of a video that can be fed frame by frame to what takes frames of this shape."""
    if shape is None or len(shape) < 2 or shape[1] != 1:
        return shape
    return (shape[0], None, *shape[2:])


class StreamClassifier:
    """A streaming SavedModel, loaded; for whole clips, and for whoever has a live stream.

    Args:
        weights: Where the SavedModel is.
        runtime: On what it runs, in ``fp32``.
        pixel_range: What 0 and 255 become.

    Raises:
        ConfigError: TensorFlow computes in another number of threads already.
        ModelError: There is no such device, or another precision is asked for.
    """

    def __init__(
        self,
        weights: Weights,
        runtime: Runtime = Runtime(),
        *,
        pixel_range: PixelRange = (0.0, 1.0),
    ) -> None:
        if runtime.precision != "fp32":
            raise ModelError(f"a streaming model runs in fp32 only, not {runtime.precision}")
        self._tf = tf = import_tensorflow()
        choose_device(tf, runtime.device)
        choose_threads(tf, runtime.num_threads)
        logger.debug("streaming %s on %s", weights.folder, "a GPU" if has_gpu(tf) else "the CPU")
        tf.config.experimental.enable_tensor_float_32_execution(False)
        self._pixel_range = pixel_range
        self._names = read_stream_signature(weights.folder)
        self._module = tf.saved_model.load(str(weights.folder))  # keeps its variables alive

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities after the last frame, (batch, classes), of frames fed one by one.

        Args:
            clips: (batch, frames, height, width, 3) uint8 RGB, with at least one frame.
        """
        batch, frames, height, width = clips.shape[:4]
        states = self.start(batch, height, width)
        for number in range(frames):
            scores, states = self.step(states, clips[:, number : number + 1])
        return scores

    def start(self, batch: int, height: int, width: int) -> States:
        """The states of so many streams before their first frames, of this size in pixels."""
        shape = self._tf.constant([batch, 1, height, width, 3], self._tf.int32)
        states = self._module.signatures[_START](**{self._names.shape_name: shape})
        return {name: states[name] for name in self._names.states}

    def step(self, states: States, frames: Views) -> tuple[NDArray[np.float32], States]:
        """Probabilities (batch, classes) after these frames too, and the states to go on with.

        Args:
            states: Of :meth:`start`, or of the step before.
            frames: The next one or more frames of each stream, (batch, frames, height, width, 3)
                uint8 RGB. Several give what they give one by one, but for rounding.
        """
        tf, (low, high) = self._tf, self._pixel_range
        pixels = tf.cast(frames, tf.float32) * ((high - low) / 255) + low
        found = self._module.signatures[_STEP](**{_IMAGE: pixels}, **states)
        scores = tf.nn.softmax(found[self._names.scores.output_name])
        return np.asarray(scores, np.float32), {name: found[name] for name in self._names.states}
