"""Newest window of a live source: a thread drops frames that arrive faster than they are used."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import NamedTuple

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError
from vidbench.footage.frames import LiveFrame, TimedFrame, live_frames
from vidbench.footage.windows import Grid, Window, cut_window, lay_grid

_BEHIND_SECONDS = 0.5
_DROPPED_IN_A_ROW = 9
_DRIFT = 0.001  # relative difference allowed between the clocks of source and reader
_POLL_SECONDS = 0.2  # so that signals are handled
_END_SECONDS = 1.0


class LiveWindow(NamedTuple):
    """A window of a live source.

    Attributes:
        window: The window, as in a file.
        arrived: Arrival time of its newest frame, by :func:`time.monotonic`.
    """

    window: Window
    arrived: float


class LiveReader:
    """Reads a source in a thread until the source or the block ends.

    If windows are requested more slowly than they become due, the newest one is returned, and
    frames in between are dropped. If frames arrive faster than they can be resized, nine of ten are
    dropped.

    Args:
        source: As in :func:`~vidbench.footage.frames.live_frames`.
        spec: Preprocessing.
        window_seconds: As in :func:`~vidbench.footage.windows.lay_grid`.
        step_seconds: Minimum time between two windows, as there.

    Attributes:
        grid: Grid of windows; known once the first window is available.
        frames: Number of frames received.
        dropped: Number of frames that are in no window.
        seconds: Time from the first frame to the end of the newest.
    """

    def __init__(
        self,
        source: str,
        spec: PreprocessSpec,
        window_seconds: float | None = None,
        step_seconds: float | None = None,
    ) -> None:
        self.grid: Grid | None = None
        self.frames = self.dropped = 0
        self.seconds = 0.0
        self._source = source
        self._spec = spec
        self._wanted = (window_seconds, step_seconds)
        self._kept: deque[TimedFrame] = deque()
        self._arrived = 0.0  # of the newest kept frame
        self._covered = 0.0  # end of the last window
        self._error: VideoError | None = None
        self._changed = threading.Condition()
        self._stopped = self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> LiveReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join(_END_SECONDS)  # a server may block it; the thread ends with the process

    def next_window(self) -> LiveWindow | None:
        """Wait for the next window; return the newest one, or None if the source has ended.

        The last window ends with the source.

        Raises:
            VideoError: The source cannot be read, or can no longer be read.
        """
        with self._changed:
            while not self._is_due() and not self._ended:
                self._changed.wait(_POLL_SECONDS)
            grid = self.grid
            if grid is None or not (self._is_due() or self._has_rest(grid)):
                if self._error is not None:
                    raise self._error
                return None
            frames = self._take(grid)
            end, arrived = self.seconds, self._arrived
        return LiveWindow(cut_window(frames, end, self._spec), arrived)

    def _is_due(self) -> bool:
        if self.grid is None:
            return False
        wait = self.grid.step_seconds if self._covered else self.grid.window_seconds
        return self.seconds >= self._covered + wait - self.grid.period / 2

    def _has_rest(self, grid: Grid) -> bool:
        return bool(self._kept) and self.seconds > self._covered + grid.period / 2

    def _take(self, grid: Grid) -> list[TimedFrame]:
        self._forget_before(self.seconds - grid.window_seconds - grid.period / 2, grid)
        self._covered = self.seconds
        return list(self._kept)

    def _forget_before(self, first: float, grid: Grid) -> None:
        begin = self._covered - grid.period / 2
        while len(self._kept) > 1 and self._kept[0].seconds < first:
            self.dropped += self._kept.popleft().seconds > begin

    def _read(self) -> None:
        try:
            with live_frames(self._source, self._spec) as (period, frames):
                grid = self.grid = lay_grid(self._spec, period, *self._wanted)
                backlog = Backlog(period)
                for frame in frames:
                    if self._stopped:
                        return
                    self._add(frame, grid, backlog)
        except VideoError as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _add(self, frame: LiveFrame, grid: Grid, backlog: Backlog) -> None:
        is_kept = backlog.keeps(frame.arrived, frame.seconds)
        crops = frame.convert() if is_kept else None
        with self._changed:
            self.frames += 1
            if crops is None:
                self.dropped += 1
                return
            self.seconds = frame.seconds + grid.period
            self._arrived = frame.arrived
            self._kept.append(TimedFrame(frame.seconds, crops, grid.period))
            self._forget_before(self.seconds - grid.window_seconds - grid.period, grid)
            self._changed.notify()


class Backlog:
    """Detects whether a reader has fallen behind its source; then it keeps one frame of ten.

    Args:
        period: Duration of a frame in seconds.
    """

    def __init__(self, period: float) -> None:
        self._drift = _DRIFT * period
        self._least = math.inf
        self._dropped = 0

    def keeps(self, arrived: float, seconds: float) -> bool:
        """Whether to keep a frame.

        Args:
            arrived: Time at which it was decoded, on any clock.
            seconds: Display time, on the source's clock.
        """
        delay = arrived - seconds
        self._least = min(self._least + self._drift, delay)
        if delay - self._least <= _BEHIND_SECONDS or self._dropped == _DROPPED_IN_A_ROW:
            self._dropped = 0
            return True
        self._dropped += 1
        return False
