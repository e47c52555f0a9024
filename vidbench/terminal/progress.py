"""Progress of a stage: a bar on a terminal, otherwise occasional log lines."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO

from tqdm import tqdm

logger = logging.getLogger(__name__)

Advance = Callable[[int], None]
"""Called with the amount of additional work done; safe in any thread."""

_NOTICE_SECONDS = 2.0  # shorter stages get no line at the start
_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 600.0
_SPARE_COLUMNS = 3  # room for a typed ^C on the same line
_NARROWEST = 10
_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")

_screen = threading.Lock()  # held while a bar is shown: there can be only one


@contextmanager
def progress(
    stage: str,
    total: int | None,
    unit: str = "videos",
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Show the progress of a stage; yields a function to report additional work done.

    A terminal shows one bar, which stays after the stage. Elsewhere, and for a stage within another
    one, lines are logged: after two seconds, then at intervals of :func:`pause_after`, and at the
    end. A stage that fails ends without a line.

    Args:
        stage: Its name, e.g. ``decode``.
        total: Amount of work; None if unknown; nothing is shown if it is 0.
        unit: Unit of the work; ``B`` for bytes.
        clock: Clock in seconds, which decides when a line is due.
    """
    if total == 0:
        yield lambda _: None
    elif on_terminal() and _screen.acquire(blocking=False):
        try:
            with _bar(stage, total, unit) as advance:
                yield advance
        finally:
            _screen.release()
    else:
        with _lines(stage, Tally(total, unit, clock)) as advance:
            yield advance


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether this stream, by default standard error, is a terminal with cursor control."""
    stream = stream or sys.stderr
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def above_bar(stream: TextIO) -> AbstractContextManager[Any]:
    """Context in which whole lines may be written to the stream, above the bar."""
    return tqdm.external_write_mode(file=stream) if bar_is_up() else nullcontext()


def bar_is_up() -> bool:
    """Whether a bar is shown, with the cursor after it."""
    return _screen.locked()


def pause_after(seconds: float) -> float:
    """Seconds until the next line of a stage that has taken ``seconds`` so far.

    30 s for the first ten minutes, then a twentieth of the elapsed time, at most ten minutes. So a
    run of fourteen hours logs about 150 lines.
    """
    return min(max(seconds / 20, _PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)


class Tally:
    """Counts the work done in a stage, and describes it.

    Args:
        total: Amount of work; None if unknown.
        unit: Unit of the work; ``B`` for bytes.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self, total: int | None, unit: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.done = 0
        self._total = total
        self._unit = unit
        self._clock = clock
        self._start = clock()
        self._seen = deque([(self._start, 0)], maxlen=5)  # so that old rates are forgotten

    def seconds(self) -> float:
        """Elapsed time of the stage in seconds."""
        return self._clock() - self._start

    def state(self) -> str:
        """E.g. ``48 of 112 videos (43 %), 131.2 videos/s, 0:01 left``.

        The rate is measured since the fourth call before this one, or since the beginning.
        """
        now = self._clock()
        (before, done_before) = self._seen[0]
        self._seen.append((now, self.done))
        rate = (self.done - done_before) / max(now - before, 1e-9)
        parts = [self._amounts()]
        if self.done:
            parts.append(self._rate(rate))
        if self._total is not None and rate > 0:
            parts.append(f"{_clock_time((self._total - self.done) / rate)} left")
        return ", ".join(parts)

    def result(self) -> str:
        """E.g. ``112 videos in 2.1 s, 52.1 videos/s``."""
        seconds = max(self.seconds(), 1e-9)
        took = f"{seconds:.1f} s" if seconds < 59.95 else _clock_time(seconds)
        return f"{self._amount(self.done)} in {took}, {self._rate(self.done / seconds)}"

    def _amounts(self) -> str:
        if self._total is None:
            return self._amount(self.done)
        done = format_bytes(self.done) if self._unit == "B" else str(self.done)
        percent = 100 * self.done // max(self._total, 1)
        return f"{done} of {self._amount(self._total)} ({percent} %)"

    def _amount(self, number: int) -> str:
        return format_bytes(number) if self._unit == "B" else f"{number} {self._unit}"

    def _rate(self, rate: float) -> str:
        if self._unit == "B":
            return f"{format_bytes(rate)}/s"
        digits = f"{rate:.1f}" if rate >= 9.95 else f"{rate:#.2g}"
        return f"{digits} {self._unit}/s"


def format_bytes(number: float) -> str:
    """E.g. ``1.50 GB``: three digits, and units of 1000."""
    power = 0
    while abs(number) >= 999.5 and power < len(_BYTES) - 1:
        number, power = number / 1000, power + 1
    digits = f"{number:#.3g}".rstrip(".") if power else f"{number:.0f}"
    return f"{digits} {_BYTES[power]}"


def _clock_time(seconds: float) -> str:
    """E.g. ``0:07`` or ``13:05:59``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _bar(stage: str, total: int | None, unit: str) -> Iterator[Advance]:
    lock = threading.Lock()
    is_bytes = unit == "B"
    shown = unit if is_bytes else f" {unit}"
    with tqdm(total=total, desc=stage, unit=shown, unit_scale=is_bytes, ncols=_columns()) as bar:

        def advance(number: int) -> None:
            with lock:
                bar.ncols = _columns()  # the window may have been resized
                bar.update(number)

        yield advance


def _columns() -> int:
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        columns = 0
    return max((columns or 80) - _SPARE_COLUMNS, _NARROWEST)


@contextmanager
def _lines(stage: str, tally: Tally) -> Iterator[Advance]:
    lock = threading.Lock()
    due = pause_after(0)

    def say() -> None:
        nonlocal due
        logger.info("%s: %s", stage, tally.state())
        due = tally.seconds() + pause_after(tally.seconds())

    def announce() -> None:
        with lock:
            say()

    def advance(number: int) -> None:
        with lock:
            tally.done += number
            if tally.seconds() >= due:
                say()

    notice = threading.Timer(_NOTICE_SECONDS, announce)
    notice.daemon = True
    notice.start()
    try:
        yield advance
    finally:
        notice.cancel()
    logger.info("%s: %s", stage, tally.result())
