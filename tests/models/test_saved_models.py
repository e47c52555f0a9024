"""SavedModels as people have them: types, signatures, batches, outputs, older variables, damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, softmax

from tests.helpers.command import RunCli
from tests.helpers.model_files import refusal
from tests.helpers.paths import SAMPLE
from vidbench.data.spec import PreprocessSpec
from vidbench.models._tensorflow.imports import import_tensorflow, import_tf_keras
from vidbench.models.base import Model, load_model
from vidbench.system.runtime import Runtime

FRAMES, SIZE = 4, 8
SPEC = PreprocessSpec(num_frames=FRAMES, crop_size=SIZE)
NAMES = ("a", "b", "c")
KERNEL = np.random.default_rng(0).normal(0, 3, (3, 3)).astype(np.float32)


def random_clips(count: int = 3) -> NDArray[np.uint8]:
    colours = np.random.default_rng(1).integers(0, 200, (count, 1, 1, 1, 3))
    noise = np.random.default_rng(2).integers(0, 56, (count, FRAMES, SIZE, SIZE, 3))
    return (colours + noise).astype(np.uint8)


def logits_of(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """What the network of these tests gives for pixels (batch, frames, height, width, 3)."""
    return np.asarray(pixels.astype(np.float64).mean(axis=(1, 2, 3)) @ KERNEL)


def save(
    folder: Path,
    dtype: str = "float32",
    *,
    scale: float = 1.0,
    ending: str = "",
    batch: int | None = None,
    layout: str = "BTHWC",
    kernel: NDArray[np.float32] = KERNEL,
    names: tuple[str, ...] = NAMES,
    **functions: Any,
) -> Path:
    """A SavedModel of mean colours times a kernel; ``functions`` are further signatures."""
    tf = import_tensorflow()
    module = tf.Module()
    module.kernel = tf.Variable(kernel)
    lengths = {"B": batch, "N": 1, "T": FRAMES, "H": SIZE, "W": SIZE, "C": 3}
    axes = [layout.index(axis) for axis in "THW"] + [layout.index(a) for a in "N" if a in layout]

    @tf.function(input_signature=[tf.TensorSpec([lengths[a] for a in layout], getattr(tf, dtype))])  # type: ignore[untyped-decorator]
    def run(clips: Any) -> Any:
        colours = tf.reduce_mean(tf.cast(clips, tf.float32) * scale, axis=axes)
        logits = colours @ module.kernel
        return getattr(tf.nn, ending)(logits) if ending else logits

    signatures = {"serving_default": run} | {
        name: tf.function(f, input_signature=run.input_signature) for name, f in functions.items()
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return described(folder, names=names)


def described(folder: Path, text: str = "", names: tuple[str, ...] = NAMES) -> Path:
    (folder / "vidbench.toml").write_text(f"classes = {json.dumps(names)}\n{text}")
    return folder


def open_model(folder: Path) -> Model:
    return load_model("saved_model", model_path=str(folder))


def scores_of(folder: Path, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    model = open_model(folder)
    model.check(SPEC)
    return model.load(Runtime(device="cpu")).predict(clips)


def test_a_number_of_frames_that_nothing_states_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sample's model knows 16 frames, and takes any number without a word."""
    folder = tmp_path / "model"
    shutil.copytree(SAMPLE / "model", folder)
    open_model(folder).check(PreprocessSpec(num_frames=16))
    assert caplog.messages == []
    open_model(folder).check(open_model(folder).spec)
    (message,) = caplog.messages
    assert f"how many frames {folder} was trained on, so it gets 100: --num_frames" in message
    caplog.clear()
    (folder / "vidbench.toml").write_text("[protocol]\nnum_frames = 100\n")
    open_model(folder).check(open_model(folder).spec)
    assert caplog.messages == []


