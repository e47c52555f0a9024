"""SavedModels as frozen graphs: they give the same scores, and are kept whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.evaluating import sample_config
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.data.datasets.base import load_dataset
from vidbench.data.loader import VideoLoader, batched
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ModelError
from vidbench.evaluate import evaluate
from vidbench.models._files.signature import read_signature
from vidbench.models._tensorflow.classifier import SavedModelClassifier
from vidbench.models._tensorflow.frozen import Recipe, frozen_graph
from vidbench.models._tensorflow.weights import Weights
from vidbench.models.i3d import I3DLoader
from vidbench.models.saved_model import SavedModelLoader
from vidbench.system.runtime import PRECISIONS, Runtime

Scores = NDArray[np.float32]
Clips = NDArray[np.uint8]

MODEL = SAMPLE / "model"
RECIPE = Recipe(MODEL, (0.0, 1.0), "fp32", True)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests here that need not begin with an empty one."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def graph_dir(cache_dir: Path) -> Path:
    return cache_dir / "graphs"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Clips:
    """Of 28 videos of the sample, drawn at random."""
    dataset = load_dataset("sample", "val", data_dir=tmp_path_factory.mktemp("raw"), seed=1)
    loader = VideoLoader(dataset, PreprocessSpec(num_frames=16), cache_dir=cache_dir)
    records = loader.select(28).records
    with loader.stream(records, batched(28, 28)) as stream:
        (batch,) = stream
    return np.ascontiguousarray(batch.views[:, 0])


@pytest.fixture(scope="module")
def fp32(graph_dir: Path) -> SavedModelClassifier:
    return load(graph_dir)


@pytest.fixture(scope="module")
def scores(fp32: SavedModelClassifier, clips: Clips) -> Scores:
    return fp32.predict(clips)


@pytest.fixture
def started() -> Iterator[list[str]]:
    """Programs that this process has started meanwhile."""
    commands: list[str] = []
    _listeners.append(commands)
    yield commands
    _listeners.remove(commands)


_listeners: list[list[str]] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        for commands in _listeners:
            commands.append(" ".join(map(str, arguments[1])))


sys.addaudithook(_listen)


def load(graph_dir: Path | None, precision: str = "fp32") -> SavedModelClassifier:
    return SavedModelLoader(str(MODEL)).load(
        Runtime(cache_dir=graph_dir and graph_dir.parent, precision=precision)
    )


def as_saved(folder: Path, clips: Clips) -> Scores:
    """What the SavedModel's own signature gives."""
    import tensorflow as tf

    entry = read_signature(folder)
    signature = tf.saved_model.load(str(folder)).signatures[entry.name]
    logits = signature(**{entry.input_name: tf.constant(clips / np.float32(255))})
    found: Scores = tf.nn.softmax(logits[entry.output_name]).numpy()
    return found


def kept(folder: Path) -> dict[Path, tuple[int, int]]:
    """All files of the folder, with what changes when one is written again."""
    return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.iterdir()}


def assert_close(found: Scores, expected: Scores) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


def test_scores_are_those_of_the_saved_model(clips: Clips, scores: Scores) -> None:
    expected = as_saved(MODEL, clips)
    assert_close(scores, expected)
    in_order = np.take_along_axis(expected, np.argsort(scores, axis=1), axis=1)
    assert (np.diff(in_order, axis=1) > -2e-5).all()  # ranks differ only where scores do not


def test_scores_of_i3d_are_those_of_the_saved_model(
    i3d_path: Path, clips: Clips, graph_dir: Path
) -> None:
    classifier = I3DLoader(model_path=str(i3d_path)).load(Runtime(cache_dir=graph_dir.parent))
    found = classifier.predict(clips[:8])
    assert_close(found, as_saved(i3d_path, clips[:8]))


def test_a_kept_graph_is_only_read(
    fp32: SavedModelClassifier,
    graph_dir: Path,
    clips: Clips,
    scores: Scores,
    started: list[str],
) -> None:
    before = kept(graph_dir)
    assert RECIPE.file_name() in [path.name for path in before]
    np.testing.assert_array_equal(load(graph_dir).predict(clips), scores)
    assert kept(graph_dir) == before
    assert started == []


def test_a_graph_that_is_not_kept_gives_equal_scores(
    clips: Clips, scores: Scores, started: list[str]
) -> None:
    np.testing.assert_array_equal(load(None).predict(clips), scores)
    assert started == []


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip_a_bit,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "headless": lambda path: path.write_bytes(path.read_bytes()[16:]),
    "stub": lambda path: os.truncate(path, 7),
    "empty": lambda path: os.truncate(path, 0),
}


