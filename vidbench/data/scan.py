"""Decodes every frame of a video, to tell whether it is whole."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Literal, NamedTuple

import av
from av.container import InputContainer

from vidbench.data.frame_reader import iterate_frames
from vidbench.data.streams import ffmpeg_errors, opened, reason_of, refuse_huge, video_stream
from vidbench.errors import VideoError

Status = Literal["ok", "broken", "truncated"]


class Scan(NamedTuple):
    """Whether a video is whole.

    Attributes:
        status: ``ok``; ``truncated`` where some frames decode and others that the file promises
            do not; ``broken`` where nothing decodes.
        reason: What was found, on one line; empty if the video is whole.
    """

    status: Status
    reason: str = ""


def scan_video(path: Path) -> Scan:
    """Whether a video is whole, after decoding all of it; never raises for what is in the file.

    A video is truncated where decoding fails after the first frame, where the container lists at
    least two frames more than the file holds, or where at least two promised frames do not come
    out. One is forgiven, because avi files tend to count one too many. Promised are the packets
    that are not marked to be discarded, as those before the start of an edit list are.
    A container that counts no frames (mkv, webm, flv, ts, mpg) promises none: the same file cut
    between two frames passes for a shorter one.
    """
    try:
        if path.is_dir():
            return _scan_frames(path)
        with ffmpeg_errors(), opened(path) as container:
            return _scan(container)
    except VideoError as error:
        return Scan("broken", " ".join(error.detail.split()))
    except MemoryError:
        return Scan("broken", "decoding needs more memory than a worker may have")


def _scan_frames(folder: Path) -> Scan:
    try:
        deque(iterate_frames(folder), maxlen=0)
    except VideoError as error:
        if error.reason != "truncated":
            raise
        return Scan("truncated", error.detail)
    return Scan("ok")


def _scan(container: InputContainer) -> Scan:
    stream = video_stream(container)
    stream.codec_context.thread_count = 1
    held = promised = decoded = 0
    try:
        for packet in container.demux(stream):
            held += bool(packet.size)
            promised += bool(packet.size and not packet.is_discard)
            for frame in packet.decode():
                refuse_huge(frame.width, frame.height)
                decoded += 1
    except av.FFmpegError as error:
        if not decoded or isinstance(error, MemoryError):
            raise
        return Scan("truncated", f"decoding failed after {decoded} frames: {reason_of(error)}")
    if not decoded:
        raise VideoError("unreadable", "no frame could be decoded")
    if stream.frames > held + 1:
        return Scan("truncated", f"{stream.frames} frames listed, {held} in the file")
    if promised > decoded + 1:
        return Scan("truncated", f"{promised} frames promised, {decoded} decoded")
    return Scan("ok")
