"""The original I3D network with seeded random weights: the real graph without the real weights.

The layers, their names and the variable names and shapes are those of the RGB network published as
DeepMind's kinetics-i3d. With 400 classes it has 12,689,984 trainable parameters, and 12,704,544
parameters with the moving statistics.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

CLIP_SHAPE = (None, None, 224, 224, 3)

SCOPE = "RGB/inception_i3d"
_LOGITS = f"{SCOPE}/Logits/Conv3d_0c_1x1/conv_3d"
_EPSILON = 1e-3

# Channels of each Inception block: the 1x1 branch, the two 1x1 -> 3x3 branches, the pooled branch.
_BLOCKS: dict[str, tuple[int, tuple[int, int], tuple[int, int], int]] = {
    "Mixed_3b": (64, (96, 128), (16, 32), 32),
    "Mixed_3c": (128, (128, 192), (32, 96), 64),
    "Mixed_4b": (192, (96, 208), (16, 48), 64),
    "Mixed_4c": (160, (112, 224), (24, 64), 64),
    "Mixed_4d": (128, (128, 256), (24, 64), 64),
    "Mixed_4e": (112, (144, 288), (32, 64), 64),
    "Mixed_4f": (256, (160, 320), (32, 128), 128),
    "Mixed_5b": (256, (160, 320), (32, 128), 128),
    "Mixed_5c": (384, (192, 384), (48, 128), 128),
}
# Max pooling ahead of a block: window and stride, over (time, height, width).
_POOLS = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


def _branch_2_name(block: str) -> str:
    """Returns the name of a block's second 3x3 unit, which the published Mixed_5b misspells."""
    return f"{block}/Branch_2/Conv3d_{'0a' if block == 'Mixed_5b' else '0b'}_3x3"


def _units() -> Iterator[tuple[str, int, int, int]]:
    """Yields the name, kernel side, input and output channels of every normalised convolution."""
    yield "Conv3d_1a_7x7", 7, 3, 64
    yield "Conv3d_2b_1x1", 1, 64, 64
    yield "Conv3d_2c_3x3", 3, 64, 192
    inputs = 192
    for block, (direct, (reduce_1, out_1), (reduce_2, out_2), pooled) in _BLOCKS.items():
        yield f"{block}/Branch_0/Conv3d_0a_1x1", 1, inputs, direct
        yield f"{block}/Branch_1/Conv3d_0a_1x1", 1, inputs, reduce_1
        yield f"{block}/Branch_1/Conv3d_0b_3x3", 3, reduce_1, out_1
        yield f"{block}/Branch_2/Conv3d_0a_1x1", 1, inputs, reduce_2
        yield _branch_2_name(block), 3, reduce_2, out_2
        yield f"{block}/Branch_3/Conv3d_0b_1x1", 1, inputs, pooled
        inputs = direct + out_1 + out_2 + pooled


def random_weights(num_classes: int = 400, seed: int = 0) -> dict[str, Array]:
    """Returns seeded weights of sane scale, keyed by the published checkpoint's variable names.

    Every filter has zero mean, or the offset that rectified activations share would drown what
    sets two clips apart. Activations keep their scale: behind a rectifier, a zero-mean filter of
    variance v over n inputs passes on v * n * (1 - 1 / pi) / 2 of the variance, hence v = 3 / n.
    Clips are smoother than activations; the first layer's lower variances make up for it.

    Args:
        num_classes: The number of logits.
        seed: The seed of every draw.
    """
    rng = np.random.default_rng(seed)

    def normal(scale: float, *shape: int) -> Array:
        return rng.standard_normal(shape, np.float32) * np.float32(scale)

    def filters(scale: float, side: int, inputs: int, outputs: int) -> Array:
        kernel = normal(scale, side, side, side, inputs, outputs)
        kernel -= kernel.mean((0, 1, 2, 3), keepdims=True)
        return kernel

    weights: dict[str, Array] = {}
    for name, side, inputs, outputs in _units():
        per_channel = (1, 1, 1, 1, outputs)
        variance = rng.uniform(0.5, 1.5, per_channel) * (0.1 if name == "Conv3d_1a_7x7" else 1)
        norm = f"{SCOPE}/{name}/batch_norm"
        weights |= {
            f"{SCOPE}/{name}/conv_3d/w": filters(
                (3 / (side**3 * inputs)) ** 0.5, side, inputs, outputs
            ),
            f"{norm}/beta": normal(0.05, *per_channel),
            f"{norm}/moving_mean": normal(0.05, *per_channel),
            f"{norm}/moving_variance": variance.astype(np.float32),
        }
    weights[f"{_LOGITS}/w"] = filters(1024**-0.5, 1, 1024, num_classes)
    weights[f"{_LOGITS}/b"] = normal(0.1, num_classes)
    return weights