# Types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "int16"])
def test_whole_numbers_are_the_pixels_themselves(dtype: str, tmp_path: Path) -> None:
    folder, clips = save(tmp_path / "net", dtype, scale=1 / 255), random_clips()
    expected = softmax(logits_of(clips / 255), axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)
    digest = open_model(folder).digest()
    described(folder, "[pixels]\nrange = [0, 255]\n")
    assert open_model(folder).digest() == digest
    described(folder, "[pixels]\nrange = [0, 1]\n")
    message = refusal(lambda: open_model(folder).check(SPEC))
    assert f"takes {dtype}, whole numbers" in message


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float16", 1e-2), ("bfloat16", 5e-2), ("float64", 1e-5)]
)
@pytest.mark.parametrize("range_", [None, (-1, 1)])
def test_other_floats_are_cast_and_keep_their_range(
    dtype: str, tolerance: float, range_: tuple[int, int] | None, tmp_path: Path
) -> None:
    folder, clips = save(tmp_path / "net", dtype), random_clips()
    if range_:
        described(folder, f"[pixels]\nrange = {list(range_)}\n")
    low, high = range_ or (0, 1)
    expected = softmax(logits_of(low + clips / 255 * (high - low)), axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=tolerance)


@pytest.mark.parametrize("dtype", ["string", "bool"])
def test_other_inputs_than_numbers_are_refused(dtype: str, tmp_path: Path) -> None:
    tf = import_tensorflow()

    @tf.function(input_signature=[tf.TensorSpec([None], getattr(tf, dtype))])  # type: ignore[untyped-decorator]
    def run(examples: Any) -> Any:
        return tf.zeros([tf.size(examples), 3])

    tf.saved_model.save(tf.Module(), str(tmp_path / "net"), signatures=run)
    message = refusal(lambda: open_model(described(tmp_path / "net")).check(SPEC))
    assert str(tmp_path / "net") in message


def test_a_number_of_a_class_is_no_score(tmp_path: Path) -> None:
    tf = import_tensorflow()

    def winner(clips: Any) -> Any:
        return tf.argmax(tf.reshape(clips, [-1, 3]), axis=1)[:, None]

    folder = save(tmp_path / "net", winner=winner)
    described(folder, '[tensors]\nsignature = "winner"\n')
    assert "gives int64" in refusal(
        lambda: open_model(
            described(folder, '[tensors]\nsignature = "winner"\n', ("a", "b"))
        ).check(SPEC)
    )


# Signatures, outputs, batches, layouts ------------------------------------------------------------


def test_a_signature_is_chosen_by_its_name(tmp_path: Path) -> None:
    tf = import_tensorflow()
    other = lambda clips: tf.reduce_mean(clips, axis=[1, 2, 3]) * 9.0  # noqa: E731
    folder, clips = save(tmp_path / "net", other=other), random_clips()
    plain = open_model(folder).digest()
    described(folder, '[tensors]\nsignature = "other"\n')
    expected = softmax((clips / 255).mean(axis=(1, 2, 3)) * 9, axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)
    assert open_model(folder).digest() != plain
    described(folder, '[tensors]\nsignature = "third"\n')
    message = refusal(lambda: open_model(folder).check(SPEC))
    assert "signatures ['other', 'serving_default'], none of them 'third'" in message


def test_of_several_outputs_one_is_named(tmp_path: Path) -> None:
    tf = import_tensorflow()

    def two(clips: Any) -> Any:
        colours = tf.reduce_mean(clips, axis=[1, 2, 3])
        return {"features": colours, "logits": colours * 5.0}

    folder, clips = save(tmp_path / "net", two=two), random_clips()
    said = '[tensors]\nsignature = "two"\n'
    message = refusal(lambda: open_model(described(folder, said)).check(SPEC))
    assert "outputs ['features', 'logits']: state" in message
    described(folder, said + 'output = "logits"\n')
    expected = softmax((clips / 255).mean(axis=(1, 2, 3)) * 5, axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_filled_up(batch: int, tmp_path: Path) -> None:
    folder, clips = save(tmp_path / "net", batch=batch), random_clips(6)
    expected = softmax(logits_of(clips / 255), axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)


@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW", "BNCTHW"])
def test_another_layout_runs_and_is_advised(layout: str, tmp_path: Path) -> None:
    folder, clips = save(tmp_path / "net", layout=layout), random_clips()
    assert f'layout = "{layout}" in [pixels]' in refusal(lambda: open_model(folder).check(SPEC))
    described(folder, f'[pixels]\nlayout = "{layout}"\n')
    expected = softmax(logits_of(clips / 255), axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)


# What comes out ---------------------------------------------------------------------------------


def test_one_score_is_that_of_the_second_of_two_classes(tmp_path: Path) -> None:
    clips, two = random_clips(), ("no", "yes")
    second = expit(logits_of(clips / 255)[:, :1])
    expected = np.concatenate([1 - second, second], axis=1)
    plain = save(tmp_path / "logit", kernel=KERNEL[:, :1], names=two)
    np.testing.assert_allclose(scores_of(plain, clips), expected, atol=1e-5)
    folder = save(tmp_path / "net", ending="sigmoid", kernel=KERNEL[:, :1], names=two)
    for said in ("", 'output = "logits"\n'):
        described(folder, said, two)
        assert 'state output = "probabilities"' in refusal(lambda: open_model(folder).check(SPEC))
    described(folder, 'output = "probabilities"\n', two)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)
    described(folder, 'output = "probabilities"\n', ("a", "b", "c"))
    assert "second of two classes" in refusal(lambda: open_model(folder).check(SPEC))


