"""Evaluations on a real Ray cluster of several nodes, all of them on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from conftest import SAMPLE, RunCli
from http_server import serve
from ray_processes import free_ports, own_ray, ray_processes
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
    """Nodes of one core each, of which any but the first may be killed.

    Attributes:
        environment: Of processes that may connect to it.
        address: Of its head.
    """

    def __init__(self, num_nodes: int, environment: dict[str, str]) -> None:
        self.environment = environment
        (port, clients) = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        ports = (f"--port={port}", f"--ray-client-server-port={clients}")
        self._nodes = [self.start_node("--head", *ports, "--include-dashboard=false")]
        for _ in range(num_nodes - 1):
            self.join()

    def join(self, *before: str) -> None:
        """Another node; ``before`` it a command that executes it."""
        self._nodes.append(self.start_node(f"--address={self.address}", before=before))

    def start_node(self, *options: str, before: tuple[str, ...] = ()) -> psutil.Popen:
        node = psutil.Popen(
            [
                *(*before, sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                *(*options, "--num-cpus=1", "--dashboard-agent-listen-port=0"),
            ],
            env={**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        for line in node.stdout:
            lines.append(line)
            if "--block" in line:  # it says that it stays, when it is there
                return node
        raise AssertionError("".join(lines))

    def kill_node(self) -> None:
        node = self._nodes.pop()
        for process in (*node.children(recursive=True), node):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()
        node.stdout.close()

    def worker(self, stage: str) -> psutil.Process | None:
        """A process of this stage."""
        for node in self._nodes:
            for found in node.children(recursive=True):
                with suppress(psutil.Error):
                    if f"MapWorker(Map({stage}))" in " ".join(found.cmdline()):
                        return found
        return None

    def close(self) -> None:
        while self._nodes:
            self.kill_node()


@contextmanager
def clustered(num_nodes: int) -> Iterator[Cluster]:
    with own_ray() as environment:
        found = Cluster(num_nodes, environment)
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with clustered(3) as found:
        yield found


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


def start(folder: Path, cluster: Cluster, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vidbench", *RUN, "--ray_address", cluster.address, *options],
        cwd=folder,
        env={**os.environ, **cluster.environment},
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


@pytest.fixture
def quiet_corner() -> Iterator[dict[str, str]]:
    """Variables of a cluster that a command starts itself; nothing of it may be left."""
    with own_ray() as environment:
        yield environment
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while left := ray_processes(environment):  # they end soon after their master
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


def test_this_machine_alone_is_a_cluster_too(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes], quiet_corner: dict[str, str]
) -> None:
    done = run_cli(*RUN, "--ray_address", "local", "--profile", **quiet_corner)
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone
    lines = [line for line in done.stderr.splitlines() if "core_worker.cc" not in line]
    assert "dashboard http://127.0.0.1:" in lines[0]
    assert "of 1 thread and" in done.stderr
    assert not [line for line in lines if "Ray: " not in line and "ray" in line.lower()]
    assert "the cluster decodes and predicts" in done.stdout


def test_nodes_give_the_bytes_of_one_machine_and_a_lost_one_loses_nothing(
    tmp_path: Path, cluster: Cluster, alone: dict[str, bytes]
) -> None:
    process = start(tmp_path, cluster)
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
    process = start(tmp_path, two_nodes, "--num_models", "1", "--num_workers", "1")
    wait_for(lambda: any(tmp_path.glob(sign)), process)
    found = two_nodes.worker(stage)
    assert found is not None
    found.kill()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert outputs(tmp_path) == alone


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    with clustered(2) as found:
        yield found


def test_a_killed_driver_goes_on_from_the_shards_that_are_done(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    process = start(tmp_path, two_nodes)
    wait_for(shards_of(tmp_path, 2), process)
    process.kill()
    process.communicate()
    done = run_cli(*RUN, "--ray_address", two_nodes.address, **two_nodes.environment)
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone
    assert "112 of 112 videos to predict" not in done.stderr
    assert not list(tmp_path.glob("results/**/*.tmp"))


def test_a_signal_keeps_what_is_done_and_tells_how_to_go_on(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    process = start(tmp_path, two_nodes)
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


def test_nodes_fetch_each_tarball_once(
    run_cli: RunCli, tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    with serve(SAMPLE) as server:
        options = ("--dataset_path", server.url, "--ray_address", two_nodes.address)
        done = run_cli(*RUN, *options, **two_nodes.environment)
        assert done.returncode == 0, done.stderr
        tarballs = sorted(SAMPLE.glob("val/*.tar.gz"))
        assert [len(server.fetched(f"/val/{path.name}")) for path in tarballs] == [1] * 4
    assert outputs(tmp_path) == alone


def test_a_tarball_that_is_missing_is_said_in_one_line(
    run_cli: RunCli, tmp_path: Path, two_nodes: Cluster
) -> None:
    root = tmp_path / "served"
    shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("part_2.tar.gz", "model"))
    with serve(root) as server:
        options = ("--dataset_path", server.url, "--ray_address", two_nodes.address)
        done = run_cli(*RUN, *options, **two_nodes.environment)
    assert done.returncode == 1
    assert "part_2.tar.gz" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.glob("data/raw/sample/val/part_*"))) == 3  # the others are kept


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="no right to mount",
)
def test_a_node_that_does_not_share_a_folder_is_told_of(run_cli: RunCli, tmp_path: Path) -> None:
    for name in ("cache", "data"):
        (tmp_path / name).mkdir()
    hide = f'mount -t tmpfs none {tmp_path}/cache && exec "$@"'
    with clustered(1) as head:
        head.join("unshare", "--mount", "sh", "-c", hide, "sh")
        options = ("--data_dir", "data", "--cache_dir", "cache", "--ray_address", head.address)
        done = run_cli(*RUN, *options, **head.environment)
    assert done.returncode == 2, done.stderr
    assert "does not see what lies in --cache_dir here" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "results").exists()
    assert not any((tmp_path / "cache").glob(".*"))


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
    tmp_path: Path,
    s3: S3Server,
    alone: dict[str, bytes],
    run_cli: RunCli,
    quiet_corner: dict[str, str],
) -> None:
    prefix = s3.prefix()
    folders = [
        text
        for name in ("data", "cache", "results")
        for text in (f"--{name}_dir", f"{prefix}/{name}")
    ]
    stand_ins = quiet_corner | {
        "VIDBENCH_STAND_INS": str(tmp_path / "one"),
        "AWS_MAX_ATTEMPTS": "2",
    }
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
