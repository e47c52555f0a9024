"""Decode one video into a cached clip, or skip it, in a worker process.

Workers write to the cache themselves and return only a key, so no array crosses a pipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.records import FrameFolder, Section, Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError
from vidbench.storage.hashes import FileIdentity, sha256_of
from vidbench.storage.locks import locked
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS, MEMORY_BYTES, LostError, Pool
from vidbench.system.stopwatch import Stopwatch

if TYPE_CHECKING:
    from vidbench.data.video.decode import Decoded


class DecodeTask(NamedTuple):
    """A video to prepare, and which cache entries may be used for it.

    Attributes:
        path: The file or folder of frames.
        spec: Preprocessing of the clip.
        cache: Cache to read and write.
        sha256: Hash of the file, if known.
        overwrite: Decode even if the clip is cached.
        retry: Decode even if the video was skipped before.
        score_truncated: Use the decodable frames of a truncated video.
        section: Part of the file to decode; None for all of it.
        frames: Known rate and count of a folder of frames; None for a file.
    """

    path: Path
    spec: PreprocessSpec
    cache: ClipCache
    sha256: str | None = None
    overwrite: bool = False
    retry: bool = False
    score_truncated: bool = False
    section: Section | None = None
    frames: FrameFolder | None = None

    def key(self, sha256: str) -> CacheKey:
        """Cache key of the clip, given the hash of its content."""
        return clip_key(sha256, self.spec, self.section, self.frames)


class Prepared(NamedTuple):
    """Outcome of preparing a video.

    Attributes:
        result: Cache key of its clip, or why it is skipped.
        identity: Identity of the file, taken before it was hashed; None if it was not hashed.
        sha256: Hash of the file; None if it was not hashed.
        seconds: Time spent, by stage.
    """

    result: CacheKey | Skip
    identity: FileIdentity | None = None
    sha256: str | None = None
    seconds: Mapping[str, float] = MappingProxyType({})


def clip_key(
    sha256: str,
    spec: PreprocessSpec,
    section: Section | None = None,
    frames: FrameFolder | None = None,
) -> CacheKey:
    """Cache key of a clip; it depends on the section and on the known count of frames, if any.

    Args:
        sha256: Hash of the content.
        spec: Preprocessing of the clip.
        section: Part of the video to decode; None for all of it.
        frames: Known rate and count of a folder of frames. The rate is part of the key only if
            frames are chosen by time.
    """
    parts: list[str] = []
    if section is not None:
        begin, end = section
        parts.append(f"{float(begin)!r} {float(end)!r}")
    if frames is not None and frames.fps is not None and (spec.fps or section):
        parts.append(f"fps {float(frames.fps)!r}")
    if frames is not None and frames.num_frames is not None:
        parts.append(f"frames {frames.num_frames}")
    if parts:
        sha256 = hashlib.sha256(" ".join([sha256, *parts]).encode()).hexdigest()
    return CacheKey(sha256, spec)


def prepare_clip(task: DecodeTask) -> Prepared:
    """Prepare a video: decode it and write the cache only if the cache lacks it."""
    stopwatch = Stopwatch()
    try:
        with stopwatch("hash"):
            identity = FileIdentity.of(task.path)
            sha256 = task.sha256 or sha256_of(task.path)
    except OSError as error:
        return Prepared(Skip("unreadable", str(error.strerror)), seconds=stopwatch.seconds)
    except VideoError as error:  # a folder without frames
        return Prepared(_skip(error), seconds=stopwatch.seconds)
    key = task.key(sha256)
    # Another run may prepare the same video: the second one waits and finds the first one's clip.
    with locked(task.cache.folder / ".locks", f"{key.sha256} {task.spec.digest()}"):
        result = _find(task, key) or _decode(task, key, stopwatch)
    return Prepared(result, identity, sha256, stopwatch.seconds)


def _find(task: DecodeTask, key: CacheKey) -> CacheKey | Skip | None:
    if task.overwrite:
        return None
    cached = task.cache.find(key, score_truncated=task.score_truncated)
    return None if isinstance(cached, Skip) and task.retry else cached


def _decode(task: DecodeTask, key: CacheKey, stopwatch: Stopwatch) -> CacheKey | Skip:
    damage = None
    try:
        with stopwatch("decode"):
            try:
                decoded = _decode_video(task, key)
            except VideoError as error:
                if error.reason != "truncated" or not task.score_truncated:
                    raise
                damage = _skip(error)
                decoded = _decode_video(task, key, keep_truncated=True)
        with stopwatch("write_cache"):
            task.cache.write(key, decoded.views, damage, decoded.note)
    except VideoError as error:
        task.cache.write_skip(key, skip := _skip(error))
        return skip
    return key


def _decode_video(task: DecodeTask, key: CacheKey, *, keep_truncated: bool = False) -> Decoded:
    # Imported here to keep decoders out of the memory of the process that runs the model.
    from vidbench.data.video.decode import decode_video

    try:
        return decode_video(
            task.path,
            task.spec,
            key.sha256,
            section=task.section,
            keep_truncated=keep_truncated,
            frames=task.frames,
        )
    except MemoryError as error:
        detail = f"decoding needs more than {MEMORY_BYTES >> 20} MiB of memory"
        raise VideoError("unreadable", detail) from error


def _skip(error: VideoError) -> Skip:
    return Skip(error.reason, " ".join(error.detail.split()))


class Workers(Pool[DecodeTask, Prepared]):
    """Worker processes that prepare videos; takes the arguments of the pool."""

    def __init__(self, num_workers: int, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        super().__init__(prepare_clip, num_workers, timeout_seconds)

    def result(self, future: Future[Prepared], argument: DecodeTask) -> Prepared:
        """The outcome of a task; a decoder that hangs or crashes loses only this video."""
        try:
            return super().result(future, argument)
        except LostError as error:
            return _give_up(argument, str(error))


def _give_up(task: DecodeTask, detail: str) -> Prepared:
    """Skip a video whose worker process was lost, also in later runs."""
    skip = Skip("unreadable", detail)
    if not (task.path.is_file() or task.path.is_dir()):  # opening a pipe would wait for its writer
        return Prepared(skip)
    try:
        identity, sha256 = FileIdentity.of(task.path), task.sha256 or sha256_of(task.path)
    except (OSError, VideoError):  # it cannot be hashed here either
        return Prepared(skip)
    task.cache.write_skip(task.key(sha256), skip)
    return Prepared(skip, identity, sha256)
