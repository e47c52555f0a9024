"""Process untrusted files in workers that may crash, hang, or use too much memory.

Workers are spawned, never forked: a fork after TensorFlow has run hangs.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from vidbench.terminal.signals import stop_asked

logger = logging.getLogger(__name__)

Argument = TypeVar("Argument")
Result = TypeVar("Result")

MEMORY_BYTES = 2 << 30
"""Memory limit of a worker: all reference frames of H.264 at the largest decoded size."""

DEFAULT_TIMEOUT_SECONDS = 300.0
"""Limit for one video; two minutes of 1080p take about one minute."""

_LINGER_SECONDS = 2.0
_POLL_SECONDS = 1.0
_TRIES = 10


class LostError(Exception):
    """A task crashed its process twice, or took too long; the message says which."""


class Pool(Generic[Argument, Result]):
    """Applies a function to arguments in worker processes, which start with the first argument.

    Args:
        function: A function at the top level of a module, so that workers can import it.
        num_workers: Number of processes; 0 means a thread of this process, which needs no
            ``if __name__ == "__main__"`` in the calling script, but has no limits on time and
            memory, and a crash ends the run.
        timeout_seconds: Limit for one argument; a process that takes longer is replaced.
    """

    def __init__(
        self,
        function: Callable[[Argument], Result],
        num_workers: int,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self.num_workers = num_workers
        self._function = function
        self._timeout_seconds = timeout_seconds
        self._processes: ProcessPool | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._unfinished: set[Future[Result]] = set()
        self._all_submitted = False
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Stop the workers at once, for good; their results are cancelled."""
        with self._lock:
            self._closed = True
        self._end_processes(idle=False)
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        for future in list(self._unfinished):  # a stopped pool leaves some without an outcome
            future.cancel()

    def submit(self, argument: Argument) -> Future[Result]:
        """Schedule a call and return its future; see :meth:`result`.

        Raises:
            CancelledError: The workers have been closed.
        """
        with self._lock:
            if self._closed:
                raise CancelledError
            future = self._schedule(argument)
            self._unfinished.add(future)
        future.add_done_callback(self._finished)
        return future

    def end_when_done(self) -> None:
        """End the processes soon after they are idle; a later task starts new ones."""
        self._all_submitted = True
        self._end_if_done()

    def _finished(self, future: Future[Result]) -> None:
        self._unfinished.discard(future)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._all_submitted and self._processes is not None and not self._unfinished:
            # In another thread: this may be a thread of the pool, which waits for its threads. And
            # later: a process that is just starting would print an error if its pool is gone.
            ending = threading.Timer(_LINGER_SECONDS, self._end_processes)
            ending.daemon = True
            ending.start()

    def _end_processes(self, *, idle: bool = True) -> None:
        with self._lock:
            if idle and self._unfinished:
                return
            self._stop_processes()  # a concurrent close waits for this

    def _stop_processes(self) -> None:
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.stop()  # type: ignore[no-untyped-call]
            processes.join()

    def _is_broken(self) -> bool:
        """Whether the pool has ended itself, because an idle process crashed."""
        return self._processes is not None and not self._processes.active

    def _schedule(self, argument: Argument) -> Future[Result]:
        if self.num_workers == 0:
            self._thread = self._thread or ThreadPoolExecutor(1)
            return self._thread.submit(self._function, argument)
        if self._is_broken():
            self._stop_processes()
        if self._processes is None:
            logger.debug("starting %d processes", self.num_workers)
            self._processes = ProcessPool(
                max_workers=self.num_workers,
                context=multiprocessing.get_context("spawn"),
                initializer=start_worker,
            )
        future: Future[Result] = self._processes.schedule(
            self._function, args=[argument], timeout=self._timeout_seconds
        )
        return future

    def result(self, future: Future[Result], argument: Argument) -> Result:
        """Wait for the result for this argument.

        A process that crashed is replaced, and the argument is tried once more: the cause may be
        external, such as a system short of memory.

        Raises:
            LostError: It crashed again, or took too long.
            CancelledError: The run has to stop, or the pool was closed.
        """
        crashes = 0
        for _ in range(_TRIES):
            try:
                return self._await(future)
            except FutureTimeoutError as error:
                detail = f"decoding takes longer than {self._timeout_seconds:g} s"
                raise LostError(detail) from error
            except BrokenProcessPool:
                future = self.submit(argument)
            except ProcessExpired as error:
                if stop_asked():  # the signal may have ended the worker too
                    raise CancelledError from error
                detail = f"the decoder's process ended with exit code {error.exitcode}"
                if crashes:
                    raise LostError(f"{detail}, twice") from error
                crashes += 1
                logger.warning("%s; trying again", detail)
                future = self.submit(argument)
        raise LostError(f"processes ended {_TRIES} times before they came to it")

    def _await(self, future: Future[Result]) -> Result:
        # Not concurrent.futures.wait: it waits forever for a future that was cancelled after its
        # pool had ended, because there is no notification.
        while not _is_done(future):
            if self._is_broken():  # then some futures never get an outcome
                raise BrokenProcessPool
        return future.result()


def _is_done(future: Future[Any]) -> bool:
    """Whether the future has an outcome, after waiting for it for a second."""
    with suppress(FutureTimeoutError, CancelledError):
        future.exception(_POLL_SECONDS)
    return future.done()


def start_worker() -> None:
    """Make this process a worker: one thread, limited memory, ending with its parent."""
    import cv2

    cv2.setNumThreads(1)  # one thread per worker: there are as many workers as cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the workers too
    with suppress(ValueError, OSError):  # not all systems have this limit
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker if the run is killed and cannot stop its workers."""
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
    os._exit(1)
