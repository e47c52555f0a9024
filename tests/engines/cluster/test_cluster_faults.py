"""Clusters that lose nodes, workers and drivers: real kills of real processes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.clusters import (
    RUN,
    Cluster,
    clustered,
    outputs,
    shards_of,
    start,
    wait_for,
)
from tests.helpers.clusters import alone as alone
from tests.helpers.command import RunCli
from tests.helpers.http_server import serve
from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS

pytest.importorskip("ray", reason="needs the extra ray")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE_SECONDS)]


def test_a_lost_node_loses_nothing_and_each_tarball_is_fetched_once(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    with clustered(3) as cluster, serve(SAMPLE) as server:
        process = start(tmp_path, cluster, "--dataset_path", server.url)
        wait_for(shards_of(tmp_path, 1), process)
        cluster.kill_node()
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    assert "Ray: 3 nodes, 3 cores" in errors
    assert outputs(tmp_path) == alone
    assert "112 evaluated of 112 requested" in output
    tarballs = sorted(SAMPLE.glob("val/*.tar.gz"))
    assert [len(server.fetched(f"/val/{path.name}")) for path in tarballs] == [1] * 4


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    with clustered(2) as found:
        yield found


def has(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


def test_lost_workers_lose_nothing(
    tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    process = start(tmp_path, two_nodes, "--num_models", "1", "--num_workers", "1")
    for stage, sign in (
        ("Decoder", "data/processed/*/*/*.h5"),
        ("Predictor", "results/*/batches/*.npz"),
    ):
        wait_for(partial(has, tmp_path, sign), process)
        found = two_nodes.worker(stage)
        assert found is not None, stage
        found.kill()
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    assert outputs(tmp_path) == alone


def test_a_driver_goes_on_from_the_shards_that_are_done(
    run_process: RunCli, tmp_path: Path, alone: dict[str, bytes], two_nodes: Cluster
) -> None:
    process = start(tmp_path, two_nodes)
    wait_for(shards_of(tmp_path, 1), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM, errors
    last = errors.splitlines()[-1]
    assert "stopped by SIGTERM" in last
    assert f"--ray_address {two_nodes.address}" in last
    kept = len(list(tmp_path.glob("results/*/batches/*.npz")))

    process = start(tmp_path, two_nodes)
    wait_for(shards_of(tmp_path, kept + 1), process)
    process.kill()
    process.communicate()

    done = run_process(*RUN)  # on one machine
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone
    assert "112 of 112 videos to predict" not in done.stderr
    assert not list(tmp_path.glob("results/**/*.tmp"))


def test_a_tarball_that_is_missing_is_said_in_one_line(
    run_process: RunCli, tmp_path: Path, two_nodes: Cluster
) -> None:
    root = tmp_path / "served"
    shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("part_2.tar.gz", "model"))
    with serve(root) as server:
        options = ("--dataset_path", server.url, "--ray_address", two_nodes.address)
        done = run_process(*RUN, *options, **two_nodes.environment)
    assert done.returncode == 1
    assert "part_2.tar.gz" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.glob("data/raw/sample/val/part_*"))) == 3  # the others are kept
