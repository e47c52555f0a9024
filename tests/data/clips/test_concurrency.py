"""Two runs at once on the same folders, and somebody who prunes meanwhile."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.evaluating import SAMPLE_RUN, sample_config
from tests.helpers.http_server import serve
from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.videos import write_video
from vidbench.data.clips.cache import ClipCache
from vidbench.data.clips.prepare import DecodeTask, prepare_clip
from vidbench.data.spec import PreprocessSpec
from vidbench.evaluate import evaluate

SPAWN = multiprocessing.get_context("spawn")
SOME = ("--num_videos", "56", "--batch_size", "8")
COMMAND = (sys.executable, "-m", "vidbench")


def count_decoded(tasks: list[DecodeTask]) -> int:
    return sum("decode" in prepare_clip(task).seconds for task in tasks)


def test_no_video_is_decoded_by_two_processes(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path / "cache")
    spec = PreprocessSpec(num_frames=16, crop_size=224)
    tasks = [
        DecodeTask(write_video(tmp_path / f"{i}.mp4", [i * 10 + 5] * 200), spec, cache)
        for i in range(20)
    ]
    with SPAWN.Pool(3) as pool:
        decoded = pool.map(count_decoded, [tasks] * 3, chunksize=1)
    assert sum(decoded) == len(tasks)
    assert cache.usage()[0].videos == len(tasks)


def tables(folder: Path) -> dict[str, bytes]:
    others = ("run.json", "report.html")  # which say when it was, and how long it took
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in others}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run that nobody disturbed."""
    config = sample_config(tmp_path_factory.mktemp("alone"), num_videos=56, batch_size=8)
    return tables(evaluate(config).folder)


def start(folder: Path, name: str, root: str) -> subprocess.Popen[str]:
    """An evaluation of the sample from a server, in folders that others may use too."""
    options = ("--kinetics_root_url", root, "--results_dir", name, *SOME)
    return subprocess.Popen(
        [*COMMAND, "evaluate", *SAMPLE_RUN, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_runs_at_once_are_both_right_and_fetch_once(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    with serve(SAMPLE) as server:
        running = [start(tmp_path, name, server.url) for name in ("one", "other")]
        for process in running:
            errors = process.communicate(timeout=PATIENCE_SECONDS)[1]
            assert process.returncode == 0, errors
        gets = [line.split()[1] for line in server.requests if line.startswith("GET ")]
        fetched = [path for path in gets if path.endswith(".tar.gz")]
    assert len(fetched) == len(set(fetched))
    for name in ("one", "other"):
        (folder,) = (tmp_path / name).iterdir()
        assert tables(folder) == alone
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".tmp", ".part"))]


@pytest.mark.slow
def test_a_run_is_right_while_somebody_prunes(tmp_path: Path, alone: dict[str, bytes]) -> None:
    with serve(SAMPLE) as server:
        running = start(tmp_path, "results", server.url)
        pruned = 0
        while running.poll() is None:
            done = subprocess.run(
                [*COMMAND, "cache", "--prune", "all"], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            pruned += not done.stdout.startswith("removed 0 videos")
            time.sleep(0.3)
        errors = running.communicate()[1]
    assert running.returncode == 0, errors
    assert pruned
    (folder,) = (tmp_path / "results").iterdir()
    assert tables(folder) == alone
