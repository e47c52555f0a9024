"""Decode every frame of a video to check that it is whole."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Literal, NamedTuple

from vidbench.data.video.container import chosen_stream, ffmpeg_errors, opened, refuse_huge
from vidbench.data.video.frame_reader import iterate_frames
from vidbench.data.video.whole import whole_frames
from vidbench.errors import VideoError

Status = Literal["ok", "broken", "truncated"]


class Scan(NamedTuple):
    """Whether a video is whole.

    Attributes:
        status: ``ok``; ``truncated`` if some of the promised frames do not decode; ``broken`` if
            none does.
        reason: The damage, on one line; empty if the video is whole.
        note: Oddities of a whole video; empty if there are none.
    """

    status: Status
    reason: str = ""
    note: str = ""


def scan_video(path: Path) -> Scan:
    """Decode all of a video and return whether it is whole; damage never raises an error.

    :func:`~vidbench.data.video.whole.whole_frames` defines what counts as whole.
    """
    try:
        if path.is_dir():
            deque(iterate_frames(path), maxlen=0)
            return Scan("ok")
        with ffmpeg_errors(), opened(path) as container:
            stream, note = chosen_stream(container)
            stream.codec_context.thread_count = 1
            for frame in whole_frames(path, container, stream):
                refuse_huge(frame.width, frame.height)
        return Scan("ok", note=note)
    except VideoError as error:
        status: Status = "truncated" if error.reason == "truncated" else "broken"
        return Scan(status, " ".join(error.detail.split()))
    except MemoryError:
        return Scan("broken", "decoding needs more memory than a worker may have")