@pytest.mark.parametrize(
    "name",
    [
        "flipped",
        *(pytest.param(name, marks=pytest.mark.slow) for name in DAMAGES if name != "flipped"),
    ],
)
def test_a_damaged_graph_is_made_again_with_a_warning(
    name: str,
    fp32: SavedModelClassifier,
    graph_dir: Path,
    tmp_path: Path,
    clips: Clips,
    scores: Scores,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    DAMAGES[name](Path(shutil.copy(graph_dir / RECIPE.file_name(), folder)))
    caplog.clear()
    frozen_graph(RECIPE, folder)
    assert "making it again" in caplog.text
    caplog.clear()
    before = kept(folder)
    assert [path.name for path in before] == [RECIPE.file_name()]
    np.testing.assert_array_equal(load(folder).predict(clips), scores)
    assert kept(folder) == before
    assert caplog.text == ""


@pytest.mark.slow
def test_processes_may_freeze_the_same_model_at_once(
    tmp_path: Path, clips: Clips, scores: Scores
) -> None:
    program = (
        "from pathlib import Path\n"
        "from vidbench.models._tensorflow.frozen import Recipe, frozen_graph\n"
        f"recipe = Recipe(Path({str(MODEL)!r}), (0.0, 1.0), 'fp32', True)\n"
        f"assert frozen_graph(recipe, Path({str(tmp_path)!r})).meta.graph_def.node\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(PATIENCE_SECONDS) for process in running] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [RECIPE.file_name()]
    np.testing.assert_array_equal(load(tmp_path).predict(clips), scores)


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, clips: Clips, scores: Scores, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    classifier = load(tmp_path / "file" / "graphs")
    assert "could not be kept: " in caplog.text
    np.testing.assert_array_equal(classifier.predict(clips), scores)


SCALES: dict[str, Callable[[Any, Any], Any]] = {
    "by channel": lambda conv, scale: conv * scale,
    "from the left": lambda conv, scale: scale * conv,
    "by one number": lambda conv, scale: conv * 3.0,
    "by place": lambda conv, scale: conv * scale[:8, None],
    "convolution used twice": lambda conv, scale: conv * scale + conv,
    "twice": lambda conv, scale: conv * scale * scale,
    "plus a bias": lambda conv, scale: conv * scale + scale,
    "plus a bias from the left": lambda conv, scale: scale + conv,
    "plus one number": lambda conv, scale: conv + 0.3,
    "plus by place": lambda conv, scale: conv + scale[:8, None],
    "minus": lambda conv, scale: scale - conv,
}


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("shared", [False, True])
def test_scales_and_biases_are_fused_only_where_that_is_the_same(
    tmp_path: Path, name: str, shared: bool
) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    model = tf.Module()
    model.weight = tf.Variable(rng.normal(0, 0.2, (3, 3, 3, 3, 64)).astype(np.float32))
    model.scale = tf.Variable(rng.uniform(0.5, 2, 64).astype(np.float32))

    def logits(clips: Any) -> Any:
        conv = tf.nn.conv3d(clips, model.weight, [1] * 5, "SAME")
        hidden = tf.nn.relu(SCALES[name](conv, model.scale))
        if shared:
            hidden += tf.nn.conv3d(clips, model.weight, [1] * 5, "SAME")
        return {"default": tf.reduce_mean(hidden, [1, 2, 3])}

    spec = tf.TensorSpec([None, None, 8, 8, 3], tf.float32, "clips")
    serve = tf.function(logits, input_signature=[spec])
    tf.saved_model.save(model, str(tmp_path / "model"), signatures={"default": serve})
    clips = rng.integers(0, 256, (2, 4, 8, 8, 3), np.uint8)
    found = SavedModelClassifier(Weights(tmp_path / "model")).predict(clips)
    np.testing.assert_allclose(found, as_saved(tmp_path / "model", clips), rtol=1e-4, atol=1e-7)


def test_batch_normalisation_of_i3d_is_folded_into_weights_and_biases(i3d_path: Path) -> None:
    for precision in PRECISIONS:
        frozen = frozen_graph(Recipe(i3d_path, (0.0, 1.0), precision, True), None)
        nodes = frozen.meta.graph_def.node
        operations = [node.op for node in nodes]
        assert operations.count("_FusedConv3D") == 58  # with their biases
        assert operations.count("Mul") <= 1  # the scale of the pixels
        assert operations.count("Cast") <= 5  # of activations, and a bias; of no weights
        assert frozen.meta.ByteSize() < 1e6
        weights = sum(weight.nbytes for weight in frozen.weights.values())
        assert 12e6 < weights / (2 if precision == "bf16" else 4) < 13e6


@given(
    st.floats(-1, 0), st.floats(0.5, 1), st.sampled_from(PRECISIONS), st.booleans(), st.booleans()
)
def test_all_that_decides_a_graph_names_its_file(
    low: float, high: float, precision: str, optimise: bool, elsewhere: bool
) -> None:
    recipe = Recipe(MODEL, (low, high), precision, optimise)
    same = recipe == RECIPE
    folder = Path(os.path.relpath(MODEL)) if elsewhere else MODEL
    name = recipe._replace(folder=folder).file_name()
    assert (name == RECIPE.file_name()) == same
    assert f"-{precision}-" in name


def test_other_weights_are_another_file_and_the_same_elsewhere_are_not(tmp_path: Path) -> None:
    copy = shutil.copytree(MODEL, tmp_path / "copy")
    assert RECIPE._replace(folder=copy).file_name() == RECIPE.file_name()
    for part in [copy / "saved_model.pb", *copy.glob("variables/*.data*")]:
        whole = part.read_bytes()
        flip_a_bit(part)
        assert RECIPE._replace(folder=copy).file_name() != RECIPE.file_name()
        part.write_bytes(whole)


def save_stateful(folder: Path, kind: str) -> Path:
    """A tiny model that is more than a function of constants."""
    import tensorflow as tf

    model = tf.Module()
    if kind == "table":
        pairs = tf.lookup.KeyValueTensorInitializer(tf.range(3), tf.constant([3.0, 1.0, 2.0]))
        model.table = tf.lookup.StaticHashTable(pairs, -1.0)
        factors = partial(model.table.lookup, tf.range(3))
    else:
        model.count = tf.Variable([2.0, 0.0, 1.0])
        factors = partial(model.count.assign_add, tf.constant([1.0, 1.0, 1.0]))
    serve = tf.function(
        lambda clips: {"default": tf.reduce_mean(clips, [1, 2, 3]) * factors()},
        input_signature=[tf.TensorSpec([None, None, 8, 8, 3], tf.float32, "clips")],
    )
    tf.saved_model.save(model, str(folder), signatures={"default": serve})
    return folder


@pytest.mark.parametrize("kind", ["table", "counter"])
@pytest.mark.filterwarnings("ignore")
def test_a_model_with_other_state_is_run_as_it_was_saved(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_stateful(tmp_path / "model", kind)
    clips = np.random.default_rng(0).integers(0, 256, (5, 4, 8, 8, 3), np.uint8)
    weights = Weights(folder)
    classifier = SavedModelClassifier(weights, Runtime(cache_dir=tmp_path))
    assert "run as it was saved" in caplog.text
    assert str(folder) in caplog.text
    assert_close(classifier.predict(clips), as_saved(folder, clips))
    with pytest.raises(ModelError, match="fp32 only"):
        SavedModelClassifier(weights, Runtime(precision="bf16"))
    assert not list(tmp_path.glob("graphs/*"))


def test_bf16_is_close_and_leaves_fp32_as_it_was(
    fp32: SavedModelClassifier, graph_dir: Path, clips: Clips, scores: Scores
) -> None:
    half = load(graph_dir, "bf16").predict(clips)
    np.testing.assert_allclose(half.sum(axis=1), 1, atol=1e-2)
    np.testing.assert_allclose(half, scores, atol=0.05)
    assert (half.argmax(axis=1) == scores.argmax(axis=1)).mean() >= 0.9
    np.testing.assert_array_equal(fp32.predict(clips), scores)
    np.testing.assert_array_equal(load(graph_dir).predict(clips), scores)
    np.testing.assert_array_equal(load(graph_dir, "bf16").predict(clips), half)
    np.testing.assert_array_equal(fp32.predict(clips), scores)


def test_a_run_in_bf16_is_another_run_and_says_so(
    tmp_path: Path, cache_dir: Path, clips: Clips
) -> None:
    runs = {
        precision: evaluate(
            sample_config(tmp_path, num_videos=6, precision=precision, cache_dir=cache_dir)
        )
        for precision in PRECISIONS
    }
    assert len({run.folder for run in runs.values()}) == len(PRECISIONS)
    for precision, run in runs.items():
        assert f" | {precision} | " in run.metrics["signature"]


PROGRAMS = {
    "keras later": (
        "import sys\n"
        "from vidbench.models._tensorflow.imports import import_tensorflow\n"
        "tf = import_tensorflow()\n"
        "print('keras' in sys.modules)\n"
        "import tensorflow.keras\n"
        "from tensorflow.keras import layers\n"
        "print(tf.keras.layers.Dense is layers.Dense is tensorflow.keras.layers.Dense)\n"
        "print(layers.Dense.__module__.split('.')[0])\n"
    ),
    "keras as an attribute": (
        "import sys\n"
        "from vidbench.models._tensorflow.imports import import_tensorflow\n"
        "tf = import_tensorflow()\n"
        "print('keras' in sys.modules)\n"
        "print(tf.keras.layers.Dense is not None)\n"
        "print(tf.keras.layers.Dense.__module__.split('.')[0])\n"
    ),
    "keras first": (
        "import keras\n"
        "from vidbench.models._tensorflow.imports import import_tensorflow\n"
        "tf = import_tensorflow()\n"
        "print(False)\n"
        "from tensorflow.keras import layers\n"
        "print(layers.Dense is keras.layers.Dense is tf.keras.layers.Dense)\n"
        "print(layers.Dense.__module__.split('.')[0])\n"
    ),
}


@pytest.mark.parametrize(
    ("name", "legacy"),
    [
        ("keras later", "0"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("keras as an attribute", "0"),
                ("keras first", "0"),
                ("keras later", "1"),
            )
        ),
    ],
)
def test_keras_is_left_out_and_there_for_whoever_asks(name: str, legacy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[name]],
        cwd=REPOSITORY,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_USE_LEGACY_KERAS": legacy},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = "tf_keras" if legacy == "1" else "keras"
    assert done.stdout.split() == ["False", "True", expected], done.stderr
