"""What decoder and encoder agree on: which stream is the video, and how a player shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbench.data.video.opening import open_container
from vidbench.data.video.orientation import orientation_of
from vidbench.data.video.resize import MAX_PIXELS
from vidbench.data.video.stream_choice import Choice, choose_stream
from vidbench.data.video.timeline import Stamp, StreamTime, lay_timeline
from vidbench.errors import VideoError

_VP8 = frozenset({"vp8", "libvpx"})
_TS_DISCONT = cast("int", Flags.ts_discont.value)
_PAUSE = 10  # times the usual step from frame to frame
_USUAL_RATE = 25  # of a stream that says nothing
_LISTS = frozenset({"concat", "hls", "dash"})


class VideoInfo(NamedTuple):
    """What is known of a video file from its frames.

    Attributes:
        seconds: From the first frame to the end of the last.
        fps: Frames per second, on average.
        width: Of the picture as a player shows it, in square pixels.
        height: Likewise.
        num_frames: That the decoder gives.
        codec: FFmpeg's name of it, e.g. ``h264``.
    """

    seconds: float
    fps: float
    width: int
    height: int
    num_frames: int
    codec: str


def describe(path: Path) -> VideoInfo:
    """What a video file is, after decoding all of it.

    Packets alone do not tell: two fields may be one frame, and a recording that begins amid a group
    has some that no decoder shows. A file that cannot be read to its end is described as far as it
    can.

    Raises:
        VideoError: No frame can be decoded.
    """
    with ffmpeg_errors(), opened(path) as container:
        stream = video_stream(container)
        stream.codec_context.thread_type = "AUTO"
        first: VideoFrame | None = None
        stamps: list[Stamp] = []
        try:
            for packet in demuxed(container, stream):
                for frame in packet.decode():
                    first = first or frame
                    stamps.append(stamp_of(frame))
        except av.FFmpegError:
            if first is None:
                raise
        if first is None:
            raise VideoError("unreadable", "no frame could be decoded")
        return _facts(stream, first, stamps)


def _facts(stream: VideoStream, first: VideoFrame, stamps: list[Stamp]) -> VideoInfo:
    seconds = lay_timeline(stamps, stream_time(stream)).duration_seconds
    width, height = round(first.width * float(stream.sample_aspect_ratio or 1)), first.height
    if orientation_of(first).transposed:
        width, height = height, width
    codec = stream.codec_context.codec.canonical_name
    return VideoInfo(seconds, len(stamps) / seconds, width, height, len(stamps), codec)


@contextmanager
def opened(path: Path, **options: str) -> Iterator[InputContainer]:
    """The file, opened for reading; never a pipe, and never other files that a text names.

    Args:
        path: The file.
        options: Of FFmpeg's demuxer.

    Raises:
        VideoError: It is no regular file, or a list of others.
        OSError: It cannot be opened.
    """
    if not path.is_file() and path.stat():  # a pipe would wait for a writer forever
        raise VideoError("unreadable", "it is no regular file")
    absolute = str(path.absolute())  # FFmpeg takes what is before a colon for a protocol
    with open_container(absolute, options=options) as container:
        if container.format.name in _LISTS:
            raise VideoError("unreadable", "it is a list of other files")
        yield container


def video_stream(container: InputContainer) -> VideoStream:
    """The stream that is the video; see :func:`~vidbench.data.video.stream_choice.choose_stream`.

    Raises:
        VideoError: There is none, or its frames are too large.
    """
    return chosen_stream(container).stream


def chosen_stream(container: InputContainer) -> Choice:
    """The stream that is the video, and what others there are.

    Raises:
        VideoError: There is none, or its frames are too large.
    """
    choice = choose_stream(container)
    refuse_huge(choice.stream.width, choice.stream.height)
    return choice


def demuxed(
    container: InputContainer, *streams: VideoStream | AudioStream
) -> Iterator[Packet[Any]]:
    """The packets of these streams; of the empty ones only those that flush a decoder.

    Theora writes an empty packet where a frame repeats the one before. The ffmpeg program passes
    over it, and PyAV would take it for the end.
    """
    for packet in container.demux(*streams):
        if packet.size or packet.pts is None:
            yield packet


def stream_time(stream: VideoStream) -> StreamTime:
    """How the stream counts time, and when the clock of a player begins."""
    container = stream.container
    tick = stream.time_base or Fraction(1, av.time_base)
    begin = cast("InputContainer", container).start_time
    origin = None if begin is None else round(Fraction(begin, av.time_base) / tick)
    may_restart = bool(container.format.flags & _TS_DISCONT)
    return StreamTime(tick, _period(stream, tick), origin, may_restart)


def _period(stream: VideoStream, tick: Fraction) -> float:
    """Seconds for which a frame is shown, on average, but for pauses.

    The average of a header counts them: one frame that stays for minutes makes all others seem
    slow. Where the rate that FFmpeg guesses tells of that, the index of the file shows them.
    """
    average = float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
    if 2 * average > float(stream.guessed_rate or 0) or len(stream.index_entries) < stream.frames:
        return 1 / average
    stamps = sorted(entry.timestamp for entry in stream.index_entries)
    steps = np.diff(np.array(stamps, np.int64))
    usual = steps[(steps > 0) & (steps <= _PAUSE * np.median(steps))]
    return float(usual.mean() * float(tick)) if len(usual) else 1 / average


def stamp_of(timed: Packet[VideoStream] | VideoFrame) -> Stamp:
    """What a packet or a frame says of its time; frames come out when they are shown."""
    decoded = timed.dts if isinstance(timed, Packet) else timed.pts
    return Stamp(timed.pts, decoded, timed.duration or 0)


def promises_frame(packet: Packet[VideoStream]) -> bool:
    """Whether a packet stands for a frame that is shown.

    An edit list may discard it, and VP8 has frames that only others refer to: the fifth bit of
    the first byte says whether a frame is shown (RFC 6386, 9.1).
    """
    if not packet.size or packet.is_discard:
        return False
    is_vp8 = packet.stream.codec_context.name in _VP8
    return not is_vp8 or bool(memoryview(packet)[0] & 0x10)


def refuse_huge(width: int, height: int) -> None:
    """Check that frames of this size may be decoded or made.

    Raises:
        VideoError: They have more than :data:`~vidbench.data.video.resize.MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise VideoError("unreadable", f"frames of {width}x{height} exceed {MAX_PIXELS} pixels")


def reason_of(error: Exception) -> str:
    """FFmpeg's own words, without the number and the path around them."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def ffmpeg_errors() -> Iterator[None]:
    """Turns FFmpeg's errors into those of a video."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError("unreadable", reason_of(error)) from error
