"""ClipSource: clips of records in order, from the cache or decoded ahead of time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.clips.prepare import DecodeTask, Prepared, Workers, clip_key
from vidbench.data.records import Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError
from vidbench.storage.hashes import HashMemory
from vidbench.storage.locations import Location, working_folder
from vidbench.storage.store import open_store
from vidbench.system.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachePolicy:
    """Which cache entries are replaced.

    Attributes:
        overwrite: Decode every requested clip again.
        retry_skipped: Try skipped videos again.
        score_truncated: Use the decodable frames of truncated videos.
    """

    overwrite: bool = False
    retry_skipped: bool = False
    score_truncated: bool = False


class _PendingClip(NamedTuple):
    """A video that is being prepared, with the cleanup of its local copy, if any."""

    task: DecodeTask
    future: Future[Prepared]
    copied: ExitStack


_Begun = CacheKey | Skip | _PendingClip

MISSING = Skip("missing", "there is no such file: not fetched, or removed since")


class ClipSource:
    """Clips with one spec of the videos below one folder; constructing it does no I/O.

    Args:
        folder: Folder of the videos, which the records' paths are relative to; it may be remote.
        spec: Preprocessing of the clips.
        cache_dir: Folder of decoded clips and of the hashes of video files; it may be remote.
        policy: Which cache entries are replaced.
        compression: Compression of new clips, ``zstd`` or None.
        hashes: SQLite file with the hashes of video files; None for one beside the clips.

    Attributes:
        work: Time spent on clips, summed over all workers.
        cache_bytes: Size on disk of the clips read so far.
    """

    def __init__(
        self,
        folder: Location,
        spec: PreprocessSpec,
        cache_dir: Location,
        policy: CachePolicy,
        compression: str | None = None,
        hashes: Path | None = None,
    ) -> None:
        self.spec = spec
        self.work = Stopwatch()
        self.cache_bytes = 0
        self._notes: dict[CacheKey, str] = {}
        self._damages: dict[CacheKey, Skip] = {}
        self._videos = open_store(folder)
        self._policy = policy
        self._cache = ClipCache(cache_dir, compression)
        self._hashes = HashMemory(hashes or working_folder(cache_dir) / "files.sqlite")

    def sweep(self) -> None:
        """Remove partial files that killed workers left in the cache."""
        self._cache.sweep()

    def is_cached(self, record: VideoRecord) -> bool:
        """Whether the clip of this video is in the cache."""
        key = self._known_key(record)
        return key is not None and self._cache.has(key)

    def known_key(self, record: VideoRecord) -> CacheKey | None:
        """Cache key of the video's clip; None unless its file was hashed before and is unchanged.

        Also None if all clips are to be decoded again.
        """
        if self._policy.overwrite:
            return None
        return self._known_key(record)

    def skip_is_final(self, record: VideoRecord) -> bool:
        """Whether a skipped video need not be tried again: unchanged, and no retry requested."""
        if not _is_there(self._file(record), record):
            return True
        if self._policy.retry_skipped:
            return False
        key = self._known_key(record)
        return key is not None and isinstance(self._find(key), Skip)

    def damage(self, result: CacheKey) -> Skip | None:
        """The skip of a truncated video whose clip was read and is scored anyway."""
        return self._damages.get(result)

    def note(self, result: CacheKey) -> str:
        """Anomaly of the video whose clip was read; usually empty."""
        return self._notes.get(result, "")

    def prepare(
        self, records: Sequence[VideoRecord], workers: Workers, lookahead: int
    ) -> Iterator[CacheKey | Skip]:
        """Cache key of each video's clip, or why it is skipped, in order; starts immediately.

        Args:
            records: The videos.
            workers: Processes that decode clips missing from the cache.
            lookahead: Number of videos to decode ahead, on top of those that keep the workers
                busy.
        """
        waiting = iter(records)
        first = islice(waiting, 1 + lookahead + 2 * workers.num_workers)
        begun = deque(self._begin(record, workers) for record in first)
        return self._results(begun, waiting, workers)

    def _results(
        self,
        window: deque[_Begun],
        waiting: Iterator[VideoRecord],
        workers: Workers,
    ) -> Iterator[CacheKey | Skip]:
        while window:
            begun = window.popleft()
            result = self._finish(begun, workers) if isinstance(begun, _PendingClip) else begun
            following = next(waiting, None)
            if following is None:
                workers.end_when_done()
            else:
                window.append(self._begin(following, workers))
            yield result

    def read(self, record: VideoRecord, result: CacheKey | Skip, workers: Workers) -> Views | Skip:
        """Return the clip that :meth:`prepare` cached; decode it again if damaged or pruned.

        A clip that is pruned again before it is read is decoded into a private folder.
        """
        views = self._read_kept(result)
        if views is None:
            views = self._read_kept(self._decode(record, workers, self._cache))
        if views is None:
            with TemporaryDirectory(prefix="vidbench-clip-") as folder:
                private = ClipCache(Path(folder))
                again = self._decode(record, workers, private)
                views = again if isinstance(again, Skip) else self._read(again, private)
        return views

    def _read_kept(self, result: CacheKey | Skip) -> Views | Skip | None:
        """The clip, or why there is none; None if the cache no longer has it intact."""
        if isinstance(result, Skip):
            return result
        try:
            with self.work("read_cache"):
                return self._read(result, self._cache)
        except CacheError as error:
            logger.warning("%s; decoding it again", error)
            return None

    def _read(self, key: CacheKey, cache: ClipCache) -> Views:
        views, note, num_bytes = cache.read_noted(key)
        if note:
            self._notes[key] = note
        if self._policy.score_truncated and (damage := cache.damage(key)):
            self._damages[key] = damage
        self.cache_bytes += num_bytes
        return views

    def _decode(self, record: VideoRecord, workers: Workers, cache: ClipCache) -> CacheKey | Skip:
        begun = self._begin_decoding(record, workers, cache, overwrite=True)
        return self._finish(begun, workers) if isinstance(begun, _PendingClip) else begun

    def _begin(self, record: VideoRecord, workers: Workers) -> _Begun:
        """Return the cached clip's key, or start decoding; a missing video is skipped."""
        key = self._known_key(record)
        if key and not self._policy.overwrite and isinstance(self._find(key), CacheKey):
            logger.debug("%s is cached", record.path)
            return key
        return self._begin_decoding(record, workers, self._cache, overwrite=self._policy.overwrite)

    def _begin_decoding(
        self, record: VideoRecord, workers: Workers, cache: ClipCache, *, overwrite: bool
    ) -> _PendingClip | Skip:
        copied = ExitStack()
        try:
            file = copied.enter_context(self._videos.local_copy((record.path or Path()).as_posix()))
        except FileNotFoundError:
            return MISSING
        if not _is_there(file, record):
            return MISSING
        task = self._task(record, file, cache, overwrite=overwrite)
        return _PendingClip(task, workers.submit(task), copied)

    def _finish(self, work: _PendingClip, workers: Workers) -> CacheKey | Skip:
        with work.copied:
            outcome = workers.result(work.future, work.task)
        self.work.add(outcome.seconds)
        if outcome.identity and outcome.sha256 and work.task.path.exists():
            self._hashes.remember(work.task.path, outcome.identity, outcome.sha256)
        _log(work.task.path, outcome)
        return outcome.result

    def _find(self, key: CacheKey) -> CacheKey | Skip | None:
        return self._cache.find(key, score_truncated=self._policy.score_truncated)

    def _task(
        self, record: VideoRecord, file: Path, cache: ClipCache, *, overwrite: bool
    ) -> DecodeTask:
        return DecodeTask(
            file,
            self.spec,
            cache,
            self._known_hash(file),
            overwrite=overwrite,
            retry=self._policy.retry_skipped,
            score_truncated=self._policy.score_truncated,
            section=record.section,
            frames=record.frames,
        )

    def _file(self, record: VideoRecord) -> Path:
        """The record's file; the folder of videos itself if the record has no path."""
        return self._videos.local / (record.path or "")

    def _known_key(self, record: VideoRecord) -> CacheKey | None:
        sha256 = self._known_hash(self._file(record)) if record.path else None
        return clip_key(sha256, self.spec, record.section, record.frames) if sha256 else None

    def _known_hash(self, file: Path) -> str | None:
        try:
            return self._hashes.recall(file)
        except OSError:
            return None


def _is_there(path: Path, record: VideoRecord) -> bool:
    return path.is_file() if record.frames is None else path.is_dir()


def _log(file: Path, outcome: Prepared) -> None:
    result, seconds = outcome.result, outcome.seconds.get("decode")
    if isinstance(result, Skip):
        logger.debug("%s is skipped, %s: %s", file.name, result.reason, result.detail)
    elif seconds is None:
        logger.debug("%s is cached already", file.name)
    else:
        logger.debug("%s decoded in %.3f s", file.name, seconds)
