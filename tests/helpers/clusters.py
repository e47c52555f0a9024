"""Real Ray clusters of several nodes, all of them on this machine, and runs of the sample."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.ray_processes import free_ports, own_ray

OUTPUTS = ("scores.npz", "predictions.csv", "skipped.csv", "metrics.json", "per_class.csv")
RUN = (
    "evaluate",
    *("--model_type", "saved_model", "--model_path", str(SAMPLE / "model")),
    *("--dataset", "sample", "--num_frames", "16", "--num_threads", "1", "--batch_size", "4"),
)


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not moment():
        assert process.poll() is None, process.communicate()
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"waited {PATIENCE_SECONDS} s for it: {process.communicate()}")
        time.sleep(0.01)


def shards_of(folder: Path, count: int) -> Callable[[], bool]:
    return lambda: len(list(folder.glob("results/*/batches/*.npz"))) >= count