@pytest.mark.parametrize(
    ("ending", "said", "message"),
    [
        ("softmax", "", "probabilities already"),
        ("sigmoid", "", "multi-label"),
        ("sigmoid", 'output = "probabilities"\n', "multi-label"),
    ],
)
def test_undeclared_probabilities_are_refused_before_anything_is_loaded(
    ending: str, said: str, message: str, tmp_path: Path
) -> None:
    folder = described(save(tmp_path / "net", ending=ending), said)
    assert message in refusal(lambda: open_model(folder).check(SPEC))
    assert message in refusal(lambda: open_model(folder).load())


def by_hand(name: str) -> Callable[[Any], Any]:
    """A function that no operation of the graph is named after."""
    tf = import_tensorflow()
    return {
        "sigmoid": lambda x: 1 / (1 + tf.exp(-x)),
        "tanh": lambda x: 0.5 * (tf.tanh(x / 2) + 1),
        "sum": lambda x: 0.5 * tf.tanh(x / 2) + 0.5,
        "times": lambda x: tf.sigmoid(x) * 1.0,
        "softmax": lambda x: tf.exp(x) / tf.reduce_sum(tf.exp(x), axis=1, keepdims=True),
        "one_hot": lambda x: tf.one_hot(tf.argmax(x, axis=1), len(NAMES)),
    }[name]


@pytest.mark.parametrize("ending", ["sigmoid", "tanh", "sum", "times", "softmax", "one_hot"])
def test_probabilities_that_only_their_numbers_tell_are_refused(
    ending: str, tmp_path: Path
) -> None:
    function = by_hand(ending)

    def run(clips: Any) -> Any:
        tf = import_tensorflow()
        return function(tf.reduce_mean(clips, axis=[1, 2, 3]) @ KERNEL)

    folder = described(save(tmp_path / "net", own=run), '[tensors]\nsignature = "own"\n')
    message = "probabilities already" if ending in ("softmax", "one_hot") else "multi-label"
    assert message in refusal(lambda: scores_of(folder, random_clips()))
    described(folder, 'output = "logits"\n[tensors]\nsignature = "own"\n')
    assert scores_of(folder, random_clips()).shape == (3, 3)


def test_scaled_logits_are_taken_for_what_they_are(tmp_path: Path) -> None:
    folder = save(tmp_path / "net", own=lambda clips: clips[:, 0, 0, 0] @ KERNEL * 2.0)
    described(folder, '[tensors]\nsignature = "own"\n')
    clips = random_clips()
    expected = softmax(clips[:, 0, 0, 0] / 255 @ KERNEL * 2, axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)


def test_int8_is_told_which_range_it_holds(tmp_path: Path) -> None:
    folder = save(tmp_path / "net", "int8", scale=1 / 255)
    assert "range = [-128, 127]" in refusal(lambda: open_model(folder).check(SPEC))
    described(folder, "[pixels]\nrange = [-128, 127]\n")
    clips = random_clips()
    expected = softmax(logits_of((clips.astype(float) - 128) / 255), axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)


def test_a_list_of_one_class_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "net", kernel=KERNEL[:, :1], names=("a",))
    assert "nothing to choose from" in refusal(lambda: open_model(folder).check(SPEC))


def test_the_logarithm_of_a_softmax_gives_its_probabilities(tmp_path: Path) -> None:
    folder, clips = save(tmp_path / "net", ending="log_softmax"), random_clips()
    expected = softmax(logits_of(clips / 255), axis=1)
    np.testing.assert_allclose(scores_of(folder, clips), expected, atol=1e-5)


# Keras 2 and TensorFlow 1 -------------------------------------------------------------------------


