"""Records become clips: from the cache where it has them, else decoded, in order and ahead."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vidbench.data.cache import CacheKey, ClipCache
from vidbench.data.hashes import HashMemory
from vidbench.data.prepare import Prepared, Task, Workers, prepared
from vidbench.data.records import Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError
from vidbench.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachePolicy:
    """Which of the cache's entries are made anew.

    Attributes:
        overwrite: Decode again what is read.
        retry_skipped: Try skipped videos again.
    """

    overwrite: bool = False
    retry_skipped: bool = False


_Pair = tuple[VideoRecord, "Future[Prepared]"]


class ClipSource:
    """Clips of videos below one folder, by one spec; constructing it does no I/O.

    Args:
        folder: The records' paths are relative to it.
        spec: What is done to pixels.
        cache_dir: Decoded clips, and the hashes of video files.
        policy: Which of the cache's entries are made anew.
        compression: How clips are written, ``zstd`` or None.

    Attributes:
        work: Seconds spent on clips, in all workers together.
        cache_bytes: Of the clips read so far, on disk.
    """

    def __init__(
        self,
        folder: Path,
        spec: PreprocessSpec,
        cache_dir: Path,
        policy: CachePolicy,
        compression: str | None = None,
    ) -> None:
        self.spec = spec
        self.work = Stopwatch()
        self.cache_bytes = 0
        self._folder = folder
        self._policy = policy
        self._cache = ClipCache(cache_dir, compression)
        self._hashes = HashMemory(cache_dir / "files.sqlite")

    def sweep(self) -> None:
        """Removes what killed workers left of clips half written."""
        self._cache.sweep()

    def is_cached(self, path: Path) -> bool:
        """Whether the clip of this video, relative to the folder, is in the cache."""
        key = self._known_key(self._folder / path)
        return key is not None and self._cache.has(key)

    def skip_stands(self, record: VideoRecord) -> bool:
        """Whether this skipped video need not be tried again: nothing changed, nobody asked."""
        if not self._file(record).is_file():
            return True
        if self._policy.retry_skipped:
            return False
        key = self._known_key(self._file(record))
        return key is not None and self._cache.read_skip(key) is not None

    def prepare(
        self, records: Sequence[VideoRecord], workers: Workers, lookahead: int
    ) -> Iterator[CacheKey | Skip]:
        """Where the clip of each video is, or why there is none, in order; begins at once.

        Args:
            records: The videos.
            workers: Decode what the cache lacks.
            lookahead: How many later videos are decoded meanwhile, beside those that keep the
                workers busy.
        """
        waiting = iter(records)
        first = islice(waiting, 1 + lookahead + 2 * workers.num_workers)
        return self._results(deque(self._pairs(first, workers)), waiting, workers)

    def _results(
        self, window: deque[_Pair], waiting: Iterator[VideoRecord], workers: Workers
    ) -> Iterator[CacheKey | Skip]:
        while window:
            result = self._finish(*window.popleft())
            begun = list(self._pairs(islice(waiting, 1), workers))
            if not begun:
                workers.end_when_done()
            window.extend(begun)
            yield result

    def _pairs(self, records: Iterable[VideoRecord], workers: Workers) -> Iterator[_Pair]:
        return ((record, self._begin(record, workers)) for record in records)

    def read(self, record: VideoRecord, result: CacheKey | Skip, workers: Workers) -> Views | Skip:
        """The clip that :meth:`prepare` left; one that turns out damaged is decoded again."""
        if isinstance(result, Skip):
            return result
        try:
            with self.work("read_cache"):
                return self._read(result)
        except CacheError as error:
            logger.warning("%s; decoding it again", error)
        again = prepared(workers.submit(self._task(self._file(record), result, overwrite=True)))
        self.work.add(again.seconds)
        return again.result if isinstance(again.result, Skip) else self._read(again.result)

    def _read(self, key: CacheKey) -> Views:
        views = self._cache.read(key)
        self.cache_bytes += self._cache.num_bytes(key)
        return views

    def _begin(self, record: VideoRecord, workers: Workers) -> Future[Prepared]:
        """The future of one video; known at once if the video is missing or its clip cached."""
        file = self._file(record)
        if not file.is_file():
            return _done(
                Prepared(Skip("missing", "not in the tarballs, or its file was removed since"))
            )
        key = self._known_key(file)
        if key and self._cache.has(key) and not self._policy.overwrite:
            return _done(Prepared(key))
        return workers.submit(self._task(file, key, overwrite=self._policy.overwrite))

    def _finish(self, record: VideoRecord, future: Future[Prepared]) -> CacheKey | Skip:
        outcome = prepared(future)
        self.work.add(outcome.seconds)
        if outcome.identity and outcome.sha256:
            self._hashes.remember(self._file(record), outcome.identity, outcome.sha256)
        return outcome.result

    def _task(self, file: Path, key: CacheKey | None, *, overwrite: bool) -> Task:
        return Task(
            file,
            self.spec,
            self._cache,
            sha256=key.sha256 if key else None,
            overwrite=overwrite,
            retry=self._policy.retry_skipped,
        )

    def _file(self, record: VideoRecord) -> Path:
        """The record's file; the folder itself, which is no file, where it has none."""
        return self._folder / (record.path or "")

    def _known_key(self, file: Path) -> CacheKey | None:
        try:
            sha256 = self._hashes.recall(file)
        except OSError:
            return None
        return CacheKey(sha256, self.spec) if sha256 else None


def _done(outcome: Prepared) -> Future[Prepared]:
    future: Future[Prepared] = Future()
    future.set_result(outcome)
    return future
