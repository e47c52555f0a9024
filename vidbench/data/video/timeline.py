"""When the frames of a video are shown, by the stamps of its packets or frames.

Time counts as the ffmpeg program counts it, and most players do:

- A frame is shown until the next one is, the last one for as long as it says itself.
- Joined recordings follow one another. Where the stamps go back, or jump ahead by more than a
  recording can wait, another recording begins where the last one ended.
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

_LONGEST_SECONDS = 3600.0  # for which a frame is shown
# Of formats whose clock may start anew: FFmpeg's dts_delta_threshold, and what it allows back.
_LONGEST_GAP_SECONDS, _LONGEST_WAY_BACK_SECONDS = 10.0, 0.1
_USUAL_WAY_BACK_SECONDS = 1.0  # of others

MIXED_UP = 16
"""Frames that may wait for others to be decoded, by H.264; an avi gives them stamps of others."""


@dataclass(frozen=True)
class Timeline:
    """When each decoded frame of a video is shown.

    Attributes:
        starts_seconds: (frames,), rising, the first is 0.
        duration_seconds: From the first frame to the end of the last.
        begin_seconds: When the first frame is shown on the clock of a player, which begins with the
            first of all streams of the file.
    """

    starts_seconds: NDArray[np.float64]
    duration_seconds: float
    begin_seconds: float = 0.0

    @property
    def num_frames(self) -> int:
        return len(self.starts_seconds)


class Stamp(NamedTuple):
    """What a packet or a frame says of its time, in ticks of its stream.

    Attributes:
        shown: When it is shown; None where it says nothing.
        decoded: When it is decoded; likewise.
        lasts: How long it is shown; 0 where it says nothing.
    """

    shown: int | None
    decoded: int | None = None
    lasts: int = 0


class StreamTime(NamedTuple):
    """How a stream counts time.

    Attributes:
        tick: Seconds of a tick.
        period: Seconds for which a frame is shown, on average.
        origin: When the clock of a player begins, in ticks; None for the first frame.
        may_restart: The container is of a kind whose clock may start anew amid a file.
    """

    tick: Fraction
    period: float
    origin: int | None = None
    may_restart: bool = False

    def seconds(self, ticks: int) -> float:
        """So many ticks in seconds."""
        return ticks * float(self.tick)

    def begin_seconds(self, first: int) -> float:
        """When the first frame is shown on the clock of a player, by its stamp."""
        return 0.0 if self.origin is None else max(0.0, self.seconds(first - self.origin))

    def lasting(self, lasts: int, step: int) -> int:
        """For how many ticks a frame is shown that none follows.

        The rule of the ffmpeg program from 6.1 on, but that no frame is shown for hours: what the
        frame says, unless that is the smallest number although the frame before it was shown for
        longer; else as long as the one before it.

        Args:
            lasts: What the frame says; 0 where it says nothing.
            step: For how long the frame before it was shown; 0 where there is none.
        """
        is_guessed = lasts == 1 and step > 2 * lasts
        if 0 < self.seconds(lasts) <= _LONGEST_SECONDS and not is_guessed:
            return lasts
        return step or max(1, round(self.period / float(self.tick)))


class Clock:
    """Turns stamps, as frames are shown, into times that go on where another recording begins.

    Args:
        time: How the stream counts.
    """

    def __init__(self, time: StreamTime) -> None:
        self._time = time
        self._joints = _Joints(time)
        self._first: int | None = None
        self._latest = self._next = time.origin or 0
        self._step = self._shift = 0

    @property
    def lasts_seconds(self) -> float:
        """For how long the latest frame is shown, by what is known before the next one comes."""
        return self._time.seconds(self._next - self._latest)

    def seconds(self, stamp: Stamp) -> float:
        """When a frame is shown, on the clock of a player."""
        shown = self.ticks(stamp)
        first = shown if self._first is None else self._first
        return self._time.begin_seconds(first) + self._time.seconds(shown - first)

    def ticks(self, stamp: Stamp) -> int:
        """When a frame is shown, as the first recording counts."""
        at = self._next - self._shift if stamp.shown is None else stamp.shown
        if self._joints.begins(Stamp(at, at, stamp.lasts)):
            self._shift = self._next - at
        shown = at + self._shift
        if self._first is None:
            self._first = self._latest = shown
        if shown >= self._latest:  # the times of an avi are mixed up
            self._step, self._latest = shown - self._latest, shown
            self._next = shown + self._time.lasting(stamp.lasts, self._step)
        return shown


def lay_timeline(stamps: Sequence[Stamp], time: StreamTime) -> Timeline:
    """When the frames with these stamps are shown; by the frame rate where some have none.

    Args:
        stamps: Of packets in the order of decoding, or of frames in that of showing; at least one.
        time: How their stream counts.
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
    """The stamps of one recording after another."""
    joints, found = _Joints(time), list[list[Stamp]]()
    for stamp in stamps:
        if joints.begins(stamp) or not found:
            found.append([])
        found[-1].append(stamp)
    return found


class _Joints:
    """Tells where another recording begins, from stamps in the order in which they come."""

    def __init__(self, time: StreamTime) -> None:
        self._time = time
        self._gap = _LONGEST_GAP_SECONDS if time.may_restart else _LONGEST_SECONDS
        self._mixed_up = max(_USUAL_WAY_BACK_SECONDS, MIXED_UP * time.period)
        self._back = _LONGEST_WAY_BACK_SECONDS if time.may_restart else self._mixed_up
        self._shown: int | None = None  # the latest
        self._end = 0  # of that one
        self._decoded: int | None = None  # the latest

    def begins(self, stamp: Stamp) -> bool:
        """Whether this is the first stamp of another recording."""
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
    """Frames one period apart, so that the first that says when it is shown is shown then."""
    known = ((row, stamp.shown) for row, stamp in enumerate(stamps) if stamp.shown is not None)
    row, shown = next(known, (0, time.origin or 0))
    begin = time.begin_seconds(shown) - row * time.period
    starts = (np.arange(len(stamps)) * time.period).astype(np.float64)
    return Timeline(starts, len(stamps) * time.period, max(0.0, begin))


def cut_section(timeline: Timeline, section: Section) -> tuple[int, Timeline]:
    """Index of the section's first frame, and when its frames are shown, from that frame on.

    Its last frame is shown no longer than the section lasts. Times count to the microsecond, so
    that a third of a second is the time of the tenth frame of thirty.

    Args:
        timeline: The whole video's.
        section: The part that is meant, on the clock of a player.

    Raises:
        VideoError: No frame begins in it.
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
