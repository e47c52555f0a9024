"""A video file becomes the frames that a spec asks for; the only importer of a decoder.

Most files are regular: every packet gives one frame with a time stamp of its own. In such an
H.264 file the frames to take are known from the packets alone, and the decoder may skip the
frames that nobody wants and no other frame refers to. Any other file is decoded frame by frame,
twice where the packets promised another number of frames than came out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidbench.data.process import MAX_PIXELS, Indices, Timeline, fit_frame, sample_frames
from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError

_SKIPPING_CODECS = frozenset({"h264"})


@dataclass(frozen=True)
class _Promise:
    """What the packets of a file promise, before any of them is decoded.

    Attributes:
        packets: All of them in the file's order, the empty one that flushes the decoder last.
        stamps: Their times, in the order of showing.
        timeline: When frames are shown.
        is_regular: Every packet gives one frame with a time stamp of its own.
    """

    packets: list[Packet[VideoStream]]
    stamps: list[int]
    timeline: Timeline
    is_regular: bool


def decode_clip(path: Path, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """The clip of one video: (num_frames, crop_size, crop_size, 3), uint8 RGB.

    Pixels equal those of OpenCV's decoder. Rotation in the file's metadata and the shape of its
    pixels are applied; frames are those that decode, whatever the header counts.

    Raises:
        VideoError: The file is unreadable, truncated, or too short for the spec.
    """
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container.streams.video)
            promise = _read_packets(container, stream)
            if promise.is_regular and stream.codec_context.name in _SKIPPING_CODECS:
                clip = _decode_wanted(stream, promise, spec)
                if clip is not None:
                    return clip
        return _decode_all(path, promise.timeline, spec)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError("unreadable", _reason(error)) from error


def _read_packets(container: InputContainer, stream: VideoStream) -> _Promise:
    demuxed = list(container.demux(stream))
    packets = [p for p in demuxed if p.size]
    live = [p for p in packets if not p.is_discard]
    if not live:
        raise VideoError("unreadable", "the video stream holds no packets")
    if stream.frames > len(packets) + 1:
        detail = f"{stream.frames} frames listed, {len(packets)} in the file"
        raise VideoError("truncated", detail)
    stamps = sorted(p.pts for p in live if p.pts is not None)
    return _Promise(
        packets=demuxed,
        stamps=stamps,
        timeline=_timeline([p.pts for p in live], stream),
        is_regular=len(set(stamps)) == len(packets) and not any(p.is_corrupt for p in packets),
    )


def _decode_wanted(stream: VideoStream, promise: _Promise, spec: PreprocessSpec) -> Frame | None:
    """The clip, decoding only what it needs; None where a wanted frame does not come out."""
    clip = _Clip(sample_frames(promise.timeline, spec), spec)
    wanted = {promise.stamps[index]: index for index in clip.missing}
    convert = _converter(stream, spec)
    try:
        for frame in _skipping_decode(stream, promise.packets, wanted.keys()):
            if frame.pts in wanted:
                clip.put(wanted[frame.pts], convert(frame))
    except av.FFmpegError:
        return None
    return None if clip.missing else clip.frames


def _skipping_decode(
    stream: VideoStream, packets: Sequence[Packet[VideoStream]], wanted: Collection[int]
) -> Iterator[VideoFrame]:
    context = stream.codec_context
    for packet in packets:
        # NONREF drops a frame only if no other frame refers to it; the last, empty packet flushes.
        needed = not packet.size or packet.pts in wanted
        context.skip_frame = "DEFAULT" if needed else "NONREF"
        yield from packet.decode()


def _decode_all(path: Path, promised: Timeline, spec: PreprocessSpec) -> Frame:
    """The clip, by decoding every frame; once more where the packets promised another timeline."""
    assumed = sample_frames(promised, spec)
    clip, actual = _decode_frames(path, assumed, spec)
    if promised.num_frames - actual.num_frames > 1:
        detail = f"{promised.num_frames} frames promised, {actual.num_frames} decoded"
        raise VideoError("truncated", detail)
    indices = sample_frames(actual, spec)
    if not np.array_equal(indices, assumed):
        clip, _ = _decode_frames(path, indices, spec)
    return clip.frames


def _decode_frames(path: Path, indices: Indices, spec: PreprocessSpec) -> tuple[_Clip, Timeline]:
    """The clip of the frames with these indices, and the timeline of all frames."""
    clip = _Clip(indices, spec)
    stamps: list[int | None] = []
    with av.open(str(path)) as container:
        stream = _video_stream(container.streams.video)
        convert = _converter(stream, spec)
        try:
            for index, frame in enumerate(container.decode(stream)):
                stamps.append(frame.pts)
                if index in clip.missing:
                    clip.put(index, convert(frame))
        except av.FFmpegError as error:
            if not stamps:
                raise
            detail = f"decoding failed after {len(stamps)} frames: {_reason(error)}"
            raise VideoError("truncated", detail) from error
        if not stamps:
            raise VideoError("unreadable", "no frame could be decoded")
        return clip, _timeline(stamps, stream)


class _Clip:
    """A clip that fills as its frames are decoded.

    Attributes:
        frames: (num_frames, crop_size, crop_size, 3), uint8 RGB.
        missing: Indices of the frames that have not come yet.
    """

    def __init__(self, indices: Indices, spec: PreprocessSpec) -> None:
        self.frames: Frame = np.empty((len(indices), spec.crop_size, spec.crop_size, 3), np.uint8)
        self._places: dict[int, list[int]] = {}
        for place, index in enumerate(indices.tolist()):
            self._places.setdefault(index, []).append(place)
        self.missing = set(self._places)

    def put(self, index: int, frame: Frame) -> None:
        """Puts a frame wherever it belongs: a stretched clip shows it several times."""
        self.frames[self._places[index]] = frame
        self.missing.remove(index)


def _video_stream(streams: tuple[VideoStream, ...]) -> VideoStream:
    """The first stream that is a video and not a cover picture, set to one decoder thread."""
    moving = [s for s in streams if not s.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        raise VideoError("unreadable", "the file has no video stream")
    stream = moving[0]
    _refuse_huge(stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.thread_count = 1
    return stream


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise VideoError("unreadable", f"frames of {width}x{height} exceed {MAX_PIXELS} pixels")


def _converter(stream: VideoStream, spec: PreprocessSpec) -> Callable[[VideoFrame], Frame]:
    """A function from a decoded frame to what the model sees of it."""
    reformatter = VideoReformatter()  # one for the stream: a new one per frame halves the speed
    aspect = float(stream.sample_aspect_ratio or 1)

    def convert(frame: VideoFrame) -> Frame:
        _refuse_huge(frame.width, frame.height)
        # Bicubic, as OpenCV converts: it counts where colour is not stored as 8-bit 4:2:0.
        rgb = _pixels(
            reformatter.reformat(frame, format="rgb24", interpolation="BICUBIC", threads=1)
        )
        quarter_turns = round(frame.rotation / 90) % 4
        if quarter_turns:
            rgb = np.ascontiguousarray(np.rot90(rgb, quarter_turns))
        return fit_frame(rgb, spec, 1 / aspect if quarter_turns % 2 else aspect)

    return convert


def _pixels(frame: VideoFrame) -> Frame:
    """The pixels of an RGB frame, where they lie; its rows may be padded."""
    plane = frame.planes[0]
    shape, strides = (frame.height, frame.width, 3), (plane.line_size, 3, 1)
    return np.ndarray(shape, np.uint8, memoryview(plane), strides=strides)


def _timeline(stamps: list[int | None], stream: VideoStream) -> Timeline:
    """When frames with these time stamps, in any order, are shown; by frame rate without stamps."""
    step = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) < len(stamps):
        starts = np.arange(len(stamps)) * step
    else:
        starts = (np.array(known, np.float64) - known[0]) * float(stream.time_base or 0)
    return Timeline(starts.astype(np.float64), float(starts[-1]) + step)


def _reason(error: Exception) -> str:
    """FFmpeg's own words, without the number and the path around them."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
