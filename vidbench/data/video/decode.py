"""Decode the frames of a video that a spec selects.

Most files are regular: every packet gives one frame with its own time stamp. In such an H.264 file
the frames to take are known from the packets alone, and the decoder may skip frames that are
neither wanted nor referenced by other frames. Any other file, and one whose decoded frames have
stamps that do not rise, is decoded frame by frame: twice if the number of frames differs from what
the packets promised.
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
_KEPT_BYTES = 1 << 26  # of packets in memory; a larger file is read again instead


@dataclass(frozen=True)
class _Promise:
    """Frames that the packets of a file promise, before any packet is decoded.

    Attributes:
        packets: All packets in file order, ending with the empty one that flushes the decoder;
            None if they are too large to keep.
        stamps: Presentation times of the packets, sorted.
        timeline: Display times of the frames.
        is_regular: Whether frames can be identified by their stamps.
        is_reordered: Whether packets are stored in another order than they are shown: then stamps
            are presentation times, and the decoder can skip frames.
    """

    packets: list[Packet[VideoStream]] | None
    stamps: list[int]
    timeline: Timeline
    is_regular: bool
    is_reordered: bool


class Decoded(NamedTuple):
    """The views of a video.

    Attributes:
        views: (views, frames, crop_size, crop_size, 3), uint8 RGB.
        note: Oddities of the file, on one line; empty for most files.
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
    """Decode the views of one video: (views, frames, crop_size, crop_size, 3), uint8 RGB.

    The crops of the first clip come first. Pixels of 8-bit video equal those of OpenCV's decoder;
    those of deeper video are rounded correctly, while OpenCV's are darker. HDR is not tone-mapped.
    The orientation of the first frame and the pixel aspect ratio are applied. The frames are those
    that decode, regardless of the count in the header.

    Args:
        path: The video: a file, or a folder of frames.
        spec: Preprocessing.
        draw: Identifies this video, for random sampling.
        section: Sample from this part of the video; None for all of it. The whole file is checked
            for truncation in any case.
        keep_truncated: Treat the decodable frames of a truncated video as the whole video.
        frames: Properties of a folder of frames.

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
    """Decode the views of one video, with a note on oddities; see :func:`decode_views`."""
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
            decoded = _decode_wanted(stream, promise.packets, promise, sampling)
        if decoded is None and promise.packets is None:
            with _opened(path) as (container, stream):
                decoded = _decode_wanted(stream, demuxed(container, stream), promise, sampling)
        if decoded is None:
            decoded = _decode_all(path, promise.timeline, sampling)
    return Decoded(decoded, note)


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
    # Without a count of frames, a referenced frame may be lost unnoticed; and decoders do not show
    # frames that precede the first packet's.
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
    """Decode only the frames that the views need; None if a wanted frame is not decoded.

    Also None if the stamps of decoded frames do not rise. An AVI has only decoding times, and
    FFmpeg then gives a frame the stamp of another one.
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
            # A corrupt frame may depend on a skipped one.
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
    """Yield the frames with these stamps and all referenced frames; all frames if None."""
    context = stream.codec_context
    for packet in packets:
        # NONREF drops only frames that are not referenced; the last, empty packet flushes.
        is_needed = wanted is None or not packet.size or packet.pts in wanted
        context.skip_frame = "DEFAULT" if is_needed else "NONREF"
        yield from packet.decode()


def _decode_all(path: Path, promised: Timeline, sampling: _Sampling) -> Views:
    """Decode every frame, twice if the packets promised another timeline; return the views."""
    assumed = sampling.frames(promised)
    clips, actual = _decode_frames(path, assumed, sampling)
    indices = sampling.frames(actual)
    if not np.array_equal(indices, assumed):
        clips, _ = _decode_frames(path, indices, sampling)
    if clips.missing:
        raise VideoError("unreadable", "it decodes otherwise each time")
    return clips.views


def _decode_frames(path: Path, indices: Indices, sampling: _Sampling) -> tuple[_Clips, Timeline]:
    """Decode a file; return the clips of the frames with these indices, and the timeline."""
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
    """The rules that select frames, before the timeline of the video is known."""

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
    """Clips that are filled while frames are decoded.

    Attributes:
        missing: Indices of the frames that have not been decoded yet.
    """

    def __init__(self, indices: Indices, spec: PreprocessSpec) -> None:
        size = spec.crop_size
        clips, frames = indices.shape
        self._pixels = np.empty((clips, spec.num_crops, frames, size, size, 3), np.uint8)
        self._positions: dict[int, list[tuple[int, int]]] = {}
        for (clip, position), index in np.ndenumerate(indices):
            self._positions.setdefault(int(index), []).append((clip, position))
        self.missing = set(self._positions)

    @property
    def views(self) -> Views:
        """(views, frames, crop_size, crop_size, 3), uint8 RGB."""
        return self._pixels.reshape(-1, *self._pixels.shape[2:])

    def put(self, index: int, crops: Crops) -> None:
        """Copy a frame to all its positions: clips may overlap, and repeat a frame."""
        for clip, position in self._positions[index]:
            self._pixels[clip, :, position] = crops
        self.missing.remove(index)
