from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product, repeat
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError, ConfigError, DiskFullError
from vidbench.storage.files import temporary_path

SPAWN = multiprocessing.get_context("spawn")
SPEC = PreprocessSpec(num_frames=4, crop_size=16)
KEY = CacheKey("ab" * 32, SPEC)


def views(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, 4, 16, 16, 3), np.uint8)


def key_of(clip: NDArray[np.uint8], sha256: str = KEY.sha256) -> CacheKey:
    """The key of a clip (views, frames, side, side, 3)."""
    num_views, frames, side = clip.shape[:3]
    spec = PreprocessSpec(num_frames=frames, crop_size=side)
    if num_views > 1:
        spec = replace(spec, sampling="dense", num_clips=num_views, too_short="loop")
    return CacheKey(sha256, spec)


def seal(path: Path) -> None:
    """Seals a file with a user block as the documentation says."""
    content = path.read_bytes()
    checksum = xxhash.xxh3_128(content[512:]).intdigest().to_bytes(16, "big")
    words = b"vidbench clip 2\n" + struct.pack("<Q", len(content)) + checksum
    path.write_bytes(words + bytes(512 - len(words)) + content[512:])


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


def test_a_foreign_hdf5_file_is_noticed(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    with h5py.File(only_file(cache), "w") as file:
        file.create_dataset("views", data=views())
    with pytest.raises(CacheError, match="did not write it"):
        cache.read(KEY)


def test_a_file_in_the_old_layout_is_noticed(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    with h5py.File(only_file(cache), "w") as file:
        file.create_dataset("views", data=views())
        file["views"].attrs["xxh3_64"] = xxhash.xxh3_64_hexdigest(views().data)
        file.attrs["sha256"] = KEY.sha256
        file.attrs["spec"] = json.dumps(SPEC.canonical())
    with pytest.raises(CacheError, match="did not write it"):
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
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        readers = [pool.submit(_read_often, cache) for _ in range(2)]
        for _ in range(200):
            cache.write(KEY, views())
        assert [reader.result() for reader in readers] == [100, 100]


def _read_often(cache: ClipCache) -> int:
    return sum(bool((cache.read(KEY) == views()).all()) for _ in range(100))


LARGE = np.zeros((1, 64, 64, 64, 3), np.uint8)


def test_a_killed_writer_leaves_whole_files_and_sweepable_ones_only(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    writer = SPAWN.Process(target=_write_for_ever, args=[cache])
    writer.start()
    while sum(1 for _ in tmp_path.rglob("*.h5")) < 3:
        time.sleep(0.01)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    written = [key_of(LARGE, path.stem) for path in tmp_path.rglob("*.h5")]
    for key in written:
        assert cache.read(key).shape == LARGE.shape
    cache.sweep()
    assert not list(tmp_path.rglob(".*.tmp"))
    assert all(map(cache.has, written))


def _write_for_ever(cache: ClipCache) -> None:
    for number in range(100_000):
        cache.write(key_of(LARGE, f"{number:064x}"), LARGE)


CLIPS = arrays(
    np.uint8,
    st.builds(
        lambda num_views, frames, side: (num_views, frames, side, side, 3),
        st.integers(1, 5),
        st.integers(1, 23),
        st.integers(1, 5),
    ),
)


def smooth(frames: int = 12, side: int = 16) -> NDArray[np.uint8]:
    """Pixels that grow slowly downwards and over time, with a little noise."""
    noise = np.random.default_rng(0).integers(0, 2, (1, frames, side, side, 3))
    slopes = np.arange(side)[:, None, None] * 3 + np.arange(frames)[:, None, None, None]
    return (noise + slopes).astype(np.uint8)


@settings(deadline=None)
@example(np.full((1, 1, 1, 1, 3), 255, np.uint8), "zstd")
@example(np.random.default_rng(1).integers(0, 256, (2, 21, 4, 4, 3), np.uint8), "zstd")
@given(CLIPS, st.sampled_from(["zstd", None]))
def test_any_clip_comes_back_whatever_wrote_or_reads_it(
    clip: NDArray[np.uint8], compression: str | None
) -> None:
    before = clip.copy()
    with tempfile.TemporaryDirectory() as folder:
        ClipCache(Path(folder), compression).write(key_of(clip), clip)
        for reading in ("zstd", None):
            found = ClipCache(Path(folder), reading).read(key_of(clip))
            np.testing.assert_array_equal(found, before, strict=True)
            assert found.flags.writeable
    np.testing.assert_array_equal(clip, before)


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_clip_in_another_order_of_memory_is_the_same(
    tmp_path: Path, compression: str | None
) -> None:
    cache = ClipCache(tmp_path, compression)
    clip = smooth()[:, ::-1].swapaxes(2, 3)
    cache.write(key_of(clip), clip)
    np.testing.assert_array_equal(cache.read(key_of(clip)), clip)


def test_compressed_clips_and_others_lie_side_by_side(tmp_path: Path) -> None:
    plain, compressed = ClipCache(tmp_path), ClipCache(tmp_path, "zstd")
    one, other = key_of(smooth()), key_of(smooth(), "cd" * 32)
    plain.write(one, smooth())
    compressed.write(other, smooth())
    assert len({path.parent.parent for path in tmp_path.rglob("*.h5")}) == 1
    for cache in (plain, compressed):
        assert cache.has(one)
        assert cache.has(other)
        np.testing.assert_array_equal(cache.read(one), cache.read(other))
        assert [usage.videos for usage in cache.usage()] == [2]


def test_writing_again_in_the_other_kind_replaces_the_file(tmp_path: Path) -> None:
    sizes = []
    for number, compression in enumerate([None, "zstd", None]):
        cache = ClipCache(tmp_path, compression)
        clip = smooth(20, 64) + np.uint8(number)
        cache.write(key_of(clip), clip)
        np.testing.assert_array_equal(cache.read(key_of(clip)), clip)
        sizes.append(only_file(cache).stat().st_size)
    assert sizes[1] < sizes[0] / 3
    assert sizes[2] == sizes[0]


def test_noise_takes_hardly_more_than_its_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 20, 64, 64, 3), np.uint8)
    cache = ClipCache(tmp_path, "zstd")
    cache.write(key_of(noise), noise)
    assert only_file(cache).stat().st_size < noise.nbytes + 8192


def test_a_plain_file_is_what_the_documentation_says(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    with h5py.File(only_file(cache), "r") as file:
        assert file.userblock_size == 512
        assert file.attrs["sha256"] == KEY.sha256.encode()
        assert json.loads(file.attrs["spec"]) == SPEC.canonical()
        np.testing.assert_array_equal(file["views"], views())
    written = only_file(cache).read_bytes()
    seal(only_file(cache))
    assert only_file(cache).read_bytes() == written


def test_a_compressed_file_is_what_the_documentation_says(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(key_of(smooth(23)), smooth(23))
    with h5py.File(only_file(cache), "r") as file:
        dataset = file["views"]
        assert dataset.attrs["filter"] == b"green,up"
        assert dataset.chunks == (1, 10, 16, 16, 3)
        assert str(hdf5plugin.Zstd.filter_id) in dataset._filters
        restored = np.cumsum(dataset[:], axis=2, dtype=np.uint8)
        restored[..., [0, 2]] += restored[..., [1]]
        assert file.attrs["sha256"] == KEY.sha256.encode()
    np.testing.assert_array_equal(restored, smooth(23))


def replace_views(path: Path, data: NDArray[Any], **kinds: Any) -> None:
    """Puts another dataset in the place of a clip's, and seals the file again."""
    with h5py.File(path, "r+") as file:
        del file["views"]
        file.create_dataset("views", data=data, **kinds)
        file["views"].attrs["filter"] = "green,up"
    seal(path)


def test_a_file_made_as_the_documentation_says_is_read(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(key_of(smooth()), smooth())
    colours = smooth()
    colours[..., [0, 2]] -= colours[..., [1]]
    rows = np.diff(colours, axis=2, prepend=np.uint8(0))
    replace_views(only_file(cache), rows, chunks=(1, 10, 16, 16, 3), **hdf5plugin.Zstd())
    np.testing.assert_array_equal(cache.read(key_of(smooth())), smooth())


@pytest.mark.parametrize("name", ["up", "", b"green,up\xff", 3, [b"green,up", b"green,up"]])
def test_an_unknown_filter_is_refused(tmp_path: Path, name: object) -> None:
    cache = ClipCache(tmp_path, "zstd")
    cache.write(key_of(smooth()), smooth())
    with h5py.File(only_file(cache), "r+") as file:
        file["views"].attrs["filter"] = name
    seal(only_file(cache))
    with pytest.raises(CacheError):
        cache.read(key_of(smooth()))


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("foreign", [smooth()[0, 0], smooth().astype(np.float32), smooth(13)])
def test_a_foreign_array_is_not_restored(
    tmp_path: Path, foreign: NDArray[np.uint8], compression: str | None
) -> None:
    cache = ClipCache(tmp_path, compression)
    cache.write(key_of(smooth()), smooth())
    replace_views(only_file(cache), foreign)
    with pytest.raises(CacheError):
        cache.read(key_of(smooth()))


def test_pixels_in_unknown_blocks_are_refused(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    with h5py.File(only_file(cache), "r+") as file:
        del file["views"]
        file.create_dataset("views", data=views(), chunks=True, compression="gzip")
    seal(only_file(cache))
    with pytest.raises(CacheError, match="known blocks"):
        cache.read(KEY)


@pytest.mark.parametrize("name", ["views", "none"])
def test_a_file_without_a_dataset_of_views_is_refused(tmp_path: Path, name: str) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    with h5py.File(only_file(cache), "r+") as file:
        del file["views"]
        file.create_group(name)
    seal(only_file(cache))
    with pytest.raises(CacheError, match="views"):
        cache.read(KEY)


@pytest.mark.parametrize(
    "other", [CacheKey("cd" * 32, SPEC), CacheKey(KEY.sha256, replace(SPEC, too_short="loop"))]
)
def test_a_file_copied_to_another_name_is_foreign(tmp_path: Path, other: CacheKey) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    original = only_file(cache)
    cache.write(other, views(1))
    (copy,) = set(tmp_path.rglob("*.h5")) - {original}
    shutil.copy(original, copy)
    assert cache.has(other)
    with pytest.raises(CacheError, match="another video or spec"):
        cache.read(other)


def test_a_clip_in_another_shape_than_its_spec_says_is_refused(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views()[:, :3])
    with pytest.raises(CacheError, match=r"\(1, 3, 16, 16, 3\), not \(1, 4, 16, 16, 3\)"):
        cache.read(KEY)


TINY = smooth(2, 4)
each_kind = pytest.mark.parametrize("compression", [None, "zstd"])


def tiny_file(folder: Path, compression: str | None) -> tuple[ClipCache, Path]:
    cache = ClipCache(folder, compression)
    cache.write(key_of(TINY), TINY)
    return cache, only_file(cache)


@each_kind
@pytest.mark.parametrize(
    "bits", [pytest.param(1, id="one of each byte"), pytest.param(8, marks=pytest.mark.slow)]
)
def test_a_flip_of_any_bit_is_noticed(tmp_path: Path, compression: str | None, bits: int) -> None:
    cache, path = tiny_file(tmp_path, compression)
    content = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for place, number in product(range(len(content)), range(bits)):
            bit = (place + number) % 8
            os.pwrite(file.fileno(), bytes([content[place] ^ 1 << bit]), place)
            with pytest.raises(CacheError):
                cache.read(key_of(TINY))
            os.pwrite(file.fileno(), content[place : place + 1], place)
    np.testing.assert_array_equal(cache.read(key_of(TINY)), TINY)


@each_kind
def test_a_file_of_any_other_length_is_noticed(tmp_path: Path, compression: str | None) -> None:
    cache, path = tiny_file(tmp_path, compression)
    content = path.read_bytes()
    path.write_bytes(content + bytes(2))
    for length in (len(content) + 1, *reversed(range(len(content)))):
        os.truncate(path, length)
        with pytest.raises(CacheError):
            cache.read(key_of(TINY))


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from([None, "zstd"]))
def test_damage_of_any_kind_never_gives_other_pixels(
    data: st.DataObject, compression: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache, path = tiny_file(Path(folder), compression)
        content = path.read_bytes()
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, len(content)))
        path.write_bytes(content[:begin] + data.draw(st.binary(max_size=600)) + content[end:])
        try:
            found = cache.read(key_of(TINY))
        except CacheError:
            return
        np.testing.assert_array_equal(found, TINY, strict=True)
        assert path.read_bytes() == content


def test_a_huge_file_of_zeros_takes_no_memory(tmp_path: Path) -> None:
    cache, path = tiny_file(tmp_path, None)
    os.truncate(path, 1 << 42)
    with pytest.raises(CacheError, match="bytes"):
        cache.read(key_of(TINY))


def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_no_clip(tmp_path: Path) -> None:
    cache, path = tiny_file(tmp_path, None)
    for make in (path.mkdir, partial(os.mkfifo, path)):
        path.unlink()
        make()
        assert not cache.has(key_of(TINY))
        with pytest.raises(CacheError, match="no such file"):
            cache.read(key_of(TINY))
        if path.is_dir():
            with pytest.raises(CacheError, match="is a folder"):
                cache.write(key_of(TINY), TINY)
            path.rmdir()
            path.touch()
    cache.write(key_of(TINY), TINY)
    np.testing.assert_array_equal(cache.read(key_of(TINY)), TINY)


@pytest.mark.parametrize("compression", ["none", "gzip", ""])
def test_an_unknown_compression_is_refused(tmp_path: Path, compression: str) -> None:
    with pytest.raises(ConfigError, match="zstd"):
        ClipCache(tmp_path, compression)


def test_another_process_compresses_too(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "zstd")
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        pool.submit(cache.write, key_of(smooth(20, 64)), smooth(20, 64)).result()
    np.testing.assert_array_equal(cache.read(key_of(smooth(20, 64))), smooth(20, 64))
    assert only_file(cache).stat().st_size < smooth(20, 64).nbytes / 3


FILL_UP = """
import resource, sys
import numpy as np
from pathlib import Path
from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import DiskFullError

folder, compression = Path(sys.argv[1]), sys.argv[2] if sys.argv[2] != "none" else None
clip = np.random.default_rng(0).integers(0, 256, (1, 20, 64, 64, 3), np.uint8)
key = CacheKey("ab" * 32, PreprocessSpec(num_frames=20, crop_size=64))
cache = ClipCache(folder, compression)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    cache.write(key, clip)
except DiskFullError as error:
    print(error)
print([path.name for path in folder.rglob("*") if path.is_file()])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
cache.write(key, clip)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    cache.write(key, clip + np.uint8(1))
except DiskFullError as error:
    print(sorted(path.suffix for path in folder.rglob("*") if path.is_file()))
assert (cache.read(key) == clip).all()
"""


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_where_files_may_not_grow_nothing_half_written_stays(
    tmp_path: Path, compression: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL_UP, tmp_path, compression],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    message, at_first, after_replacing = done.stdout.splitlines()
    assert re.search(r"0\.[23] MB are needed", message)
    assert str(tmp_path) in message
    assert at_first == "[]"
    assert after_replacing == "['.h5', '.json']"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB, where mounting is permitted."""
    tmp_path = tmp_path / "disk"
    tmp_path.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting is not permitted")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@each_kind
def test_a_full_disk_keeps_what_is_whole_and_nothing_else(
    small_disk: Path, compression: str | None
) -> None:
    cache = ClipCache(small_disk, compression)
    noise = np.random.default_rng(0).integers(0, 256, (1, 20, 64, 64, 3), np.uint8)
    keys = [key_of(noise, f"{number:064x}") for number in range(10)]
    with pytest.raises(DiskFullError, match=r"0\.[23] MB are needed, 0\.[01] MB are free"):
        deque(map(cache.write, keys, repeat(noise)))
    written = [key for key in keys if cache.has(key)]
    assert 3 <= len(written) <= 4
    assert not list(small_disk.rglob(".*.tmp"))
    for key in written:
        np.testing.assert_array_equal(cache.read(key), noise)
    cache.prune("all")
    cache.write(KEY, views())
    np.testing.assert_array_equal(cache.read(KEY), views())


@pytest.mark.parametrize("turns", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_pruning_while_others_write_and_prune_fails_nowhere(tmp_path: Path, turns: int) -> None:
    cache = ClipCache(tmp_path)
    with ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        working = [pool.submit(_write_often, cache, number, turns) for number in range(2)]
        working.append(pool.submit(_prune_often, cache, turns))
        while not all(future.done() for future in working):
            cache.usage()
            cache.sweep()
            cache.prune("all")
        for future in working:
            future.result()
    _write_often(cache, 0, turns)
    cache.sweep()
    assert not list(tmp_path.rglob(".*.tmp"))
    (usage,) = cache.usage()
    assert usage.spec == SPEC.describe()
    assert usage.videos >= 20
    for path in tmp_path.rglob("*.h5"):
        np.testing.assert_array_equal(cache.read(CacheKey(path.stem, SPEC)), views())


def _write_often(cache: ClipCache, number: int, turns: int) -> None:
    for turn in range(turns):
        key = CacheKey(f"{number * 20 + turn % 20:064x}", SPEC)
        cache.write(key, views())
        with suppress(CacheError):  # pruned meanwhile
            np.testing.assert_array_equal(cache.read(key), views())


def _prune_often(cache: ClipCache, turns: int) -> None:
    for _ in range(turns):
        cache.prune("all")


def test_what_a_killed_prune_left_is_swept(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = temporary_path(folder)
    folder.rename(here.with_name(here.name.replace(f"-{os.getpid()}.", f"-{ended.pid}.")))
    assert not cache.usage()
    cache.sweep()
    assert not list(tmp_path.iterdir())


def test_a_clip_whose_description_was_pruned_is_listed_all_the_same(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views())
    (described,) = tmp_path.glob("*/spec.json")
    described.unlink()
    assert [(usage.videos, usage.spec) for usage in cache.usage()] == [(1, "unknown")]
    cache.write(KEY, views())
    assert [usage.spec for usage in cache.usage()] == [SPEC.describe()]


TRUNCATED, UNREADABLE = Skip("truncated", "12 of 50 frames"), Skip("unreadable", "no frames")


@pytest.mark.parametrize(
    ("skip", "has_clip", "strict", "lenient"),
    [
        (None, False, None, None),
        (None, True, KEY, KEY),
        (UNREADABLE, False, UNREADABLE, UNREADABLE),
        (UNREADABLE, True, None, None),  # a writer that was killed before it removed the skip
        (TRUNCATED, False, TRUNCATED, None),
        (TRUNCATED, True, TRUNCATED, KEY),
    ],
)
def test_find_says_what_may_be_used(
    tmp_path: Path,
    skip: Skip | None,
    has_clip: bool,
    strict: CacheKey | Skip | None,
    lenient: CacheKey | Skip | None,
) -> None:
    cache = ClipCache(tmp_path)
    if has_clip:
        cache.write(KEY, views())
    if skip:
        cache.write_skip(KEY, skip)
    assert cache.find(KEY) == strict
    assert cache.find(KEY, score_truncated=True) == lenient
    assert cache.damage(KEY) == (skip if has_clip and skip == TRUNCATED else None)


def test_a_clip_of_a_truncated_video_whose_skip_is_damaged_is_decoded_again(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views(), damage=TRUNCATED)
    (skip,) = tmp_path.rglob("*.skip.json")
    content = skip.read_bytes()
    for length in range(len(content)):
        skip.write_bytes(content[:length])
        assert cache.find(KEY) is None
        assert cache.find(KEY, score_truncated=True) is None
    skip.write_bytes(content.replace(b"truncated", b"truncatee"))
    assert cache.find(KEY) is None


def test_a_clip_of_a_truncated_video_says_so_until_it_is_written_whole(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    cache.write(KEY, views(), damage=TRUNCATED)
    assert cache.damage(KEY) == TRUNCATED
    assert cache.read_skip(KEY) == TRUNCATED
    assert cache.find(KEY) == TRUNCATED
    np.testing.assert_array_equal(cache.read(KEY), views())
    cache.write(KEY, views())
    assert cache.damage(KEY) is None
    assert cache.find(KEY) == KEY


@pytest.mark.parametrize("pauses", [(0, 8), pytest.param((4, 12, 16), marks=pytest.mark.slow)])
def test_a_truncated_video_never_looks_whole_however_its_writer_is_killed(
    tmp_path: Path, pauses: tuple[int, ...]
) -> None:
    cache = ClipCache(tmp_path)
    for milliseconds in pauses:
        writer = SPAWN.Process(target=_write_truncated_for_ever, args=[cache, milliseconds])
        writer.start()
        while not list(tmp_path.rglob(f"{milliseconds:02x}*.h5")):
            time.sleep(0.001)
        time.sleep(milliseconds / 1000)
        writer.kill()
        writer.join()
    clips = [key_of(LARGE, path.stem) for path in tmp_path.rglob("*.h5")]
    assert clips
    assert {cache.find(key) for key in clips} == {TRUNCATED}
    assert {cache.find(key, score_truncated=True) for key in clips} == set(clips)


def _write_truncated_for_ever(cache: ClipCache, start: int) -> None:
    for number in range(100_000):
        cache.write(key_of(LARGE, f"{start:02x}{number:062x}"), LARGE, damage=TRUNCATED)
