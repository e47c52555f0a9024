"""Evaluations on a real Ray cluster of several nodes, all of them on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import SAMPLE, RunCli
from s3_server import S3Server
from s3_server import s3 as s3
from s3_server import s3_server as s3_server

from vidbench.data.shared import SharedFolder

ray = pytest.importorskip("ray", reason="needs the extra ray")

OUTPUTS = ("scores.npz", "predictions.csv", "skipped.csv", "metrics.json", "per_class.csv")
RUN = (
    "evaluate",
    *("--model_type", "saved_model", "--model_path", str(SAMPLE / "model")),
    *("--dataset", "sample", "--num_frames", "16", "--num_threads", "1", "--batch_size", "4"),
)
_PATIENCE_SECONDS = 120


class Cluster:
    """Nodes of one core each, of which any may be killed."""

    def __init__(self, num_nodes: int) -> None:
        from ray.cluster_utils import Cluster as Nodes

        self._nodes: Any = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
        self._others = [self._nodes.add_node(num_cpus=1) for _ in range(num_nodes - 1)]
        self.address = str(self._nodes.address)

    def kill_node(self) -> None:
        self._nodes.remove_node(self._others.pop(), allow_graceful=False)

    def close(self) -> None:
        self._nodes.shutdown()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster(3)
    yield found
    found.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of one machine."""
    folder = tmp_path_factory.mktemp("alone")
    done = subprocess.run(
        [sys.executable, "-m", "vidbench", *RUN], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return outputs(folder)


def outputs(folder: Path) -> dict[str, bytes]:
    (run,) = (folder / "results").iterdir()
    return {name: (run / name).read_bytes() for name in OUTPUTS}


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vidbench", *RUN, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(moment: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not moment():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shards_of(folder: Path, count: int) -> Callable[[], bool]:
    return lambda: len(list(folder.glob("results/*/batches/*.npz"))) >= count


def worker(stage: str) -> psutil.Process | None:
    """A process of this stage on the nodes that this process has started."""
    for found in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if f"MapWorker(Map({stage}))" in " ".join(found.cmdline()):
                return found
    return None


def test_this_machine_alone_is_a_cluster_too(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes]
) -> None:
    done = run_cli(*RUN, "--ray_address", "local", "--profile")
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone
    lines = done.stderr.splitlines()
    assert "dashboard http://127.0.0.1:" in lines[0]
    assert "of 1 thread and" in done.stderr
    assert not [line for line in lines if "Ray: " not in line and "ray" in line.lower()]
    assert "the cluster decodes and predicts" in done.stdout


def test_nodes_give_the_bytes_of_one_machine_and_a_lost_one_loses_nothing(
    tmp_path: Path, cluster: Cluster, alone: dict[str, bytes]
) -> None:
    process = start(tmp_path, "--ray_address", cluster.address)
    wait_for(shards_of(tmp_path, 1), process)
    cluster.kill_node()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "Ray: 3 nodes, 3 cores" in errors
    assert outputs(tmp_path) == alone
    assert "112 evaluated of 112 requested" in output


@pytest.mark.parametrize(
    ("stage", "sign"),
    {"Decoder": "data/processed/*/*/*.h5", "Predictor": "results/*/batches/*.npz"}.items(),
)
def test_a_lost_worker_loses_nothing(
    tmp_path: Path, stage: str, sign: str, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    options = ("--ray_address", two_nodes.address, "--num_models", "1", "--num_workers", "1")
    process = start(tmp_path, *options)
    wait_for(lambda: any(tmp_path.glob(sign)), process)
    found = worker(stage)
    assert found is not None
    found.kill()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert outputs(tmp_path) == alone


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    found = Cluster(2)
    yield found
    found.close()


def test_a_killed_driver_goes_on_from_the_shards_that_are_done(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    options = ("--ray_address", two_nodes.address)
    process = start(tmp_path, *options)
    wait_for(shards_of(tmp_path, 2), process)
    process.kill()
    process.communicate()
    done = run_cli(*RUN, *options)
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone
    assert "112 of 112 videos to predict" not in done.stderr
    assert not list(tmp_path.glob("results/**/*.tmp"))


def test_a_signal_keeps_what_is_done_and_tells_how_to_go_on(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    process = start(tmp_path, "--ray_address", two_nodes.address)
    wait_for(shards_of(tmp_path, 1), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, errors
    last = errors.splitlines()[-1]
    assert "stopped by SIGTERM" in last
    assert f"--ray_address {two_nodes.address}" in last
    done = run_cli(*RUN)  # on one machine
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "ray job submit"),
        ("somewhere", "HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(
    run_cli: RunCli, tmp_path: Path, address: str, says: str
) -> None:
    done = run_cli(*RUN, "--ray_address", address)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not any(tmp_path.iterdir())


# Shared storage -------------------------------------------------------------------------------


def test_all_folders_may_lie_on_a_server_of_objects(
    tmp_path: Path, s3: S3Server, alone: dict[str, bytes], run_cli: RunCli
) -> None:
    prefix = s3.prefix()
    folders = [
        text
        for name in ("data", "cache", "results")
        for text in (f"--{name}_dir", f"{prefix}/{name}")
    ]
    stand_ins = {"VIDBENCH_STAND_INS": str(tmp_path / "one"), "AWS_MAX_ATTEMPTS": "2"}
    done = run_cli(*RUN, *folders, "--ray_address", "local", **stand_ins)
    assert done.returncode == 0, done.stderr
    (url,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("results")]
    assert url.startswith(f"{prefix}/results/")
    assert {path.name for path in tmp_path.iterdir()} == {"one"}
    fetched = SharedFolder(url)
    assert {name: _read(fetched, name) for name in OUTPUTS} == alone
    page = _read(fetched, "report.html").decode()
    assert "data:image/jpeg" in page
    clips = SharedFolder(f"{prefix}/cache").files()
    assert sum(path.suffix == ".h5" for path in clips) == 112
    assert not [path for path in (tmp_path / "one").rglob("*") if path.suffix in (".h5", ".tmp")]
    # Another machine: all is there, and is only scored again.
    stand_ins["VIDBENCH_STAND_INS"] = str(tmp_path / "two")
    again = run_cli(*RUN, *folders, "--ray_address", "local", **stand_ins)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    assert "is finished" in again.stderr


def _read(folder: SharedFolder, name: str) -> bytes:
    with folder.borrow(folder.local / name) as file:
        return file.read_bytes()
