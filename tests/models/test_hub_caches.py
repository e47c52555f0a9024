"""Caches of hubs that are not whole; hubs that are out of reach, or accept and are silent."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.helpers.checkpoints import save_checkpoint
from tests.helpers.http_server import serve, stalling
from tests.helpers.hub_server import COMMIT, serve_hub
from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.errors import ModelError
from vidbench.models._tensorflow.weights import Weights, from_archive
from vidbench.models.base import load_model

if os.environ.get("CI") != "true":
    pytest.importorskip("torch")
    pytest.importorskip("transformers")

DIGEST = """
import sys
from vidbench.errors import VidbenchError
from vidbench.terminal.logs import set_up_logging
from vidbench.models.base import load_model
set_up_logging()
try:
    print(load_model("huggingface", model_path="owner/model").digest())
except VidbenchError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "model"
    return save_checkpoint(folder, "VideoMAE", max_shard_size="20KB")


def run_python(code: str, **environment: str) -> tuple[list[str], str]:
    """The lines that the code prints, and its standard error, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_DISABLE_XET": "1", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def snapshot(home: Path, whole: Path, *without: str) -> Path:
    """A cache of Hugging Face that lacks some files.

    refs and snapshots: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    cache = home / "hub" / "models--owner--model"
    folder = cache / "snapshots" / COMMIT
    shutil.copytree(whole, folder, ignore=lambda *_: without)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    return folder


def a_shard(whole: Path) -> str:
    return sorted(whole.glob("model-*.safetensors"))[1].name


