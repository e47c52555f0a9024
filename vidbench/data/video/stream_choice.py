"""Choose the video stream that players show from the streams of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidbench.data.video.opening import open_container
from vidbench.errors import VideoError

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_EXTRAS = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.dependent
)
_PROBED_PACKETS = 2000  # of all streams together, if a container does not count frames


class Choice(NamedTuple):
    """The chosen video stream.

    Attributes:
        stream: A stream with a decoder.
        note: Other video streams of the file, on one line; empty if there are none.
    """

    stream: VideoStream
    note: str = ""


def choose_stream(container: InputContainer) -> Choice:
    """Choose the video stream of a file as players do.

    Cover pictures and thumbnails are not videos, nor is a stream with one picture beside a stream
    with several. Of the others, main streams are preferred, then those marked as default, then the
    largest, then the first.

    Raises:
        VideoError: No stream is a video, or none has a known codec.
    """
    moving = [s for s in container.streams.video if not s.disposition & _PICTURES]
    decodable = [stream for stream in moving if _has_decoder(stream)]
    if not decodable:
        none = "no decoder knows the codec of the video stream"
        raise VideoError("unreadable", none if moving else "the file has no video stream")
    if len(moving) == 1:
        return Choice(moving[0])
    counts = _count_frames(container, decodable)
    longer = [stream for stream in decodable if counts[stream.index] > 1]
    chosen = max(longer or decodable, key=_rank)
    others = " and ".join(_shown(each) for each in moving if each is not chosen)
    return Choice(chosen, f"{len(moving)} video streams: {_shown(chosen)} is taken, not {others}")


def _has_decoder(stream: VideoStream) -> bool:
    context: object = stream.codec_context  # PyAV's types do not say that it may be None
    return context is not None


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    is_default = bool(stream.disposition & Disposition.default)
    return not stream.disposition & _EXTRAS, is_default, stream.width * stream.height


def _shown(stream: VideoStream) -> str:
    if not _has_decoder(stream):
        return f"#{stream.index} of an unknown codec"
    default = ", the default" if stream.disposition & Disposition.default else ""
    return f"#{stream.index} ({stream.width}x{stream.height}{default})"


def _count_frames(container: InputContainer, streams: Sequence[VideoStream]) -> Counter[int]:
    """Frames of each stream by index, counted only as far as needed to tell one from several."""
    counts = Counter({stream.index: stream.frames for stream in streams})
    if all(counts.values()) or not Path(container.name).is_file():
        return counts
    with open_container(container.name) as again:
        packets = again.demux([again.streams[stream.index] for stream in streams])
        for _, packet in zip(range(_PROBED_PACKETS), packets, strict=False):
            counts[packet.stream_index] += bool(packet.size)
            if min(counts.values()) > 1:
                break
    return counts
