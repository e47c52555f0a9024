"""What one video may cost: time, memory, a crash; and what is scored of one that is cut short."""

from __future__ import annotations

import csv
import os
import signal
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import av
import numpy as np
import psutil
import pytest

from tests.helpers.evaluating import sample_config
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.videos import levels_of, write_video
from vidbench.config.opening import open_loader, open_model
from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.clips.prepare import DecodeTask, Workers
from vidbench.data.loader import VideoLoader
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.errors import DiskFullError, VideoError
from vidbench.evaluate import evaluate
from vidbench.storage.files import free_bytes
from vidbench.storage.hashes import sha256_of

SMALL = PreprocessSpec(num_frames=8, crop_size=32)
HUGE = PreprocessSpec(num_frames=400, crop_size=2048)  # 5 GB


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache(tmp_path / "cache")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "video.mp4", list(range(0, 240, 4)))


def key_of(task: DecodeTask) -> CacheKey:
    return CacheKey(sha256_of(task.path), task.spec)


def readers_of(path: Path) -> list[psutil.Process]:
    """Processes started here that have the file open."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(file.path == str(path) for file in child.open_files()):
                found.append(child)
    return found


def test_a_decoder_that_hangs_is_ended_and_the_next_video_is_decoded(
    cache: ClipCache, video: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "hanging.mp4")  # nobody ever writes: opening it takes for ever
    hanging, usual = (
        DecodeTask(tmp_path / "hanging.mp4", SMALL, cache),
        DecodeTask(video, SMALL, cache),
    )
    with closing(Workers(1, timeout_seconds=10)) as workers:
        futures = [workers.submit(task) for task in (hanging, usual)]
        found = workers.result(futures[0], hanging).result
        assert found == Skip("unreadable", "decoding takes longer than 10 s")
        assert workers.result(futures[1], usual).result == key_of(usual)


def test_a_video_that_takes_too_much_memory_is_skipped_also_later(
    cache: ClipCache, video: Path
) -> None:
    task, usual = DecodeTask(video, HUGE, cache), DecodeTask(video, SMALL, cache)
    with closing(Workers(1)) as workers:
        found = workers.result(workers.submit(task), task).result
        assert found == Skip("unreadable", "decoding needs more than 2048 MiB of memory")
        assert workers.result(workers.submit(usual), usual).result == key_of(usual)
    assert cache.find(key_of(task)) == found


@pytest.mark.parametrize(("crashes", "lost"), [(1, False), (2, True)])
def test_a_decoder_that_crashes_is_tried_once_more(
    cache: ClipCache, tmp_path: Path, crashes: int, lost: bool
) -> None:
    video = write_video(tmp_path / "long.mp4", [100] * 3000, size=(320, 240))
    task = DecodeTask(video, PreprocessSpec(num_frames=500, crop_size=224), cache)
    crashed: set[int] = set()

    def crash() -> None:
        while len(crashed) < crashes:
            for process in readers_of(video):
                if process.pid not in crashed:
                    process.send_signal(signal.SIGSEGV)
                    crashed.add(process.pid)
            time.sleep(0.005)

    with closing(Workers(1)) as workers:
        killer = Thread(target=crash)
        killer.start()
        result = workers.result(workers.submit(task), task).result
        killer.join(PATIENCE_SECONDS)
    assert len(crashed) == crashes
    if lost:
        detail = "the decoder's process ended with exit code -11, twice"
        assert result == Skip("unreadable", detail)
        assert cache.find(key_of(task)) == result
    else:
        assert result == key_of(task)
        assert len(cache.read(key_of(task))[0]) == 500


def batched(path: Path, share: float) -> None:
    os.truncate(path, round(path.stat().st_size * share))


def test_what_decodes_of_a_truncated_video_may_be_taken_for_the_whole(tmp_path: Path) -> None:
    levels = list(range(40, 200, 2))
    video = write_video(tmp_path / "video.mp4", levels, faststart=True)
    batched(video, 0.85)
    spec = PreprocessSpec(num_frames=10, crop_size=16)
    with pytest.raises(VideoError, match="truncated"):
        decode_views(video, spec)
    (clip,) = decode_views(video, spec, keep_truncated=True)
    found = levels_of(clip)
    assert found[0] == pytest.approx(levels[0], abs=3)
    assert (np.diff(found) > 0).all()
    assert found[-1] < levels[-1] - 10


def test_truncated_videos_are_skipped_or_scored_as_was_asked(tmp_path: Path) -> None:
    """Both policies on one cache, in both orders."""
    evaluate(sample_config(tmp_path, num_videos=6))
    victim = sorted((tmp_path / "data/raw").rglob("*.mp4"))[2]
    truncate_sample(victim)
    skipping = evaluate(sample_config(tmp_path, num_videos=6, overwrite_output_dir=True))
    scoring = evaluate(sample_config(tmp_path, num_videos=6, truncated="score"))
    again = evaluate(sample_config(tmp_path, num_videos=6, overwrite_output_dir=True))
    assert skipping.metrics["skipped"] == again.metrics["skipped"] == {"truncated": 1}
    assert skipping.folder != scoring.folder
    assert scoring.metrics["evaluated"] == 6
    assert scoring.metrics["coverage"]["scored_truncated"] == 1
    assert "truncated scored" in scoring.metrics["signature"]
    with (scoring.folder / "predictions.csv").open(newline="") as file:
        notes = {row["video_id"]: row["note"] for row in csv.DictReader(file)}
    assert notes.pop(victim.stem).startswith("truncated: ")
    assert set(notes.values()) == {""}


def truncate_sample(path: Path) -> None:
    """Writes the video again with its index first, and without its last part."""
    with av.open(str(path)) as source:
        frames = len(list(source.decode(video=0)))
    write_video(path, list(range(frames)), size=(224, 224), faststart=True)
    batched(path, 0.7)


def test_a_disk_without_room_for_the_clips_is_noticed_before_they_are_decoded(
    tmp_path: Path,
) -> None:
    crop = 1 << 13
    frames = free_bytes(tmp_path) // (crop * crop * 3 * 6) + 1
    config = sample_config(tmp_path, num_videos=6)
    loader = open_loader(config, open_model(config))
    large = VideoLoader(
        loader.dataset,
        PreprocessSpec(num_frames=frames, crop_size=crop),
        cache_dir=config.cache_dir,
    )
    records = loader.select(6).records
    with pytest.raises(DiskFullError, match=r"6 clips of .* GB free: use --cache_compression"):
        large.require_room(records)
    loader.require_room(records)
    assert not list(Path(config.cache_dir).rglob("*.h5"))
