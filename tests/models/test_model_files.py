"""Models in files of four kinds give the scores that Keras gives for the same network."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from tests.helpers.command import RunCli
from tests.helpers.model_files import (
    FAMILIES,
    FRAMES,
    NAMES,
    SIZE,
    TOLERANCES,
    Files,
    calibration,
    describe,
    random_clips,
    refusal,
    save,
    save_onnx,
)
from tests.helpers.model_files import files as files
from tests.helpers.paths import REPOSITORY, SAMPLE
from vidbench.cli.arguments import parse_config
from vidbench.config.opening import find_model
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.description import read_description
from vidbench.models._files.interface import Interface, decisive, to_pixels
from vidbench.models._scores import Undeclared, to_probabilities
from vidbench.models._tensorflow.imports import import_keras, import_tensorflow
from vidbench.models.base import Model, load_model
from vidbench.system.runtime import Runtime

if not os.environ.get("CI"):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

CPU = Runtime(device="cpu")
SPEC = PreprocessSpec(num_frames=FRAMES, crop_size=SIZE)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAGE = (REPOSITORY / "docs" / "model_files.md").read_text()


def open_file(path: Path, **options: Any) -> Model:
    return load_model(FAMILIES.get(path.suffix, "saved_model"), model_path=str(path), **options)


# Scores -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOLERANCES)
def test_scores_are_those_of_keras(name: str, files: Files) -> None:
    model = open_file(files.folder / name)
    model.check(SPEC)
    clips = random_clips(5)
    expected = files.probabilities(clips)
    assert np.ptp(expected, axis=0).max() > 0.1  # clips differ, and so do classes
    found = model.load(CPU).predict(clips)
    assert found.shape == (5, len(NAMES))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=TOLERANCES[name])


@pytest.mark.parametrize("name", TOLERANCES)
def test_a_clip_alone_has_the_scores_that_it_has_in_a_batch(name: str, files: Files) -> None:
    classifier = open_file(files.folder / name).load(CPU)
    clips = random_clips(4)
    together = classifier.predict(clips)
    alone = np.concatenate([classifier.predict(clip[None]) for clip in clips])
    np.testing.assert_allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize("name", ["net", "net.keras", "net.tflite", "net.onnx"])
def test_real_clips_have_the_scores_that_keras_gives_them(
    name: str, files: Files, real_clips: Path
) -> None:
    from vidbench.data.video.decode import decode_views

    paths = [path for path in sorted(real_clips.iterdir()) if path.suffix in (".mp4", ".avi")][:12]
    clips = np.concatenate([decode_views(path, SPEC) for path in paths])
    found = open_file(files.folder / name).load(CPU).predict(clips)
    np.testing.assert_allclose(found, files.probabilities(clips), atol=TOLERANCES[name])


@pytest.mark.parametrize("layout", ["BTHWC", "BCTHW", "BTCHW"])
@pytest.mark.parametrize("kind", ["onnx", "keras", "saved_model"])
def test_clips_are_fed_in_the_layout_and_the_range_that_are_stated(
    kind: str, layout: str, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / {"onnx": "net.onnx", "keras": "net.keras", "saved_model": "net"}[kind]
    if kind == "onnx":
        save_onnx(files.keras, path, layout=layout)
    else:
        keras = import_keras()
        axes = [layout.index(axis) for axis in "THWC"]
        lengths = {"T": FRAMES, "H": SIZE, "W": SIZE, "C": 3}
        shape = [lengths[axis] for axis in layout[1:]]
        turned = keras.Sequential([keras.Input(shape), keras.layers.Permute(axes), files.keras])
        save(turned, path)
    pixels = f'mean = {list(MEAN)}\nstd = {list(STD)}\nlayout = "{layout}"'
    model = open_file(describe(path, f'output = "logits"\n[pixels]\n{pixels}\n'))
    model.check(SPEC)
    clips = random_clips(3)
    fed = (clips / 255 - np.array(MEAN)) / np.array(STD)  # as torchvision's Normalize
    expected = softmax(files.keras.predict(fed.astype(np.float32), verbose=0), axis=1)
    np.testing.assert_allclose(model.load(CPU).predict(clips), expected, atol=2e-5)
    if layout != "BTHWC":
        wrong = open_file(describe(path, '[pixels]\nlayout = "BTHWC"\n'))
        with pytest.raises(ConfigError, match=r"takes \[any, .*the clips are \[any, 8, 32, 32, 3"):
            wrong.check(SPEC)


@given(
    st.tuples(st.integers(-300, 299), st.integers(1, 600)),
    st.tuples(*[st.floats(-200, 200)] * 3),
    st.tuples(*[st.floats(0.01, 200)] * 3),
)
def test_pixels_are_scaled_as_the_definition_says(
    range_: tuple[int, int], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    low, high = float(range_[0]), float(range_[0] + range_[1])
    clips = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 1, 16, 16, 3)
    interface = Interface(mean=mean, std=std)  # type: ignore[arg-type]
    expected = (low + clips / 255 * (high - low) - np.array(mean)) / np.array(std)
    size = (abs(low) + abs(high) + np.abs(mean).max()) / min(std)  # of what is added up
    found = to_pixels(clips, interface, (low, high))
    np.testing.assert_allclose(found, expected, atol=1e-6 * size, rtol=1e-6)


# What comes out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["onnx", "keras", "tflite", "saved_model"])
def test_probabilities_must_be_stated_and_get_no_second_softmax(
    kind: str, files: Files, tmp_path: Path
) -> None:
    keras, tf = import_keras(), import_tensorflow()
    path = tmp_path / {"saved_model": "net"}.get(kind, f"net.{kind}")
    ending = keras.Sequential([files.keras, keras.layers.Softmax()])
    ending.build((None, FRAMES, SIZE, SIZE, 3))
    if kind == "onnx":
        save_onnx(files.keras, path, ending="Softmax")
    elif kind == "keras":
        save(ending, path)
    else:
        save(ending, tmp_path / "net")
    if kind == "tflite":
        converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "net"))
        path.write_bytes(converter.convert())
    clips = random_clips(3)
    with pytest.raises(ModelError, match='state output = "probabilities"'):
        open_file(describe(path)).load(CPU).predict(clips)
    stated = open_file(describe(path, 'output = "probabilities"\n'))
    np.testing.assert_allclose(
        stated.load(CPU).predict(clips), files.probabilities(clips), atol=1e-6
    )
    forced = open_file(describe(path, 'output = "logits"\n')).load(CPU).predict(clips)
    np.testing.assert_allclose(forced, softmax(files.probabilities(clips), axis=1), atol=1e-6)


@given(st.integers(2, 400), st.integers(1, 5), st.integers(0, 100))
def test_logits_become_their_softmax_and_probabilities_are_noticed(
    classes: int, rows: int, seed: int
) -> None:
    logits = np.random.default_rng(seed).normal(0, 30, (rows, classes)).astype(np.float32)
    expected = softmax(logits.astype(np.float64), axis=1)
    Undeclared(None).look(logits)
    found = to_probabilities(logits[:, :, None, None], None)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_array_equal(to_probabilities(found, "probabilities"), found)
    with pytest.raises(ModelError, match="probabilities already"):
        Undeclared("other").look(found)


def test_quantised_probabilities_add_up_to_one(files: Files, tmp_path: Path) -> None:
    keras, tf = import_keras(), import_tensorflow()
    ending = keras.Sequential([files.keras, keras.layers.Softmax()])
    ending.build((None, FRAMES, SIZE, SIZE, 3))
    save(ending, tmp_path / "net")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "net"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path = tmp_path / "net.tflite"
    path.write_bytes(converter.convert())
    clips = random_clips(5)
    with pytest.raises(ModelError, match="probabilities already"):
        open_file(describe(path)).load().predict(clips)
    scores = open_file(describe(path, 'output = "probabilities"\n')).load().predict(clips)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(scores, files.probabilities(clips), atol=0.05)


# Batches and types ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_filled_up(batch: int, files: Files, tmp_path: Path) -> None:
    path = describe(save_onnx(files.keras, tmp_path / "net.onnx", batch=batch))
    model, clips = open_file(path), random_clips(6)
    model.check(SPEC)
    np.testing.assert_allclose(
        model.load(CPU).predict(clips), files.probabilities(clips), atol=1e-6
    )


def test_a_tflite_model_of_a_fixed_batch_takes_clip_by_clip(files: Files, tmp_path: Path) -> None:
    tf = import_tensorflow()
    keras_model = files.keras

    @tf.function(input_signature=[tf.TensorSpec([2, FRAMES, SIZE, SIZE, 3], tf.float32)])  # type: ignore[untyped-decorator]
    def run(clips: Any) -> Any:
        return keras_model(clips)

    made = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()], run)
    path = tmp_path / "net.tflite"
    path.write_bytes(made.convert())
    clips = random_clips(5)
    np.testing.assert_allclose(
        open_file(describe(path)).load().predict(clips), files.probabilities(clips), atol=1e-6
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("FLOAT16", 2e-3), ("DOUBLE", 1e-6)])
def test_other_floats_are_fed_as_they_are_asked_for(
    dtype: str, tolerance: float, files: Files, tmp_path: Path
) -> None:
    path = describe(save_onnx(files.keras, tmp_path / "net.onnx", dtype=dtype))
    clips = random_clips(3)
    found = open_file(path).load(CPU).predict(clips)
    np.testing.assert_allclose(found, files.probabilities(clips), atol=tolerance)


@pytest.mark.parametrize("dtype", ["UINT8", "INT16", "INT32", "INT64"])
def test_whole_numbers_are_fed_as_pixels_are_unless_another_range_is_said(
    dtype: str, files: Files, tmp_path: Path
) -> None:
    path = save_onnx(files.keras, tmp_path / "net.onnx", dtype=dtype)
    clips = random_clips(3) // 64
    expected = softmax(files.keras.predict(clips.astype(np.float32), verbose=0), axis=1)
    plain = open_file(describe(path))
    plain.check(SPEC)
    np.testing.assert_allclose(plain.load(CPU).predict(clips), expected, atol=1e-5)
    said = open_file(describe(path, "[pixels]\nrange = [0, 255]\n"))
    assert said.digest() == plain.digest()
    np.testing.assert_array_equal(
        said.load(CPU).predict(clips),
        plain.load(CPU).predict(clips),
    )
    for wrong in ("range = [0, 1]", "range = [-1, 1]", "mean = [0.5, 0.5, 0.5]"):
        other = open_file(describe(path, f"[pixels]\n{wrong}\n"))
        assert "whole numbers: state [pixels] range" in refusal(lambda: other.check(SPEC))  # noqa: B023
    if dtype != "UINT8":
        shifted = open_file(describe(path, "[pixels]\nrange = [-128, 127]\n"))
        shifted.check(SPEC)
        expected = softmax(files.keras.predict(clips - np.float32(128), verbose=0), axis=1)
        np.testing.assert_allclose(shifted.load(CPU).predict(clips), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["net.keras", "net.tflite", "net.onnx"])
def test_another_precision_or_device_is_refused(name: str, files: Files) -> None:
    model = open_file(files.folder / name)
    with pytest.raises(ConfigError, match="fp32 only"):
        model.load(Runtime(precision="bf16"))
    with pytest.raises(ModelError, match="--device mps"):
        model.load(Runtime(device="mps"))


# Digests ----------------------------------------------------------------------------------------


def test_what_decides_scores_is_in_the_digest_and_nothing_else(
    files: Files, tmp_path: Path
) -> None:
    def digest(name: str, text: str) -> str:
        place = tmp_path / name
        if not place.exists():
            source = files.folder / name
            shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
        return open_file(describe(place, text)).digest()

    for name, output in (("net", "output_0"), ("net.keras", "dense"), ("net.onnx", "scores")):
        plain = digest(name, "")
        assert plain == digest(name, 'name = "x"\noutput = "logits"\n[pixels]\nrange = [0, 1]\n')
        assert plain == digest(name, "[protocol]\nnum_frames = 8\n[published]\ntop1 = 0.5\n")
        others = (
            'output = "probabilities"\n',
            '[pixels]\nlayout = "BCTHW"\n',
            "[pixels]\nrange = [-1, 1]\n",
            "[pixels]\nmean = [0.1, 0, 0]\n",
            "[pixels]\nstd = [1, 1, 2]\n",
            f'[tensors]\noutput = "{output}"\n',
            f"classes = {json.dumps(NAMES[::-1])}\n",
        )
        assert len({plain, *(digest(name, text) for text in others)}) == 1 + len(others)


def test_a_saved_model_of_which_nothing_is_said_is_as_it_always_was() -> None:
    model = load_model("saved_model", model_path=str(SAMPLE / "model"))
    assert (model.name, model.digest()) == ("saved_model", "be696d6d206f81fd")
    assert (model.spec, model.trained_on) == (PreprocessSpec(), None)
    assert decisive(Interface(), (0.0, 1.0)) == decisive(Interface(output="logits"), (0.0, 1.0))


def test_weights_beside_an_onnx_file_are_part_of_it(files: Files, tmp_path: Path) -> None:
    path = describe(save_onnx(files.keras, tmp_path / "net.onnx", external=True))
    model, clips = open_file(path), random_clips(3)
    model.check(SPEC)
    expected = files.probabilities(clips)
    np.testing.assert_allclose(model.load(CPU).predict(clips), expected, atol=1e-6)
    before, beside = model.digest(), tmp_path / "net.weights"
    content = bytearray(beside.read_bytes())
    content[10] ^= 1
    beside.write_bytes(content)
    assert open_file(path).digest() != before
    beside.unlink()
    with pytest.raises(ConfigError, match=r"keeps weights in .*net\.weights, which does not exist"):
        open_file(path).check(SPEC)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../b", "c:\\x", "..\\x"])
def test_weights_outside_of_the_folder_of_a_model_are_not_looked_at(
    place: str, files: Files, tmp_path: Path
) -> None:
    import onnx

    path = save_onnx(files.keras, tmp_path / "net.onnx", external=True)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match="outside of its folder"):
        open_file(describe(path)).check(SPEC)


# Refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.tflite", "net.onnx"])
@pytest.mark.parametrize("fault", ["cut", "text", "empty", "pickle"])
def test_a_file_of_another_kind_is_refused(
    name: str, fault: str, files: Files, tmp_path: Path
) -> None:
    whole = (files.folder / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "text": b"no model at all, but some text that is long enough",
            "empty": b"",
            "pickle": pickle.dumps({"weights": [1.0] * 100}),
        }[fault]
    )
    model = open_file(describe(path))

    def open_it() -> None:
        model.check(SPEC)
        model.load(CPU)

    assert str(path) in refusal(open_it)


@settings(max_examples=40)
@given(st.data())
def test_a_damaged_file_is_refused_or_runs_but_crashes_nothing(
    files: Files, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["net.onnx", "net.tflite", "net.keras"]))
    whole = (files.folder / name).read_bytes()
    place = files.folder / "damaged" / name
    place.parent.mkdir(exist_ok=True)
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    place.write_bytes(changed)
    model, said = open_file(describe(place)), ""
    try:
        model.check(SPEC)
        model.digest()
        if name != "net.tflite":  # damaged instructions of these can crash an interpreter
            model.load(CPU)
    except (ConfigError, ModelError) as error:
        said = str(error)
    assert said.isprintable()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_keras_file_is_not_run(suffix: str, tmp_path: Path) -> None:
    keras = import_keras()
    layer = keras.layers.Lambda(lambda clips: clips * 2)
    model = keras.Sequential([keras.Input((FRAMES, SIZE, SIZE, 3)), layer])
    path = tmp_path / f"net{suffix}"
    save(model, path)
    opened = open_file(describe(path))

    def open_it() -> None:
        opened.check(SPEC)
        opened.load(CPU)

    assert "Lambda layer, which is Python code" in refusal(open_it)


def test_a_keras_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\0" * (1 << 26))
    assert "over 100 times its size" in refusal(lambda: open_file(describe(path)).check(SPEC))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"\0" * 100)
    assert "holds no config.json" in refusal(lambda: open_file(describe(path)).check(SPEC))


@pytest.mark.parametrize("name", TOLERANCES)
def test_another_number_of_classes_is_refused_before_a_batch(
    name: str, files: Files, tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\n")
    model = open_file(files.folder / name, classes_file=names)

    def open_it() -> None:
        model.check(SPEC)
        model.load(CPU)

    assert "class list has 2 names" in refusal(open_it)


@pytest.mark.parametrize("name", TOLERANCES)
def test_clips_of_another_shape_are_refused(name: str, files: Files) -> None:
    model = open_file(files.folder / name)
    other = replace(SPEC, num_frames=FRAMES + 1)

    def run_it() -> None:
        model.check(other)
        model.load(CPU).predict(random_clips(1, FRAMES + 1))

    assert "--num_frames" in refusal(run_it)


def test_a_model_without_classes_and_a_path_of_another_kind_are_refused(
    files: Files, tmp_path: Path
) -> None:
    path = Path(shutil.copy(files.folder / "net.onnx", tmp_path))
    assert "--classes_file" in refusal(lambda: open_file(path).check(SPEC))
    for family in ("keras_file", "tflite", "onnx"):
        for wrong in ("missing", str(tmp_path), str(SAMPLE / "classes.txt"), "http://h/x"):
            options = ["--model_type", family, "--model_path", wrong]
            assert "--model_path" in refusal(lambda o=options: parse_config(o, {}))  # type: ignore[misc]
        assert "--model_path" in refusal(lambda f=family: load_model(f))  # type: ignore[misc]
        assert "no variant" in refusal(
            lambda f=family: load_model(f"{f}/x", model_path="m")  # type: ignore[misc]
        )


def test_a_tensor_that_is_not_there_is_refused(files: Files, tmp_path: Path) -> None:
    path = Path(shutil.copy(files.folder / "net.onnx", tmp_path))
    describe(path, '[tensors]\noutput = "logit"\n')
    assert "no output 'logit', only 'scores'" in refusal(lambda: open_file(path).check(SPEC))
    describe(path, '[tensors]\ninput = "x"\n')
    assert "no input 'x', only 'clips'" in refusal(lambda: open_file(path).check(SPEC))
    folder = shutil.copytree(files.folder / "net", tmp_path / "net")
    describe(folder, '[tensors]\noutput = "logit"\n')
    assert "'logit'" in refusal(lambda: open_file(folder).check(SPEC))


# The TOML file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clases = []", "'clases' is unknown: the nearest valid one is 'classes'"),
        ("[pixel]\nrange = [0, 1]", "'pixel' is unknown: the nearest valid one is 'pixels'"),
        ("[pixels]\nranges = [0, 1]", "'pixels.ranges' is unknown.*'pixels.range'"),
        ("range = [0, 1]", r"'range' belongs in the table \[pixels\]"),
        ("[pixels]\nnum_frames = 3", r"'pixels.num_frames' belongs in the table \[protocol\]"),
        ("[pixels]\nname = 'x'", "'pixels.name' belongs above all tables"),
        ("pixels = 3", r"pixels is 3, must be a table: write \[pixels\]"),
        ("[pixels]\nrange = [1, 0]", "pixels.range is .*lower"),
        ("[pixels]\nrange = [0, 'x']", "pixels.range is .*list of 2 numbers"),
        ("[pixels]\nrange = [0, nan]", "pixels.range is .*list of 2 numbers"),
        ("[pixels]\nrange = [false, true]", "pixels.range is .*list of 2 numbers"),
        ("[pixels]\nmean = [0, 1]", "pixels.mean is .*list of 3 numbers"),
        ("[pixels]\nstd = [0, 1, 1]", "pixels.std is .*above 0"),
        ("[pixels]\nlayout = 'THWC'", "pixels.layout is 'THWC', must be one of BTHWC"),
        ("output = 'softmax'", "output is 'softmax', must be one of logits, probabilities"),
        ("name = 'a/b'", "name is 'a/b'"),
        ("name = 3", "name is 3"),
        ("trained_on = ['x']", "trained_on is"),
        ("classes = 'nowhere.txt'", "classes is 'nowhere.txt': there is no file"),
        ("classes = []", "classes is"),
        ("classes = ['a', 'a']", "classes names 'a' more than once"),
        ("classes = ['a', 3]", "classes is 3, must be text"),
        ("[protocol]\nnum_frames = 1.5", "protocol.num_frames is 1.5, must be a whole number"),
        ("[protocol]\nnum_frames = true", "protocol.num_frames is True"),
        ("[protocol]\nnum_frames = 0", "num_frames is 0, must be above 0"),
        ("[protocol]\nsampling = 'centre'", "sampling is 'centre', must be one of uniform"),
        ("[protocol]\nfps = '25'", "protocol.fps is '25', must be a number"),
        ("[protocol]\nfps = 25", "sampling 'uniform' ignores fps"),
        ("[published]\ntop1 = 71.1", "published.top1 is 71.1, must be from 0 to 1"),
        ("[published]\nreference = 3", "published.reference is 3"),
        ("[tensors]\ninput = ''", "tensors.input is ''"),
        ("x =", "cannot be read as TOML"),
        ("\xff", "cannot be read as TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_key(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx.toml"
    path.write_text(text, encoding="latin-1")
    message = refusal(lambda: read_description(path))
    assert message.startswith(str(path))
    assert re.search(said, message), message


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    said = ""
    try:
        read_description(path)
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said


def test_classes_are_a_list_that_ships_a_file_or_names(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a\nb\n")
    path = tmp_path / "m.toml"
    for said, found in (
        ("'kinetics-400'", 400),
        ("'mine.txt'", 2),
        (f"'{tmp_path / 'mine.txt'}'", 2),
        ("['x', 'y', 'z']", 3),
    ):
        path.write_text(f"classes = {said}\n")
        assert len(read_description(path).classes or ()) == found


def test_options_go_over_the_file(files: Files, tmp_path: Path) -> None:
    path = Path(shutil.copy(files.folder / "net.onnx", tmp_path))
    describe(
        path,
        '[protocol]\nnum_frames = 8\ncrop_size = 32\nsampling = "center"\n'
        'too_short = "loop"\nfps = 12.5\n',
    )
    names = tmp_path / "names.txt"
    names.write_text("\n".join(reversed(NAMES)))
    options = ["--model_type", "onnx", "--model_path", str(path)]
    config = parse_config([*options, "--num_frames", "9", "--classes_file", str(names)], {})
    model = find_model(config)
    spec = config.spec(model.spec)
    assert (spec.num_frames, spec.crop_size, spec.fps) == (9, 32, 12.5)
    assert model.classes == tuple(reversed(NAMES))
    assert find_model(parse_config(options, {})).spec.num_frames == 8


def test_an_archive_is_described_beside_and_not_inside(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    folder = shutil.copytree(files.folder / "net", tmp_path / "net")
    inside, archive = folder / "vidbench.toml", tmp_path / "net.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, ".")
    with pytest.raises(ConfigError, match=r"holds a vidbench\.toml"):
        open_file(archive).check(SPEC)
    inside.unlink()
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, ".")
    describe(archive, 'name = "packed"\n')
    model = open_file(archive)
    model.check(SPEC)
    assert model.name == "saved_model/packed"


# The command ------------------------------------------------------------------------------------

EXAMPLES = re.findall(r"`([\w./]+\.toml)`:\n\n```toml\n(.*?)```\n\n```sh\n(.*?)```", PAGE, re.S)


@pytest.mark.docs
def test_the_page_has_an_example_of_each_kind() -> None:
    commands = [command.split() for _, _, command in EXAMPLES]
    assert [words[3] for words in commands] == ["saved_model", "keras_file", "tflite", "onnx"]
    assert len(EXAMPLES) == PAGE.count("```toml") == PAGE.count("```sh")


@pytest.mark.docs
@pytest.mark.parametrize(("toml", "text", "command"), EXAMPLES)
def test_the_examples_of_the_page_run(
    toml: str, text: str, command: str, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / (Path(toml).parent if "/" in toml else toml.removesuffix(".toml"))
    if path.suffix == ".onnx":
        save_onnx(files.keras, path, layout="BCTHW", ending="Softmax")
    elif path.suffix:
        shutil.copy(files.folder / path.name, path)
    else:
        shutil.copytree(files.folder / "net", path)
    shutil.copy(
        SAMPLE / "classes.txt",
        tmp_path / toml.replace("vidbench.toml", "classes.txt") if "/" in toml else tmp_path,
    )
    (tmp_path / toml).write_text(text)
    program, *arguments = command.split()
    assert program == "vidbench"
    done = subprocess.run(
        [sys.executable, "-m", "vidbench", *arguments, "--num_videos", "10", "--no_report"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith(f"{arguments[2]}-net_sample-val_10_")
    spec = json.loads((folder / "run.json").read_text())["identity"]["spec"]
    assert (spec["num_frames"], spec["crop_size"]) == (8, 32)


def test_a_run_has_the_scores_that_keras_gives(
    files: Files, tmp_path: Path, run_cli: RunCli
) -> None:
    from vidbench.data.video.decode import decode_views
    from vidbench.runs.finished import FinishedRun

    path = tmp_path / "m.onnx"
    shutil.copy(files.folder / "net.onnx", path)
    describe(path, "[protocol]\nnum_frames = 8\ncrop_size = 32\n")
    options = ("--num_videos", 20, "--batch_size", 3, "--no_report", "--data_dir", "data")
    done = run_cli(
        *("evaluate", "--dataset", "sample", "--model_type", "onnx", "--model_path", "m.onnx"),
        *options,
    )
    assert (done.returncode, done.stderr.count("WARNING")) == (0, 0), done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    predictions = FinishedRun(folder).predictions
    assert predictions.scored.all()
    videos = {video.name: video for video in tmp_path.rglob("*.mp4")}
    clips = np.concatenate(
        [decode_views(videos[Path(name).name], SPEC) for name in predictions.paths]
    )
    np.testing.assert_allclose(predictions.scores, files.probabilities(clips), atol=1e-6)
