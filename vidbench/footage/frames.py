"""Frames one after another, as a model sees them: of a file, or of a source that goes on."""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidbench.data.records import FrameFolder
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import (
    chosen_stream,
    demuxed,
    ffmpeg_errors,
    opened,
    refuse_huge,
    stamp_of,
    stream_time,
    video_stream,
)
from vidbench.data.video.converter import Converter
from vidbench.data.video.frame_reader import fps_of, iterate_frames
from vidbench.data.video.opening import open_container
from vidbench.data.video.resize import Crops, fit_frame
from vidbench.data.video.timeline import MIXED_UP, Clock
from vidbench.data.video.whole import whole_frames
from vidbench.errors import VideoError

logger = logging.getLogger(__name__)

_USUAL_RATE = 25.0
_STEP_SECONDS = 1e-4  # between frames whose times do not rise
_OPEN_SECONDS, _READ_SECONDS = 15.0, 30.0  # of a server that does not answer
_LIVE_OPTIONS = {"analyzeduration": "1000000"}  # microseconds
_RTSP_OPTIONS = {"rtsp_transport": "tcp"}  # most cameras have it, and it loses no packets


class TimedFrame(NamedTuple):
    """A frame as the model sees it.

    Attributes:
        seconds: When it is shown: of a file on the clock of a player, of another source from the
            first frame on; rising.
        crops: What the model sees.
        lasts: Seconds for which it is shown if no other follows.
    """

    seconds: float
    crops: Crops
    lasts: float


class FileFrames(NamedTuple):
    """The frames of a file.

    Attributes:
        period: Seconds for which a frame is shown, on average.
        frames: Each of them, decoded once and in order; ends with a :class:`VideoError` where the
            file is truncated.
        note: What is odd about the file, on one line; empty for most.
    """

    period: float
    frames: Iterator[TimedFrame]
    note: str = ""


@contextmanager
def file_frames(
    path: Path, spec: PreprocessSpec, frames: FrameFolder | None = None
) -> Iterator[FileFrames]:
    """The frames of a file, or of a folder of frames, one at a time.

    Args:
        path: The video.
        spec: What is done to its pixels.
        frames: What is known of a folder of frames.

    Raises:
        VideoError: The file is unreadable or truncated, as
            :func:`~vidbench.data.video.decode.decode_views` has it.
    """
    if path.is_dir():
        pictures = iterate_frames(path, frames)
        period = 1 / fps_of(frames)
        seen = (TimedFrame(seconds, fit_frame(frame, spec), period) for seconds, frame in pictures)
        yield FileFrames(period, seen)
        return
    with ffmpeg_errors(), opened(path) as container:
        stream, note = chosen_stream(container)
        stream.codec_context.thread_count = 1  # the other cores are the model's
        decoded = _decode(path, container, stream, spec)
        yield FileFrames(stream_time(stream).period, _in_order(decoded), note)


def _decode(
    path: Path, container: InputContainer, stream: VideoStream, spec: PreprocessSpec
) -> Iterator[TimedFrame]:
    clock, convert = Clock(stream_time(stream)), Converter(stream, spec)
    for frame in whole_frames(path, container, stream):
        seconds = clock.seconds(stamp_of(frame))
        yield TimedFrame(seconds, convert(frame), clock.lasts_seconds)


