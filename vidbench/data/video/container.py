"""Container access shared by decoder and encoder: the video stream, its time and its errors."""

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
_USUAL_RATE = 25  # fps of a stream that states no rate
_LISTS = frozenset({"concat", "hls", "dash"})


class VideoInfo(NamedTuple):
    """Properties of a video, measured on its frames.

    Attributes:
        seconds: Time from the first frame to the end of the last.
        fps: Average number of frames per second.
        width: Width of the picture as displayed, in square pixels.
        height: Height of the picture as displayed, in square pixels.
        num_frames: Number of frames that decode.
        codec: FFmpeg's name of the codec, e.g. ``h264``.
    """

    seconds: float
    fps: float
    width: int
    height: int
    num_frames: int
    codec: str


def describe(path: Path) -> VideoInfo:
    """Decode a video file as far as possible, and return its properties.

    Packets alone are not enough: two fields may be one frame, and a recording that begins in the
    middle of a group of pictures has packets that no decoder shows.

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
        return _info(stream, first, stamps)


def _info(stream: VideoStream, first: VideoFrame, stamps: list[Stamp]) -> VideoInfo:
    seconds = lay_timeline(stamps, stream_time(stream)).duration_seconds
    width, height = size_as_displayed(stream, first)
    codec = stream.codec_context.codec.canonical_name
    return VideoInfo(seconds, len(stamps) / seconds, width, height, len(stamps), codec)


def size_as_displayed(stream: VideoStream, frame: VideoFrame) -> tuple[int, int]:
    """Width and height of a frame of the stream, upright and in square pixels."""
    width = max(1, round(frame.width * float(stream.sample_aspect_ratio or 1)))
    return (frame.height, width) if orientation_of(frame).transposed else (width, frame.height)


@contextmanager
def opened(path: Path, **options: str) -> Iterator[InputContainer]:
    """Open a video file; pipes and playlists of other files are refused.

    Args:
        path: The file.
        options: Options of FFmpeg's demuxer.

    Raises:
        VideoError: It is not a regular file, or it is a playlist.
        OSError: It cannot be opened.
    """
    if not path.is_file() and path.stat():  # opening a pipe would wait for a writer forever
        raise VideoError("unreadable", "it is no regular file")
    absolute = str(path.absolute())  # FFmpeg takes the text before a colon for a protocol
    with open_container(absolute, options=options) as container:
        if container.format.name in _LISTS:
            raise VideoError("unreadable", "it is a list of other files")
        yield container


def video_stream(container: InputContainer) -> VideoStream:
    """The stream chosen by :func:`~vidbench.data.video.stream_choice.choose_stream`.

    Raises:
        VideoError: There is none, or its frames are too large.
    """
    return chosen_stream(container).stream


def chosen_stream(container: InputContainer) -> Choice:
    """The video stream that players show, and a note on other video streams.

    Raises:
        VideoError: There is none, or its frames are too large.
    """
    choice = choose_stream(container)
    refuse_huge(choice.stream.width, choice.stream.height)
    return choice


def demuxed(
    container: InputContainer, *streams: VideoStream | AudioStream
) -> Iterator[Packet[Any]]:
    """Yield the packets of these streams; empty packets only if they flush a decoder.

    Theora writes an empty packet for a frame that repeats the one before. The ffmpeg program
    ignores it, but PyAV would take it for the end.
    """
    for packet in container.demux(*streams):
        if packet.size or packet.pts is None:
            yield packet


def stream_time(stream: VideoStream) -> StreamTime:
    """The stream's time base, frame period and start of playing time."""
    container = stream.container
    tick = stream.time_base or Fraction(1, av.time_base)
    begin = cast("InputContainer", container).start_time
    origin = None if begin is None else round(Fraction(begin, av.time_base) / tick)
    may_restart = bool(container.format.flags & _TS_DISCONT)
    return StreamTime(tick, _period(stream, tick), origin, may_restart)


def _period(stream: VideoStream, tick: Fraction) -> float:
    """Average duration of a frame in seconds, without pauses.

    The average rate in a header includes pauses: one frame shown for minutes makes all others seem
    slow. If FFmpeg's guessed rate differs that much, the period is computed from the file's index.
    """
    average = float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
    if 2 * average > float(stream.guessed_rate or 0) or len(stream.index_entries) < stream.frames:
        return 1 / average
    stamps = sorted(entry.timestamp for entry in stream.index_entries)
    steps = np.diff(np.array(stamps, np.int64))
    usual = steps[(steps > 0) & (steps <= _PAUSE * np.median(steps))]
    return float(usual.mean() * float(tick)) if len(usual) else 1 / average


def stamp_of(timed: Packet[VideoStream] | VideoFrame) -> Stamp:
    """Time stamp of a packet or a frame; frames come out of the decoder in display order."""
    decoded = timed.dts if isinstance(timed, Packet) else timed.pts
    return Stamp(timed.pts, decoded, timed.duration or 0)


def promises_frame(packet: Packet[VideoStream]) -> bool:
    """Whether a packet contains a frame that is shown.

    An edit list may discard it, and VP8 has frames that are only referenced by others: the fifth
    bit of the first byte says whether a frame is shown (RFC 6386, 9.1).
    """
    if not packet.size or packet.is_discard:
        return False
    is_vp8 = packet.stream.codec_context.name in _VP8
    return not is_vp8 or bool(memoryview(packet)[0] & 0x10)


def refuse_huge(width: int, height: int) -> None:
    """Raise VideoError if frames exceed :data:`~vidbench.data.video.resize.MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise VideoError("unreadable", f"frames of {width}x{height} exceed {MAX_PIXELS} pixels")


def reason_of(error: Exception) -> str:
    """FFmpeg's message, without the error number and the path around it."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def ffmpeg_errors() -> Iterator[None]:
    """Convert FFmpeg's errors to VideoError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError("unreadable", reason_of(error)) from error
