"""Stop signals: they end a run after the current batch, or at once if no batch is in progress."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

from vidbench.errors import StoppedError
from vidbench.terminal.progress import bar_is_up, on_terminal

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_GRACE_SECONDS = 1.5  # for closing files; a download may hang for longer
_TICK_SECONDS = 0.1
_ECHO_SECONDS = 0.5  # GNU timeout signals the process and then its group, so it arrives twice


class _Interrupt(KeyboardInterrupt):
    """Ends the block; a plain KeyboardInterrupt inside an exec would end Python by the signal."""


class _Stop:
    """State of the block in :func:`handle_stop_signals`.

    Attributes:
        number: The signal, once the main thread has received it; else None.
        asked: Whether a signal has arrived; set at once.
        progress: Videos done, and of how many; None until known.
        busy: Whether something in progress has to be finished first.
    """

    def __init__(self, resume: Callable[[bool], str]) -> None:
        self.number: int | None = None
        self.asked = False
        self.progress: tuple[int, int] | None = None
        self.busy = False
        self._resume = resume
        self._stderr = os.dup(2)  # imported libraries may redirect the original

    def message(self) -> str:
        name = signal.Signals(self.number or signal.SIGINT).name
        begun = self.progress is not None
        so_far = "{} of {} videos are done" if begun else "no video was predicted yet"
        state = so_far.format(*self.progress or ())
        return f"stopped by {name}: {state}; to go on: {self._resume(begun)}"

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handle a signal in the main thread, once calls into C code have returned."""
        first, self.number = self.number is None, self.number or number
        if first and not self.busy:
            raise _Interrupt

    def check(self) -> None:
        """End the block if a signal arrived."""
        if self.number is not None:
            raise _Interrupt

    def watch(self, arrivals: socket.socket) -> None:
        """End the process if it takes too long to stop, or if a second signal arrives.

        Args:
            arrivals: Receives a byte for every signal, even if the main thread is busy; closed
                when the block ends.
        """
        number = arrivals.recv(1)
        if not number:
            return
        self.asked = True
        begun, idle = time.monotonic(), 0.0
        while idle < _GRACE_SECONDS:
            if select.select([arrivals], [], [], _TICK_SECONDS)[0]:
                if not arrivals.recv(1):
                    return
                if time.monotonic() - begun > _ECHO_SECONDS:
                    break
            elif not self.busy:
                idle += _TICK_SECONDS
        self._leave(number[0])

    def _leave(self, number: int) -> None:
        self.number = self.number or number
        text = f"{_line_start()}vidbench: {self.message()}\n"
        os.write(self._stderr, text.encode(errors="replace"))
        _kill_children()
        os._exit(128 + self.number)

    def close(self) -> None:
        os.close(self._stderr)


def _kill_children() -> None:
    """End all child processes, including those just starting, which would not notice our end."""
    import psutil

    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "resource_tracker" not in " ".join(child.cmdline()):  # it cleans up after us
                child.kill()


_current: _Stop | None = None


@contextmanager
def handle_stop_signals(resume: Callable[[bool], str]) -> Iterator[None]:
    """End the block on SIGINT, SIGTERM or SIGHUP, after finishing work in progress.

    The block must be safe against a kill: if it does not end soon, or a second signal arrives, the
    process ends immediately. Signals that were ignored before stay ignored.

    Args:
        resume: Returns the command to continue with, given whether the run's folder was begun.

    Raises:
        StoppedError: A signal arrived.
    """
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    _current = stop = _Stop(resume)
    try:
        with _handled(stop):
            yield
    except KeyboardInterrupt:
        sys.stderr.write(_line_start())
        raise StoppedError(stop.message(), stop.number or signal.SIGINT) from None
    finally:
        _current = None
        stop.close()


@contextmanager
def _handled(stop: _Stop) -> Iterator[None]:
    arrivals, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    watcher = threading.Thread(target=stop.watch, args=[arrivals], daemon=True)
    watcher.start()
    awake = signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    taken = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop.receive) for number in taken}
    unraisable, sys.unraisablehook = sys.unraisablehook, _say_unless_interrupted
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(awake)
        wakeup.close()
        watcher.join()  # if it is ending the process, print nothing in between
        arrivals.close()


def _say_unless_interrupted(lost: Any) -> None:
    """Suppress the traceback that Python prints if an interrupt arrives in a finalizer."""
    if not isinstance(lost.exc_value, _Interrupt):
        sys.__unraisablehook__(lost)


def _line_start() -> str:
    """Characters that move a terminal to the start of a line, past a bar or ``^C``."""
    return "\n" if bar_is_up() else "\r" if on_terminal() else ""


def stop_asked() -> bool:
    """Whether a stop signal has arrived; it may also have ended workers."""
    return _current is not None and _current.asked


def note_progress(done: int, total: int) -> None:
    """Record how many videos are done, for the message on a signal."""
    if _current is not None:
        _current.progress = done, total


@contextmanager
def finish_before_stopping() -> Iterator[None]:
    """Delay a first signal until the end of this block, inside :func:`handle_stop_signals`."""
    stop = _current
    if stop is None:
        yield
        return
    stop.busy = True
    try:
        stop.check()  # an earlier exception may have been lost, e.g. in a finalizer
        yield
    finally:
        stop.busy = False
    stop.check()


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore the signal handlers after the block, e.g. around a library that changes them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not set by Python, and cannot be restored
                signal.signal(number, handler)


@contextmanager
def block_signals_in_children() -> Iterator[None]:
    """Block terminal signals in threads and processes that are started within the block.

    A terminal sends SIGINT and SIGHUP to all processes of a command. A process that is still
    starting cannot ignore them yet, and would end with a traceback.
    """
    if sys.platform == "win32":
        yield
        return
    hidden = {signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, hidden)
    try:
        resource_tracker.ensure_running()  # if started later, it would unblock SIGINT
        signal.pthread_sigmask(signal.SIG_BLOCK, hidden)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
