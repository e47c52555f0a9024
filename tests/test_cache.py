from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache as once
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from vidbench.data.cache import CacheKey, ClipCache
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError, ConfigError

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


CLIPS = arrays(
    np.uint8,
    st.builds(
        lambda shape, frames: (shape[0], frames, *shape[1:], 3),
        array_shapes(min_dims=3, max_dims=3, max_side=5),
        st.integers(1, 23),
    ),
)


def smooth(frames: int = 12, side: int = 16) -> NDArray[np.uint8]:
    """Pixels that grow slowly downwards and over time, with a little noise."""
    noise = np.random.default_rng(0).integers(0, 2, (1, frames, side, side, 3))
    slopes = np.arange(side)[:, None, None] * 3 + np.arange(frames)[:, None, None, None]
    return (noise + slopes).astype(np.uint8)


@settings(deadline=None)
@example(np.full((1, 1, 1, 1, 3), 255, np.uint8), "zstd")
@example(np.random.default_rng(1).integers(0, 256, (2, 21, 1, 4, 3), np.uint8), "zstd")
@given(CLIPS, st.sampled_from(["zstd", None]))
def test_any_clip_comes_back_whatever_wrote_or_reads_it(
    clip: NDArray[np.uint8], compression: str | None
) -> None:
    before = clip.copy()
    with tempfile.TemporaryDirectory() as folder:
        ClipCache(Path(folder), compression).write(KEY, clip)
        for reading in ("zstd", None):
            found = ClipCache(Path(folder), reading).read(KEY)
            np.testing.assert_array_equal(found, before, strict=True)
            assert found.flags.writeable
    np.testing.assert_array_equal(clip, before)


def test_a_clip_in_another_order_of_memory_is_the_same(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "zstd")
    clip = smooth()[:, ::-1, :, ::2]
    cache.write(KEY, clip)
    np.testing.assert_array_equal(cache.read(KEY), clip)


def test_compressed_clips_and_others_lie_side_by_side(tmp_path: Path) -> None:
    plain, compressed = ClipCache(tmp_path), ClipCache(tmp_path, "zstd")
    other = CacheKey("cd" * 32, SPEC)
    plain.write(KEY, smooth())
    compressed.write(other, smooth())
    assert len({path.parent.parent for path in tmp_path.rglob("*.h5")}) == 1
    for cache in (plain, compressed):
        assert cache.has(KEY)
        assert cache.has(other)
        np.testing.assert_array_equal(cache.read(KEY), cache.read(other))
        assert [usage.videos for usage in cache.usage()] == [2]


def test_writing_again_in_the_other_kind_replaces_the_file(tmp_path: Path) -> None:
    sizes = []
    for number, compression in enumerate([None, "zstd", None]):
        cache = ClipCache(tmp_path, compression)
        cache.write(KEY, smooth(20, 64) + np.uint8(number))
        np.testing.assert_array_equal(cache.read(KEY), smooth(20, 64) + np.uint8(number))
        sizes.append(only_file(cache).stat().st_size)
    assert sizes[1] < sizes[0] / 3
    assert sizes[2] == sizes[0]


def test_noise_takes_hardly_more_than_its_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 20, 64, 64, 3), np.uint8)
    cache = ClipCache(tmp_path, "zstd")
    cache.write(KEY, noise)
    assert only_file(cache).stat().st_size < noise.nbytes + 8192


def test_a_compressed_file_is_what_the_documentation_says(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(KEY, smooth(23))
    with h5py.File(only_file(cache), "r") as file:
        dataset = file["views"]
        assert dataset.attrs["filter"] == b"green,up"
        assert dataset.chunks == (1, 10, 16, 16, 3)
        assert str(hdf5plugin.Zstd.filter_id) in dataset._filters
        restored = np.cumsum(dataset[:], axis=2, dtype=np.uint8)
        restored[..., [0, 2]] += restored[..., [1]]
        assert file.attrs["sha256"] == KEY.sha256.encode()
    np.testing.assert_array_equal(restored, smooth(23))


def test_a_file_made_as_the_documentation_says_is_read(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, smooth())
    with h5py.File(only_file(cache), "r+") as file:
        expected = file["views"].attrs["xxh3_64"]
        colours = smooth()
        colours[..., [0, 2]] -= colours[..., [1]]
        rows = np.diff(colours, axis=2, prepend=np.uint8(0))
        del file["views"]
        file.create_dataset("views", data=rows, chunks=(1, 10, 16, 16, 3), **hdf5plugin.Zstd())
        file["views"].attrs.update({"filter": "green,up", "xxh3_64": expected})
    np.testing.assert_array_equal(cache.read(KEY), smooth())


@pytest.mark.parametrize("name", ["up", "", b"green,up\xff", 3, [b"green,up", b"green,up"]])
def test_an_unknown_filter_is_refused(tmp_path: Path, name: object) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(KEY, smooth())
    with h5py.File(only_file(cache), "r+") as file:
        file["views"].attrs["filter"] = name
    with pytest.raises(CacheError):
        cache.read(KEY)


@pytest.mark.parametrize("foreign", [smooth()[0, 0], smooth().astype(np.float32)])
def test_a_foreign_array_is_not_restored(tmp_path: Path, foreign: NDArray[np.uint8]) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(KEY, smooth())
    with h5py.File(only_file(cache), "w") as file:
        file.create_dataset("views", data=foreign)
        file["views"].attrs.update({"filter": "green,up", "xxh3_64": "0" * 16})
    with pytest.raises(CacheError):
        cache.read(KEY)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_compressed_file_is_noticed(tmp_path: Path, share: float) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(KEY, smooth())
    path = only_file(cache)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CacheError):
        cache.read(KEY)


@once
def compressed_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        cache = ClipCache(Path(folder), "zstd")
        cache.write(KEY, smooth())
        return only_file(cache).read_bytes()


@settings(deadline=None, max_examples=400)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_of_a_compressed_file_never_gives_other_pixels(
    place: float, change: int
) -> None:
    content = bytearray(compressed_file())
    content[int(place * len(content))] ^= change
    with tempfile.TemporaryDirectory() as folder:
        cache = ClipCache(Path(folder))
        cache.write(KEY, smooth())
        only_file(cache).write_bytes(content)
        try:
            found = cache.read(KEY)
        except CacheError:
            return
        np.testing.assert_array_equal(found, smooth(), strict=True)


def test_changed_pixels_of_a_compressed_file_are_noticed(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(KEY, smooth())
    with h5py.File(only_file(cache), "r+") as file:
        file["views"][0, 3, 4, 5, 1] += 1
    with pytest.raises(CacheError, match="checksum"):
        cache.read(KEY)


@pytest.mark.parametrize("compression", ["none", "gzip", ""])
def test_an_unknown_compression_is_refused(tmp_path: Path, compression: str) -> None:
    with pytest.raises(ConfigError, match="zstd"):
        ClipCache(tmp_path, compression)


def test_another_process_compresses_too(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "zstd")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(cache.write, KEY, smooth(20, 64)).result()
    np.testing.assert_array_equal(cache.read(KEY), smooth(20, 64))
    assert only_file(cache).stat().st_size < smooth(20, 64).nbytes / 3
