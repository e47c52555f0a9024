"""Remote folders that machines share: two working folders of one are two machines."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.command import RunCli
from tests.helpers.filled_folders import (
    CLASSES,
    CONTEXT,
    IDENTITY,
    RECORDS,
    assert_equal_tables,
    filled,
    tree,
)
from tests.helpers.http_server import FileServer
from tests.helpers.paths import SAMPLE
from tests.helpers.patience import eventually
from tests.helpers.s3_server import S3Server, require_moto, s3, s3_server  # noqa: F401 - fixtures
from vidbench.config.opening import open_dataset
from vidbench.config.places import dataset_source, local_folder, videos_location
from vidbench.config.run_config import RunConfig
from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.clips.features import FeatureCache
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.fetch.remote_lists import download_lists, mirror_names, upload_lists
from vidbench.data.fetch.remote_tarballs import RemoteTarballs
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.engines.one_machine import OneMachine
from vidbench.errors import CacheError, ConfigError, SharedError
from vidbench.evaluate import evaluate
from vidbench.report.thumbnails import collect_thumbnails
from vidbench.runs.finished import FinishedRun
from vidbench.runs.folder import RunFolder
from vidbench.runs.predictions import PENDING, Predictions
from vidbench.storage.locations import WORKING_FOLDERS, Location, is_remote, working_folder
from vidbench.storage.remote_store import RemoteStore
from vidbench.storage.store import Store

SPEC = PreprocessSpec(num_frames=4, crop_size=16)
KEY = CacheKey("ab" * 32, SPEC)
TRUNCATED = Skip("truncated", "cut short")

Machine = Callable[[str], RemoteStore]


def views(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, 4, 16, 16, 3), np.uint8)


@pytest.fixture(params=["s3", "local"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty shared folder: on an object store, and where files grow under their names."""
    if request.param == "local":
        require_moto()  # which brings fsspec
        return f"local://{tmp_path}/remote/shared"
    server: S3Server = request.getfixturevalue("s3")
    return server.prefix()


