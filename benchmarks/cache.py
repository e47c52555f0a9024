"""Bytes of cached clips against the plain way's, and seconds to read one against the model's."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.rows import Row, interleaved, seconds_of
from benchmarks.workspace import BATCH_SIZE, SPEC, Clips, Workspace
from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.video.decode import decode_views
from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.storage.hashes import sha256_of


def rows(workspace: Workspace) -> Iterator[Row]:
    """Size and speed of the cache, as it is by default and compressed."""
    clips = workspace.clips(None)
    caches = {
        "plain": ClipCache(workspace.temporary / "cache"),
        "zstd": ClipCache(workspace.temporary / "cache_zstd", compression="zstd"),
    }
    keys = _fill(caches.values(), clips.paths)
    yield from _sizes(workspace, caches, clips)
    yield from _speeds(workspace, caches, keys, clips)


def _fill(caches: Collection[ClipCache], paths: Sequence[Path]) -> list[CacheKey]:
    """What the clips are called in each of the caches."""
    keys = [CacheKey(sha256_of(path), SPEC) for path in paths]
    for path, key in zip(paths, keys, strict=True):
        views = decode_views(path, SPEC)
        for cache in caches:
            cache.write(key, views)
    return keys


def _sizes(workspace: Workspace, caches: dict[str, ClipCache], clips: Clips) -> Iterator[Row]:
    ours = {name: clip_bytes(cache) / 1e6 for name, cache in caches.items()}
    plain = sum(map(_plain_bytes, clips.paths)) / 1e6
    measure = f"MB of {len(clips.paths)} cached clips, against the plain way's"
    # 1 / 11 for videos of 300 frames; the plain way takes less for shorter ones.
    goal = workspace.goal("<= 0.0909", when=workspace.given is None)
    yield Row("cache", "plain", measure, ours["plain"], plain, goal)
    goal = workspace.goal("<= 0.05", when=workspace.given is not None)
    yield Row("cache", "zstd", measure, ours["zstd"], plain, goal)


def _speeds(
    workspace: Workspace, caches: dict[str, ClipCache], keys: Sequence[CacheKey], clips: Clips
) -> Iterator[Row]:
    views = workspace.views(clips.paths[:BATCH_SIZE])
    predict = partial(workspace.classifier("fp32").predict, views)
    reads = {name: partial(_read_all, cache, keys) for name, cache in caches.items()}
    cases = {name: partial(_seconds_each, read, len(keys)) for name, read in reads.items()}
    cases["i3d"] = partial(_seconds_each, predict, len(views))
    for case in cases.values():
        case()  # warms it up
    seconds = interleaved(cases, workspace.rounds)
    measure = f"seconds per clip, checksum verified, against I3D's in fp32, batch {len(views)}"
    for name, label, bound in (("plain", "read", "<= 0.03"), ("zstd", "read zstd", "<= 0.05")):
        goal = workspace.goal(bound)
        yield Row("cache", label, measure, seconds[name], seconds["i3d"], goal)


def _read_all(cache: ClipCache, keys: Sequence[CacheKey]) -> None:
    for key in keys:
        cache.read(key)


def _seconds_each(action: Callable[[], object], count: int) -> float:
    return seconds_of(action) / count


def _plain_bytes(path: Path) -> int:
    """Size of the pickle that the plain way makes of a video."""
    import_tensorflow()
    from benchmarks.plain import read_video

    return len(pickle.dumps(read_video(path), protocol=pickle.HIGHEST_PROTOCOL))


def clip_bytes(cache: ClipCache) -> int:
    """Of all clips in a cache."""
    return sum(entry.num_bytes for entry in cache.usage())
