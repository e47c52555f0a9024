"""Display times of the frames of a video, from the stamps of its packets or frames.

The rules are those of the ffmpeg program and most players:

- A frame is shown until the next one, the last one for its stated duration.
- Joined recordings play one after another. If the stamps go back, or jump ahead by more than the
  longest gap, a new recording starts where the previous one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Section
from vidbench.errors import VideoError

_LONGEST_SECONDS = 3600.0  # of one frame
# For formats whose clock may restart: FFmpeg's dts_delta_threshold, and its tolerance backwards.
_LONGEST_GAP_SECONDS, _LONGEST_WAY_BACK_SECONDS = 10.0, 0.1
_USUAL_WAY_BACK_SECONDS = 1.0  # for other formats

MIXED_UP = 16
"""Largest reordering delay of H.264, in frames; in an AVI such frames get other frames' stamps."""


@dataclass(frozen=True)
class Timeline:
    """Display times of the decoded frames of a video.

    Attributes:
        starts_seconds: (frames,), rising, the first is 0.
        duration_seconds: Time from the first frame to the end of the last.
        begin_seconds: Playing time of the first frame; playing time starts with the earliest
            stream of the file.
    """

    starts_seconds: NDArray[np.float64]
    duration_seconds: float
    begin_seconds: float = 0.0

    @property
    def num_frames(self) -> int:
        return len(self.starts_seconds)


class Stamp(NamedTuple):
    """Time stamps of a packet or a frame, in ticks of its stream.

    Attributes:
        shown: Presentation time; None if not stated.
        decoded: Decoding time; None if not stated.
        lasts: Duration; 0 if not stated.
    """

    shown: int | None
    decoded: int | None = None
    lasts: int = 0


class StreamTime(NamedTuple):
    """Time base of a stream.

    Attributes:
        tick: Length of a tick in seconds.
        period: Average duration of a frame in seconds.
        origin: Start of playing time, in ticks; None for the first frame.
        may_restart: Whether the clock of this container format may restart within a file.
    """

    tick: Fraction
    period: float
    origin: int | None = None
    may_restart: bool = False

    def seconds(self, ticks: int) -> float:
        """Convert ticks to seconds."""
        return ticks * float(self.tick)

    def begin_seconds(self, first: int) -> float:
        """Playing time of the first frame, given its stamp."""
        return 0.0 if self.origin is None else max(0.0, self.seconds(first - self.origin))

    def lasting(self, lasts: int, step: int) -> int:
        """Duration of a frame without a successor, in ticks.

        This is the rule of the ffmpeg program since 6.1, except that no frame lasts for hours: the
        stated duration, unless it is 1 tick although the previous frame lasted longer; otherwise
        the duration of the previous frame.

        Args:
            lasts: Stated duration; 0 if not stated.
            step: Duration of the previous frame; 0 if there is none.
        """
        is_guessed = lasts == 1 and step > 2 * lasts
        if 0 < self.seconds(lasts) <= _LONGEST_SECONDS and not is_guessed:
            return lasts
        return step or max(1, round(self.period / float(self.tick)))


class Clock:
    """Converts stamps, in display order, to times that continue across joined recordings.

    Args:
        time: Time base of the stream.
    """

    def __init__(self, time: StreamTime) -> None:
        self._time = time
        self._joints = _Joints(time)
        self._first: int | None = None
        self._latest = self._next = time.origin or 0
        self._step = self._shift = 0

    @property
    def lasts_seconds(self) -> float:
        """Expected duration of the latest frame, before the next one is known."""
        return self._time.seconds(self._next - self._latest)

    def seconds(self, stamp: Stamp) -> float:
        """Playing time of a frame."""
        shown = self.ticks(stamp)
        first = shown if self._first is None else self._first
        return self._time.begin_seconds(first) + self._time.seconds(shown - first)

    def ticks(self, stamp: Stamp) -> int:
        """Presentation time of a frame, in ticks of the first recording."""
        at = self._next - self._shift if stamp.shown is None else stamp.shown
        if self._joints.begins(Stamp(at, at, stamp.lasts)):
            self._shift = self._next - at
        shown = at + self._shift
        if self._first is None:
            self._first = self._latest = shown
        if shown >= self._latest:  # in an AVI, times may be out of order
            self._step, self._latest = shown - self._latest, shown
            self._next = shown + self._time.lasting(stamp.lasts, self._step)
        return shown


