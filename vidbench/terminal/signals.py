"""Signals that ask a run to stop: between two batches, or at once where none is in work."""

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
_GRACE_SECONDS = 1.5  # to close what is open; a download may hang for longer
_TICK_SECONDS = 0.1
_ECHO_SECONDS = 0.5  # GNU timeout signals the process, and then its group, so that it comes twice


class _Interrupt(KeyboardInterrupt):
    """Ends the block; Python itself dies of the signal for a KeyboardInterrupt seen in an exec."""


class _Stop:
    """What signals have asked of the block in :func:`handle_stop_signals`.

    Attributes:
        number: The signal that asked, or None; known once the main thread has received it.
        asked: A signal has arrived; known at once.
        progress: Videos done, and of how many; None until it is known.
        busy: Something is in work that is to be finished first.
    """

    def __init__(self, resume: Callable[[bool], str]) -> None:
        self.number: int | None = None
        self.asked = False
        self.progress: tuple[int, int] | None = None
        self.busy = False
        self._resume = resume
        self._stderr = os.dup(2)  # libraries that are imported may redirect the original

    def message(self) -> str:
        name = signal.Signals(self.number or signal.SIGINT).name
        begun = self.progress is not None
        so_far = "{} of {} videos are done" if begun else "no video was predicted yet"
        told = so_far.format(*self.progress or ())
        return f"stopped by {name}: {told}; to go on: {self._resume(begun)}"

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handles a signal in the main thread, as soon as no call into C keeps it."""
        first, self.number = self.number is None, self.number or number
        if first and not self.busy:
            raise _Interrupt

    def check(self) -> None:
        """Ends the block if a signal came."""
        if self.number is not None:
            raise _Interrupt

    def watch(self, arrivals: socket.socket) -> None:
        """Ends the process where it takes too long to stop, or a second signal comes.

        Args:
            arrivals: Gives a byte for every signal, whatever the main thread is doing; its end
                says that the block has ended.
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
    """Ends all child processes, also one that is just being started and would miss its parent."""
    import psutil

    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "resource_tracker" not in " ".join(child.cmdline()):  # which cleans up after us
                child.kill()


_current: _Stop | None = None


@contextmanager
def handle_stop_signals(resume: Callable[[bool], str]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the block, but let what is in work be finished.

    Whatever the block does must be safe against a kill: where it does not end soon, or a second
    signal comes, the process ends on the spot. Signals that were ignored before stay ignored.

    Args:
        resume: The command that goes on, given whether the run's folder was begun.

    Raises:
        StoppedError: A signal came.
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
        watcher.join()  # where it is just ending the process, nobody speaks beside it
        arrivals.close()


def _say_unless_interrupted(lost: Any) -> None:
    """Python cannot raise within finalizers, and would print a traceback instead."""
    if not isinstance(lost.exc_value, _Interrupt):
        sys.__unraisablehook__(lost)


def _line_start() -> str:
    """What takes a terminal to the beginning of a line, where it may show a bar, or ``^C``."""
    return "\n" if bar_is_up() else "\r" if on_terminal() else ""


def stop_asked() -> bool:
    """Whether a signal asks the run to stop; it may have ended workers, who are not to blame."""
    return _current is not None and _current.asked


def note_progress(done: int, total: int) -> None:
    """Keeps how many videos are done, to be said if a signal comes."""
    if _current is not None:
        _current.progress = done, total


@contextmanager
def finish_before_stopping() -> Iterator[None]:
    """A first signal ends the run after this block, inside :func:`handle_stop_signals`."""
    stop = _current
    if stop is None:
        yield
        return
    stop.busy = True
    try:
        stop.check()  # the exception may have been lost, e.g. in a finalizer
        yield
    finally:
        stop.busy = False
    stop.check()


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Whatever a library does with signals meanwhile, afterwards they are handled as before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # else it was not set by Python, and cannot be
                signal.signal(number, handler)


@contextmanager
def block_signals_in_children() -> Iterator[None]:
    """Threads and processes that are started meanwhile get no signal of a terminal.

    A terminal sends SIGINT and SIGHUP to all processes of a command. One that is still starting
    cannot ignore them itself, and would end with a traceback.
    """
    if sys.platform == "win32":
        yield
        return
    hidden = {signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, hidden)
    try:
        resource_tracker.ensure_running()  # it would be started later, and let SIGINT through
        signal.pthread_sigmask(signal.SIG_BLOCK, hidden)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
