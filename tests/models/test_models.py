from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.http_server import FileServer, dripping, visible
from tests.helpers.paths import SAMPLE
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ArchiveError, ConfigError, FetchError, ModelError
from vidbench.models._tensorflow.weights import Weights, from_archive
from vidbench.models.base import load_model, model_families
from vidbench.models.i3d import VARIANTS, I3DLoader
from vidbench.models.saved_model import SavedModelLoader

CLIPS = PreprocessSpec(num_frames=16)


def random_clips(count: int = 2, frames: int = 16) -> NDArray[np.uint8]:
    shape = (count, frames, 224, 224, 3)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


def pack(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return archive


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of TF Hub, and no way out to the network: a proxy that nobody serves."""
    folder = tmp_path / "hub"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(folder))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


def test_the_i3d_graph_gives_probabilities_of_400_classes(i3d_path: Path) -> None:
    model = load_model("i3d/kinetics-400", model_path=str(i3d_path))
    model.check(CLIPS)
    scores = model.load().predict(random_clips())
    assert scores.shape == (2, 400) == (2, len(model.classes))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_the_random_network_has_the_parameters_of_i3d() -> None:
    """12.69 M, as OpenVINO's model zoo counts them; 12.70 M with the moving statistics."""
    from benchmarks.i3d import I3DNetwork

    network = I3DNetwork()
    trained = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    everything = sum(int(np.prod(v.shape)) for v in network.variables)
    assert (round(trained / 1e6, 2), round(everything / 1e6, 2)) == (12.69, 12.70)


def test_pixels_are_scaled_and_softmax_applied_once(i3d_path: Path) -> None:
    import tensorflow as tf

    clips = random_clips()
    signature = tf.saved_model.load(str(i3d_path)).signatures["default"]
    logits = signature(tf.constant(clips / np.float32(255), tf.float32))["default"]
    found = I3DLoader(model_path=str(i3d_path)).load().predict(clips)
    np.testing.assert_allclose(found, tf.nn.softmax(logits).numpy(), atol=1e-5)


def test_scores_of_a_video_do_not_depend_on_the_size_of_its_batch(i3d_path: Path) -> None:
    classifier = I3DLoader(model_path=str(i3d_path)).load()
    clips = random_clips(3)
    together = classifier.predict(clips)
    for i in range(3):
        np.testing.assert_allclose(classifier.predict(clips[i : i + 1])[0], together[i], atol=1e-5)


def test_a_module_in_tf1_hub_format_gives_the_same_scores(i3d_path: Path, tmp_path: Path) -> None:
    from tests.helpers.tf1_hub import save_hub_v1

    path = save_hub_v1(tmp_path / "v1")
    clips = random_clips(1)
    modern = I3DLoader(model_path=str(i3d_path)).load().predict(clips)
    old = I3DLoader(model_path=str(path)).load().predict(clips)
    np.testing.assert_allclose(old, modern, atol=1e-5)


def test_hub_load_takes_a_handle_served_over_http(
    hub_cache: Path, file_server: FileServer, i3d_path: Path
) -> None:
    pack(i3d_path, file_server.root / "1.tar.gz")
    model = I3DLoader(model_path=f"{file_server.url}/1.tar.gz")
    model.check(CLIPS)
    assert len(file_server.fetched("/1.tar.gz")) == 1
    local = I3DLoader(model_path=str(i3d_path))
    assert model.digest() == local.digest()
    clips = random_clips(1)
    np.testing.assert_array_equal(model.load().predict(clips), local.load().predict(clips))
    assert len(file_server.fetched("/1.tar.gz")) == 1
    assert list(hub_cache.glob("*/saved_model.pb"))


def test_an_archive_serves_as_model_path(hub_cache: Path, tmp_path: Path) -> None:
    archive = pack(SAMPLE / "model", tmp_path / "model.tar.gz")
    model = SavedModelLoader(str(archive))
    model.check(CLIPS)
    assert model.digest() == SavedModelLoader(str(SAMPLE / "model")).digest()
    assert list(hub_cache.glob("archive-*/saved_model.pb"))


def test_weights_in_the_cache_of_tf_hub_are_found_without_network(
    hub_cache: Path, i3d_path: Path
) -> None:
    handle = VARIANTS["kinetics-400"].hub_handle
    digest = hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest()
    shutil.copytree(i3d_path, hub_cache / digest)
    assert I3DLoader("kinetics-400").digest() == I3DLoader(model_path=str(i3d_path)).digest()


def test_weights_found_nowhere_are_reported_with_every_place(hub_cache: Path) -> None:
    variant = VARIANTS["kinetics-400"]
    with pytest.raises(ModelError) as error:
        _ = I3DLoader("kinetics-400").weights
    places = [str(hub_cache), variant.kaggle_handle, variant.archive_url, variant.hub_handle]
    message = str(error.value)
    assert [message.index(place) for place in places] == sorted(map(message.index, places))
    assert "--model_path" in message


def test_a_published_archive_is_verified_and_kept(
    hub_cache: Path, file_server: FileServer, i3d_path: Path
) -> None:
    archive = pack(i3d_path, file_server.root / "i3d.tar.gz")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    url = f"{file_server.url}/i3d.tar.gz"
    with pytest.raises(FetchError, match="SHA-256"):
        from_archive(url, "https://example.org/other/1", "0" * 64)
    weights = from_archive(url, "https://example.org/i3d/1", sha256)
    assert weights.digest() == I3DLoader(model_path=str(i3d_path)).weights.digest()
    assert not list(hub_cache.glob("*.tar.gz*"))


def test_several_processes_that_want_one_archive_transfer_it_once(
    hub_cache: Path, file_server: FileServer
) -> None:
    pack(SAMPLE / "model", file_server.root / "m.tar.gz")
    file_server.faults.answers["/m.tar.gz"] = [dripping(100_000, 0.02)]
    program = (
        "import sys; from vidbench.models._tensorflow.weights import from_archive; "
        "print(from_archive(sys.argv[1], 'https://example.org/m/1', None).digest())"
    )
    command = [sys.executable, "-c", program, f"{file_server.url}/m.tar.gz"]
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(subprocess.check_output, command, text=True) for _ in range(3)]
    assert {job.result().strip() for job in jobs} == {Weights(SAMPLE / "model").digest()}
    assert len(file_server.fetched("/m.tar.gz")) == 1
    assert len(visible(hub_cache)) == 1