@pytest.fixture
def machine(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The shared folder as a machine sees it, by the machine's name."""

    def seen_by(name: str) -> RemoteStore:
        monkeypatch.setenv(WORKING_FOLDERS, str(tmp_path / name))
        return RemoteStore(url)

    return seen_by


def read(store: Store, key: str) -> bytes:
    with store.local_copy(key) as file:
        assert file.read_bytes() == bytes(store.get(key))
    return bytes(store.get(key))


# Folders ---------------------------------------------------------------------------------------


def test_what_one_machine_writes_another_finds(machine: Machine, tmp_path: Path) -> None:
    here, there = machine("a"), machine("b")
    for size in (0, 1, 7_000_000):
        content = np.random.default_rng(size).bytes(size)
        here.put(f"x/{size}.bin", memoryview(content))
        (tmp_path / "file").write_bytes(content)
        here.put(f"y/{size}.bin", tmp_path / "file")
        for key in (f"x/{size}.bin", f"y/{size}.bin"):
            assert there.exists(key)
            assert read(there, key) == content
            assert there.download(key)
            assert (there.local / key).read_bytes() == content
    assert there.list("x") == ["x/0.bin", "x/1.bin", "x/7000000.bin"]
    assert there.list() == ["x", "y"]
    assert there.list_tree() == {
        f"{folder}/{size}.bin": size for folder in "xy" for size in (0, 1, 7_000_000)
    }


def test_a_copy_is_gone_afterwards_and_two_may_have_one(machine: Machine, tmp_path: Path) -> None:
    folder = machine("a")
    folder.put("v.mp4", memoryview(b"video"))
    with folder.local_copy("v.mp4") as one:
        with folder.local_copy("v.mp4") as other:
            assert one != other
            assert one.name == other.name == "v.mp4"
        assert one.read_bytes() == b"video"
    assert not any(file.is_file() for file in (tmp_path / "a").rglob("*"))


@pytest.mark.parametrize("key", ["x/y", "../x", "/etc/hostname", "x//y", "n" * 300])
def test_nothing_is_where_nothing_was_written(machine: Machine, key: str) -> None:
    folder = machine("a")
    assert not folder.exists(key)
    assert folder.list() == []
    assert folder.list_tree() == {}
    assert not folder.download(key)
    assert not (folder.local / "x").exists()
    folder.delete(key)
    folder.delete_tree()
    folder.evict()
    with pytest.raises(FileNotFoundError), folder.local_copy(key):
        pass
    with pytest.raises(FileNotFoundError):
        folder.get(key)


def test_a_folder_is_no_file(machine: Machine) -> None:
    folder = machine("a")
    folder.put("x/file", memoryview(b"."))
    assert not folder.exists("x")
    with pytest.raises(FileNotFoundError):
        folder.get("x")
    with pytest.raises(FileNotFoundError), folder.local_copy("x"):
        pass


def test_deleting_is_for_everybody_and_evicting_for_this_machine(machine: Machine) -> None:
    here, there = machine("a"), machine("b")
    for name in ("x/1", "x/2", "x/y/3", "xy"):
        here.put(name, memoryview(b"."))
        there.download(name)
    there.delete("x/1")
    assert here.list("x") == ["x/2", "x/y"]
    there.delete_tree("x")
    assert here.list_tree() == {"xy": 1}
    assert here.list() == ["xy"]
    there.evict()
    assert not there.local.exists()
    assert here.list() == ["xy"]


def test_only_the_url_travels(machine: Machine) -> None:
    here = machine("a")
    packed = pickle.dumps(here)
    there = machine("b")
    arrived = pickle.loads(packed)  # noqa: S301 - our own
    assert arrived.address() == here.address() == there.address()
    assert arrived.local == there.local != here.local
    assert str(here.local).encode() not in packed


_WRITER = """
import sys
from vidbench.storage.remote_store import RemoteStore
folder = RemoteStore(sys.argv[1])
while True:
    for byte in b"ab":
        folder.put("x/file.bin", memoryview(bytes([byte]) * 4_000_000))
        print("written", flush=True)
"""


def test_a_file_is_never_seen_half_written_even_if_its_writer_is_killed(
    url: str, machine: Machine
) -> None:
    folder = machine("a")
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError):  # moto replaces an object by removing the former one
                _assert_whole(bytes(folder.get("x/file.bin")))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        # The server may still be at what it had been sent.
        assert eventually(lambda: folder.list("x") == list(folder.list_tree()) == ["x/file.bin"])
        _assert_whole(read(folder, "x/file.bin"))


def _assert_whole(content: bytes) -> None:
    assert len(content) == 4_000_000
    assert content.strip(content[:1]) == b""


def test_a_bucket_that_is_not_there_is_an_error_of_one_line(s3: S3Server) -> None:  # noqa: F811
    folder = RemoteStore("s3://no-such-bucket/x")
    with pytest.raises(SharedError) as caught:
        folder.put("file", memoryview(b"."))
    assert str(caught.value).startswith("s3://no-such-bucket/x/file: ")
    assert str(caught.value).isprintable()


def test_a_server_that_does_not_answer_is_an_error_of_one_line(
    tmp_path: Path,
    free_port: int,
    s3: S3Server,  # noqa: F811
) -> None:
    script = (
        "from vidbench.storage.remote_store import RemoteStore\n"
        "from vidbench.errors import SharedError\n"
        "folder = RemoteStore('s3://bucket/x')\n"
        "try:\n    folder.exists('file')\n"
        "except SharedError as error:\n    print(error)"
    )
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port}",
        "AWS_MAX_ATTEMPTS": "1",
        WORKING_FOLDERS: str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("s3://bucket/x/file: ")
    assert len(done.stdout.splitlines()) == 1


