"""Keras files as people have them: written by Keras 2, with other inputs and ends, or with code."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from tests.helpers.model_files import refusal
from vidbench.data.spec import PreprocessSpec
from vidbench.models._tensorflow.imports import import_keras, import_tf_keras
from vidbench.models.base import Model, load_model
from vidbench.system.runtime import Runtime

FRAMES, SIZE = 4, 32
SPEC = PreprocessSpec(num_frames=FRAMES, crop_size=SIZE)
NAMES = ("a", "b", "c")
CLIP = (FRAMES, SIZE, SIZE, 3)


def random_clips(count: int = 2) -> NDArray[np.uint8]:
    colours = np.random.default_rng(1).integers(0, 200, (count, 1, 1, 1, 3))
    return (colours + np.random.default_rng(2).integers(0, 56, (count, *CLIP))).astype(np.uint8)


def save(model: Any, path: Path, said: str = "", names: tuple[str, ...] = NAMES) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras about its older format
        model.save(path)
    return described(path, said, names)


def described(path: Path, said: str = "", names: tuple[str, ...] = NAMES) -> Path:
    path.with_name(f"{path.name}.toml").write_text(f"classes = {json.dumps(names)}\n{said}")
    return path


def open_model(path: Path) -> Model:
    return load_model("keras_file", model_path=str(path))


def scores_of(path: Path, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    model = open_model(path)
    model.check(SPEC)
    return model.load(Runtime(device="cpu")).predict(clips)


# Keras 2 ----------------------------------------------------------------------------------------


def _by_frame(keras: Any) -> list[Any]:
    layers = keras.layers
    flat = [layers.Conv2D(2, 3, strides=8), layers.GlobalAveragePooling2D()]
    return [layers.TimeDistributed(layer) for layer in flat]


def _mobilenet(keras: Any) -> list[Any]:
    net = keras.applications.MobileNetV2((SIZE, SIZE, 3), 0.35, include_top=False, weights=None)
    return [keras.layers.TimeDistributed(net), keras.layers.GlobalAveragePooling3D()]


OLD: dict[str, Callable[[Any], list[Any]]] = {
    "lstm": lambda k: [*_by_frame(k), k.layers.LSTM(4)],
    "gru": lambda k: [*_by_frame(k), k.layers.GRU(4)],
    "bidirectional": lambda k: [*_by_frame(k), k.layers.Bidirectional(k.layers.LSTM(4))],
    "conv_lstm": lambda k: [k.layers.ConvLSTM2D(2, 3, strides=8), k.layers.Flatten()],
    "batch_norm": lambda k: [
        *_by_frame(k),
        k.layers.TimeDistributed(k.layers.BatchNormalization()),
        k.layers.Flatten(),
    ],
    "mobilenet": _mobilenet,
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("kind", OLD)
def test_what_keras_2_wrote_gives_its_scores(kind: str, suffix: str, tmp_path: Path) -> None:
    if (kind, suffix) == ("mobilenet", ".keras"):
        pytest.skip("as with .h5, and slow")
    keras = import_tf_keras()
    keras.utils.set_random_seed(0)
    layers = [keras.Input(CLIP), *OLD[kind](keras), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    clips = random_clips()
    expected = softmax(model.predict(clips / np.float32(255), verbose=0), axis=1)
    path = save(model, tmp_path / f"net{suffix}")
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=1e-6)


def test_functions_of_tensorflow_that_compute_are_called(tmp_path: Path) -> None:
    import tensorflow as tf

    keras = import_tf_keras()
    clips = random_clips()
    fed = keras.Input(CLIP)
    scores = keras.layers.Dense(3)(tf.reduce_mean(fed * 2.0 - 1.0, axis=[1, 2, 3]))
    model = keras.Model(fed, scores)
    expected = softmax(model.predict(clips / np.float32(255), verbose=0), axis=1)
    path = save(model, tmp_path / "net.h5")
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=1e-6)


def test_a_gather_is_called_by_its_plain_name(tmp_path: Path) -> None:
    import tensorflow as tf

    keras = import_tf_keras()
    clips = random_clips()
    fed = keras.Input(CLIP)
    colours = tf.gather(fed, [0, 2], axis=-1)
    model = keras.Model(fed, keras.layers.Dense(3)(tf.reduce_mean(colours, axis=[1, 2, 3])))
    expected = softmax(model.predict(clips / np.float32(255), verbose=0), axis=1)
    path = save(model, tmp_path / "net.h5")
    with h5py.File(path, "r+") as file:
        text = str(file.attrs["model_config"]).replace("compat.v1.gather", "gather")
        file.attrs["model_config"] = text
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=1e-6)


@pytest.mark.parametrize("function", ["io.write_file", "py_function", "keras.utils.get_file"])
def test_functions_of_tensorflow_that_do_more_are_refused(function: str, tmp_path: Path) -> None:
    import tensorflow as tf

    keras = import_tf_keras()
    fed = keras.Input(CLIP)
    model = keras.Model(fed, keras.layers.Dense(3)(tf.reduce_mean(fed, axis=[1, 2, 3])))
    path = save(model, tmp_path / "net.h5")
    with h5py.File(path, "r+") as file:
        text = str(file.attrs["model_config"]).replace("math.reduce_mean", function)
        file.attrs["model_config"] = text
    assert f"calls {function!r}" in refusal(lambda: open_model(path).check(SPEC))


# Code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_of_keras_2_is_refused_before_it_is_loaded(suffix: str, tmp_path: Path) -> None:
    keras = import_tf_keras()
    layers = keras.layers
    inner = keras.Sequential([keras.Input(CLIP), layers.Lambda(lambda clips: clips * 2)])
    model = keras.Sequential([keras.Input(CLIP), inner, layers.Flatten(), layers.Dense(3)])
    path = save(model, tmp_path / f"net{suffix}")
    assert "Lambda layer, which is Python code" in refusal(lambda: open_model(path).check(SPEC))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_as_an_activation_is_refused_before_it_is_loaded(
    suffix: str, tmp_path: Path
) -> None:
    """Keras 3.15 writes its code without saying what it is."""
    layers = import_keras().layers
    net = [
        import_keras().Input(CLIP),
        layers.Flatten(),
        layers.Dense(3, activation=lambda x: x * 2),
    ]
    path = save(import_keras().Sequential(net), tmp_path / f"net{suffix}")
    message = refusal(lambda: open_model(path).check(SPEC))
    assert "has a lambda as an activation, which is Python code" in message


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_of_several_outputs_one_must_be_named(suffix: str, tmp_path: Path) -> None:
    keras = import_keras()
    clips = keras.Input(CLIP)
    flat = keras.layers.Flatten(name="flat")(clips)
    model = keras.Model(clips, [keras.layers.Dense(3, name="scores")(flat), flat])
    path = save(model, tmp_path / f"net{suffix}")
    assert "has outputs 'scores', 'flat'" in refusal(lambda: open_model(path).check(SPEC))
    described(path, '[tensors]\noutput = "scores"\n')
    assert scores_of(path, random_clips()).shape == (2, 3)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_class_of_ones_own_is_named(suffix: str, old: bool, tmp_path: Path) -> None:
    keras = import_tf_keras() if old else import_keras()
    layer: Any = keras.layers.Layer

    class Doubled(layer):  # type: ignore[misc]
        def call(self, clips: Any) -> Any:
            return clips * 2

    register = keras.saving.register_keras_serializable(package="mine", name="Doubled")
    layers = [keras.Input(CLIP), register(Doubled)(), keras.layers.Flatten(), keras.layers.Dense(3)]
    path = save(keras.Sequential(layers), tmp_path / f"net{suffix}")
    keras.saving.get_custom_objects().clear()

    def open_it() -> None:
        open_model(path).check(SPEC)
        open_model(path).load()

    message = refusal(open_it)
    assert "Doubled" in message
    assert "export the model as a SavedModel where" in message


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5"])
@pytest.mark.parametrize("old", [True, False])
def test_weights_alone_are_no_model(name: str, old: bool, tmp_path: Path) -> None:
    if not old and not name.endswith(".weights.h5"):
        pytest.skip("Keras 3 writes no such file")
    keras = import_tf_keras() if old else import_keras()
    layers = [keras.Input(CLIP), keras.layers.GlobalAveragePooling3D(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras about NumPy
        model.save_weights(tmp_path / name)
    path = described(tmp_path / name)
    assert "holds weights alone" in refusal(lambda: open_model(path).check(SPEC))


# What goes in, and what comes out -----------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("uint8", 1e-5), ("float16", 1e-2)])
def test_other_types_are_fed_as_they_are_asked_for(
    dtype: str, tolerance: float, suffix: str, tmp_path: Path
) -> None:
    keras = import_keras()
    layers, clips = keras.layers, random_clips()
    scale = 1 / 255 if dtype == "uint8" else 1.0
    tail = [layers.Rescaling(scale), layers.GlobalAveragePooling3D(), layers.Dense(3)]
    model = keras.Sequential([keras.Input(CLIP, dtype=dtype), *tail])
    expected = softmax(model.predict((clips / 255 / scale).astype(dtype), verbose=0), axis=1)
    path = save(model, tmp_path / f"net{suffix}")
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=tolerance)
    if dtype == "uint8":
        described(path, "[pixels]\nrange = [0, 1]\n")
        assert "whole numbers" in refusal(lambda: open_model(path).check(SPEC))


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("activation", "message"), [("softmax", "probabilities already"), ("sigmoid", "multi-label")]
)
def test_undeclared_probabilities_are_refused_before_anything_is_loaded(
    activation: str, message: str, suffix: str, old: bool, tmp_path: Path
) -> None:
    keras = import_tf_keras() if old else import_keras()
    fed = keras.Input(CLIP)
    pooled = keras.layers.GlobalAveragePooling3D()(fed)
    model = keras.Model(fed, keras.layers.Dense(3, activation=activation)(pooled))
    path = save(model, tmp_path / f"net{suffix}")
    assert message in refusal(lambda: open_model(path).check(SPEC))
    wrapped = keras.Sequential([keras.Input(CLIP), model, keras.layers.Reshape((1, 3))])
    path = save(wrapped, tmp_path / f"wrapped{suffix}")
    assert message in refusal(lambda: open_model(path).check(SPEC))


def test_one_sigmoid_is_the_probability_of_the_second_class(tmp_path: Path) -> None:
    keras = import_keras()
    pool, head = keras.layers.GlobalAveragePooling3D(), keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input(CLIP), pool, head])
    path, clips = save(model, tmp_path / "net.keras", names=("no", "yes")), random_clips()

    def load_it() -> None:
        open_model(path).check(SPEC)
        open_model(path).load()

    assert 'state output = "probabilities"' in refusal(load_it)
    described(path, 'output = "probabilities"\n', ("no", "yes"))
    second = model.predict(clips / np.float32(255), verbose=0)
    expected = np.concatenate([1 - second, second], axis=1)
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=1e-6)


def test_a_file_of_another_version_that_calls_a_module_is_refused(tmp_path: Path) -> None:
    keras = import_tf_keras()
    layers = [keras.Input(CLIP), keras.layers.GlobalAveragePooling3D(), keras.layers.Dense(3)]
    path = save(keras.Sequential(layers), tmp_path / "net.keras")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1] |= {"module": "keras.utils", "class_name": "get_file"}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert "calls 'keras.utils.get_file'" in refusal(lambda: open_model(path).check(SPEC))