def slow(*values: str) -> list[ParameterSet]:
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.mark.parametrize(
    "lost", ["shard", "everything", *slow("preprocessor_config.json", "config.json")]
)
def test_what_a_cache_lacks_is_fetched_and_nothing_else(
    lost: str, whole: Path, tmp_path: Path
) -> None:
    name = a_shard(whole) if lost == "shard" else lost
    if lost != "everything":
        snapshot(tmp_path, whole, name)
    with serve_hub(whole) as hub:
        lines, _ = run_python(DIGEST, HF_HOME=str(tmp_path), HF_ENDPOINT=hub.url)
    assert lines == [load_model("huggingface", model_path=str(whole)).digest()]
    offline, _ = run_python(DIGEST, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert offline == lines
    if lost == "config.json":  # the others are found by their hashes only where they lie as blobs
        assert name in hub.fetched()


@pytest.mark.parametrize("lost", ["shard", *slow("preprocessor_config.json", "everything")])
def test_without_the_network_the_cache_is_blamed(lost: str, whole: Path, tmp_path: Path) -> None:
    name = a_shard(whole) if lost == "shard" else lost
    if lost != "everything":
        snapshot(tmp_path, whole, name)
    (first, *tried), _ = run_python(DIGEST, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert first.startswith("ModelError owner/model")
    assert "on Hugging Face" not in first  # where nothing was asked
    assert tried[0].startswith("  its cache on this machine: it ")
    assert (name in tried[0]) or tried[0].endswith("it is not there")
    assert tried[1].endswith("not asked, as HF_HUB_OFFLINE is set: unset it, or fill the cache")


def test_a_hub_that_is_out_of_reach_is_not_said_to_lack_anything(
    whole: Path, tmp_path: Path
) -> None:
    name = a_shard(whole)
    snapshot(tmp_path, whole, name)
    (_, cache, hub), _ = run_python(DIGEST, HF_HOME=str(tmp_path), HF_ENDPOINT="http://127.0.0.1:9")
    assert f"it lacks {name}: {tmp_path}" in cache
    assert hub.startswith("  http://127.0.0.1:9: ")
    assert "has no" not in hub


def test_a_hub_that_has_pickles_alone_is_said_to_have_no_safetensors(
    whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pickles"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with serve_hub(folder) as hub:
        (_, _, last), _ = run_python(DIGEST, HF_HOME=str(tmp_path), HF_ENDPOINT=hub.url)
    assert "it has no model.safetensors; a pull request of its page may have added it" in last
    assert "pytorch_model.bin" not in hub.fetched()


@pytest.mark.parametrize("silent", ["config.json", *slow("/api/models")])
def test_a_hub_that_accepts_and_is_silent_is_left(silent: str, whole: Path, tmp_path: Path) -> None:
    with serve_hub(whole, silent=silent) as hub:
        (_, _, last), said = run_python(  # of which the library would wait 1000 s
            DIGEST,
            HF_HOME=str(tmp_path),
            HF_ENDPOINT=hub.url,
            HF_HUB_ETAG_TIMEOUT="1000",
            HF_HUB_DOWNLOAD_TIMEOUT="1000",
            VIDBENCH_TIMEOUT_SECONDS="3",
        )
        assert not hub.closing.is_set()
    assert last == f"  {hub.url}: no byte came for 3 s (VIDBENCH_TIMEOUT_SECONDS)"
    assert re.search(rf"looking for weights at {hub.url}: \d+\.\d MB came", said)


WEIGHTS = """
import os
from vidbench.errors import VidbenchError
from vidbench.terminal.logs import set_up_logging
from vidbench.models._tensorflow.weights import HubModule, published_weights
set_up_logging()
try:
    handle, archive = os.environ["HANDLE"], os.environ["ARCHIVE"]
    module = HubModule(
        hub_handle=handle, kaggle_handle="o/m/tensorFlow2/v/1", archive_url=archive
    )
    print(published_weights("m", module).digest())
except VidbenchError as error:
    print(error)
"""


@contextmanager
def silent_proxy() -> Iterator[str]:
    """A server that accepts whoever comes, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def find_weights(tmp_path: Path, proxy: str, handle: str) -> tuple[list[str], str]:
    """What is found where Kaggle lies behind a proxy, and an archive of the model on loopback."""
    served = tmp_path / "served"
    served.mkdir()
    archive = Path(shutil.make_archive(str(served / "m"), "gztar", SAMPLE / "model"))
    with serve(served) as server:
        return run_python(
            WEIGHTS,
            TFHUB_CACHE_DIR=str(tmp_path / "hub"),
            KAGGLEHUB_CACHE=str(tmp_path / "kaggle"),
            HTTPS_PROXY=proxy,
            https_proxy=proxy,
            NO_PROXY="127.0.0.1",
            no_proxy="127.0.0.1",
            HANDLE=handle,
            ARCHIVE=f"{server.url}/{archive.name}",
            VIDBENCH_TIMEOUT_SECONDS="3",
        )


HANDLE = "https://example.invalid/m/1"


@pytest.mark.parametrize("begins", [-1, 0, 40_000])
def test_a_silent_archive_is_left_after_one_time_limit(
    begins: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Videos are asked for again; here another place may have the model."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("VIDBENCH_TIMEOUT_SECONDS", "1")
    archive = Path(shutil.make_archive(str(tmp_path / "served" / "m"), "gztar", SAMPLE / "model"))
    with serve(archive.parent) as server:
        server.faults.answers[f"/{archive.name}"] = [stalling(begins)] * 2
        with pytest.raises(ModelError, match="no byte came for 1 s"):
            from_archive(f"{server.url}/{archive.name}", HANDLE, None)
        assert len(server.fetched(f"/{archive.name}")) == 1


def test_a_silent_kaggle_is_left_for_the_next_place(tmp_path: Path) -> None:
    with silent_proxy() as proxy:
        lines, said = find_weights(tmp_path, proxy, HANDLE)
    assert lines == [Weights(SAMPLE / "model").digest()]
    assert "looking for weights at Kaggle o/m/tensorFlow2/v/1: 0.0 MB came" in said


@pytest.mark.parametrize("state", ["cut variables", *slow("empty", "no model")])
def test_a_folder_of_tf_hub_without_its_model_is_not_in_the_way(state: str, tmp_path: Path) -> None:
    folder = tmp_path / "hub" / hashlib.sha1(HANDLE.encode(), usedforsecurity=False).hexdigest()
    folder.mkdir(parents=True)
    if state != "empty":
        shutil.copytree(SAMPLE / "model" / "variables", folder / "variables")
    if state == "cut variables":
        shutil.copy(SAMPLE / "model" / "saved_model.pb", folder)
        (data,) = (folder / "variables").glob("*.data-*")
        data.write_bytes(data.read_bytes()[:-1])
    lines, _ = find_weights(tmp_path, "http://127.0.0.1:9", HANDLE)
    assert lines == [Weights(SAMPLE / "model").digest()]
    assert Weights(folder).digest() == lines[0]
    (aside,) = folder.parent.glob("*.damaged-1")
    assert aside.is_dir()
