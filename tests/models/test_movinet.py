"""Small random networks with the published interface of MoViNets, as the Model Garden exports it.

``official/projects/movinet/tools/export_saved_model.py``: a base model is saved by Keras, whose
signature takes ``image`` and gives ``classifier_head``; a streaming model has the signatures
``call``, compiled by XLA, and ``init_states``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.command import RunCli
from tests.helpers.contracts import BuildModel, ModelContract
from tests.helpers.movinet_network import NUM_CLASSES, STATES, Clips, Network
from vidbench.data.fetch.download import fetch
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.errors import ConfigError, ModelError
from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.models._tensorflow.streaming import StreamClassifier
from vidbench.models._tensorflow.weights import Weights
from vidbench.models.base import load_model
from vidbench.models.movinet import FAMILY, VARIANTS

"""Names and shapes as in ``Movinet.initial_state_specs`` of the Model Garden, of one layer."""


def random_clips(*shape: int, seed: int = 0) -> Clips:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def base_path(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network.save_base(tmp_path_factory.mktemp("movinet") / "base")


@pytest.fixture(scope="module")
def stream_path(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network.save_stream(tmp_path_factory.mktemp("movinet") / "stream")


@pytest.fixture(scope="module")
def stream(stream_path: Path) -> StreamClassifier:
    return StreamClassifier(Weights(stream_path))


class TestBaseContract(ModelContract):
    @pytest.fixture
    def build(self) -> BuildModel:
        return lambda path: load_model("movinet/a0-base", model_path=str(path))

    @pytest.fixture
    def weights(self, base_path: Path) -> Path:
        return base_path


class TestStreamContract(ModelContract):
    @pytest.fixture
    def build(self) -> BuildModel:
        return lambda path: load_model("movinet/a1-stream", model_path=str(path))

    @pytest.fixture
    def weights(self, stream_path: Path) -> Path:
        return stream_path


def test_scores_of_a_base_model_are_those_of_its_network(network: Network, base_path: Path) -> None:
    clips = random_clips(3, 7, 172, 172)
    found = load_model("movinet/a0-base", model_path=str(base_path)).load().predict(clips)
    np.testing.assert_allclose(found, network.run_base(clips), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_base_model_saved_by_keras_is_read(tmp_path: Path) -> None:
    """Keras 2, with which the published models were saved, names ends after layers."""
    keras = pytest.importorskip("tf_keras")
    image = keras.Input([None, None, None, 3], name="image")
    hidden = keras.layers.Conv3D(2, (1, 8, 8), strides=(1, 8, 8), activation="swish")(image)
    pooled = keras.layers.GlobalAveragePooling3D()(hidden)
    logits = keras.layers.Dense(NUM_CLASSES, name="classifier_head")(pooled)
    model = keras.Model({"image": image}, logits)
    keras.models.save_model(model, tmp_path / "keras", save_format="tf")
    loader = load_model("movinet/a2-base", model_path=str(tmp_path / "keras"))
    loader.check(loader.spec)
    clips = random_clips(2, 3, 224, 224)
    expected = import_tensorflow().nn.softmax(model({"image": clips / np.float32(255)}))
    np.testing.assert_allclose(loader.load().predict(clips), expected, atol=1e-5)


def test_scores_of_a_stream_are_those_of_its_network(
    network: Network, stream_path: Path, stream: StreamClassifier
) -> None:
    clips = random_clips(3, 9, 64, 48)
    expected = network.run_stream(clips)
    np.testing.assert_allclose(stream.predict(clips), expected, atol=1e-5)
    assert not np.allclose(stream.predict(clips[:, ::-1]), expected, atol=1e-3)  # it has a memory


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 3))
def test_frames_in_chunks_give_what_they_give_one_by_one(
    stream: StreamClassifier, chunks: list[int], batch: int
) -> None:
    clips = random_clips(batch, sum(chunks), 32, 32, seed=batch)
    states = stream.start(batch, 32, 32)
    for begin, number in zip(np.cumsum([0, *chunks]), chunks, strict=False):
        scores, states = stream.step(states, clips[:, begin : begin + number])
    np.testing.assert_allclose(scores, stream.predict(clips), atol=1e-5)


def test_a_live_stream_is_scored_after_every_frame(stream: StreamClassifier) -> None:
    clips = random_clips(2, 6, 32, 40)
    states = stream.start(2, 32, 40)
    for number in range(6):
        scores, states = stream.step(states, clips[:, number : number + 1])
        np.testing.assert_array_equal(scores, stream.predict(clips[:, : number + 1]))


def test_a_stream_can_be_gone_on_with_from_an_earlier_state(stream: StreamClassifier) -> None:
    first, one, other = (random_clips(1, 2, 32, 32, seed=seed) for seed in range(3))
    _, states = stream.step(stream.start(1, 32, 32), first)
    before, _ = stream.step(states, one)
    stream.step(states, other)
    np.testing.assert_array_equal(stream.step(states, one)[0], before)


def test_a_stream_that_takes_single_frames_only_fits_clips_of_any_length(
    network: Network, stream_path: Path, tmp_path: Path
) -> None:
    """So the Model Garden exports them for TensorFlow Lite: ``--num_frames=1``."""
    single = network.save_stream(tmp_path / "single", num_frames=1)
    model = load_model("movinet/a0-stream", model_path=str(single))
    model.check(model.spec)
    clips = random_clips(2, 4, 172, 172)
    np.testing.assert_allclose(model.load().predict(clips), network.run_stream(clips), atol=1e-5)
    four = network.save_stream(tmp_path / "four", num_frames=4)
    with pytest.raises(ConfigError, match=r"takes \[any, 4, any, any, 3\]"):
        load_model("movinet/a0-stream", model_path=str(four)).check(model.spec)


def test_the_other_kind_of_model_is_refused(base_path: Path, stream_path: Path) -> None:
    spec = PreprocessSpec()
    with pytest.raises(ConfigError, match=r"no streaming model: .*\['serving_default'\]"):
        load_model("movinet/a0-stream", model_path=str(base_path)).check(spec)
    with pytest.raises(ConfigError, match=r"\['call', 'init_states'\]"):
        load_model("movinet/a0-base", model_path=str(stream_path)).check(spec)


@pytest.mark.parametrize("mode", ["base", "stream"])
def test_another_number_of_classes_is_refused(tmp_path: Path, mode: str) -> None:
    network = Network(num_classes=10)
    path = getattr(network, f"save_{mode}")(tmp_path / mode)
    with pytest.raises(ConfigError, match=r"gives \[10\] scores.*600 names"):
        load_model(f"movinet/a0-{mode}", model_path=str(path)).check(PreprocessSpec())


def test_states_that_are_not_given_back_are_refused(network: Network, tmp_path: Path) -> None:
    tf = network.tf
    specs = {name: tf.TensorSpec(*spec, name=name) for name, spec in STATES.items()}
    specs["image"] = tf.TensorSpec([None, None, None, None, 3], "float32", "image")
    call = tf.function(lambda inputs: {"logits": network.call(inputs)["logits"]})
    init = tf.function(network.init_states)
    signatures = {
        "call": call.get_concrete_function(specs),
        "init_states": init.get_concrete_function(tf.TensorSpec([5], tf.int32)),
    }
    tf.saved_model.save(network.module, str(tmp_path / "model"), signatures=signatures)
    with pytest.raises(ConfigError, match="must take 'image' and the states"):
        load_model("movinet/a0-stream", model_path=str(tmp_path / "model")).check(PreprocessSpec())


def test_unknown_variants_are_refused_with_those_that_there_are() -> None:
    for name in ("movinet", "movinet/a6-base", "movinet/a0", "movinet/A0-base"):
        with pytest.raises(ConfigError, match=r"a0-base, .*a5-stream"):
            load_model(name)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_record_is_of_its_own_variant(name: str) -> None:
    size, mode = name.split("-")
    record = VARIANTS[name]
    assert f"/movinet/{size}/{mode}/kinetics-600/classification/3" in record.hub_handle
    assert f"/{size}-{mode}-kinetics-600-classification/" in record.kaggle_handle
    assert record.archive_url.endswith(f"{record.hub_handle.partition('dev/')[2]}.tar.gz")
    assert 9 < record.spec.num_frames / (record.spec.fps or 0) <= 10  # of the 10 s of a video
    assert 0 < record.top1 < record.top5 < 1
    model = load_model(f"movinet/{name}")
    assert (model.spec, model.trained_on) == (record.spec, "kinetics-600")


def test_larger_models_are_better_and_streams_a_little_worse() -> None:
    accuracies = {name: (record.top1, record.top5) for name, record in VARIANTS.items()}
    for mode in ("base", "stream"):
        of_mode = [accuracies[f"a{number}-{mode}"] for number in range(6)]
        assert of_mode == sorted(of_mode)
    for number in range(6):
        base, stream = (accuracies[f"a{number}-{mode}"] for mode in ("base", "stream"))
        assert stream < base < (stream[0] + 0.02, 1)


def test_cards_state_the_published_protocol() -> None:
    cards = {card.name: card for card in FAMILY.entries}
    assert len(cards) == 12
    assert cards["movinet/a3-stream"].published == (
        "Kinetics-600 val, 1 view, 120 frames at 12 fps, 256x256, frame by frame"
    )


def test_outputs_are_in_the_order_that_the_tutorial_says() -> None:
    """``movinet_tutorial.ipynb`` of the Model Garden: skiing is 464 to 467, crosscountry 465."""
    classes = load_model("movinet/a2-base").classes
    assert classes[465] == "skiing crosscountry"
    assert all("ski" in name for name in classes[464:468])


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of TF Hub, and no way out to the network: a proxy that nobody serves."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path / "hub"


def test_weights_found_nowhere_are_reported_with_every_place(hub_cache: Path) -> None:
    record = VARIANTS["a5-stream"]
    with pytest.raises(ModelError) as error:
        load_model("movinet/a5-stream").digest()
    places = [str(hub_cache), record.kaggle_handle, record.archive_url, record.hub_handle]
    message = str(error.value)
    assert [message.index(place) for place in places] == sorted(map(message.index, places))
    assert "--model_path" in message


def test_weights_in_the_cache_of_tf_hub_are_found(hub_cache: Path, stream_path: Path) -> None:
    handle = VARIANTS["a0-stream"].hub_handle
    digest = hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest()
    shutil.copytree(stream_path, hub_cache / digest)
    found = load_model("movinet/a0-stream")
    assert found.digest() == load_model("movinet/a0-stream", model_path=str(stream_path)).digest()


@pytest.mark.parametrize(
    ("variant", "options", "views"),
    [
        ("a0-base", ("--sampling", "dense", "--num_clips", "2", "--num_crops", "3"), "2x3 views"),
        ("a0-stream", (), "1x1 view"),
    ],
)
def test_a_run_on_kinetics_400_names_variant_and_spec(
    variant: str,
    options: tuple[str, ...],
    views: str,
    network: Network,
    base_path: Path,
    stream_path: Path,
    mirror: Path,
    tmp_path: Path,
    run_cli: RunCli,
) -> None:
    path = base_path if variant == "a0-base" else stream_path
    done = run_cli(
        *("evaluate", "--model_type", f"movinet/{variant}", "--model_path", path, "--no_report"),
        *("--dataset_path", mirror, "--num_videos", 6, "--num_frames", 8, *options),
    )
    assert done.returncode == 0, done.stderr
    assert "the model, trained on kinetics-600, may have seen these videos" in done.stderr
    assert all(line[:2] == "20" for line in done.stderr.splitlines())  # no chatter of TensorFlow
    (folder,) = (tmp_path / "results").iterdir()
    run, metrics = (json.loads((folder / f"{n}.json").read_text()) for n in ("run", "metrics"))
    spec = replace(VARIANTS[variant].spec, num_frames=8)
    assert f"movinet/{variant}" in metrics["signature"]
    assert f"| {views} |" in metrics["signature"]
    assert run["identity"]["model"] == f"movinet/{variant}"
    assert run["config"]["model_type"] == f"movinet/{variant}"
    assert run["identity"]["spec"]["fps"] == spec.fps == 5
    assert run["identity"]["spec"]["crop_size"] == spec.crop_size == 172
    assert metrics["labels"]["num_missing"] == 20  # of Kinetics-400, which Kinetics-600 lacks


def test_scores_of_real_videos_are_those_of_the_network(
    network: Network,
    base_path: Path,
    stream_path: Path,
    real_clips: Path,
) -> None:
    spec = VARIANTS["a0-base"].spec
    paths = [real_clips / name for name in ("v_Archery_g02_c02.avi", "carving_ice_rpi.mp4")]
    clips = np.concatenate([decode_views(path, spec) for path in paths])
    for mode, run, path in (
        ("base", network.run_base, base_path),
        ("stream", network.run_stream, stream_path),
    ):
        model = load_model(f"movinet/a0-{mode}", model_path=str(path))
        np.testing.assert_allclose(model.load().predict(clips), run(clips), atol=1e-5)


@pytest.mark.network
def test_the_class_list_is_that_of_the_model_garden(tmp_path: Path) -> None:
    url = (
        "https://raw.githubusercontent.com/tensorflow/models/"
        "f8af2291cced43fc9f1d9b41ddbf772ae7b0d7d2/official/projects/movinet/files/"
        "kinetics_600_labels.txt"
    )
    labels = fetch(url, tmp_path / "labels.txt").read_text().splitlines()
    assert tuple(labels) == load_model("movinet/a0-base").classes


@pytest.mark.network
def test_a0_stream_sees_the_carving_of_ice(real_clips: Path) -> None:
    """``video_classifier_test.py`` of tensorflow/examples: each of its 131 frames, above 0.5.

    That test runs the same weights quantised to int8 by TensorFlow Lite.
    """
    spec = PreprocessSpec(num_frames=131, crop_size=172)
    model = load_model("movinet/a0-stream")
    (scores,) = model.load().predict(decode_views(real_clips / "carving_ice_rpi.mp4", spec))
    assert model.classes[int(scores.argmax())] == "carving ice"
    assert scores.max() > 0.5
