"""Read frames one after another, as model input, from a file or a live source."""

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
_OPEN_SECONDS, _READ_SECONDS = 15.0, 30.0  # timeouts for a server that does not answer
_LIVE_OPTIONS = {"analyzeduration": "1000000"}  # microseconds
_RTSP_OPTIONS = {"rtsp_transport": "tcp"}  # most cameras support it, and it loses no packets


class TimedFrame(NamedTuple):
    """A frame as model input.

    Attributes:
        seconds: Display time: playing time for a file, time since the first frame for another
            source; rising.
        crops: Model input.
        lasts: Duration in seconds if no other frame follows.
    """

    seconds: float
    crops: Crops
    lasts: float


class FileFrames(NamedTuple):
    """The frames of a file.

    Attributes:
        period: Average duration of a frame in seconds.
        frames: Frames, decoded once and in order; ends with a :class:`VideoError` if the file is
            truncated.
        note: Oddities of the file, on one line; empty for most files.
    """

    period: float
    frames: Iterator[TimedFrame]
    note: str = ""


@contextmanager
def file_frames(
    path: Path, spec: PreprocessSpec, frames: FrameFolder | None = None
) -> Iterator[FileFrames]:
    """Read the frames of a file, or of a folder of frames, one at a time.

    Args:
        path: The video.
        spec: Preprocessing.
        frames: Properties of a folder of frames.

    Raises:
        VideoError: The file is unreadable or truncated; see
            :func:`~vidbench.data.video.decode.decode_views`.
    """
    if path.is_dir():
        pictures = iterate_frames(path, frames)
        period = 1 / fps_of(frames)
        seen = (TimedFrame(seconds, fit_frame(frame, spec), period) for seconds, frame in pictures)
        yield FileFrames(period, seen)
        return
    with ffmpeg_errors(), opened(path) as container:
        stream, note = chosen_stream(container)
        stream.codec_context.thread_count = 1  # the model uses the other cores
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
    """Yield the frames with sorted times: in an AVI with B-frames, times are out of order."""
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
    """A frame of a live source.

    Attributes:
        seconds: Display time since the first frame; rising.
        arrived: Time at which it had been received and decoded, by :func:`time.monotonic`.
        convert: Returns the model input; call it before the next frame or never.
    """

    seconds: float
    arrived: float
    convert: Callable[[], Crops]


class LiveFrames(NamedTuple):
    """The frames of a live source.

    Attributes:
        period: Average duration of a frame in seconds.
        frames: Frames as they arrive.
    """

    period: float
    frames: Iterator[LiveFrame]


@contextmanager
def live_frames(source: str, spec: PreprocessSpec) -> Iterator[LiveFrames]:
    """Read the frames of a webcam, a stream or a pipe, as they arrive.

    A recording, i.e. a source of known duration, is read at playing speed.

    Args:
        source: Number of a webcam, a URL, or the path of a pipe, a device or a file.
        spec: Preprocessing.

    Raises:
        VideoError: It cannot be opened or read.
    """
    with _webcam(int(source), spec) if source.isdecimal() else _stream(source, spec) as frames:
        yield frames


@contextmanager
def _stream(source: str, spec: PreprocessSpec) -> Iterator[LiveFrames]:
    scheme = urlsplit(source).scheme
    options = _LIVE_OPTIONS | (_RTSP_OPTIONS if scheme == "rtsp" else {})
    # FFmpeg takes the text before a colon for a protocol.
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
        with suppress(av.error.InvalidDataError):  # lost packets; decoding recovers later
            for frame in packet.decode():
                shown = clock.seconds(stamp_of(frame))
                begin = shown if begin is None else begin
                seconds = max(shown - begin, seconds + _STEP_SECONDS)
                yield LiveFrame(seconds, time.monotonic(), partial(convert, frame))


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield all packets, and at last the empty one that flushes the decoder.

    For a source of unknown length, FFmpeg cannot tell its end from a lost connection: both may be
    an input error. After the first packet, such an error is treated as the end.
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
        logger.info("the connection ended; treated as the end, as the source stated no length")
        yield _flushing(stream)


def _flushing(stream: VideoStream) -> Packet[VideoStream]:
    """Return the empty packet that makes a decoder output its remaining frames."""
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
    """Open a camera with OpenCV, without its own messages on standard error."""
    logging: Any = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(number)
    finally:
        logging.setLogLevel(level)


def _capture(capture: Any, spec: PreprocessSpec) -> Iterator[LiveFrame]:
    """Yield the frames of a camera; it gives no times, so the time of arrival is used."""
    begun: float | None = None
    while (read := capture.read())[0]:
        arrived, picture = time.monotonic(), read[1]
        begun = arrived if begun is None else begun
        refuse_huge(picture.shape[1], picture.shape[0])
        yield LiveFrame(arrived - begun, arrived, partial(_fit_bgr, picture, spec))


def _fit_bgr(picture: Any, spec: PreprocessSpec) -> Crops:
    return fit_frame(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), spec)
