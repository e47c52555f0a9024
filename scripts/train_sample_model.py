"""Train the sample's model, a small network of 3-D convolutions, on rendered videos.

The training and tuning videos are rendered from seeds, encoded, decoded, cropped and scaled like a
user's clips, and never written to disk. The val split is not used.

    python scripts/train_sample_model.py --out data/sample/model
"""

import argparse
import io
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from render_sample import CLASSES, FRAMES, MIRRORED, encode, render

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

Clips = NDArray[np.uint8]
Labels = NDArray[np.int64]

SIDE, CLIP_FRAMES, SHRINK = 224, 16, 4
TRAIN_PER_CLASS, TUNE_PER_CLASS = 300, 40
EPOCHS, BATCH, WARM_UP = 18, 16, 100
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-2
# Output channels, kernel (frames, height, width) and stride of each convolution.
LAYERS = (
    (32, (3, 7, 7), (1, 4, 4)),
    (64, (3, 3, 3), (1, 2, 2)),
    (96, (3, 3, 3), (2, 1, 1)),
    (128, (3, 3, 3), (2, 2, 2)),
)
PLACES = 4  # Positions of the last convolution in each direction.
# Classes that a horizontal flip swaps, by a word of their names.
FLIPPED_WORDS = {"left": "right", "clockwise": "counterclockwise"}


def low_resolution(frame: Clips) -> Clips:
    """Return the centre square of a frame as network input: uint8 RGB, (56, 56, 3)."""
    height, width = frame.shape[:2]
    left = (width - height) // 2
    square = frame[:, left : left + height]
    large = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    # INTER_AREA by an integer factor is the mean over blocks, as in the saved model.
    size = (SIDE // SHRINK, SIDE // SHRINK)
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def low_resolution_clip(label: str, seed: int, split: str) -> Clips:
    """Return 16 frames of a video as network input: uint8 RGB, (16, 56, 56, 3)."""
    with av.open(io.BytesIO(encode(render(label, seed, split))), "r") as container:
        frames = list(container.decode(video=0))
    indices = np.rint(np.linspace(0, FRAMES - 1, CLIP_FRAMES)).astype(int)
    return np.stack([low_resolution(frames[k].to_ndarray(format="rgb24")) for k in indices])


def rendered(split: str, per_class: int, workers: int) -> tuple[Clips, Labels]:
    """Return a split's clips, uint8 (n, 16, 56, 56, 3), and the indices of their classes, (n,)."""
    labels = np.tile(np.arange(len(CLASSES)), per_class)
    names = [CLASSES[label] for label in labels]
    seeds = np.repeat(np.arange(per_class), len(CLASSES)).tolist()
    with ThreadPoolExecutor(workers) as pool:
        clips = pool.map(low_resolution_clip, names, seeds, [split] * len(names))
        return np.stack(list(clips)), labels


def flipped_class(label: str) -> str:
    """Return the class of a mirrored video of a class."""
    swap = FLIPPED_WORDS | {new: old for old, new in FLIPPED_WORDS.items()}
    return " ".join(swap.get(word, word) for word in label.split())


REVERSED_INDEX = [CLASSES.index(MIRRORED[label]) for label in CLASSES]
FLIPPED_INDEX = [CLASSES.index(flipped_class(label)) for label in CLASSES]


def augmented(clip: Clips, label: int, rng: np.random.Generator) -> tuple[Clips, int]:
    """Reverse, flip and recolour a clip at random; return it with its new class."""
    if rng.uniform() < 0.5:
        clip, label = clip[::-1], REVERSED_INDEX[label]
    if rng.uniform() < 0.5:
        clip, label = clip[:, :, ::-1], FLIPPED_INDEX[label]
    return clip[..., rng.permutation(3)], label


class MotionNetwork(tf.Module):
    """Classifies motions: 3-D convolutions, the mean over time, a linear layer."""

    def __init__(self, seed: int) -> None:
        """Initialise the weights at random."""
        super().__init__()
        rng = np.random.default_rng(seed)
        self.kernels, self.scales, self.offsets = [], [], []
        channels = 3
        for width, size, _ in LAYERS:
            deviation = math.sqrt(2 / (math.prod(size) * channels))
            kernel = rng.normal(0, deviation, (*size, channels, width))
            self.kernels.append(tf.Variable(kernel, dtype=tf.float32))
            self.scales.append(tf.Variable(tf.ones(width)))
            self.offsets.append(tf.Variable(tf.zeros(width)))
            channels = width
        # Each position has its own weights: growing is motion to the left on the left and to the
        # right on the right, which a mean over positions would hide.
        self.weights = tf.Variable(tf.zeros((PLACES, PLACES, channels, len(CLASSES))))
        self.bias = tf.Variable(tf.zeros(len(CLASSES)))

    def __call__(self, clips: tf.Tensor) -> tf.Tensor:
        """Return logits (batch, classes) of clips (batch, frames, 56, 56, 3) in [0, 255]."""
        # Static parts of the clip carry no information about the motion.
        hidden = (clips - tf.reduce_mean(clips, 1, keepdims=True)) / 64
        for (_, _, stride), kernel, scale, offset in zip(
            LAYERS, self.kernels, self.scales, self.offsets, strict=True
        ):
            hidden = tf.nn.conv3d(hidden, kernel, [1, *stride, 1], "SAME")
            mean, variance = tf.nn.moments(hidden, [1, 2, 3, 4], keepdims=True)
            hidden = (hidden - mean) * tf.math.rsqrt(variance + 1e-3) * scale + offset
            hidden = tf.nn.relu(hidden)
        votes = tf.einsum("byxc,yxck->bk", tf.reduce_mean(hidden, 1), self.weights)
        return votes / PLACES**2 + self.bias

    @tf.function(input_signature=[tf.TensorSpec((None, None, SIDE, SIDE, 3), tf.float32)])
    def serve(self, videos: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the logits of clips (batch, frames, 224, 224, 3) in [0, 1]."""
        window = [1, 1, SHRINK, SHRINK, 1]
        return {"default": self(255 * tf.nn.avg_pool3d(videos, window, window, "VALID"))}


class Adam(tf.Module):
    """Adam with weight decay on kernels, and a rate that warms up and then falls to zero."""

    def __init__(self, variables: tuple[tf.Variable, ...], steps: int) -> None:
        """Start with zero moments."""
        super().__init__()
        self.variables_, self.steps = variables, steps
        self.step = tf.Variable(0.0)
        self.first = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self.second = [tf.Variable(tf.zeros_like(v)) for v in variables]

    def rate(self) -> tf.Tensor:
        """Return the learning rate of this step."""
        fall = 0.5 + 0.5 * tf.cos(math.pi * self.step / self.steps)
        return LEARNING_RATE * tf.minimum(self.step / WARM_UP, 1.0) * fall

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Update the variables by one step."""
        self.step.assign_add(1.0)
        rate = self.rate()
        for v, g, m, s in zip(self.variables_, gradients, self.first, self.second, strict=True):
            m.assign(0.9 * m + 0.1 * g)
            s.assign(0.99 * s + 0.01 * g**2)
            move = m / (1 - 0.9**self.step) / (tf.sqrt(s / (1 - 0.99**self.step)) + 1e-8)
            decay = WEIGHT_DECAY if len(v.shape) > 1 else 0.0
            v.assign_sub(rate * (move + decay * v))


def train(network: MotionNetwork, clips: Clips, labels: Labels, epochs: int) -> None:
    """Train the network in place."""
    rng = np.random.default_rng(0)
    optimizer = Adam(network.trainable_variables, epochs * math.ceil(len(clips) / BATCH))

    @tf.function
    def step(batch: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = network(tf.cast(batch, tf.float32))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables))
        return loss

    for epoch in range(epochs):
        losses = []
        for chosen in np.split(rng.permutation(len(clips)), range(BATCH, len(clips), BATCH)):
            pairs = [augmented(clips[k], labels[k], rng) for k in chosen]
            losses.append(float(step(*(np.stack(part) for part in zip(*pairs, strict=True)))))
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}", flush=True)


