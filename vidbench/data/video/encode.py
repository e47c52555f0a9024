"""Enlarge videos for services that refuse small pictures; the only encoder in vidbench."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbench.data.video.container import (
    demuxed,
    ffmpeg_errors,
    opened,
    refuse_huge,
    size_as_displayed,
    stamp_of,
    stream_time,
    video_stream,
)
from vidbench.data.video.orientation import filtering, orientation_of
from vidbench.data.video.timeline import Clock, Stamp, lay_timeline
from vidbench.data.video.whole import whole_frames
from vidbench.errors import VideoError

_QUALITY = {"crf": "18", "preset": "medium"}  # 18 is visually lossless, says FFmpeg's H.264 guide
_STILL = 2  # a frame shown this many times longer than others is a still
_THREADS = 4  # fixed, because the encoder's output depends on it


class Size(NamedTuple):
    """Width and height of a picture, in square pixels."""

    width: int
    height: int


def shown_size(path: Path) -> Size:
    """Displayed size of a video, with orientation and pixel aspect ratio applied.

    Raises:
        VideoError: The file is unreadable.
    """
    with ffmpeg_errors(), opened(path) as container:
        stream = video_stream(container)
        packets = (packet.decode() for packet in demuxed(container, stream))
        first = next((frame for frames in packets for frame in frames), None)
        if first is None:
            raise VideoError("unreadable", "no frame could be decoded")
        return Size(*size_as_displayed(stream, first))


def enlarge(size: Size, min_size: int) -> Size:
    """Smallest size with even sides of at least ``min_size`` and this aspect ratio, rounded.

    Sides that are long enough are only made even.
    """
    shorter = max(min(size), min_size)
    shorter += shorter % 2
    longer = 2 * round(max(size) * shorter / min(size) / 2)
    return Size(longer, shorter) if size.width >= size.height else Size(shorter, longer)


def upscale(source: Path, target: Path, min_size: int) -> None:
    """Write the video with sides of at least ``min_size`` pixels, as H.264 (yuv420p) in an mp4.

    The number and times of frames are kept, except that joined recordings play one after another.
    Sound is copied without encoding. Orientation and pixel aspect ratio are applied.

    Args:
        source: Any video that FFmpeg can read.
        target: The mp4, whatever its suffix; an existing file is overwritten.
        min_size: Minimum length of the shorter side, in pixels.

    Raises:
        VideoError: The source is unreadable or truncated, its sound cannot be stored in an mp4, or
            the frames would be too large. The target may be incomplete.
    """
    with ffmpeg_errors():
        with opened(source) as read:
            times = _read_times(source, read)
        size = enlarge(shown_size(source), min_size)
        refuse_huge(*size)
        with opened(source) as read, av.open(str(target), "w", format="mp4") as written:
            _transcode(read, written, times, size)


def _read_times(path: Path, read: InputContainer) -> list[int]:
    """Display time of each frame, and the end of the last one, in ticks of the stream.

    Raises:
        VideoError: The video is incomplete; see :func:`~vidbench.data.video.whole.whole_frames`.
    """
    stream = video_stream(read)
    time = stream_time(stream)
    stamps = [stamp_of(frame) for frame in whole_frames(path, read, stream)]
    timeline = lay_timeline(stamps, time)
    seconds = np.append(timeline.starts_seconds, timeline.duration_seconds)
    ticks = np.rint((seconds + timeline.begin_seconds) / float(time.tick)).astype(np.int64)
    rows = np.arange(len(ticks))
    rising = np.maximum.accumulate(ticks - rows) + rows  # in an mp4, times must differ
    return [int(tick) for tick in rising + (time.origin or 0)]


def _transcode(
    read: InputContainer, written: OutputContainer, times: list[int], size: Size
) -> None:
    source = video_stream(read)
    lasts = dict(zip(times, np.diff(times).tolist(), strict=False))
    target = _add_video(written, source, size)
    if lasts[times[-2]] > _STILL * min(lasts.values()):
        target.codec_context.max_b_frames = 0  # with B-frames, an mp4 loses a still's duration
    sounds = [_Sound(written, each, source) for each in read.streams.audio]
    of_index = {sound.index: sound for sound in sounds}
    scale, remaining = _scaler(size), iter(times)

    def write(packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = lasts[cast("int", packet.pts)]
            written.mux(packet)

    for packet in demuxed(read, source, *read.streams.audio):
        if packet.stream_index in of_index:
            of_index[packet.stream_index].copy(packet)
            continue
        with suppress(av.error.InvalidDataError):  # packets before the first complete group
            for frame in packet.decode():
                scaled = scale(frame)
                scaled.pts = next(remaining)
                write(target.encode(scaled))
    write(target.encode(None))


class _Sound:
    """Copies the packets of an audio stream; joined recordings play one after another.

    Args:
        written: The output file.
        source: The audio stream.
        video: The video stream of the same file.
    """

    def __init__(self, written: OutputContainer, source: AudioStream, video: VideoStream) -> None:
        self.index = source.index
        self._written = written
        self._target = written.add_stream_from_template(source)
        tick = source.time_base or Fraction(1, av.time_base)
        self._clock = Clock(stream_time(video)._replace(tick=tick, origin=None))

    def copy(self, packet: Packet[Any]) -> None:
        if packet.pts is None or packet.dts is None or packet.is_discard:
            return
        shift = self._clock.ticks(Stamp(packet.pts, packet.dts, packet.duration or 0)) - packet.pts
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
        packet.stream = self._target
        self._written.mux(packet)


def _add_video(written: OutputContainer, source: VideoStream, size: Size) -> VideoStream:
    """Add a video stream of this size, with the time base and colour properties of the source."""
    target = written.add_stream("libx264", rate=source.average_rate, options=dict(_QUALITY))
    target.width, target.height = size
    target.pix_fmt = "yuv420p"
    context = target.codec_context
    context.time_base = cast("Fraction", source.time_base)
    context.thread_count, context.thread_type = _THREADS, "FRAME"
    for name in ("colorspace", "color_primaries", "color_trc"):
        setattr(context, name, getattr(source.codec_context, name))
    context.color_range = 1  # limited, like the output of the scale filter
    return target


def _scaler(size: Size) -> Callable[[VideoFrame], VideoFrame]:
    """Return a function that enlarges a decoded frame, upright and with square pixels."""
    enlarged: Callable[[VideoFrame], VideoFrame] | None = None

    def scale(frame: VideoFrame) -> VideoFrame:
        nonlocal enlarged
        if enlarged is None:
            scaling = f"{size.width}:{size.height}:flags=lanczos:out_range=limited"
            steps = (("scale", scaling), ("setsar", "1"), ("format", "yuv420p"))
            enlarged = filtering(frame, [*orientation_of(frame).filters(), *steps])
        scaled = enlarged(frame)
        scaled.pict_type = 0  # otherwise the encoder would copy the source's key frames
        return scaled

    return scale
