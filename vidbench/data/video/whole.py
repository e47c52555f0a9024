"""Decide whether a video file is whole: one rule for everything that decodes.

A file states its length in several places, and each of them is optional: the header counts frames
or states a duration, packets stand for frames, and the parts of the file begin with their lengths.
The file is truncated if one of them shows that something is missing and no other explains it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidbench.data.video.container import demuxed, opened, promises_frame, reason_of
from vidbench.data.video.layout import count_avi_chunks, ends_early, goes_on_in_fragments
from vidbench.errors import VideoError

Seconds = NDArray[np.float64]

_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_OF_PICTURES = frozenset({_MOV, "asf"})
"""Formats whose truncated or damaged parts, if found, contain pictures or sound and no index."""

_STATING = _OF_PICTURES | {"matroska,webm", "flv", "mxf"}
"""Formats whose header states a duration; for others FFmpeg estimates it from the content."""

_TOLERATED = 1  # missing frame: AVI headers often count one too many
_GAP = 2.5  # frame periods: in a longer gap, at least two frames are missing
_LEADING = 16  # frames that may precede the frames they depend on: the limit of H.264
_EMPTY_BYTES = 16  # an MPEG-4 packet for a frame that is not coded has about seven


def whole_frames(
    path: Path, container: InputContainer, stream: VideoStream
) -> Iterator[VideoFrame]:
    """Yield all frames of a video in display order.

    Packets before the first frame that can be shown do not count as missing: a recording may begin
    within a group of pictures, and the first group after a cut may refer to the one before.

    Raises:
        VideoError: ``truncated``, after the last decodable frame; ``unreadable`` if there is none.
        av.FFmpegError: Nothing can be read.
    """
    tally = _Tally()
    try:
        for packet in demuxed(container, stream):
            tally.note(packet)
            yield from tally.decode(packet)
    except av.FFmpegError as error:
        if not tally.decoded or isinstance(error, MemoryError):  # not the file's fault
            raise
        detail = f"decoding failed after {tally.decoded} frames: {reason_of(error)}"
        raise VideoError("truncated", detail) from error
    if not tally.decoded:
        raise VideoError("unreadable", "no frame could be decoded")
    missing = _missing_shown(path, container, stream, tally)
    if missing := missing or _missing_packets(path, container, stream, tally):
        raise VideoError("truncated", missing)


def _missing_shown(
    path: Path, container: InputContainer, stream: VideoStream, tally: _Tally
) -> str:
    """Message on frames that were not decoded; empty if all shown frames were."""
    if container.format.name == _MOV and tally.hidden:
        return _missing_unedited(path, stream) if tally.lacks else ""
    missing = tally.missing()
    if missing and not tally.missing(leading=_LEADING):  # from there, or from a hole?
        return missing if _read_again(path, stream).complains else ""
    return missing


def _missing_unedited(path: Path, stream: VideoStream) -> str:
    """Message on missing frames when the edit list is ignored; empty if there are none.

    With the edit list, a hole looks like frames that depend on hidden ones, and a decoder may omit
    intact frames that do not (FFmpeg 5.1 and 8.1: B-frames of interlaced MPEG-4).
    """
    with opened(path, ignore_editlist="1") as container:
        (same,) = (each for each in container.streams.video if each.index == stream.index)
        same.codec_context.thread_count = 1
        try:
            deque(whole_frames(path, container, same), maxlen=0)
        except VideoError as error:
            return error.detail
    return ""


class _Tally:
    """Counts of what was read and decoded from a stream, with times in its units.

    Attributes:
        packets: Number of packets.
        hidden: Number of packets that an edit list hides.
        promised: Presentation times of the promised frames; None if a packet has none.
        decoded: Number of decoded frames.
    """

    def __init__(self) -> None:
        self.packets = self.hidden = self.decoded = 0
        self.promised: list[int | None] = []
        self._substantial: list[int] = []
        self._shown: list[int] = []

    def note(self, packet: Packet[VideoStream]) -> None:
        """Count a packet; the empty one that flushes the decoder does not count."""
        self.packets += bool(packet.size)
        self.hidden += packet.is_discard
        if promises_frame(packet):
            self.promised.append(packet.pts)
            if packet.size > _EMPTY_BYTES and packet.pts is not None:
                self._substantial.append(packet.pts)

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Decode a packet and return its frames."""
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if self.decoded or packet.is_keyframe:
                raise
            return []  # it refers to frames before the start of the recording
        self.decoded += len(frames)
        self._shown += [frame.pts for frame in frames if frame.pts is not None]
        return frames

    @property
    def lacks(self) -> bool:
        """Whether fewer frames were decoded than the packets promise."""
        return len(self.promised) - self.decoded > _TOLERATED

    def missing(self, leading: int = 0) -> str:
        """Message on frames that were not decoded; empty if all shown frames were.

        The counts may differ: a frame may come in two packets, one for each field, and a frame
        that is only referenced is never shown. But of two consecutive packets, one is shown.

        Args:
            leading: Number of frames that may follow the first one but depend on earlier ones.
        """
        if not self.lacks or not self._shown:
            return ""
        shown = np.unique(np.array(self._shown, np.int64))
        missing = np.setdiff1d(np.array(self._substantial, np.int64), shown)
        intervals = np.searchsorted(shown, missing)
        in_a_row = np.bincount(intervals, minlength=2)
        in_a_row[:2] -= in_a_row[0], min(in_a_row[1], leading)
        if in_a_row.max() <= _TOLERATED:
            return ""
        return f"{len(self.promised)} frames promised, {self.decoded} decoded"


