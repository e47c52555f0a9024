"""Worker processes and the stream of batches: when they run, and how much memory that takes."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.loading import decoders, sample, stamps
from tests.helpers.paths import REPOSITORY
from tests.helpers.patience import PATIENCE_SECONDS, eventually
from tests.helpers.videos import write_video
from vidbench.data.clips.cache import ClipCache
from vidbench.data.clips.prepare import DecodeTask, Workers
from vidbench.data.datasets.base import load_dataset
from vidbench.data.loader import VideoLoader, batched
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.system.pool import Pool


def test_workers_end_while_the_rest_of_the_batches_is_read(tmp_path: Path) -> None:
    loader = sample(tmp_path)
    records = loader.select(24).records
    with loader.stream(records, batched(24, 2)) as stream:
        # Two batches wait ahead, and for each batch taken one more is read.
        taken = [next(stream) for _ in range(10)]
        assert eventually(lambda: not decoders())
        taken += stream
    assert [row for batch in taken for row in batch.rows] == list(range(24))


def test_a_clip_damaged_meanwhile_is_decoded_by_new_workers(tmp_path: Path) -> None:
    loader = sample(tmp_path)
    records = loader.select(24).records
    with loader.stream(records, batched(24, 2)) as stream:
        undamaged = [batch.views for batch in stream]
    for clip in stamps(tmp_path):
        clip.write_bytes(clip.read_bytes()[:3000])
    before = stamps(tmp_path)
    with loader.stream(records, batched(24, 2)) as stream:
        for batch, expected in zip(stream, undamaged, strict=True):
            np.testing.assert_array_equal(batch.views, expected)
    assert all(before[path] != now for path, now in stamps(tmp_path).items())
    assert eventually(lambda: not decoders())


def test_clips_are_read_however_often_somebody_prunes(tmp_path: Path) -> None:
    loader, done = sample(tmp_path), threading.Event()

    def prune() -> None:
        while not done.is_set():
            ClipCache(tmp_path / "cache").prune("all")

    records = loader.select(48).records
    with ThreadPoolExecutor(1) as pool, loader.stream(records, batched(48, 4)) as stream:
        pruning = pool.submit(prune)
        try:
            rows = [row for batch in stream for row in batch.rows]
        finally:
            done.set()
    assert rows == list(range(48))
    assert pruning.exception() is None


@pytest.mark.parametrize("seed", range(2))
def test_no_task_is_lost_where_the_workers_are_just_ending(tmp_path: Path, seed: int) -> None:
    delays = random.Random(seed)  # noqa: S311 - nothing secret
    task = DecodeTask(tmp_path / "missing.mp4", PreprocessSpec(), ClipCache(tmp_path))
    workers = Workers(1)
    try:
        workers.end_when_done()
        for _ in range(8):
            futures = [workers.submit(task) for _ in range(delays.randint(1, 3))]
            for future in futures:
                assert future.result(PATIENCE_SECONDS).result.reason == "unreadable"  # type: ignore[union-attr]
            time.sleep(delays.choice((0, 0, 0.0005, 0.002, 0.01)))
        assert eventually(lambda: not decoders())
    finally:
        workers.close()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_worker_killed_while_idle_costs_nothing(tmp_path: Path, num_workers: int) -> None:
    task = DecodeTask(tmp_path / "missing.mp4", PreprocessSpec(), ClipCache(tmp_path / "cache"))
    with closing(Workers(num_workers)) as workers:
        for _ in range(2):
            assert workers.submit(task).result(PATIENCE_SECONDS).result is not None
            for process in decoders():
                process.kill()
            found = workers.result(workers.submit(task), task).result
            assert found == Skip("unreadable", "No such file or directory")


def test_workers_killed_again_and_again_cost_no_video(tmp_path: Path) -> None:
    """Whatever they are doing just then; twice at one video is what a crash looks like."""
    cache, spec = ClipCache(tmp_path / "cache"), PreprocessSpec(num_frames=8, crop_size=16)
    videos = [write_video(tmp_path / f"{i}.mp4", [4 * i] * 20) for i in range(60)]
    tasks = [DecodeTask(video, spec, cache) for video in videos]
    kills = 0
    with closing(Workers(2)) as workers:
        futures = [workers.submit(task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            if task.path.stem.endswith("5"):
                for process in decoders()[:1]:
                    process.kill()
                    kills += 1
            assert not isinstance(workers.result(future, task).result, Skip)
    assert kills
    assert cache.usage()[0].videos == 60


def test_closing_leaves_no_worker_behind(tmp_path: Path) -> None:
    task = DecodeTask(tmp_path / "missing.mp4", PreprocessSpec(), ClipCache(tmp_path))
    for _ in range(3):
        workers = Workers(2)
        future = workers.submit(task)
        workers.end_when_done()
        future.result(PATIENCE_SECONDS)
        workers.close()
        assert not decoders()


@pytest.mark.parametrize("seed", range(3))
def test_whoever_awaits_a_result_is_told_that_the_pool_was_closed(seed: int) -> None:
    pool: Pool[float, None] = Pool(time.sleep, 2)
    futures = [pool.submit(0.05) for _ in range(60)]
    with ThreadPoolExecutor(len(futures)) as readers:
        awaited = [readers.submit(pool.result, future, 0.05) for future in futures]
        assert eventually(lambda: bool(decoders()))
        time.sleep(seed / 3)  # a pool leaves more or less behind
        pool.close()
        late = wait(awaited, PATIENCE_SECONDS).not_done
    outcomes = {type(each.exception()) for each in awaited}
    assert not late
    assert outcomes <= {type(None), CancelledError}


def test_workers_run_before_a_framework_is_imported(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, pathlib\n"
        f"sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "if __name__ == '__main__':\n"
        "    from tests.helpers.loading import decoders, sample\n"
        "    from tests.helpers.patience import eventually\n"
        "    from vidbench.data.loader import batched\n"
        "    loader = sample(pathlib.Path.cwd())\n"
        "    records = loader.select(8).records\n"
        "    with loader.stream(records, batched(8, 2)) as stream:\n"
        "        print(eventually(lambda: bool(decoders())), 'tensorflow' in sys.modules)\n"
        "        print(sum(len(batch.rows) for batch in stream))\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "False", "8"], done.stderr


def test_batches_are_bytes_and_few_are_in_memory(tmp_path: Path) -> None:
    spec = PreprocessSpec(num_frames=8, crop_size=96)
    loader = VideoLoader(
        load_dataset("sample", "val", data_dir=tmp_path / "raw"),
        spec,
        cache_dir=tmp_path / "cache",
        num_workers=2,
    )
    records = loader.select(96).records
    assert not loader.prepare(records)
    size = 8
    tracemalloc.start()
    try:
        with loader.stream(records, batched(96, size)) as stream:
            for batch in stream:
                assert batch.views.dtype == np.uint8
                assert batch.views.nbytes == size * spec.views_bytes
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The one in use, two ahead, one being made; the rest is for single clips and for Python.
    assert peak < (1 + 2 + 1) * 1.5 * size * spec.views_bytes
