"""Work on files from the wild, in processes that may crash, hang, or want too much memory.

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
"""What a worker may have: all that H.264 may refer to, in frames of the largest size decoded."""

DEFAULT_TIMEOUT_SECONDS = 300.0
"""For one video; a 1080p file of two minutes takes about one."""

_LINGER_SECONDS = 2.0
_POLL_SECONDS = 1.0
_TRIES = 10


class LostError(Exception):
    """A task took its process down, twice, or too long; the message says which."""


class Pool(Generic[Argument, Result]):
    """Applies one function to arguments beside the caller; started at the first of them.

    Args:
        function: A module's, so that other processes find it.
        num_workers: Processes; 0 means a thread of this process, which needs no
            ``if __name__ == "__main__"`` in the calling script but shares its fate: there is no
            limit on time and memory then, and a crash ends the run.
        timeout_seconds: For one argument; a process that takes longer is replaced.
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
        """Ends the workers and whatever they are doing, for good; nobody waits for them longer."""
        with self._lock:
            self._closed = True
        self._end_processes(idle=False)
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        for future in list(self._unfinished):  # a stopped pool leaves some without an outcome
            future.cancel()

    def submit(self, argument: Argument) -> Future[Result]:
        """The future result of the function; see :meth:`result`.

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
        """Ends the processes soon after they have nothing to do; a later task starts new ones."""
        self._all_submitted = True
        self._end_if_done()

    def _finished(self, future: Future[Result]) -> None:
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
            self._stop_processes()  # whoever closes meanwhile waits for this end

    def _stop_processes(self) -> None:
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.stop()  # type: ignore[no-untyped-call]
            processes.join()

    def _is_broken(self) -> bool:
        """Whether the pool has ended itself: it does where a process goes down without a task."""
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
        """The result for this argument, once it is there.

        A process that went down is replaced, and the argument tried once more: something else
        may have ended it, such as a system short of memory.

        Raises:
            LostError: It went down again, or it takes too long.
            CancelledError: The run is to stop, or the pool was closed.
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
                if stop_asked():  # whoever asked may have asked the workers too
                    raise CancelledError from error
                detail = f"the decoder's process ended with exit code {error.exitcode}"
                if crashes:
                    raise LostError(f"{detail}, twice") from error
                crashes += 1
                logger.warning("%s; trying again", detail)
                future = self.submit(argument)
        raise LostError(f"processes ended {_TRIES} times before they came to it")

    def _await(self, future: Future[Result]) -> Result:
        # Not concurrent.futures.wait: it goes on waiting for a future that was cancelled after
        # its pool had ended, because nobody is left to notify it.
        while not _is_done(future):
            if self._is_broken():  # which leaves some futures without an outcome
                raise BrokenProcessPool
        return future.result()


def _is_done(future: Future[Any]) -> bool:
    """Whether the future has an outcome, or gets one soon."""
    with suppress(FutureTimeoutError, CancelledError):
        future.exception(_POLL_SECONDS)
    return future.done()


def start_worker() -> None:
    """Makes this process a worker: one thread, limited memory, no longer alive than its parent."""
    import cv2

    cv2.setNumThreads(1)  # one thread a worker: there are as many workers as cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the workers too
    with suppress(ValueError, OSError):  # not every system has such a limit
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker if the run is killed, which leaves nobody to stop its workers."""
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
    os._exit(1)
