"""``ray job submit`` on a real cluster of one node."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.ray_processes import free_ports, own_ray

pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.slow

OUTPUTS = ("scores.npz", "predictions.csv", "skipped.csv", "metrics.json", "per_class.csv")
FEW = ("--num_videos", "12", "--num_threads", "1", "--run_name", "few")


@pytest.fixture
def head() -> Iterator[dict[str, str]]:
    """A head node with its dashboard: the environment of whoever submits jobs to it."""
    dashboard, client = map(str, free_ports(2))
    with own_ray() as own:
        environment = {
            **os.environ,
            **own,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        }
        ports = ["--port=0", "--dashboard-agent-listen-port=0", f"--dashboard-port={dashboard}"]
        command = ["ray", "start", "--head", "--block", "--num-cpus=2", *ports]
        process = subprocess.Popen(
            [*command, f"--ray-client-server-port={client}", "--disable-usage-stats"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield environment
        finally:
            process.kill()  # and own_ray all others: a graceful end takes half a minute
            process.wait()


def submit(head: dict[str, str], *options: object) -> subprocess.CompletedProcess[str]:
    """The job's log, once it has ended; a head that has just started takes none at first."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        done = subprocess.run(
            [REPOSITORY / "scripts/ray_job.sh", *map(str, options)],
            env=head,
            capture_output=True,
            text=True,
            check=False,
        )
        if "submitted successfully" in done.stdout or time.monotonic() > deadline:
            return done
        time.sleep(0.5)


def test_a_job_gives_the_bytes_of_one_machine(
    head: dict[str, str], run_process: RunCli, tmp_path: Path
) -> None:
    sample = f"@{REPOSITORY / 'scripts/config.txt'}"
    alone = run_process("evaluate", sample, "--model_path", REPOSITORY / "data/sample/model", *FEW)
    assert alone.returncode == 0, alone.stderr
    names = ("data_dir", "cache_dir", "results_dir")
    folders = [word for name in names for word in (f"--{name}", tmp_path / "shared" / name)]
    job = submit(head, "@scripts/config.txt", *FEW, *folders)
    assert job.returncode == 0, job.stdout + job.stderr
    assert "Ray: 1 node, 2 cores" in job.stdout
    assert "12 evaluated of 12 requested" in job.stdout
    for name in OUTPUTS:
        expected = (tmp_path / "results/few" / name).read_bytes()
        assert (tmp_path / "shared/results_dir/few" / name).read_bytes() == expected

    wrong = submit(head, "@scripts/config.txt", "--num_video", "3")
    assert wrong.returncode == 1
    assert "'--num_video' is unknown" in wrong.stdout
    listed = requests.get(
        f"{head['RAY_API_SERVER_ADDRESS']}/api/jobs/",
        headers={"Authorization": f"Bearer {head['RAY_AUTH_TOKEN']}"},
        timeout=PATIENCE_SECONDS,
    ).json()
    found = {(job["status"], job["driver_exit_code"]) for job in listed if job["submission_id"]}
    assert found == {("SUCCEEDED", 0), ("FAILED", 2)}
