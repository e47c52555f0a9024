from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from vidbench.data.cache import CacheKey, ClipCache
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError

SPEC = PreprocessSpec(num_frames=4, crop_size=16)
KEY = CacheKey("ab" * 32, SPEC)


def views(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, 4, 16, 16, 3), np.uint8)


def only_file(cache: ClipCache) -> Path:
    (path,) = cache.folder.rglob("*.h5")
    return path


def test_constructing_does_no_io(tmp_path: Path) -> None:
    ClipCache(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    assert not cache.has(KEY)
    cache.write(KEY, views())
    assert cache.has(KEY)
    np.testing.assert_array_equal(ClipCache(tmp_path).read(KEY), views())


@pytest.mark.parametrize(
    "other",
    [CacheKey("cd" * 32, SPEC), CacheKey(KEY.sha256, replace(SPEC, num_frames=5))],
    ids=["file", "spec"],
)
def test_another_file_or_spec_never_reads_it(tmp_path: Path, other: CacheKey) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    assert not cache.has(other)
    with pytest.raises(CacheError):
        cache.read(other)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    path = only_file(cache)
    content = bytearray(path.read_bytes())
    content[content.index(views().tobytes()[:64]) + 10] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match="checksum"):
        cache.read(KEY)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_noticed(tmp_path: Path, share: float) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    path = only_file(cache)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CacheError):
        cache.read(KEY)


def test_a_foreign_hdf5_file_is_noticed(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    with h5py.File(only_file(cache), "w") as file:
        file.create_dataset("views", data=views().astype(np.float32))
    with pytest.raises(CacheError):
        cache.read(KEY)


def test_clips_are_stored_as_bytes_of_pixels_and_little_more(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    large = np.zeros((1, 100, 64, 64, 3), np.uint8)
    cache.write(KEY, large)
    assert large.nbytes <= only_file(cache).stat().st_size < large.nbytes + 8192


def test_a_skip_is_kept_until_the_clip_is_there(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    assert cache.read_skip(KEY) is None
    cache.write_skip(KEY, Skip("unreadable", 'détail with "quotes"'))
    assert ClipCache(tmp_path).read_skip(KEY) == Skip("unreadable", 'détail with "quotes"')
    cache.write(KEY, views())
    assert cache.read_skip(KEY) is None


def test_usage_counts_and_prune_removes_one_spec(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    other = CacheKey(KEY.sha256, replace(SPEC, num_frames=5))
    cache.write(KEY, views())
    cache.write(other, views())
    cache.write_skip(CacheKey("ef" * 32, SPEC), Skip("unreadable", ""))
    by_name = {usage.name: usage for usage in cache.usage()}
    usage = by_name[only_spec_folder(cache, KEY)]
    assert (usage.videos, usage.skipped) == (1, 1)
    assert SPEC.describe() == usage.spec
    assert [removed.name for removed in cache.prune(usage.name)] == [usage.name]
    assert not cache.has(KEY)
    assert cache.has(other)


def test_prune_removes_what_older_pixels_left_and_nothing_else(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    current = cache.folder / only_spec_folder(cache, KEY)
    stale = cache.folder / current.name.replace("-px", "-px0")
    current.rename(stale)
    cache.write(KEY, views(1))
    assert [removed.name for removed in cache.prune()] == [stale.name]
    np.testing.assert_array_equal(cache.read(KEY), views(1))


def only_spec_folder(cache: ClipCache, key: CacheKey) -> str:
    (folder,) = cache.folder.glob(f"{key.spec.digest()}-px*")
    return folder.name


def test_many_processes_read_while_another_writes_again(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        readers = [pool.submit(_read_often, cache) for _ in range(2)]
        for _ in range(200):
            cache.write(KEY, views())
        assert [reader.result() for reader in readers] == [100, 100]


def _read_often(cache: ClipCache) -> int:
    return sum(bool((cache.read(KEY) == views()).all()) for _ in range(100))


def test_a_killed_writer_leaves_whole_files_and_sweepable_ones_only(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    cache = ClipCache(tmp_path)
    writer = context.Process(target=_write_for_ever, args=[cache])
    writer.start()
    while sum(1 for _ in tmp_path.rglob("*.h5")) < 3:
        time.sleep(0.01)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    written = [CacheKey(path.stem, SPEC) for path in tmp_path.rglob("*.h5")]
    for key in written:
        assert cache.read(key).shape == (1, 64, 64, 64, 3)
    cache.sweep()
    assert not list(tmp_path.rglob(".*.tmp"))
    assert all(map(cache.has, written))


def _write_for_ever(cache: ClipCache) -> None:
    for number in range(100_000):
        cache.write(CacheKey(f"{number:064x}", SPEC), np.zeros((1, 64, 64, 64, 3), np.uint8))
