"""Long videos become windows, each of which a model sees as a video of its own.

Frames come once and in order, and only those that the windows at hand need are kept, as the model
sees them.
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
"""Length of a Kinetics clip: the window of a spec that has no length of its own."""


class Window(NamedTuple):
    """A part of a video, as a model sees it.

    Attributes:
        start: When its first frame is shown, in seconds on the clock of the frames.
        end: When its last frame ends.
        views: (views, frames, crop_size, crop_size, 3), uint8 RGB.
    """

    start: float
    end: float
    views: Views


class Grid(NamedTuple):
    """Where windows lie.

    Attributes:
        window_seconds: Length of each.
        step_seconds: From the start of one to that of the next; at most the length.
        period: Seconds for which a frame is shown, on average.
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
    """The grid of windows for a spec.

    Args:
        spec: One clip of ``center`` spans so many frames of its rate, which is the default window.
            The frames and clips of any other sampling spread over whatever there is: there the
            default is :data:`KINETICS_SECONDS`.
        period: Seconds for which a frame of the video is shown.
        window_seconds: The length of windows; None for the default.
        step_seconds: Their distance; None for half their length.

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
    """The windows of a video, while its frames come.

    A window begins with the frame that is nearest to its place in the grid. The last one ends with
    the video; a video shorter than a window is one. A window with too few frames is left out where
    the spec skips such videos.

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
        self._length = max(grid.window_seconds, grid.period)  # it holds a frame
        self._kept: deque[TimedFrame] = deque()
        self._start = begin  # of the next window, in the grid
        self._begun = self._covered = self._end = -1.0  # of the last one; frames up to then are in
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
        """The windows that end before or with ``now``, when a frame begins or the last one ends."""
        while (first := self._first()) is not None:
            bound = first + self._length - self._slack
            if now < bound:
                return
            chosen = [frame for frame in self._kept if first <= frame.seconds < bound]
            self._begun, self._covered = first, bound
            yield from self._cut(chosen, min(now, first + self._length + self._slack))
            if first > self._start + self._slack:  # no frame is at its place
                self._start = first
            while self._start - self._slack <= first:  # several times where steps are no frame long
                self._start += self._grid.step_seconds

    def _first(self) -> float | None:
        """When the next window begins, as far as that is known; not after a frame in none yet."""
        place = self._start - self._slack
        if self._begun >= 0:
            place = min(place, max(self._covered, self._begun + self._slack))
        return next((frame.seconds for frame in self._kept if frame.seconds >= place), None)

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
    """The window of these frames: they are sampled as if they were a whole video.

    Args:
        frames: At least one.
        end: When the last one ends.
        spec: Which of them the model sees.

    Raises:
        VideoError: They are too few, and the spec skips such videos.
    """
    start = frames[0].seconds
    times = np.array([frame.seconds for frame in frames], np.float64) - start
    indices = sample_frames(Timeline(times, end - start), spec, f"{start:.3f}")
    clips = np.stack([[frames[index].crops for index in clip] for clip in indices])
    # (clips, frames, crops, ...) becomes (clips, crops, frames, ...): the first clip's crops first.
    return Window(start, end, clips.swapaxes(1, 2).reshape(spec.views_shape))
