"""``num_threads`` is what every framework computes in, and changes no score.

A framework makes its threads once in a process, so that most of this runs in processes of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from tests.helpers.checkpoints import save_checkpoint
from tests.helpers.command import RunCli
from tests.helpers.model_files import build, describe, save, save_onnx
from tests.helpers.movinet_network import Network
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.errors import ConfigError
from vidbench.models._tensorflow.imports import import_keras, import_tensorflow, import_tflite
from vidbench.models.base import Model, load_model
from vidbench.system.runtime import Runtime

if os.environ.get("CI") != "true":
    pytest.importorskip("torch")

Shape = tuple[int, int, int]  # clips, frames, height and width

MODELS: dict[str, tuple[str, Shape]] = {
    "net.onnx": ("onnx", (16, 8, 32)),  # first: later ones begin threads of other libraries
    "net.tflite": ("tflite", (16, 8, 32)),
    "net.keras": ("keras_file", (16, 8, 32)),
    "frozen": ("saved_model", (4, 16, 224)),
    "counting": ("saved_model", (4, 8, 64)),
    "stream": ("movinet/a0-stream", (2, 4, 256)),
    "videomae": ("huggingface", (4, 4, 32)),
}
"""Families by the files of their models, with the clips that they are given."""


def open_model(folder: Path, name: str) -> Model:
    return load_model(MODELS[name][0], model_path=str(folder / name))


def predict_all(num_threads: int, folder: str) -> dict[str, Any]:
    """Scores of all models, and threads: those that a library began, or says that it takes."""
    import_tflite()
    found: dict[str, Any] = {"scores": {}, "begun": {}}
    for name, (_, (batch, frames, size)) in MODELS.items():
        shape = (batch, frames, size, size, 3)
        clips = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        before = psutil.Process().num_threads()
        classifier = open_model(Path(folder), name).load(
            Runtime(device="cpu", num_threads=num_threads)
        )
        found["scores"][name] = classifier.predict(clips).tolist()
        found["begun"][name] = psutil.Process().num_threads() - before
    import torch

    threading = import_tensorflow().config.threading
    found["torch"] = torch.get_num_threads()
    found["one operation"] = threading.get_intra_op_parallelism_threads()
    found["operations"] = threading.get_inter_op_parallelism_threads()
    return found


def load_again(folder: str) -> list[str]:
    """What is refused of loading models of TensorFlow one after another; the first is kept."""
    asked = (2, 2, None, 3, 1, None)
    return [refused(Path(folder), number, Path(folder) / "cache") for number in asked]


def load_late(folder: str) -> list[str]:
    """What is refused where TensorFlow has begun before, by itself."""
    import_tensorflow().constant(1)
    return [refused(Path(folder), number) for number in (None, 1)]


def load_on_other_backend(folder: str) -> list[str]:
    """What is refused where Keras does not run on TensorFlow."""
    os.environ["KERAS_BACKEND"] = "torch"
    return [refused(Path(folder), number, name="net.keras") for number in (1, None)]


def refused(
    folder: Path, num_threads: int | None, cache_dir: Path | None = None, name: str = "frozen"
) -> str:
    """The error of a model that is loaded, or ""."""
    try:
        open_model(folder, name).load(
            Runtime(device="cpu", num_threads=num_threads, cache_dir=cache_dir)
        )
    except ConfigError as error:
        return str(error)
    return ""


def start(function: Callable[..., Any], *arguments: object) -> subprocess.Popen[str]:
    """One of the functions above, in a process of its own."""
    program = (
        "import json, sys\n"
        f"from {__name__} import {function.__name__} as function\n"
        f"json.dump(function(*{arguments!r}), sys.stdout)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": "-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(started: Sequence[subprocess.Popen[str]]) -> list[Any]:
    found = []
    for process in started:
        out, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
        found.append(json.loads(out))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models."""
    folder = tmp_path_factory.mktemp("models")
    tf, model = import_tensorflow(), build(import_keras())
    (folder / "frozen").symlink_to(SAMPLE / "model")
    save(model, folder / "net.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "net.tflite").write_bytes(converter.convert())
    save_onnx(model, folder / "net.onnx")
    for name in ("net.keras", "net.tflite", "net.onnx"):
        describe(folder / name, 'output = "logits"\n')
    Network(num_classes=10).save_stream(folder / "stream")
    describe(save_counting(folder / "counting"), 'output = "logits"\n')
    save_checkpoint(folder / "videomae", "VideoMAE")
    return folder


def save_counting(path: Path) -> Path:
    """A SavedModel that cannot be frozen, because it counts its calls."""
    tf, rng = import_tensorflow(), np.random.default_rng(0)
    module = tf.Module()
    module.calls = tf.Variable(0)
    module.conv = tf.Variable(rng.normal(0, 0.2, (3, 3, 3, 3, 14)).astype(np.float32))

    def count(clips: Any) -> dict[str, Any]:
        module.calls.assign_add(1)
        hidden = tf.nn.relu(tf.nn.conv3d(clips, module.conv, [1] * 5, "SAME"))
        return {"scores": 10 * tf.reduce_mean(hidden, [1, 2, 3])}

    spec = tf.TensorSpec([None] * 4 + [3], tf.float32, "clips")
    serve = tf.function(count, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures={"default": serve})
    return path


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[dict[str, Any]]:
    """Of 1 and of 4 threads."""
    return results([start(predict_all, number, str(folder)) for number in (1, 4)])


def scores(run: dict[str, Any], name: str) -> NDArray[np.float64]:
    return np.array(run["scores"][name])


@pytest.mark.parametrize("name", MODELS)
def test_scores_do_not_depend_on_threads(name: str, runs: list[dict[str, Any]]) -> None:
    one, four = (scores(run, name) for run in runs)
    assert_allclose(four, one, atol=1e-5)
    assert_array_equal(np.argsort(four, kind="stable"), np.argsort(one, kind="stable"))
    assert not np.array_equal(one[0], one[1])  # they are scores of the clips


@pytest.mark.slow
def test_equal_threads_give_equal_scores(folder: Path, runs: list[dict[str, Any]]) -> None:
    (again,) = results([start(predict_all, 4, str(folder))])
    for name in MODELS:
        assert_array_equal(scores(runs[1], name), scores(again, name))


def test_every_framework_takes_as_many_threads_as_are_asked_for(runs: list[dict[str, Any]]) -> None:
    for number, run in zip((1, 4), runs, strict=True):
        assert (run["torch"], run["one operation"], run["operations"]) == (number, number, 1)
    for name in ("net.onnx", "net.tflite"):
        assert runs[1]["begun"][name] - runs[0]["begun"][name] == 3


MADE = (
    "--num_threads {}: TensorFlow has made {} in this process already: "
    "load the model in another process, or before TensorFlow is used"
)


def test_another_number_than_tensorflow_has_made_is_refused(folder: Path) -> None:
    open_model(folder, "frozen").load(
        Runtime(device="cpu", cache_dir=folder / "cache")  # keeps its graph
    )
    (again,) = results([start(load_again, str(folder))])
    assert again == ["", "", "", MADE.format(3, 2), MADE.format(1, 2), ""]


@pytest.mark.slow
def test_a_number_after_tensorflow_began_or_for_another_backend_is_refused(folder: Path) -> None:
    started = [start(each, str(folder)) for each in (load_late, load_on_other_backend)]
    late, elsewhere = results(started)
    assert late == ["", MADE.format(1, "as many as it chose")]
    assert elsewhere[0].startswith("--num_threads 1: Keras runs on torch, which does not take it")
    assert elsewhere[1] == ""


def test_the_command_passes_the_number_on(
    run_cli: RunCli, tmp_path: Path, sample_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.py").write_text(
        "from vidbench.errors import ConfigError\n"
        "from vidbench.models.saved_model import SavedModelLoader\n\n\n"
        "class Model(SavedModelLoader):\n"
        "    def load(self, runtime):\n"
        "        raise ConfigError(f'asked for {runtime.num_threads} threads')\n\n\n"
        "def load(variant, *, model_path=None):\n"
        "    return Model(model_path)\n"
    )
    options = ("--model_type", "own.model", "--model_path", SAMPLE / "model")
    for given, asked in ((("--num_threads", "3"), 3), ((), None)):
        done = run_cli("predict", sample_clip, *options, *given)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f"vidbench: asked for {asked} threads"