@pytest.fixture
def free_port() -> int:
    """Of this machine; nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_no_address_shows_a_password() -> None:
    folder = RemoteStore("sftp://me:secret@host/data/videos")
    assert folder.address("a.mp4") == "sftp://me@host/data/videos/a.mp4"
    assert "secret" not in repr(folder) + str(folder.local)
    assert folder.local == RemoteStore("sftp://me:other@host/data/videos/").local
    assert folder.local.name == "videos"


def test_two_containers_of_one_account_have_two_working_folders() -> None:
    one, other = (RemoteStore(f"abfss://{name}@account.dfs.net/x") for name in ("one", "other"))
    assert one.local != other.local


@pytest.mark.parametrize(
    "location", ["a/b", "/a", "C:\\x", "http://x/y", "https://x", "file:///x", "a::b", ""]
)
def test_paths_and_web_addresses_are_not_shared(location: str) -> None:
    assert not is_remote(location)


# What datasets list -----------------------------------------------------------------------------


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder of class folders, with a manifest, and files that are no videos."""
    root = tmp_path / "original" / "gym"
    for name in ("yoga/é.mp4", "yoga/b [1].avi", "juggling/c.MKV", "juggling/notes.txt", "top.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"content of " + name.encode())
    (root / "list.csv").write_text("path,label\nyoga/é.mp4,yoga\ngone.mp4,yoga\n", "utf-8")
    return root


def upload(root: Path, folder: Store) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            folder.put(path.relative_to(root).as_posix(), path)


@pytest.mark.parametrize(
    ("family", "file"), [("folder", ""), ("flat", ""), ("manifest", "list.csv")]
)
def test_a_shown_folder_is_listed_as_the_original(
    family: str, file: str, videos: Path, machine: Machine
) -> None:
    upload(videos, machine("a"))
    folder = machine("b")
    mirror_names(folder)
    original = load_dataset(family, data_dir=Path("d"), root_url=str(videos / file)).fetch()
    shown = load_dataset(family, data_dir=Path("d"), root_url=str(folder.local / file)).fetch()
    assert shown == original
    sizes = {name: len(content) for name, content in tree(folder.local).items()}
    assert sizes["yoga/é.mp4"] == sizes["juggling/c.MKV"] == 0
    assert tree(folder.local)["juggling/notes.txt"] == b"content of juggling/notes.txt"


@pytest.mark.parametrize(
    ("family", "file"), [("folder", ""), ("flat", ""), ("manifest", "/list.csv")]
)
def test_folders_of_frames_are_refused_there_before_a_model_is_loaded(
    family: str,
    file: str,
    url: str,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "pictures"
    for number in range(3):
        path = root / "moving up" / "a" / f"img_{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture")
    (root / "list.csv").write_text("path,label\nmoving up/a,moving up\n")
    upload(root, machine("a"))
    monkeypatch.setattr("vidbench.evaluate.open_engine", lambda _: nullcontext(OneMachine()))
    config = RunConfig(
        ray_address="local",
        dataset=family,
        dataset_path=url + file,
        model_type="saved_model",
        model_path=str(SAMPLE / "model"),
        num_frames=16,
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
        results_dir=tmp_path / "results",
    )
    with pytest.raises(ConfigError, match="has folders of frames, which are not read from shared"):
        evaluate(config)
    assert not (tmp_path / "results").exists()


def test_what_vanished_there_vanishes_here(videos: Path, machine: Machine) -> None:
    here, there = machine("a"), machine("b")
    upload(videos, here)
    mirror_names(there)
    here.delete_tree("yoga")
    here.put("list.csv", memoryview(b"path\nnew.mp4\n"))
    here.put("new.mp4", memoryview(b"."))
    mirror_names(there)
    assert sorted(tree(there.local)) == [
        *("juggling/c.MKV", "juggling/notes.txt", "list.csv", "new.mp4", "top.mp4"),
    ]
    assert not (there.local / "yoga").exists()
    assert (there.local / "list.csv").read_bytes() == b"path\nnew.mp4\n"


def test_an_empty_folder_is_refused(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="does not exist, or is empty"):
        mirror_names(machine("a"))


def test_names_that_no_folder_takes_are_ignored(
    s3: S3Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import fsspec

    monkeypatch.setenv(WORKING_FOLDERS, str(tmp_path / "a"))
    folder = RemoteStore(s3.prefix())
    store, root = fsspec.core.url_to_fs(folder.address())
    for key in ("good.mp4", "../../evil.mp4", "a//b.mp4", "x/../y.mp4", "n" * 300 + ".mp4", "d/"):
        store.pipe_file(f"{root}/{key}", b".")
    mirror_names(folder)
    assert sorted(tree(tmp_path / "a")) == [f"{folder.local.relative_to(tmp_path / 'a')}/good.mp4"]
    assert "4, e.g." in caplog.text or "3, e.g." in caplog.text


# Caches -----------------------------------------------------------------------------------------


def remote_cache(folder: RemoteStore, compression: str | None = None) -> ClipCache:
    return ClipCache(folder.address(), compression)


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_shared_clip_is_the_local_one_byte_for_byte(
    compression: str | None, machine: Machine, tmp_path: Path
) -> None:
    ClipCache(tmp_path / "local", compression).write(KEY, views())
    here = remote_cache(machine("a"), compression)
    here.write(KEY, views())
    folder = machine("b")
    there = remote_cache(folder)
    assert there.find(KEY) == KEY
    np.testing.assert_array_equal(there.read(KEY), views())
    assert (
        there.read_noted(KEY).num_bytes == ClipCache(tmp_path / "local").read_noted(KEY).num_bytes
    )
    found = {key: read(folder, key) for key in folder.list_tree()}
    assert found == tree(tmp_path / "local")


def test_no_clip_stays_on_a_machines_disk(machine: Machine, tmp_path: Path) -> None:
    cache = remote_cache(machine("a"))
    cache.write(KEY, views())
    cache.read(KEY)
    cache.write_skip(KEY._replace(sha256="cd" * 32), TRUNCATED)
    assert [file for file in (tmp_path / "a").rglob("*") if file.is_file()] == []


def test_machines_see_one_anothers_skips_and_what_takes_their_place(machine: Machine) -> None:
    here, there = remote_cache(machine("a")), remote_cache(machine("b"))
    here.write_skip(KEY, TRUNCATED)
    assert there.find(KEY) == TRUNCATED
    assert there.find(KEY, score_truncated=True) is None
    there.write(KEY, views(), TRUNCATED)
    assert here.find(KEY) == TRUNCATED
    assert here.find(KEY, score_truncated=True) == KEY
    assert here.damage(KEY) == TRUNCATED
    here.write(KEY, views(1))
    assert there.find(KEY) == KEY
    assert there.read_skip(KEY) is None
    np.testing.assert_array_equal(there.read(KEY), views(1))


def test_a_damaged_shared_clip_is_no_clip(machine: Machine) -> None:
    folder = machine("a")
    cache = remote_cache(folder)
    cache.write(KEY, views())
    clip = next(key for key in folder.list_tree() if key.endswith(".h5"))
    content = bytearray(read(folder, clip))
    content[-1] ^= 1
    folder.put(clip, memoryview(content))
    with pytest.raises(CacheError, match=r"shared|s3://"):
        cache.read(KEY)
    with pytest.raises(CacheError):
        cache.read(KEY._replace(sha256="cd" * 32))


def test_features_are_shared(machine: Machine, tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((3, 5), np.float32)
    for cache_dir in (machine("a").address(), tmp_path / "local"):
        features = FeatureCache(cache_dir, "model")
        assert features.read(KEY) is None
        features.write(KEY, array)
        features.write_text("prompts", array)
    folder = machine("b")
    there = FeatureCache(folder.address(), "model")
    assert there.has(KEY)
    for found in (there.read(KEY), there.read_text("prompts")):
        assert found is not None
        np.testing.assert_array_equal(found, array)
    files = {key: read(folder, key) for key in folder.list_tree()}
    assert files == tree(tmp_path / "local")
    assert tree(folder.local) == {}


def test_a_shared_cache_travels(machine: Machine) -> None:
    packed = pickle.dumps(remote_cache(machine("a"), "zstd"))
    remote_cache(machine("b")).write(KEY, views())
    np.testing.assert_array_equal(pickle.loads(packed).read(KEY), views())  # noqa: S301


# Run folders ------------------------------------------------------------------------------------


def opened(folder: RemoteStore, *, overwrite: bool = False, **changes: Any) -> RunFolder:
    run = RunFolder(f"{folder.address()}/run", replace(IDENTITY, **changes))
    places: dict[str, Location] = {"videos": "s3://b/v", "cache": Path("cache")}
    run.open({"batch_size": 2}, CONTEXT, places=places, overwrite=overwrite)
    return run


def loaded(run: RunFolder) -> Predictions:
    return run.load(Predictions.pending(RECORDS, CLASSES))


def remote(folder: RemoteStore) -> list[str]:
    return sorted(folder.list_tree())


def test_a_run_goes_on_on_another_machine_and_ends_like_a_local_one(
    machine: Machine, tmp_path: Path
) -> None:
    first = opened(machine("a"))
    first.add(filled(), [0, 1])
    first.add(filled(), [4, 5])
    folder = machine("b")
    second = opened(folder)
    table = loaded(second)
    assert table.reasons.tolist() == ["", "", PENDING, PENDING, "", "missing"]
    second.add(filled(), [2, 3])
    assert_equal_tables(loaded(opened(machine("c"))), filled())
    metrics = second.finish(filled(), 2)
    (second.path / "report.html").write_text("page")
    second.upload("report.html")

    local = RunFolder(tmp_path / "local" / "run", IDENTITY)
    local.open({"batch_size": 2}, CONTEXT)
    local.add(filled(), range(6))
    assert local.finish(filled(), 2) == metrics
    for name, content in tree(tmp_path / "local" / "run").items():
        assert name == "run.json" or read(folder, f"run/{name}") == content
    expected = {f"run/{name}" for name in tree(local.path)} | {"run/report.html"}
    assert set(remote(folder)) == expected
    assert_equal_tables(loaded(opened(machine("a"))), filled())


def test_what_lies_only_in_a_working_folder_counts_for_nothing(machine: Machine) -> None:
    folder = machine("a")
    run = opened(folder)
    run.add(filled(), [0, 1])
    filled().save(run.path / "batches" / "000000001.npz", [2, 3])  # and was killed
    filled().save(run.path / "scores.npz")
    assert loaded(opened(folder)).reasons.tolist() == ["", "", *[PENDING] * 4]
    folder.delete_tree("run")
    filled().save(run.path / "scores.npz")
    assert loaded(opened(folder)).reasons.tolist() == [PENDING] * 6


def test_later_outcomes_win_where_removing_batches_was_cut_short(machine: Machine) -> None:
    folder = machine("a")
    run = opened(folder)
    table = filled()
    table.set_skip(0, Skip("unreadable", "at first"))
    for rows in ([0, 1], [2, 3], [4, 5]):
        run.add(table, rows)
    folder.delete("run/batches/000000000.npz")  # as finish begins to
    again = opened(machine("b"))
    loaded(again)
    again.add(table, [0, 1])
    again.add(filled(), [0, 1])
    assert_equal_tables(loaded(opened(machine("c"))), filled())


def test_a_run_of_another_identity_is_refused_until_it_is_overwritten(machine: Machine) -> None:
    folder = machine("a")
    opened(folder).add(filled(), [0, 1])
    before = remote(folder)
    other = machine("b")
    with pytest.raises(ConfigError, match="--overwrite_output_dir"):
        opened(other, weights="another")
    assert remote(folder) == before
    run = opened(other, weights="another", overwrite=True)
    assert remote(folder) == ["run/run.json"]
    assert loaded(run).reasons.tolist() == [PENDING] * 6


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["run/notes.txt", "run/metrics.json", "run/sub/file", "run"])
def test_a_foreign_shared_folder_is_refused_and_untouched(
    machine: Machine, name: str, overwrite: bool
) -> None:
    folder = machine("a")
    folder.put(name, memoryview(b"somebody's"))
    with pytest.raises(ConfigError, match="not a run folder"):
        opened(machine("b"), overwrite=overwrite)
    assert read(folder, name) == b"somebody's"


def test_a_finished_run_makes_no_path_of_a_url(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = opened(machine("a"))
    run.add(filled(), range(6))
    run.finish(filled(), 2)
    found = FinishedRun(run.path)
    assert found.record.places == {"videos": "s3://b/v", "cache": str(Path("cache").absolute())}
    assert found.videos_dir == run.path
    assert found.cache_dir == Path("cache").absolute()
    before = tree(run.path)
    assert collect_thumbnails(found, range(5)) == {}
    assert tree(run.path) == before
    assert not Path("cache").exists()


# Options ----------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv(WORKING_FOLDERS, str(tmp_path / "a"))
    return RunConfig(
        ray_address="local",
        dataset="manifest",
        dataset_path="sftp://me:secret@host/videos/list.csv",
        data_dir="s3://bucket/data",
        cache_dir=Path("cache"),
    )


def test_what_a_remote_option_is_on_this_machine(config: RunConfig, tmp_path: Path) -> None:
    assert set(config.remote) == {"data_dir", "dataset_path"}
    assert local_folder(config, "data_dir") is local_folder(config, "dataset_path") is None
    assert local_folder(config, "cache_dir") == Path("cache")
    folder = working_folder("sftp://me:secret@host/videos")
    assert folder.is_relative_to(tmp_path / "a")
    assert dataset_source(config) == str(folder / "list.csv")
    dataset = open_dataset(config)
    assert (dataset.name, dataset.folder) == ("manifest-list", folder)
    assert videos_location(config, dataset) == "sftp://me:secret@host/videos"


def test_a_configuration_travels_and_is_changed_with_its_urls(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pickle.dumps(replace(config, top_n=3))
    monkeypatch.setenv(WORKING_FOLDERS, str(tmp_path / "b"))
    arrived: RunConfig = pickle.loads(packed)  # noqa: S301 - our own
    assert arrived == replace(config, top_n=3)
    assert open_dataset(arrived).folder.is_relative_to(tmp_path / "b")
    moved = replace(arrived, data_dir=Path("elsewhere"))
    assert local_folder(moved, "data_dir") == Path("elsewhere")


def test_what_is_recorded_has_urls_and_no_password(config: RunConfig) -> None:
    recorded = config.as_dict()
    assert recorded["data_dir"] == "s3://bucket/data"
    assert recorded["cache_dir"] == "cache"
    assert recorded["dataset_path"] == "sftp://me@host/videos/list.csv"
    assert "secret" not in json.dumps(recorded) + repr(config)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("--data_dir s3://b/x", "--ray_address local"),
        ("--cache_dir memory://x", "--ray_address local"),
        ("--dataset folder --dataset_path gs://b/x", "--ray_address local"),
        ("--ray_address local --results_dir nonsense://b/x", "nonsense"),
        ("--ray_address local --dataset_path s3://b/x", "flat, folder, manifest"),
        ("--ray_address local --dataset hmdb51 --data_dir memory://x", "--dataset_path"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_in_one_line(
    arguments: str, advice: str, run_cli: RunCli
) -> None:
    require_moto()
    done = run_cli("evaluate", *arguments.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert advice in done.stderr


@pytest.mark.parametrize("package", ["s3fs", "fsspec"])
def test_a_missing_package_is_named_before_work(package: str, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from vidbench.cli.arguments import parse_config\n"
        "from vidbench.errors import ConfigError\n"
        "try:\n    parse_config(sys.argv[1:], {})\n"
        "except ConfigError as error:\n    print(error)"
    )
    arguments = ("--ray_address", "local", "--data_dir", "s3://bucket/x")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "s3fs" in done.stdout
    assert 'pip install "vidbench[s3]"' in done.stdout


# Tarballs ---------------------------------------------------------------------------------------


def test_a_tarball_is_fetched_by_one_machine_and_known_to_others(
    machine: Machine, tmp_path: Path
) -> None:
    source = tmp_path / "part_0.tar.gz"
    source.write_bytes((SAMPLE / "val" / "part_0.tar.gz").read_bytes())
    here = RemoteTarballs(machine("a"), "kinetics/val")
    assert here.names(str(source)) is None
    here.fetch(str(source))
    names = here.names(str(source))
    assert names
    assert not list((tmp_path / "a").rglob("*.mp4"))
    source.unlink()
    store = machine("b")
    there = RemoteTarballs(store, "kinetics/val")
    there.fetch(str(source))
    assert there.names(str(source)) == names
    with tarfile.open(SAMPLE / "val" / "part_0.tar.gz") as tar:
        for member in tar.getmembers():
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                key = f"kinetics/val/part_0/{Path(member.name).name}"
                assert read(store, key) == content.read()


def test_a_tarball_that_was_put_in_part_is_fetched_again(machine: Machine) -> None:
    folder = machine("a")
    source = str(SAMPLE / "val" / "part_0.tar.gz")
    RemoteTarballs(folder, "val").fetch(source)
    names = RemoteTarballs(folder, "val").names(source)
    assert names
    contents = {key: read(folder, key) for key in folder.list_tree()}
    folder.delete("val/part_0.files.json")
    folder.delete(f"val/part_0/{names[0]}")
    folder.put(f"val/part_0/{names[-1]}", memoryview(b"older"))
    RemoteTarballs(machine("b"), "val").fetch(source)
    assert {key: read(folder, key) for key in folder.list_tree()} == contents


@pytest.mark.parametrize("listing", ["", "{}", '["../x.mp4"]', '["a", 1]', '[".."]'])
def test_a_listing_is_not_trusted(machine: Machine, listing: str) -> None:
    folder = machine("a")
    folder.put("val/part_0.files.json", memoryview(listing.encode()))
    with pytest.raises(SharedError, match="is not a list of files"):
        RemoteTarballs(folder, "val").fetch("part_0.tar.gz")


def test_a_split_of_another_root_is_refused_on_another_machine(
    machine: Machine, mirror_server: FileServer, tmp_path: Path
) -> None:
    split = "kinetics-400/val"

    def dataset(store: RemoteStore, root: str) -> Dataset:
        download_lists(store, split)
        return load_dataset("kinetics/400", "val", data_dir=store.local, root_url=root)

    here = machine("a")
    selection = dataset(here, mirror_server.url).fetch(1)
    upload_lists(here, split)
    assert {*here.list(split)} > {f"{split}/root.txt"}
    there = machine("b")
    other = shutil.copytree(mirror_server.root, tmp_path / "other")
    with pytest.raises(ConfigError, match="has videos from"):
        dataset(there, str(other)).fetch(1)
    again = dataset(there, mirror_server.url)
    lists = [path for path in (there.local / split).iterdir() if path.is_file()]
    assert {f"{split}/{path.name}": path.read_bytes() for path in lists} == {
        key: read(there, key) for key in there.list(split)
    }
    assert again.fetch(1).records == selection.records
    (there.local / split / "another.csv").touch()
    download_lists(there, split)
    assert not (there.local / split / "another.csv").exists()