def test_a_folder_that_keras_2_saved_runs(tmp_path: Path) -> None:
    keras = import_tf_keras()
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((FRAMES, SIZE, SIZE, 3)),
            layers.TimeDistributed(layers.Conv2D(2, 3)),
            layers.TimeDistributed(layers.GlobalAveragePooling2D()),
            layers.LSTM(4),
            layers.Dense(3),
        ]
    )
    clips = random_clips()
    expected = softmax(model.predict(clips / np.float32(255), verbose=0), axis=1)
    model.save(tmp_path / "net", save_format="tf")
    np.testing.assert_allclose(scores_of(described(tmp_path / "net"), clips), expected, atol=1e-5)


@pytest.mark.parametrize("use_resource", [True, False])
def test_variables_of_tensorflow_1_run(
    use_resource: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    v1 = import_tensorflow().compat.v1
    folder, clips = tmp_path / "net", random_clips()
    with v1.Graph().as_default(), v1.Session() as session:
        fed = v1.placeholder(v1.float32, [None, FRAMES, SIZE, SIZE, 3], name="clips")
        kernel = v1.get_variable(
            "kernel", initializer=v1.constant(KERNEL), use_resource=use_resource
        )
        scores = v1.matmul(v1.reduce_mean(fed, axis=[1, 2, 3]), kernel)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"clips": fed}, {"scores": scores})
    expected = softmax(logits_of(clips / 255), axis=1)
    np.testing.assert_allclose(scores_of(described(folder), clips), expected, atol=1e-5)
    assert ("run as it was saved" in caplog.text) is not use_resource


# Damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cut", "its index says"),
        ("empty", "its index says"),
        ("no data", "which holds variables"),
        ("no index", "has no variables/variables.index"),
        ("no folder", "has no variables/variables.index"),
        ("cut index", "is damaged"),
        ("empty index", "is damaged"),
    ],
)
def test_variables_that_are_not_whole_are_one_line(
    fault: str, message: str, tmp_path: Path
) -> None:
    folder = save(tmp_path / "net")
    index, (data,) = folder / "variables/variables.index", folder.glob("variables/*.data-*")
    match fault:
        case "cut":
            data.write_bytes(data.read_bytes()[:-5])
        case "empty":
            data.write_bytes(b"")
        case "no data":
            data.unlink()
        case "no index":
            index.unlink()
        case "no folder":
            shutil.rmtree(folder / "variables")
        case "cut index":
            index.write_bytes(index.read_bytes()[:-20])
        case "empty index":
            index.write_bytes(b"")
    found = refusal(lambda: open_model(folder).check(SPEC))
    assert message in found
    assert "fetch or copy it again" in found


def test_a_model_without_variables_needs_none(tmp_path: Path) -> None:
    v1 = import_tensorflow().compat.v1
    folder, clips = tmp_path / "net", random_clips()
    with v1.Graph().as_default(), v1.Session() as session:
        fed = v1.placeholder(v1.float32, [None, FRAMES, SIZE, SIZE, 3])
        scores = v1.matmul(v1.reduce_mean(fed, axis=[1, 2, 3]), v1.constant(KERNEL))
        v1.saved_model.simple_save(session, str(folder), {"clips": fed}, {"scores": scores})
    shutil.rmtree(folder / "variables", ignore_errors=True)
    expected = softmax(logits_of(clips / 255), axis=1)
    np.testing.assert_allclose(scores_of(described(folder), clips), expected, atol=1e-5)


# A run ------------------------------------------------------------------------------------------


def test_a_model_that_cannot_run_is_refused_before_a_video_is_decoded(
    tmp_path: Path, run_cli: RunCli
) -> None:
    tf = import_tensorflow()

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32)])  # type: ignore[untyped-decorator]
    def run(clips: Any) -> Any:
        return tf.reshape(clips[:, :, :7, :7], [-1, 14])[:5]  # other rows than clips

    folder = tmp_path / "net"
    tf.saved_model.save(tf.Module(), str(folder), signatures=run)
    shutil.copy(SAMPLE / "classes.txt", folder)
    options = ("--model_type", "saved_model", "--model_path", folder, "--dataset", "sample")
    done = run_cli("evaluate", *options, "--num_frames", 4, "--crop_size", 8)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()[-1:]
    assert "Traceback" not in done.stderr
    assert "the model" in line
    assert not list((tmp_path / "data" / "processed").rglob("*.h5"))