def _in_order(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """The frames with their times sorted: an avi with B-frames gives them those of others."""
    crops: deque[Crops] = deque()
    times: list[tuple[float, float]] = []
    error: VideoError | None = None
    try:
        for frame in frames:
            crops.append(frame.crops)
            heappush(times, (frame.seconds, frame.lasts))
            if len(crops) > MIXED_UP:
                seconds, lasts = heappop(times)
                yield TimedFrame(seconds, crops.popleft(), lasts)
    except VideoError as damage:
        error = damage
    while crops:
        seconds, lasts = heappop(times)
        yield TimedFrame(seconds, crops.popleft(), lasts)
    if error is not None:
        raise error


class LiveFrame(NamedTuple):
    """A frame of a source that goes on.

    Attributes:
        seconds: When it is shown, from the first frame; rising.
        arrived: When it had come and was decoded, as :func:`time.monotonic` has it.
        convert: Gives what the model sees; at once or never, because the frame is not kept.
    """

    seconds: float
    arrived: float
    convert: Callable[[], Crops]


class LiveFrames(NamedTuple):
    """The frames of a source that goes on.

    Attributes:
        period: Seconds for which a frame is shown, on average.
        frames: Each of them, as it comes.
    """

    period: float
    frames: Iterator[LiveFrame]


@contextmanager
def live_frames(source: str, spec: PreprocessSpec) -> Iterator[LiveFrames]:
    """The frames of a webcam, a stream or a pipe, as they come.

    A recording, which is one if it knows how long it is, is read as fast as it is shown.

    Args:
        source: The number of a webcam, an address, or the path of a pipe, a device or a file.
        spec: What is done to pixels.

    Raises:
        VideoError: It cannot be opened or read.
    """
    with _webcam(int(source), spec) if source.isdecimal() else _stream(source, spec) as found:
        yield found


@contextmanager
def _stream(source: str, spec: PreprocessSpec) -> Iterator[LiveFrames]:
    scheme = urlsplit(source).scheme
    options = _LIVE_OPTIONS | (_RTSP_OPTIONS if scheme == "rtsp" else {})
    # FFmpeg takes what is before a colon for a protocol.
    address = source if "://" in source else str(Path(source).absolute())
    with ffmpeg_errors():
        timeout = (_OPEN_SECONDS, _READ_SECONDS) if "://" in source else None
        with open_container(address, options=options, timeout=timeout) as container:
            stream = video_stream(container)
            frames = _receive(container, stream, spec)
            is_recording = container.duration is not None
            period = stream_time(stream).period
            yield LiveFrames(period, _paced(frames) if is_recording else frames)


def _receive(
    container: InputContainer, stream: VideoStream, spec: PreprocessSpec
) -> Iterator[LiveFrame]:
    clock, convert = Clock(stream_time(stream)), Converter(stream, spec)
    seconds, begin = -_STEP_SECONDS, None
    for packet in _packets(container, stream):
        with suppress(av.error.InvalidDataError):  # what was lost on the way comes back in time
            for frame in packet.decode():
                shown = clock.seconds(stamp_of(frame))
                begin = shown if begin is None else begin
                seconds = max(shown - begin, seconds + _STEP_SECONDS)
                yield LiveFrame(seconds, time.monotonic(), partial(convert, frame))


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets, the empty one that flushes the decoder last.

    Where a source does not say how long it is, its end and a lost connection look alike to FFmpeg:
    both may be an error of input. After the first packet that is the end.
    """
    has_begun = False
    try:
        for packet in demuxed(container, stream):
            has_begun = True
            yield packet
    except av.error.OSError as error:
        is_length_known = (container.size or -1) >= 0  # None in PyAV 19, negative before
        if error.errno != errno.EIO or is_length_known or not has_begun:
            raise
        logger.info("the connection ended; the source gave no length, so this is taken for its end")
        yield _flushing(stream)


def _flushing(stream: VideoStream) -> Packet[VideoStream]:
    """The empty packet at which a decoder gives the frames that it still holds."""
    packet: Packet[Any] = Packet()
    packet.stream = stream
    return packet


def _paced(frames: Iterator[LiveFrame]) -> Iterator[LiveFrame]:
    begun: float | None = None
    for frame in frames:
        begun = frame.arrived if begun is None else begun
        time.sleep(max(0.0, begun + frame.seconds - time.monotonic()))
        yield frame._replace(arrived=time.monotonic())


@contextmanager
def _webcam(number: int, spec: PreprocessSpec) -> Iterator[LiveFrames]:
    capture = _open_quietly(number)
    try:
        if not capture.isOpened():
            raise VideoError("unreadable", f"there is no camera {number}")
        rate = capture.get(cv2.CAP_PROP_FPS)
        yield LiveFrames(1 / (rate if rate > 0 else _USUAL_RATE), _capture(capture, spec))
    finally:
        capture.release()


def _open_quietly(number: int) -> Any:
    """OpenCV's capture, which would say on standard error that there is no such camera."""
    logging: Any = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(number)
    finally:
        logging.setLogLevel(level)


def _capture(capture: Any, spec: PreprocessSpec) -> Iterator[LiveFrame]:
    """A camera says no times: a frame is shown when it arrives."""
    begun: float | None = None
    while (read := capture.read())[0]:
        arrived, picture = time.monotonic(), read[1]
        begun = arrived if begun is None else begun
        refuse_huge(picture.shape[1], picture.shape[0])
        yield LiveFrame(arrived - begun, arrived, partial(_fit_bgr, picture, spec))


def _fit_bgr(picture: Any, spec: PreprocessSpec) -> Crops:
    return fit_frame(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), spec)
