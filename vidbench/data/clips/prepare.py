"""One video becomes a cached clip or a skip, in a worker process of its own.

Workers write the cache themselves and send back a few words, so no array crosses a pipe.
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
    """What to prepare, and what of the cache may serve.

    Attributes:
        sha256: The file's hash where it is known.
        overwrite: Decode even if the clip is cached.
        retry: Decode even if the video was skipped before.
        score_truncated: Take what decodes of a truncated video for the whole.
        section: The part of the file that is meant; None for all of it.
        frames: What is known of a folder of frames; None for a file.
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
        """What the cache finds the clip by, with the hash of the content."""
        return clip_key(sha256, self.spec, self.section, self.frames)


class Prepared(NamedTuple):
    """What became of a video.

    Attributes:
        result: Where the cache has its clip, or why it is skipped.
        identity: The file's, taken before it was hashed; None if it was not.
        sha256: The file's hash; likewise.
        seconds: What was done for it, by stage.
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
    """What the cache finds a clip by; a section has a name of its own, and a count of frames too.

    Args:
        sha256: The content's hash.
        spec: What is done to pixels.
        section: The part of the video that is meant; None for all of it.
        frames: What is known of a folder of frames. Its rate counts where times decide.
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
    """What became of the video; reads, decodes and writes no more than the cache lacks."""
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
    # Another run may be at the same video: whoever comes second finds what the first one wrote.
    with locked(task.cache.folder / ".locks", f"{key.sha256} {task.spec.digest()}"):
        result = _find(task, key) or _decode(task, key, stopwatch)
    return Prepared(result, identity, sha256, stopwatch.seconds)


def _find(task: DecodeTask, key: CacheKey) -> CacheKey | Skip | None:
    if task.overwrite:
        return None
    found = task.cache.find(key, score_truncated=task.score_truncated)
    return None if isinstance(found, Skip) and task.retry else found


def _decode(task: DecodeTask, key: CacheKey, stopwatch: Stopwatch) -> CacheKey | Skip:
    damage = None
    try:
        with stopwatch("decode"):
            try:
                found = _decode_video(task, key)
            except VideoError as error:
                if error.reason != "truncated" or not task.score_truncated:
                    raise
                damage = _skip(error)
                found = _decode_video(task, key, keep_truncated=True)
        with stopwatch("write_cache"):
            task.cache.write(key, found.views, damage, found.note)
    except VideoError as error:
        task.cache.write_skip(key, skip := _skip(error))
        return skip
    return key


def _decode_video(task: DecodeTask, key: CacheKey, *, keep_truncated: bool = False) -> Decoded:
    # Here, because the process that runs the model has no use for decoders in its memory.
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
    """Prepares videos beside the caller; the arguments are those of the pool."""

    def __init__(self, num_workers: int, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        super().__init__(prepare_clip, num_workers, timeout_seconds)

    def result(self, future: Future[Prepared], argument: DecodeTask) -> Prepared:
        """What became of the video; a decoder that hangs or crashes costs this one video."""
        try:
            return super().result(future, argument)
        except LostError as error:
            return _give_up(argument, str(error))


def _give_up(task: DecodeTask, detail: str) -> Prepared:
    """Skips a video that its process could not skip itself, also in later runs."""
    skip = Skip("unreadable", detail)
    if not (task.path.is_file() or task.path.is_dir()):  # opening a pipe would wait for its writer
        return Prepared(skip)
    try:
        identity, sha256 = FileIdentity.of(task.path), task.sha256 or sha256_of(task.path)
    except (OSError, VideoError):  # nor could it be hashed here
        return Prepared(skip)
    task.cache.write_skip(task.key(sha256), skip)
    return Prepared(skip, identity, sha256)