def i3d_logits(clips: tf.Tensor, weights: Mapping[str, Any]) -> tf.Tensor:
    """Returns the logits [batch, classes] of clips under the given weights.

    Args:
        clips: float32 [batch, frames, 224, 224, 3], at least 9 frames.
        weights: Variables, tensors or arrays under the keys of `random_weights`.
    """

    def unit(net: tf.Tensor, name: str, stride: int = 1) -> tf.Tensor:
        kernel = weights[f"{SCOPE}/{name}/conv_3d/w"]
        mean, variance, beta = (
            weights[f"{SCOPE}/{name}/batch_norm/{leaf}"]
            for leaf in ("moving_mean", "moving_variance", "beta")
        )
        net = tf.nn.conv3d(net, kernel, (1, stride, stride, stride, 1), "SAME")
        return tf.nn.relu(tf.nn.batch_normalization(net, mean, variance, beta, None, _EPSILON))

    def pool_ahead_of(name: str, net: tf.Tensor) -> tf.Tensor:
        return tf.nn.max_pool3d(net, *_POOLS[name], "SAME") if name in _POOLS else net

    net = unit(clips, "Conv3d_1a_7x7", stride=2)
    net = unit(pool_ahead_of("Conv3d_2b_1x1", net), "Conv3d_2b_1x1")
    net = unit(net, "Conv3d_2c_3x3")
    for block in _BLOCKS:
        net = pool_ahead_of(block, net)
        branch_0 = unit(net, f"{block}/Branch_0/Conv3d_0a_1x1")
        branch_1 = unit(net, f"{block}/Branch_1/Conv3d_0a_1x1")
        branch_1 = unit(branch_1, f"{block}/Branch_1/Conv3d_0b_3x3")
        branch_2 = unit(net, f"{block}/Branch_2/Conv3d_0a_1x1")
        branch_2 = unit(branch_2, _branch_2_name(block))
        branch_3 = tf.nn.max_pool3d(net, 3, 1, "SAME")
        branch_3 = unit(branch_3, f"{block}/Branch_3/Conv3d_0b_1x1")
        net = tf.concat([branch_0, branch_1, branch_2, branch_3], axis=-1)
    net = tf.nn.avg_pool3d(net, (2, 7, 7), 1, "VALID")
    net = tf.nn.conv3d(net, weights[f"{_LOGITS}/w"], (1, 1, 1, 1, 1), "SAME")
    return tf.reduce_mean(tf.squeeze(net + weights[f"{_LOGITS}/b"], (2, 3)), axis=1)


def is_trainable(name: str) -> bool:
    """Returns whether a variable is learned, not a moving statistic."""
    return "/moving_" not in name


class I3DNetwork(tf.Module):
    """The I3D network, every variable drawn from one seed."""

    def __init__(self, num_classes: int = 400, seed: int = 0) -> None:
        """Draws the weights.

        Args:
            num_classes: The number of logits.
            seed: The seed of every draw.
        """
        super().__init__(name="i3d")
        self.weights = {
            name: tf.Variable(value, trainable=is_trainable(name), name=name)
            for name, value in random_weights(num_classes, seed).items()
        }

    def __call__(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns the logits [batch, num_classes] of clips.

        Args:
            clips: float32 [batch, frames, 224, 224, 3], at least 9 frames.
        """
        return i3d_logits(clips, self.weights)


def save_tf2(path: Path, num_classes: int = 400, seed: int = 0) -> Path:
    """Returns `path`, now a TF2 SavedModel of the network with the signature "default".

    Args:
        path: The directory to write.
        num_classes: The number of logits.
        seed: The seed of every weight.
    """
    network = I3DNetwork(num_classes, seed)
    serve = tf.function(
        lambda rgb_input: {"default": network(rgb_input)},
        input_signature=[tf.TensorSpec(CLIP_SHAPE, tf.float32, "rgb_input")],
    )
    tf.saved_model.save(network, str(path), signatures={"default": serve})
    return path
