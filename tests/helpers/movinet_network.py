"""A small random network with the published interface of MoViNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.models._tensorflow.imports import import_tensorflow

Clips = NDArray[np.uint8]


CHANNELS, MEMORY, NUM_CLASSES = 4, 2, 600


STATES = {
    "state_block0_layer0_stream_buffer": ((None, MEMORY, None, None, CHANNELS), "float32"),
    "state_head_pool_buffer": ((None, 1, 1, 1, CHANNELS), "float32"),
    "state_head_pool_frame_count": ((1,), "int32"),
}


class Network:
    """A causal convolution over time and a mean over all frames so far, as a ``tf.Module``."""

    def __init__(self, num_classes: int = NUM_CLASSES) -> None:
        self.tf = tf = import_tensorflow()
        rng = np.random.default_rng(0)
        self.module = tf.Module()
        self.module.stem = tf.Variable(rng.normal(0, 0.5, (1, 8, 8, 3, CHANNELS)), dtype="float32")
        self.module.conv = tf.Variable(
            rng.normal(0, 0.5, (MEMORY + 1, 3, 3, CHANNELS, CHANNELS)), dtype="float32"
        )
        self.module.head = tf.Variable(rng.normal(0, 2, (CHANNELS, num_classes)), dtype="float32")

    def base(self, image: Any) -> dict[str, Any]:
        tf = self.tf
        hidden = tf.nn.relu(tf.nn.conv3d(image, self.module.stem, [1, 1, 8, 8, 1], "SAME"))
        hidden = tf.nn.relu(tf.nn.conv3d(hidden, self.module.conv, [1] * 5, "SAME"))
        return {"classifier_head": tf.reduce_mean(hidden, [1, 2, 3]) @ self.module.head}

    def init_states(self, input_shape: Any) -> dict[str, Any]:
        tf = self.tf
        batch, side = input_shape[0], -(-input_shape[2:4] // 8)
        lengths = ([batch, MEMORY, side[0], side[1], CHANNELS], [batch, 1, 1, 1, CHANNELS], [1])
        return {
            name: tf.zeros(tf.stack(length), dtype)
            for length, (name, (_, dtype)) in zip(lengths, STATES.items(), strict=True)
        }

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        tf = self.tf
        buffered, pooled, count = (inputs[name] for name in STATES)
        hidden = tf.nn.conv3d(inputs["image"], self.module.stem, [1, 1, 8, 8, 1], "SAME")
        hidden = tf.concat([buffered, tf.nn.relu(hidden)], 1)
        padded = tf.pad(hidden, [[0, 0], [0, 0], [1, 1], [1, 1], [0, 0]])
        found = tf.nn.relu(tf.nn.conv3d(padded, self.module.conv, [1] * 5, "VALID"))
        pooled += tf.reduce_sum(tf.reduce_mean(found, [2, 3], keepdims=True), 1, keepdims=True)
        count += tf.shape(found)[1]
        mean = pooled[:, 0, 0, 0] / tf.cast(count, tf.float32)
        states = dict(zip(STATES, (hidden[:, -MEMORY:], pooled, count), strict=True))
        return {**states, "logits": mean @ self.module.head}

    def save_base(self, folder: Path) -> Path:
        spec = self.tf.TensorSpec([None, None, None, None, 3], "float32", "image")
        serve = self.tf.function(self.base).get_concrete_function(spec)
        self.tf.saved_model.save(self.module, str(folder), signatures=serve)
        return folder

    def save_stream(self, folder: Path, num_frames: int | None = None) -> Path:
        tf = self.tf
        specs = {name: tf.TensorSpec(*spec, name=name) for name, spec in STATES.items()}
        specs["image"] = tf.TensorSpec([None, num_frames, None, None, 3], "float32", "image")
        call = tf.function(self.call, jit_compile=True).get_concrete_function(specs)
        init = tf.function(self.init_states, jit_compile=True)
        signatures = {
            "call": call,
            "init_states": init.get_concrete_function(tf.TensorSpec([5], tf.int32)),
        }
        tf.saved_model.save(self.module, str(folder), signatures=signatures)
        return folder

    def run_base(self, clips: Clips) -> NDArray[np.float32]:
        """What TensorFlow's tutorial does: values in [0, 1], logits, softmax."""
        logits = self.base(self.tf.constant(clips / np.float32(255)))["classifier_head"]
        return np.asarray(self.tf.nn.softmax(logits), np.float32)

    def run_stream(self, clips: Clips) -> NDArray[np.float32]:
        """What TensorFlow's tutorial does: one frame after another, the last logits, softmax."""
        pixels = self.tf.constant(clips / np.float32(255))
        states = self.init_states(self.tf.shape(pixels))
        for number in range(clips.shape[1]):
            states = self.call({**states, "image": pixels[:, number : number + 1]})
            logits = states.pop("logits")
        return np.asarray(self.tf.nn.softmax(logits), np.float32)
