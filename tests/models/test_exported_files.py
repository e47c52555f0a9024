"""ONNX and TFLite files as exporters write them: views, types, ends, foreign operators."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, softmax

from tests.helpers.model_files import refusal
from vidbench.data.spec import PreprocessSpec
from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.models.base import Model, load_model
from vidbench.system.runtime import Runtime

if not os.environ.get("CI"):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

FRAMES, SIZE = 4, 8
SPEC = PreprocessSpec(num_frames=FRAMES, crop_size=SIZE)
NAMES = ("a", "b", "c")
KERNEL = np.random.default_rng(0).normal(0, 3, (3, 3)).astype(np.float32)


def random_clips(count: int = 3) -> NDArray[np.uint8]:
    colours = np.random.default_rng(1).integers(0, 200, (count, 1, 1, 1, 3))
    noise = np.random.default_rng(2).integers(0, 56, (count, FRAMES, SIZE, SIZE, 3))
    return (colours + noise).astype(np.uint8)


def logits_of(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray((clips / 255).mean(axis=(1, 2, 3)) @ KERNEL.astype(np.float64))


def described(path: Path, said: str = "", names: tuple[str, ...] = NAMES) -> Path:
    path.with_name(f"{path.name}.toml").write_text(f"classes = {json.dumps(names)}\n{said}")
    return path


def open_model(path: Path) -> Model:
    return load_model(path.suffix.lstrip("."), model_path=str(path))


def scores_of(path: Path, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    model = open_model(path)
    model.check(SPEC)
    return model.load(Runtime(device="cpu")).predict(clips)


# ONNX -------------------------------------------------------------------------------------------


def save_onnx(
    path: Path,
    shape: tuple[int | str, ...] = ("n", FRAMES, SIZE, SIZE, 3),
    *,
    axes: tuple[int, ...] = (1, 2, 3),
    ending: tuple[str, ...] = (),
    kernel: NDArray[np.float32] = KERNEL,
    rows: int | str = "n",
    ir_version: int = 8,
    fold: bool = False,
) -> Path:
    """A file of mean colours times a kernel, then the operations of ``ending``.

    Args:
        path: Written here.
        shape: Of the input.
        axes: The mean is taken over these; channels are left.
        ending: Names of operators.
        kernel: (3, scores).
        rows: How many rows of scores there are.
        ir_version: Of the file.
        fold: Views become rows of their own, as where no mean is taken over them.
    """
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node
    nodes = [node("ReduceMean", ["clips"], ["m"], axes=list(axes), keepdims=0)]
    if fold:
        nodes.append(node("Reshape", ["m", "three"], ["colours"]))
    else:
        nodes.append(node("Identity", ["m"], ["colours"]))
    nodes.append(node("MatMul", ["colours", "kernel"], ["s0"]))
    nodes += [node(name, [f"s{n}"], [f"s{n + 1}"]) for n, name in enumerate(ending)]
    out = f"s{len(ending)}"
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("clips", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, [rows, kernel.shape[1]])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([-1, 3]), "three"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = ir_version
    path.write_bytes(model.SerializeToString())
    return described(path)


@pytest.mark.parametrize("views", ["v", 1, 3])
@pytest.mark.parametrize("fold", [True, False])
def test_views_of_six_dimensions_are_fed_one_view(
    views: int | str, fold: bool, tmp_path: Path
) -> None:
    shape = ("n", views, 3, FRAMES, SIZE, SIZE)
    axes = (3, 4, 5) if fold else (1, 3, 4, 5)
    path = save_onnx(tmp_path / "net.onnx", shape, axes=axes, fold=fold, rows="rows")
    advice = 'layout = "BNCTHW" in [pixels]'
    assert advice in refusal(lambda: open_model(path).check(SPEC))
    described(path, '[pixels]\nlayout = "BNCTHW"\n')
    clips = random_clips()
    np.testing.assert_allclose(scores_of(path, clips), softmax(logits_of(clips), axis=1), atol=1e-5)


def test_a_static_export_of_six_dimensions_runs(tmp_path: Path) -> None:
    path = save_onnx(
        tmp_path / "net.onnx", (1, 3, 3, FRAMES, SIZE, SIZE), axes=(1, 3, 4, 5), rows=1
    )
    described(path, '[pixels]\nlayout = "BNCTHW"\n')
    clips = random_clips()
    np.testing.assert_allclose(scores_of(path, clips), softmax(logits_of(clips), axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("ending", "said", "message"),
    [
        (("Softmax",), "", "probabilities already"),
        (("Softmax", "Identity"), "", "probabilities already"),
        (("Sigmoid",), "", "multi-label"),
        (("HardSigmoid", "Identity"), "", "multi-label"),
        (("Sigmoid",), 'output = "probabilities"\n', "multi-label"),
    ],
)
def test_undeclared_probabilities_are_refused_before_anything_is_loaded(
    ending: tuple[str, ...], said: str, message: str, tmp_path: Path
) -> None:
    path = described(save_onnx(tmp_path / "net.onnx", ending=ending), said)
    assert message in refusal(lambda: open_model(path).check(SPEC))


def test_the_end_of_a_function_in_the_file_is_read(tmp_path: Path) -> None:
    """As torch writes a module that is kept as one."""
    import onnx
    from onnx import helper

    path = save_onnx(tmp_path / "net.onnx", ending=("Identity",))
    model = onnx.load(path)
    last = model.graph.node[-1]
    last.op_type, last.domain = "Head", "own"
    model.functions.append(
        helper.make_function(
            *("own", "Head", ["x"], ["y"]),
            [helper.make_node("Sigmoid", ["x"], ["y"])],
            [helper.make_opsetid("", 17)],
        )
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    path.write_bytes(model.SerializeToString())
    assert "multi-label" in refusal(lambda: open_model(path).check(SPEC))
    described(path, 'output = "logits"\n')
    clips = random_clips()
    expected = softmax(expit(logits_of(clips)), axis=1)
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=1e-5)


BY_HAND = ("Neg", "Softplus", "Neg", "Exp")
"""1 / (1 + exp(-x)), which is exp(-softplus(-x)): operators that take no second tensor."""


def test_a_sigmoid_that_only_its_numbers_tell_is_refused(tmp_path: Path) -> None:
    """As three scores are too few to tell, those of further clips count too."""
    path = save_onnx(tmp_path / "net.onnx", ending=BY_HAND)
    assert "multi-label" in refusal(lambda: scores_of(path, random_clips(4)))
    described(path, 'output = "logits"\n')
    assert scores_of(path, random_clips(4)).shape == (4, 3)


def test_one_score_of_which_nothing_tells_what_it_is_must_be_stated(tmp_path: Path) -> None:
    clips, two = random_clips(), ("no", "yes")
    path = save_onnx(tmp_path / "net.onnx", kernel=KERNEL[:, :1], ending=BY_HAND)
    described(path, names=two)
    assert "does not tell whether" in refusal(lambda: open_model(path).check(SPEC))
    described(path, 'output = "probabilities"\n', two)
    second = expit(logits_of(clips)[:, 0])
    np.testing.assert_allclose(scores_of(path, clips)[:, 1], second, atol=1e-5)


def test_a_network_of_single_pictures_is_told_apart(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "net.onnx", ("n", SIZE, SIZE, 3), axes=(1, 2))
    assert "single pictures" in refusal(lambda: open_model(path).check(SPEC))


def test_one_score_is_that_of_the_second_of_two_classes(tmp_path: Path) -> None:
    clips, two = random_clips(), ("no", "yes")
    second = expit(logits_of(clips)[:, :1])
    expected = np.concatenate([1 - second, second], axis=1)
    logit = described(save_onnx(tmp_path / "l.onnx", kernel=KERNEL[:, :1]), names=two)
    np.testing.assert_allclose(scores_of(logit, clips), expected, atol=1e-5)
    path = save_onnx(tmp_path / "p.onnx", kernel=KERNEL[:, :1], ending=("Sigmoid",))
    described(path, names=two)
    assert 'state output = "probabilities"' in refusal(lambda: open_model(path).check(SPEC))
    described(path, 'output = "probabilities"\n', two)
    np.testing.assert_allclose(scores_of(path, clips), expected, atol=1e-5)


def test_the_reason_of_onnx_runtime_is_not_cut_off(tmp_path: Path) -> None:
    deep = tmp_path / ("a_folder_with_a_long_name" * 8)
    deep.mkdir()
    path = save_onnx(deep / "net.onnx", ir_version=99)
    with pytest.raises(Exception, match="Unsupported model IR version: 99, max supported IR"):
        open_model(path).load()


# TFLite -----------------------------------------------------------------------------------------


def save_tflite(path: Path, network: Any, **options: Any) -> Path:
    tf = import_tensorflow()
    run = tf.function(network, input_signature=[tf.TensorSpec([1, FRAMES, SIZE, SIZE, 3])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()], run)
        for name, value in options.items():
            setattr(made, name, value)
        path.write_bytes(made.convert())
    return described(path)


def colours_times_kernel(clips: Any) -> Any:
    tf = import_tensorflow()
    return tf.reduce_mean(clips, axis=[1, 2, 3]) @ tf.constant(KERNEL)


def test_operators_that_no_interpreter_here_has_are_seen_before_it_is_made(tmp_path: Path) -> None:
    tf = import_tensorflow()

    def pooled(clips: Any) -> Any:
        return colours_times_kernel(tf.nn.max_pool3d(clips, 2, 1, "SAME"))

    ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    options = {"target_spec": tf.lite.TargetSpec(ops), "allow_custom_ops": False}
    path = save_tflite(tmp_path / "net.tflite", pooled, **options)
    message = refusal(lambda: open_model(path).check(SPEC))
    assert "operators of TensorFlow that TFLite lacks (FlexMaxPool3D)" in message
    assert "use the SavedModel" in message


@pytest.mark.parametrize(
    ("ending", "message"), [("softmax", "probabilities already"), ("sigmoid", "multi-label")]
)
def test_the_end_of_a_tflite_model_is_read(ending: str, message: str, tmp_path: Path) -> None:
    tf = import_tensorflow()
    path = save_tflite(
        tmp_path / "net.tflite", lambda clips: getattr(tf.nn, ending)(colours_times_kernel(clips))
    )
    assert message in refusal(lambda: open_model(path).check(SPEC))


def test_a_model_quantised_to_16_bits_gives_its_scores(tmp_path: Path) -> None:
    tf = import_tensorflow()
    clips = random_clips()
    ops = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    path = save_tflite(
        tmp_path / "net.tflite",
        colours_times_kernel,
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec=tf.lite.TargetSpec([ops]),
        representative_dataset=lambda: [[clip[None]] for clip in clips.astype(np.float32) / 255],
        inference_input_type=tf.int16,
        inference_output_type=tf.int16,
    )
    np.testing.assert_allclose(scores_of(path, clips), softmax(logits_of(clips), axis=1), atol=0.02)
