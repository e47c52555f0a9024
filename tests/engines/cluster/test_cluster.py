"""Evaluations on Ray: this machine alone, shared storage, and requests that cannot be met."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clusters import OUTPUTS, RUN, clustered, outputs
from tests.helpers.clusters import alone as alone
from tests.helpers.command import Finished, RunCli
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.ray_processes import own_ray, ray_processes
from tests.helpers.s3_server import S3Server
from tests.helpers.s3_server import s3 as s3
from tests.helpers.s3_server import s3_server as s3_server
from vidbench.storage.remote_store import RemoteStore

pytest.importorskip("ray", reason="needs the extra ray")

pytestmark = pytest.mark.timeout(3 * PATIENCE_SECONDS)


@pytest.fixture
def quiet_corner() -> Iterator[dict[str, str]]:
    """Variables of a cluster that a command starts itself; nothing of it may be left."""
    with own_ray() as environment:
        yield environment
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := ray_processes(environment):  # they end soon after their master
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


@pytest.mark.slow
def test_this_machine_alone_is_a_cluster_too(
    run_process: RunCli, tmp_path: Path, alone: dict[str, bytes], quiet_corner: dict[str, str]
) -> None:
    done = run_process(*RUN, "--ray_address", "local", "--profile", **quiet_corner)
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == alone
    assert_cluster_is_described(done)


def assert_cluster_is_described(done: Finished) -> None:
    """The command says what its own cluster is, and nothing else of Ray."""
    lines = [line for line in done.stderr.splitlines() if "core_worker.cc" not in line]
    assert "dashboard http://127.0.0.1:" in lines[0]
    assert "of 1 thread and" in done.stderr
    assert not [line for line in lines if "Ray: " not in line and "ray" in line.lower()]
    assert "the cluster decodes and predicts" in done.stdout


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "ray job submit"),
        ("somewhere", "HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(
    run_process: RunCli, tmp_path: Path, address: str, says: str
) -> None:
    done = run_process(*RUN, "--ray_address", address)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not any(tmp_path.iterdir())


def test_all_folders_may_lie_on_a_server_of_objects(
    tmp_path: Path,
    s3: S3Server,
    alone: dict[str, bytes],
    run_process: RunCli,
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
    done = run_process(*RUN, *folders, "--ray_address", "local", "--profile", **stand_ins)
    assert done.returncode == 0, done.stderr
    assert_cluster_is_described(done)
    (url,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("results")]
    assert url.startswith(f"{prefix}/results/")
    assert {path.name for path in tmp_path.iterdir()} == {"one"}
    fetched = RemoteStore(url)
    assert {name: bytes(fetched.get(name)) for name in OUTPUTS} == alone
    page = bytes(fetched.get("report.html")).decode()
    assert "data:image/jpeg" in page
    clips = RemoteStore(f"{prefix}/cache").list_tree()
    assert sum(key.endswith(".h5") for key in clips) == 112
    assert not [path for path in (tmp_path / "one").rglob("*") if path.suffix in (".h5", ".tmp")]


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="no right to mount",
)
def test_a_node_that_does_not_share_a_folder_is_told_of(
    run_process: RunCli, tmp_path: Path
) -> None:
    for name in ("cache", "data"):
        (tmp_path / name).mkdir()
    hide = f'mount -t tmpfs none {tmp_path}/cache && exec "$@"'
    with clustered(1) as head:
        head.join("unshare", "--mount", "sh", "-c", hide, "sh")
        options = ("--data_dir", "data", "--cache_dir", "cache", "--ray_address", head.address)
        done = run_process(*RUN, *options, **head.environment)
    assert done.returncode == 2, done.stderr
    assert "does not see the files in --cache_dir here" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "results").exists()
    assert not any((tmp_path / "cache").glob(".*"))


@pytest.mark.parametrize(
    "command",
    [
        "subset --dataset sample --per_class 2 --output x.csv --data_dir s3://b/data",
        "check s3://b/videos",
        "report s3://b/results/run",
        "evaluate --dataset sample --cache_dir s3://b/clips",
        "evaluate --training_list s3://b/train.csv",
    ],
)
def test_a_url_where_no_cluster_reads_it_is_one_line(
    run_cli: RunCli, tmp_path: Path, command: str
) -> None:
    done = run_cli(*command.split())
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "s3://b/" in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ray", "pyarrow"])
def test_a_missing_package_is_one_line(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    done = run_cli(*RUN, "--ray_address", "local")
    assert done.returncode == 2, done.stderr
    assert f"needs {name}, which is not installed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
