"""One small network in the four kinds of model files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from tests.helpers.paths import SAMPLE
from vidbench.errors import ConfigError, ModelError
from vidbench.models._tensorflow.imports import import_keras, import_tensorflow

Array = NDArray[Any]


FRAMES, SIZE = 8, 32


NAMES = (SAMPLE / "classes.txt").read_text().splitlines()


# Float networks: rounding of other orders of addition. Quantised weights: 8 bits of each.
TOLERANCES = {
    "net": 1e-6,
    "net.keras": 1e-6,
    "net.h5": 1e-6,
    "net.tflite": 1e-6,
    "weights8.tflite": 0.02,
    "all8.tflite": 0.05,
    "net.onnx": 1e-6,
}
FAMILIES = {".keras": "keras_file", ".h5": "keras_file", ".tflite": "tflite", ".onnx": "onnx"}


@dataclass(frozen=True)
class Files:
    """One network in files of all kinds, and what Keras itself gives."""

    folder: Path
    keras: Any

    def logits(self, clips: Array) -> Array:
        return np.asarray(self.keras.predict(clips.astype(np.float32) / 255, verbose=0))

    def probabilities(self, clips: Array) -> Array:
        return np.asarray(softmax(self.logits(clips).astype(np.float64), axis=1))


def random_clips(count: int = 3, frames: int = FRAMES) -> NDArray[np.uint8]:
    shape = (count, frames, SIZE, SIZE, 3)
    low = np.random.default_rng(count).integers(0, 200, (count, 1, 1, 1, 3))
    noise = np.random.default_rng(frames).integers(0, 56, shape)
    return (low + noise).astype(np.uint8)


def describe(path: Path, text: str = "") -> Path:
    """Writes the TOML of a model; its classes are the sample's unless the text says otherwise."""
    names = "" if text.startswith("classes") else f"classes = {json.dumps(NAMES)}\n"
    toml = path / "vidbench.toml" if path.is_dir() else path.with_name(f"{path.name}.toml")
    toml.write_text(names + text)
    return path


def calibration() -> list[list[Array]]:
    """Clips that ranges of numbers are measured with."""
    return [[clip[None]] for clip in random_clips(16).astype(np.float32) / 255]


def build(keras: Any, **options: Any) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((FRAMES, SIZE, SIZE, 3)),
            layers.Conv3D(8, 3, strides=2, activation="relu", name="conv"),
            layers.GlobalAveragePooling3D(),
            layers.Dense(len(NAMES), kernel_initializer="random_normal", name="dense", **options),
        ]
    )


def save(model: Any, path: Path) -> None:
    """Writes it as a SavedModel, or by its suffix as Keras does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras about NumPy, and about its older format
        model.save(path) if path.suffix else model.export(str(path), verbose=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    tf, keras = import_tensorflow(), import_keras()
    model = build(keras)
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([30 * kernel, bias + np.arange(len(NAMES)) / 10])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("net", "net.keras", "net.h5"):
            save(model, folder / name)
        for name, change in (("net", None), ("weights8", "weights"), ("all8", "all")):
            converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "net"))
            if change:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if change == "all":
                converter.representative_dataset = calibration
                converter.inference_input_type = tf.uint8
                converter.inference_output_type = tf.int8
            (folder / f"{name}.tflite").write_bytes(converter.convert())
    save_onnx(model, folder / "net.onnx")
    for name in TOLERANCES:
        describe(folder / name, 'output = "logits"\n')
    return Files(folder, model)


def save_onnx(
    keras_model: Any,
    path: Path,
    *,
    layout: str = "BTHWC",
    batch: int | str = "n",
    ending: str = "",
    dtype: str = "FLOAT",
    external: bool = False,
) -> Path:
    """The same network, built of ONNX operators by hand from the weights of Keras."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    conv, conv_bias = keras_model.get_layer("conv").get_weights()
    dense, dense_bias = keras_model.get_layer("dense").get_weights()
    weights = {
        "conv": conv.transpose(4, 3, 0, 1, 2),
        "conv_bias": conv_bias,
        "dense": dense,
        "dense_bias": dense_bias,
    }
    lengths = {"B": batch, "T": FRAMES, "H": SIZE, "W": SIZE, "C": 3}
    node = helper.make_node
    nodes = [
        node("Cast", ["clips"], ["float"], to=TensorProto.FLOAT),
        node("Transpose", ["float"], ["x"], perm=[layout.index(axis) for axis in "BCTHW"]),
        node("Conv", ["x", "conv", "conv_bias"], ["c"], strides=[2, 2, 2]),
        node("Relu", ["c"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "dense", "dense_bias"], ["logits" if ending else "scores"]),
        *([node(ending, ["logits"], ["scores"], axis=1)] if ending else []),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(
                "clips", getattr(TensorProto, dtype), [lengths[axis] for axis in layout]
            )
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, len(NAMES)])],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path, save_as_external_data=external, location="net.weights", size_threshold=0)
    return path


def refusal(act: Callable[[], object]) -> str:
    """One line that a person can read."""
    with pytest.raises((ConfigError, ModelError)) as caught:
        act()
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 600
    return message
