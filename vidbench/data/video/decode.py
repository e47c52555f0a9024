"""A video file becomes the frames that a spec asks for.

Most files are regular: every packet gives one frame with a time stamp of its own. In such an
H.264 file the frames to take are known from the packets alone, and the decoder may skip frames
that are not wanted and that no other frame refers to. Any other file, and one whose frames come
out with stamps that do not rise, is decoded frame by frame: twice where the packets promised
another number of frames than came out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbench.data.records import FrameFolder, Section, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import (
    chosen_stream,
    demuxed,
    ffmpeg_errors,
    opened,
    promises_frame,
    stamp_of,
    stream_time,
    video_stream,
)
from vidbench.data.video.converter import Converter
from vidbench.data.video.frame_reader import read_views
from vidbench.data.video.pixels import Indices, sample_frames
from vidbench.data.video.resize import Crops
from vidbench.data.video.timeline import Stamp, Timeline, cut_section, lay_timeline
from vidbench.data.video.whole import whole_frames
from vidbench.errors import VideoError

_SKIPPING_CODECS = frozenset({"h264"})
_KEPT_BYTES = 1 << 26  # of packets; a larger file is read once more instead


@dataclass(frozen=True)
class _Promise:
    """What the packets of a file promise, before any of them is decoded.

    Attributes:
        packets: All of them in the file's order, the empty one that flushes the decoder last;
            None where they are too many bytes to be kept.
        stamps: Their times, in the order of showing.
        timeline: When frames are shown.
        is_regular: Wanted frames are known by their stamps.
        is_reordered: Packets do not lie in the order of showing, and say so: stamps are times of
            showing then, and the decoder can leave out frames.
    """

    packets: list[Packet[VideoStream]] | None
    stamps: list[int]
    timeline: Timeline
    is_regular: bool
    is_reordered: bool


class Decoded(NamedTuple):
    """What was decoded of a video.

    Attributes:
        views: (views, frames, crop_size, crop_size, 3), uint8 RGB.
        note: What is odd about the file, on one line; empty for most.
    """

    views: Views
    note: str = ""


def decode_views(
    path: Path,
    spec: PreprocessSpec,
    draw: str = "",
    *,
    section: Section | None = None,
    keep_truncated: bool = False,
    frames: FrameFolder | None = None,
) -> Views:
    """The views of one video: (views, frames, crop_size, crop_size, 3), uint8 RGB.

    The crops of the first clip come first. Pixels of 8-bit video equal those of OpenCV's decoder;
    those of more bits are rounded right, where OpenCV's are darker. HDR is not mapped to the range
    of other videos. The orientation of the first frame and the shape of pixels are applied; frames
    are those that decode, whatever the header counts.

    Args:
        path: The video: a file, or a folder of frames.
        spec: What is done to its pixels.
        draw: Tells this video from others, for sampling at random.
        section: Sample from this part of the video; None for all of it. Whether the file is whole
            counts in any case.
        keep_truncated: Take what decodes of a truncated video for the whole.
        frames: What is known of a folder of frames.

    Raises:
        VideoError: The file is unreadable, truncated, or too short for the spec.
    """
    return decode_video(
        path, spec, draw, section=section, keep_truncated=keep_truncated, frames=frames
    ).views


def decode_video(
    path: Path,
    spec: PreprocessSpec,
    draw: str = "",
    *,
    section: Section | None = None,
    keep_truncated: bool = False,
    frames: FrameFolder | None = None,
) -> Decoded:
    """The views of one video, and what is odd about it; see :func:`decode_views`."""
    if path.is_dir():
        views = read_views(
            path, spec, draw, facts=frames, section=section, keep_truncated=keep_truncated
        )
        return Decoded(views)
    sampling = _Sampling(spec, draw, section, keep_truncated)
    with ffmpeg_errors():
        with _opened(path) as (container, stream):
            note = chosen_stream(container).note
            promise = _read_packets(demuxed(container, stream), stream)
            found = _decode_wanted(stream, promise.packets, promise, sampling)
        if found is None and promise.packets is None:
            with _opened(path) as (container, stream):
                found = _decode_wanted(stream, demuxed(container, stream), promise, sampling)
        if found is None:
            found = _decode_all(path, promise.timeline, sampling)
    return Decoded(found, note)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    with opened(path) as container:
        stream = video_stream(container)
        stream.codec_context.thread_count = 1  # there are as many workers as cores
        yield container, stream


def _read_packets(packets: Iterable[Packet[VideoStream]], stream: VideoStream) -> _Promise:
    kept: list[Packet[VideoStream]] | None = []
    stamps: list[Stamp] = []
    num_bytes = num_packets = 0
    is_corrupt = False
    for packet in packets:
        num_packets += bool(packet.size)
        num_bytes += packet.size
        is_corrupt |= packet.is_corrupt
        stamps += [stamp_of(packet)] if promises_frame(packet) else []
        if num_bytes > _KEPT_BYTES:
            kept = None
        if kept is not None:
            kept.append(packet)
    if not stamps:
        raise VideoError("unreadable", "the video stream holds no packets")
    known = [stamp.shown for stamp in stamps if stamp.shown is not None]
    ordered = sorted(known)
    # Without a count of frames it is unknown whether one that others refer to is lost; and pictures
    # before the first packet's are shown by no decoder.
    is_complete = len(set(known)) == num_packets == stream.frames and known[0] == ordered[0]
    return _Promise(
        packets=kept,
        stamps=ordered,
        timeline=lay_timeline(stamps, stream_time(stream)),
        is_regular=is_complete and not is_corrupt and stream.codec_context.name in _SKIPPING_CODECS,
        is_reordered=known != ordered,
    )


def _decode_wanted(
    stream: VideoStream,
    packets: Iterable[Packet[VideoStream]] | None,
    promise: _Promise,
    sampling: _Sampling,
) -> Views | None:
    """The views, decoding only what they need; None where a wanted frame does not come out.

    None as well where the stamps of what comes out do not rise. An avi has times of decoding
    only, and FFmpeg then gives a frame the stamp of another.
    """
    if packets is None or not promise.is_regular:
        return None
    clips = _Clips(sampling.frames(promise.timeline), sampling.spec)
    wanted = {promise.stamps[index]: index for index in clips.missing}
    convert = Converter(stream, sampling.spec)
    frames = _decode_packets(stream, packets, wanted.keys() if promise.is_reordered else None)
    last: int | None = None
    try:
        for frame in frames:
            convert.see(frame)
            # A corrupt one may show what was skipped.
            if frame.is_corrupt or frame.pts is None or (last is not None and frame.pts <= last):
                return None
            last = frame.pts
            if last in wanted:
                clips.put(wanted[last], convert(frame))
    except av.FFmpegError:
        return None
    return None if clips.missing else clips.views


def _decode_packets(
    stream: VideoStream,
    packets: Iterable[Packet[VideoStream]],
    wanted: Collection[int] | None,
) -> Iterator[VideoFrame]:
    """The frames with these stamps and all others that some frame refers to; all where None."""
    context = stream.codec_context
    for packet in packets:
        # NONREF drops a frame only if no other frame refers to it; the last, empty packet flushes.
        is_needed = wanted is None or not packet.size or packet.pts in wanted
        context.skip_frame = "DEFAULT" if is_needed else "NONREF"
        yield from packet.decode()


def _decode_all(path: Path, promised: Timeline, sampling: _Sampling) -> Views:
    """The views, by decoding every frame; once more where packets promised another timeline."""
    assumed = sampling.frames(promised)
    clips, actual = _decode_frames(path, assumed, sampling)
    indices = sampling.frames(actual)
    if not np.array_equal(indices, assumed):
        clips, _ = _decode_frames(path, indices, sampling)
    if clips.missing:
        raise VideoError("unreadable", "it decodes otherwise each time")
    return clips.views


def _decode_frames(path: Path, indices: Indices, sampling: _Sampling) -> tuple[_Clips, Timeline]:
    """The clips of the frames with these indices, and the timeline of all frames."""
    clips = _Clips(indices, sampling.spec)
    stamps: list[Stamp] = []
    with _opened(path) as (container, stream):
        convert = Converter(stream, sampling.spec)
        try:
            for index, frame in enumerate(whole_frames(path, container, stream)):
                stamps.append(stamp_of(frame))
                convert.see(frame)
                if index in clips.missing:
                    clips.put(index, convert(frame))
        except VideoError as error:
            if error.reason != "truncated" or not sampling.keep_truncated:
                raise
        return clips, lay_timeline(stamps, stream_time(stream))


class _Sampling(NamedTuple):
    """Which frames of a video are taken, whatever its timeline turns out to be."""

    spec: PreprocessSpec
    draw: str
    section: Section | None
    keep_truncated: bool

    def frames(self, timeline: Timeline) -> Indices:
        """Indices of the frames to take, in the whole video."""
        if self.section is None:
            return sample_frames(timeline, self.spec, self.draw)
        first, part = cut_section(timeline, self.section)
        return first + sample_frames(part, self.spec, self.draw)


class _Clips:
    """Clips that fill as their frames are decoded.

    Attributes:
        missing: Indices of the frames that have not come yet.
    """

    def __init__(self, indices: Indices, spec: PreprocessSpec) -> None:
        size = spec.crop_size
        clips, frames = indices.shape
        self._pixels = np.empty((clips, spec.num_crops, frames, size, size, 3), np.uint8)
        self._places: dict[int, list[tuple[int, int]]] = {}
        for place, index in np.ndenumerate(indices):
            self._places.setdefault(int(index), []).append((place[0], place[1]))
        self.missing = set(self._places)

    @property
    def views(self) -> Views:
        """(views, frames, crop_size, crop_size, 3), uint8 RGB."""
        return self._pixels.reshape(-1, *self._pixels.shape[2:])

    def put(self, index: int, crops: Crops) -> None:
        """Puts a frame wherever it belongs: clips may overlap, and repeat a frame."""
        for clip, place in self._places[index]:
            self._pixels[clip, :, place] = crops
        self.missing.remove(index)