def accuracy(network: MotionNetwork, clips: Clips, labels: Labels) -> float:
    """Return top-1 accuracy, in [0, 1]."""
    batches = np.array_split(clips, max(len(clips) // BATCH, 1))
    logits = np.concatenate([network(batch.astype(np.float32)) for batch in batches])
    return float(np.mean(logits.argmax(1) == labels))


def save(network: MotionNetwork, folder: Path) -> None:
    """Write the network, with the signature "default", and its classes."""
    tf.saved_model.save(network, str(folder), signatures={"default": network.serve})
    (folder / "classes.txt").write_text("".join(f"{label}\n" for label in CLASSES))


def main() -> None:
    """Render, train, print the accuracy on the tune split and save the model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/sample/model"), help="SavedModel")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="rendering threads")
    arguments = parser.parse_args()
    start = time.monotonic()
    tuning = rendered("tune", TUNE_PER_CLASS, arguments.workers)
    clips, labels = rendered("train", TRAIN_PER_CLASS, arguments.workers)
    print(f"rendered {len(clips)} training videos in {time.monotonic() - start:.0f} s")
    network, start = MotionNetwork(seed=0), time.monotonic()
    train(network, clips, labels, EPOCHS)
    size = sum(math.prod(v.shape) for v in network.trainable_variables)
    print(f"trained {size} parameters in {time.monotonic() - start:.0f} s")
    print(f"tune top-1 {accuracy(network, *tuning):.3f}")
    save(network, arguments.out)


if __name__ == "__main__":
    main()
