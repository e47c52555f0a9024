"""Cut long videos into windows, each of which is a video for the model.

Frames arrive once and in order, and only those needed for current windows are kept, as model input.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.pixels import sample_frames
from vidbench.data.video.timeline import Timeline
from vidbench.errors import VideoError

if TYPE_CHECKING:
    from vidbench.footage.frames import TimedFrame

KINETICS_SECONDS = 10.0
"""Length of a Kinetics clip: the default window of a spec without a length."""


class Window(NamedTuple):
    """A part of a video, as model input.

    Attributes:
        start: Display time of its first frame, in seconds on the clock of the frames.
        end: End of its last frame.
        views: (views, frames, crop_size, crop_size, 3), uint8 RGB.
    """

    start: float
    end: float
    views: Views


class Grid(NamedTuple):
    """Positions of windows.

    Attributes:
        window_seconds: Length of a window.
        step_seconds: Time from the start of a window to that of the next; at most the length.
        period: Average duration of a frame in seconds.
    """

    window_seconds: float
    step_seconds: float
    period: float


def lay_grid(
    spec: PreprocessSpec,
    period: float,
    window_seconds: float | None = None,
    step_seconds: float | None = None,
) -> Grid:
    """Compute the grid of windows for a spec.

    Args:
        spec: With ``center`` sampling, the default window is the span of one clip. Other samplings
            spread over the whole window: their default is :data:`KINETICS_SECONDS`.
        period: Duration of a frame of the video in seconds.
        window_seconds: Length of windows; None for the default.
        step_seconds: Distance of windows; None for half their length.

    Raises:
        VideoError: The default windows are shorter than the step, which would leave gaps.
    """
    if window_seconds is None:
        span = ((spec.num_frames - 1) * spec.frame_stride + 1) / (spec.fps or 1 / period)
        window_seconds = span if spec.sampling == "center" else max(span, KINETICS_SECONDS)
    step_seconds = window_seconds / 2 if step_seconds is None else step_seconds
    if step_seconds > window_seconds:
        detail = f"windows of {window_seconds:g} s every {step_seconds:g} s leave gaps"
        raise VideoError("step_too_long", f"{detail}: lower --step_seconds")
    return Grid(window_seconds, step_seconds, period)


def slice_windows(
    frames: Iterable[TimedFrame], grid: Grid, spec: PreprocessSpec
) -> Iterator[Window]:
    """Yield the windows of a video while its frames arrive.

    A window begins with the frame nearest to its position in the grid. The last one ends with the
    video; a video shorter than a window is a single window. A window with too few frames is left
    out if the spec skips such videos.

    Raises:
        VideoError: All windows have too few frames.
    """
    slicer: _Slicer | None = None
    for frame in frames:
        slicer = slicer or _Slicer(grid, spec, frame.seconds)
        yield from slicer.add(frame)
    if slicer is not None:
        yield from slicer.finish()


class _Slicer:
    def __init__(self, grid: Grid, spec: PreprocessSpec, begin: float) -> None:
        self._grid = grid
        self._spec = spec
        self._slack = grid.period / 2  # times are rounded, e.g. to milliseconds
        self._length = max(grid.window_seconds, grid.period)  # at least one frame
        self._kept: deque[TimedFrame] = deque()
        self._start = begin  # of the next window, in the grid
        self._begun = self._covered = self._end = -1.0  # of the last window
        self._count = 0
        self._too_short: VideoError | None = None

    def add(self, frame: TimedFrame) -> Iterator[Window]:
        yield from self._due(frame.seconds)
        self._kept.append(frame)
        last = frame.seconds + self._grid.period - self._length
        while self._kept[0].seconds < min(
            self._start - self._slack, last - self._slack, self._covered
        ):
            self._kept.popleft()

    def finish(self) -> Iterator[Window]:
        end = self._kept[-1].seconds + self._kept[-1].lasts
        yield from self._due(end)
        first = end - self._length - self._slack
        later = [frame for frame in self._kept if self._begun < frame.seconds >= first]
        if later and self._end < end - self._slack:
            yield from self._cut(later, end)
        if not self._count and self._too_short:
            raise self._too_short

    def _due(self, now: float) -> Iterator[Window]:
        """Yield the windows that end by ``now``: when a frame starts, or the last one ends."""
        while (first := self._first()) is not None:
            bound = first + self._length - self._slack
            if now < bound:
                return
            chosen = [frame for frame in self._kept if first <= frame.seconds < bound]
            self._begun, self._covered = first, bound
            yield from self._cut(chosen, min(now, first + self._length + self._slack))
            if first > self._start + self._slack:  # there is no frame at this position
                self._start = first
            while self._start - self._slack <= first:  # repeats if steps are shorter than a frame
                self._start += self._grid.step_seconds

    def _first(self) -> float | None:
        """Start of the next window, if known; it includes the first frame that is in no window."""
        earliest = self._start - self._slack
        if self._begun >= 0:
            earliest = min(earliest, max(self._covered, self._begun + self._slack))
        return next((frame.seconds for frame in self._kept if frame.seconds >= earliest), None)

    def _cut(self, frames: Sequence[TimedFrame], end: float) -> Iterator[Window]:
        self._end = end
        try:
            window = cut_window(frames, end, self._spec)
        except VideoError as error:
            self._too_short = error
            return
        self._count += 1
        yield window


def cut_window(frames: Sequence[TimedFrame], end: float, spec: PreprocessSpec) -> Window:
    """Make a window of frames, sampled as if they were a whole video.

    Args:
        frames: Frames of the window, at least one.
        end: End of the last frame.
        spec: Sampling.

    Raises:
        VideoError: There are too few frames, and the spec skips such videos.
    """
    start = frames[0].seconds
    times = np.array([frame.seconds for frame in frames], np.float64) - start
    indices = sample_frames(Timeline(times, end - start), spec, f"{start:.3f}")
    clips = np.stack([[frames[index].crops for index in clip] for clip in indices])
    # (clips, frames, crops, ...) becomes (clips, crops, frames, ...): the first clip's crops first.
    return Window(start, end, clips.swapaxes(1, 2).reshape(spec.views_shape))
