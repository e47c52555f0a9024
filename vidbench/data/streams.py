"""What decoder and encoder agree on: which stream is the video, and how a player shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbench.data.process import MAX_PIXELS
from vidbench.errors import VideoError

_LISTS = frozenset({"concat", "hls", "dash"})


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file, opened for reading; never a pipe, and never other files that a text names.

    Raises:
        VideoError: It is no regular file, or a list of others.
        OSError: It cannot be opened.
    """
    if not path.is_file() and path.stat():  # a pipe would wait for a writer forever
        raise VideoError("unreadable", "it is no regular file")
    absolute = str(path.absolute())  # FFmpeg takes what is before a colon for a protocol
    with av.open(absolute, metadata_errors="replace") as container:  # titles may be in Latin-1
        if container.format.name in _LISTS:
            raise VideoError("unreadable", "it is a list of other files")
        yield container


def video_stream(container: InputContainer) -> VideoStream:
    """The first stream that is a video and not a cover picture.

    Raises:
        VideoError: There is none, or its frames are too large.
    """
    cover = av.stream.Disposition.attached_pic
    moving = [s for s in container.streams.video if not s.disposition & cover]
    if not moving:
        raise VideoError("unreadable", "the file has no video stream")
    context = moving[0].codec_context
    if context is None:  # PyAV's types do not say so
        raise VideoError("unreadable", "no decoder knows the codec of the video stream")
    refuse_huge(context.width, context.height)
    return moving[0]


def refuse_huge(width: int, height: int) -> None:
    """Nothing, if frames of this size may be decoded or made.

    Raises:
        VideoError: They have more than :data:`~vidbench.data.process.MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise VideoError("unreadable", f"frames of {width}x{height} exceed {MAX_PIXELS} pixels")


def quarter_turns(frame: VideoFrame) -> int:
    """How often a player turns the picture counterclockwise by 90 degrees, 0 to 3."""
    return round(frame.rotation / 90) % 4


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