def _missing_packets(
    path: Path, container: InputContainer, stream: VideoStream, tally: _Tally
) -> str:
    """Message on packets that are missing according to the file; empty if there are none."""
    listed = _listed(container, stream)
    if not listed:
        return _missing_time(path, container, stream, tally.promised)
    if listed <= tally.packets + _TOLERATED or _is_explained(
        path, container, stream, tally.packets
    ):
        is_counted = container.format.name != _MOV or not goes_on_in_fragments(path)
        return "" if is_counted else _missing_time(path, container, stream, tally.promised)
    return f"{listed} frames listed, {tally.packets} in the file"


def _listed(container: InputContainer, stream: VideoStream) -> int:
    """Number of frames according to the header; 0 if not stated."""
    if container.format.name == "mxf":  # its unit of time is a frame
        return stream.duration or 0
    return stream.frames


def _is_explained(path: Path, container: InputContainer, stream: VideoStream, packets: int) -> bool:
    """Whether nothing is missing although the header lists more frames than there are packets."""
    if container.format.name == "avi":  # empty chunks repeat a frame, and headers count wrong
        chunks = count_avi_chunks(path, stream.index)
        return chunks is not None and chunks <= packets + _TOLERATED
    if container.format.name == _MOV:  # an edit list hides whole groups of pictures
        with opened(path, ignore_editlist="1") as again:
            there = sum(bool(p.size) for p in again.demux(again.streams[stream.index]))
        return stream.frames <= there + _TOLERATED
    if container.format.name == "ivf":  # FFmpeg (5.1) writes its length in units of its clock
        reading, unit = _read_again(path), float(stream.time_base or 0)
        return not reading.complains and reading.end >= (stream.frames - _TOLERATED) * unit
    return False


def _missing_time(
    path: Path, container: InputContainer, stream: VideoStream, stamps: Sequence[int | None]
) -> str:
    """Message on missing time, for a file that does not count its frames; empty if none is missing.

    Neither a gap nor a duration is enough evidence: frames may be dropped on purpose, and when
    FFmpeg writes Matroska to a pipe, it states the duration of its whole input. The file must also
    show damage.
    """
    name = container.format.name
    stated = (container.duration or 0) / av.time_base if name in _STATING else 0.0
    is_cut = ends_early(path, name)
    if is_cut and (name in _OF_PICTURES or not stated):
        return "the file breaks off within a part of it, or is damaged where one begins"
    steps, first, last = _steps(stamps, stream)
    usual = float(np.median(steps))
    begins_late = name in _STATING and first > _LEADING * usual
    has_gap = begins_late or float(steps.max()) > _GAP * usual
    if not (is_cut or has_gap or last + _GAP * usual < stated):
        return ""
    again = _read_again(path)
    if has_gap and again.complains:
        return "the file is damaged, and frames are missing there"
    if (is_cut or again.complains) and again.end + _GAP * usual < stated:
        return f"it lasts {stated:.2f} s by its header, and breaks off at {again.end:.2f} s"
    return ""


def _steps(stamps: Sequence[int | None], stream: VideoStream) -> tuple[Seconds, float, float]:
    """Seconds from each frame to the next (for the last: by the rate); first and last start."""
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    ticks = np.unique(np.array([stamp for stamp in stamps if stamp is not None], np.float64))
    times = ticks * float(stream.time_base or 0)
    first, last = (float(times[0]), float(times[-1])) if len(times) else (0.0, np.inf)
    return np.append(np.diff(times), 1 / rate), first, last


class _Reading(NamedTuple):
    """Result of reading a file a second time.

    Attributes:
        end: End of the last packet of any stream, in seconds from the header's origin: time 0, or
            the first packet if that is earlier. In Matroska always time 0, as written by FFmpeg
            (5.1).
        complains: Whether the demuxer reports errors, or the decoder if a stream is decoded.
    """

    end: float
    complains: bool


def _read_again(path: Path, decoded: VideoStream | None = None) -> _Reading:
    first = last = 0.0
    names = set[str]()
    with _complaints() as complaints, suppress(av.FFmpegError), opened(path) as container:
        names.add(container.format.name)
        if decoded is not None:
            names.add(decoded.codec_context.name)
            container.streams[decoded.index].codec_context.thread_count = 1
        for packet in container.demux():
            if decoded is not None and packet.stream_index == decoded.index:
                packet.decode()
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and packet.time_base is not None:
                first = min(first, float(stamp * packet.time_base))
                last = max(last, float((stamp + (packet.duration or 0)) * packet.time_base))
    begin = 0.0 if "matroska,webm" in names else first
    return _Reading(last - begin, any(who in names for _, who, _ in complaints))


@contextmanager
def _complaints() -> Iterator[list[Any]]:
    """Collect FFmpeg's error messages in this thread: (level, who, what)."""
    level, skips_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as complaints:
            yield complaints
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips_repeated)