def test_a_published_archive_that_cannot_be_extracted_is_not_kept(
    hub_cache: Path, file_server: FileServer
) -> None:
    archive = pack(SAMPLE / "model", file_server.root / "m.tar.gz")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    arguments = (f"{file_server.url}/m.tar.gz", "https://example.org/m/1", None)
    with pytest.raises(ArchiveError):
        from_archive(*arguments)
    assert visible(hub_cache) == []
    archive.write_bytes(whole)
    assert from_archive(*arguments).digest() == Weights(SAMPLE / "model").digest()


@pytest.mark.parametrize("kind", ["cut", "zip", "text"])
def test_a_file_that_is_no_whole_archive_is_refused_in_one_line(
    kind: str, hub_cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.tar.gz"
    if kind == "zip":
        shutil.make_archive(str(tmp_path / "model"), "zip", SAMPLE / "model")
        path = tmp_path / "model.zip"
    elif kind == "cut":
        whole = pack(SAMPLE / "model", path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.write_text("no archive")
    with pytest.raises(ConfigError, match=f"model_path {path}.*cannot be extracted") as error:
        SavedModelLoader(str(path)).check(CLIPS)
    assert "\n" not in str(error.value)
    assert visible(hub_cache) == []


def test_the_digest_is_of_the_weights_and_not_of_their_place(
    i3d_path: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(i3d_path, tmp_path / "elsewhere")
    assert (
        SavedModelLoader(str(copy)).weights.digest()
        == I3DLoader(model_path=str(i3d_path)).weights.digest()
    )
    (data,) = copy.glob("variables/*.data*")
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    other = SavedModelLoader(str(copy)).weights.digest()
    assert other != I3DLoader(model_path=str(i3d_path)).weights.digest()


def test_another_number_of_classes_is_refused_before_loading(i3d_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gives \[400\] scores.*600 names"):
        load_model("i3d/kinetics-600", model_path=str(i3d_path)).check(CLIPS)


def test_another_frame_size_is_refused_before_loading() -> None:
    model = SavedModelLoader(str(SAMPLE / "model"))
    with pytest.raises(ConfigError, match="num_frames"):
        model.check(replace(CLIPS, crop_size=112))


def test_the_sample_model_brings_its_classes(tmp_path: Path) -> None:
    model = load_model("saved_model", model_path=str(SAMPLE / "model"))
    assert model.classes == tuple((SAMPLE / "classes.txt").read_text().splitlines())
    scores = model.load().predict(random_clips(3))
    assert scores.shape == (3, len(model.classes))


def test_classes_come_from_the_model_or_else_from_the_file(tmp_path: Path) -> None:
    bare = shutil.copytree(SAMPLE / "model", tmp_path / "bare")
    (bare / "classes.txt").unlink()
    with pytest.raises(ConfigError, match="--classes_file"):
        _ = SavedModelLoader(str(bare)).classes
    named = tmp_path / "names.txt"
    shutil.copy(SAMPLE / "classes.txt", named)
    assert SavedModelLoader(str(bare), classes_file=named).classes
    named.write_text("other\nnames\n")
    with pytest.raises(ConfigError, match="2 names"):
        SavedModelLoader(str(bare), classes_file=named).check(CLIPS)
    with pytest.raises(ConfigError, match="differs"):
        _ = SavedModelLoader(str(SAMPLE / "model"), classes_file=named).classes


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_a_model_path_without_a_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"saved_model\.pb|does not exist"):
        load_model("i3d/kinetics-400", model_path=path).check(CLIPS)


def test_unknown_models_are_refused() -> None:
    frameworks = ["huggingface", "i3d", "keras_file", "movinet", "onnx", "saved_model", "tflite"]
    assert model_families() == ["clip", "command", *frameworks, "xclip"]
    for name in ("i4d", "i3d/kinetics-9", "saved_model", "saved_model/x"):
        with pytest.raises(ConfigError):
            load_model(name)


def test_loading_says_nothing_about_tensorflow_itself() -> None:
    program = (
        "from vidbench import Runtime, SavedModelLoader\n"
        f"SavedModelLoader({str(SAMPLE / 'model')!r}).load(Runtime(device='cpu'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert (done.stdout, done.stderr) == ("", "")
