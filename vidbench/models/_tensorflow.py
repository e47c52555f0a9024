"""A SavedModel, loaded: uint8 clips in, probabilities out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ModelError
from vidbench.models._frameworks import import_tensorflow, import_tensorflow_hub
from vidbench.models._signature import Signature, read_signature
from vidbench.models._weights import Weights

PixelRange = tuple[float, float]


class SavedModelClassifier:
    """A SavedModel whose signature takes [batch, frames, height, width, 3] and gives logits.

    Args:
        weights: Where the SavedModel is.
        num_classes: Scores that it must give.
        pixel_range: What 0 and 255 become; scaled inside the graph.
        use_gpu: Use GPUs if there are any.
    """

    def __init__(
        self,
        weights: Weights,
        num_classes: int,
        *,
        pixel_range: PixelRange = (0.0, 1.0),
        use_gpu: bool = True,
    ) -> None:
        self._num_classes = num_classes
        self._folder = weights.folder
        tf = import_tensorflow()
        if not use_gpu:
            tf.config.set_visible_devices([], "GPU")
        # Keeping the loaded object keeps its variables alive.
        self._module = _load(tf, weights)
        self._graph = _probabilities(tf, self._module, read_signature(weights.folder), pixel_range)

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB.

        Raises:
            ModelError: The model gave another number of scores, or no finite ones.
        """
        scores = np.asarray(self._graph(clips), np.float32)
        expected = (len(clips), self._num_classes)
        if scores.shape != expected:
            raise ModelError(f"{self._folder} gave scores {scores.shape}, expected {expected}")
        if not np.isfinite(scores).all():
            raise ModelError(f"{self._folder} gave scores that are not finite")
        return scores


def _load(tf: Any, weights: Weights) -> Any:
    if weights.handle is not None:
        return import_tensorflow_hub().load(weights.handle)
    # A module in TF1 Hub format has this file, and its graph for inference has no tags.
    hub_v1 = (weights.folder / "tfhub_module.pb").exists()
    return tf.saved_model.load(str(weights.folder), tags=[] if hub_v1 else None)


def _probabilities(tf: Any, module: Any, entry: Signature, pixel_range: PixelRange) -> Any:
    """A function of uint8 clips; scaling, the network and softmax in one graph."""
    signature = module.signatures[entry.name]
    low, high = pixel_range
    (spec,) = signature.structured_input_signature[1].values()

    @tf.function(input_signature=[tf.TensorSpec([None] * 5, tf.uint8)])
    def graph(clips: Any) -> Any:
        pixels = tf.cast(clips, tf.float32) * ((high - low) / 255) + low
        pixels = tf.ensure_shape(pixels, spec.shape)
        logits = signature(**{entry.input_name: pixels})[entry.output_name]
        return tf.nn.softmax(tf.reshape(logits, [tf.shape(clips)[0], -1]))

    return graph