def lay_timeline(stamps: Sequence[Stamp], time: StreamTime) -> Timeline:
    """Timeline of the frames with these stamps; evenly spaced if some are missing.

    Args:
        stamps: Stamps of packets in decoding order, or of frames in display order; at least one.
        time: Time base of the stream.
    """
    if any(stamp.shown is None for stamp in stamps):
        return _even_timeline(stamps, time)
    parts: list[NDArray[np.int64]] = []
    end: int | None = None
    for recording in _recordings(stamps, time):
        shown = sorted((stamp.shown or 0, stamp.lasts) for stamp in recording)
        ticks = np.array([start for start, _ in shown], np.int64)
        parts.append(ticks if end is None else ticks - ticks[0] + end)
        step = int(ticks[-1] - ticks[-2]) if len(ticks) > 1 else 0
        end = int(parts[-1][-1]) + time.lasting(shown[-1][1], step)
    ticks = np.concatenate(parts)
    starts = (ticks - ticks[0]) * float(time.tick)
    lasts = time.seconds((end or 0) - int(ticks[-1]))
    return Timeline(starts, float(starts[-1]) + lasts, time.begin_seconds(int(ticks[0])))


def _recordings(stamps: Sequence[Stamp], time: StreamTime) -> list[list[Stamp]]:
    """Split the stamps into joined recordings."""
    joints, recordings = _Joints(time), list[list[Stamp]]()
    for stamp in stamps:
        if joints.begins(stamp) or not recordings:
            recordings.append([])
        recordings[-1].append(stamp)
    return recordings


class _Joints:
    """Detects the start of a new recording in a sequence of stamps."""

    def __init__(self, time: StreamTime) -> None:
        self._time = time
        self._gap = _LONGEST_GAP_SECONDS if time.may_restart else _LONGEST_SECONDS
        self._mixed_up = max(_USUAL_WAY_BACK_SECONDS, MIXED_UP * time.period)
        self._back = _LONGEST_WAY_BACK_SECONDS if time.may_restart else self._mixed_up
        self._shown: int | None = None  # the latest presentation time
        self._end = 0  # end of that frame
        self._decoded: int | None = None  # the latest decoding time

    def begins(self, stamp: Stamp) -> bool:
        """Whether this is the first stamp of a new recording."""
        begins = not self._goes_on(stamp)
        if begins:
            self._shown = self._decoded = None
        if stamp.shown is not None and (self._shown is None or stamp.shown > self._shown):
            is_known = self._time.seconds(stamp.lasts) <= _LONGEST_SECONDS
            self._shown, self._end = stamp.shown, stamp.shown + (stamp.lasts if is_known else 0)
        if stamp.decoded is not None and (self._decoded is None or stamp.decoded > self._decoded):
            self._decoded = stamp.decoded
        return begins

    def _goes_on(self, stamp: Stamp) -> bool:
        if self._shown is None or stamp.shown is None:
            return True
        if self._time.seconds(stamp.shown - self._end) > self._gap:
            return False
        if self._decoded is None or stamp.decoded is None:
            return self._time.seconds(self._shown - stamp.shown) <= self._mixed_up
        return self._time.seconds(self._decoded - stamp.decoded) <= self._back


def _even_timeline(stamps: Sequence[Stamp], time: StreamTime) -> Timeline:
    """Frames one period apart, aligned with the first stamp that has a presentation time."""
    stated = ((row, stamp.shown) for row, stamp in enumerate(stamps) if stamp.shown is not None)
    row, shown = next(stated, (0, time.origin or 0))
    begin = time.begin_seconds(shown) - row * time.period
    starts = (np.arange(len(stamps)) * time.period).astype(np.float64)
    return Timeline(starts, len(stamps) * time.period, max(0.0, begin))


def cut_section(timeline: Timeline, section: Section) -> tuple[int, Timeline]:
    """Index of the first frame of a section, and the timeline of the section from that frame on.

    Its last frame ends with the section at the latest. Times are rounded to microseconds, so that
    1/3 s is the time of the tenth frame at 30 fps.

    Args:
        timeline: Timeline of the whole video.
        section: The section, in playing time.

    Raises:
        VideoError: No frame begins in the section.
    """
    begin, end = section
    times = np.round(timeline.starts_seconds + timeline.begin_seconds, 6)
    first, stop = np.searchsorted(times, np.round(section, 6)).tolist()
    if first >= stop:
        part = f"from {begin:g} s " + ("on" if end == np.inf else f"to {end:g} s")
        shown = f"frames begin from {times[0]:.3f} s to {times[-1]:.3f} s"
        raise VideoError("too_short", f"no frame {part}: {shown}")
    starts = timeline.starts_seconds[first:stop]
    following = timeline.starts_seconds[stop:]
    until = following[0] if len(following) else timeline.duration_seconds
    lasts = min(float(until), end - timeline.begin_seconds) - float(starts[0])
    return first, Timeline(starts - starts[0], lasts, float(times[first]))
