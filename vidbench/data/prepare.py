"""One video file becomes a cached clip or a skip, in a worker process of its own.

Workers are spawned, never forked: a fork after TensorFlow has run hangs. They write the cache
themselves and send back a few words, so no array crosses a pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pebble import ProcessExpired, ProcessPool

from vidbench.data.cache import CacheKey, ClipCache
from vidbench.data.hashes import FileIdentity, sha256_of
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError
from vidbench.stopwatch import Stopwatch

_LINGER_SECONDS = 2.0


class Task(NamedTuple):
    """What to prepare, and what of the cache may serve.

    Attributes:
        sha256: The file's hash where it is known.
        overwrite: Decode even if the clip is cached.
        retry: Decode even if the video was skipped before.
    """

    path: Path
    spec: PreprocessSpec
    cache: ClipCache
    sha256: str | None = None
    overwrite: bool = False
    retry: bool = False


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


def prepare_clip(task: Task) -> Prepared:
    """What became of the video; reads, decodes and writes no more than the cache lacks."""
    stopwatch = Stopwatch()
    try:
        with stopwatch("hash"):
            identity = FileIdentity.of(task.path)
            sha256 = task.sha256 or sha256_of(task.path)
    except OSError as error:
        return Prepared(Skip("unreadable", str(error.strerror)), seconds=stopwatch.seconds)
    result = _clip_or_skip(task, CacheKey(sha256, task.spec), stopwatch)
    return Prepared(result, identity, sha256, stopwatch.seconds)


def _clip_or_skip(task: Task, key: CacheKey, stopwatch: Stopwatch) -> CacheKey | Skip:
    if not task.overwrite and task.cache.has(key):
        return key
    if not task.retry and (skip := task.cache.read_skip(key)):
        return skip
    try:
        with stopwatch("decode"):
            # Here, because the process that runs the model has no use for decoders in its memory.
            from vidbench.data.decode import decode_views

            views = decode_views(task.path, task.spec, draw=key.sha256)
        with stopwatch("write_cache"):
            task.cache.write(key, views)
    except VideoError as error:
        skip = Skip(error.reason, " ".join(error.detail.split()))
        task.cache.write_skip(key, skip)
        return skip
    return key


class Workers:
    """Prepares videos beside the caller, started at the first task.

    Args:
        num_workers: Processes; 0 prepares in a thread of this process, which needs no
            ``if __name__ == "__main__"`` in the calling script but shares its fate.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._processes: ProcessPool | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._unfinished: set[Future[Prepared]] = set()
        self._all_submitted = False
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Ends the workers and whatever they are doing, for good; nobody waits for them longer."""
        with self._lock:
            self._closed = True
        self._end_processes(idle=False)
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        for future in list(self._unfinished):  # a stopped pool leaves some without an outcome
            future.cancel()

    def submit(self, task: Task) -> Future[Prepared]:
        """The future result of :func:`prepare_clip`; see :func:`prepared`.

        Raises:
            CancelledError: The workers have been closed.
        """
        with self._lock:
            if self._closed:
                raise CancelledError
            future = self._schedule(task)
            self._unfinished.add(future)
        future.add_done_callback(self._finished)
        return future

    def end_when_done(self) -> None:
        """Ends the processes soon after they have nothing to do; a later task starts new ones."""
        self._all_submitted = True
        self._end_if_done()

    def _finished(self, future: Future[Prepared]) -> None:
        self._unfinished.discard(future)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._all_submitted and self._processes is not None and not self._unfinished:
            # Not here: this may be a thread of the pool, which waits for its threads. And not at
            # once: a process that is just starting would complain that its pool is gone.
            ending = threading.Timer(_LINGER_SECONDS, self._end_processes)
            ending.daemon = True
            ending.start()

    def _end_processes(self, *, idle: bool = True) -> None:
        with self._lock:
            if idle and self._unfinished:
                return
            processes, self._processes = self._processes, None
            if processes is not None:  # whoever closes meanwhile waits for this end
                processes.stop()  # type: ignore[no-untyped-call]
                processes.join()

    def _schedule(self, task: Task) -> Future[Prepared]:
        if self.num_workers == 0:
            self._thread = self._thread or ThreadPoolExecutor(1)
            return self._thread.submit(prepare_clip, task)
        if self._processes is None:
            self._processes = ProcessPool(
                max_workers=self.num_workers,
                context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
            )
        future: Future[Prepared] = self._processes.schedule(prepare_clip, args=[task])
        return future


def prepared(future: Future[Prepared]) -> Prepared:
    """The result, once it is there; a decoder that took its process down costs this one video."""
    try:
        return future.result()
    except ProcessExpired as error:
        detail = f"the decoder's process ended with exit code {error.exitcode}"
        return Prepared(Skip("unreadable", detail))


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)  # one thread a worker: there are as many workers as cores
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker if the run is killed, which leaves nobody to stop its workers."""
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
    os._exit(1)
