"""A video file becomes the frames that a spec asks for; the only importer of a decoder.

Most files are regular: every packet gives one frame with a time stamp of its own. In such an
H.264 file the frames to take are known from the packets alone, and the decoder may skip the
frames that nobody wants and no other frame refers to. Any other file is decoded frame by frame,
twice where the packets promised another number of frames than came out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
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
    """What the packets of a file promise, before any of them is decoded."""

    stamps: tuple[int, ...]
    timeline: Timeline
    can_skip: bool


def decode_clip(path: Path, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """The clip of one video: (num_frames, crop_size, crop_size, 3), uint8 RGB.

    Pixels equal those of OpenCV's decoder. Rotation in the file's metadata and the shape of its
    pixels are applied; frames are those that decode, whatever the header counts.

    Raises:
        VideoError: The file is unreadable, truncated, or too short for the spec.
    """
    try:
        promise = _read_packets(path)
        if promise.can_skip:
            clip = _decode_wanted(path, promise, spec)
            if clip is not None:
                return clip
        return _decode_all(path, promise, spec)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError("unreadable", _reason(error)) from error


def _read_packets(path: Path) -> _Promise:
    with av.open(str(path)) as container:
        stream = _video_stream(container.streams.video)
        packets = [p for p in container.demux(stream) if p.size]
        listed = stream.frames
        live = [p for p in packets if not p.is_discard]
        if not live:
            raise VideoError("unreadable", "the video stream holds no packets")
        if listed > len(packets) + 1:
            raise VideoError("truncated", f"{listed} frames listed, {len(packets)} in the file")
        stamps = tuple(sorted(p.pts for p in live if p.pts is not None))
        complete = len(set(stamps)) == len(packets) and not any(p.is_corrupt for p in packets)
        return _Promise(
            stamps=stamps,
            timeline=_timeline([p.pts for p in live], stream),
            can_skip=complete and stream.codec_context.name in _SKIPPING_CODECS,
        )


def _decode_wanted(path: Path, promise: _Promise, spec: PreprocessSpec) -> Frame | None:
    """The clip, decoding only what it needs; None where a wanted frame does not come out."""
    indices = sample_frames(promise.timeline, spec)
    slot_of = {promise.stamps[i]: int(i) for i in indices}
    taken: dict[int, Frame] = {}
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container.streams.video)
            convert = _converter(stream, spec)
            for frame in _skipping_decode(container, stream, frozenset(slot_of)):
                if frame.pts in slot_of:
                    taken[slot_of[frame.pts]] = convert(frame)
    except av.FFmpegError:
        return None
    return _stack(taken, indices) if len(taken) == len(slot_of) else None


def _skipping_decode(
    container: av.container.InputContainer, stream: VideoStream, wanted: frozenset[int]
) -> Iterator[VideoFrame]:
    context = stream.codec_context
    for packet in container.demux(stream):
        # NONREF drops a frame only if no other frame refers to it; the last, empty packet flushes.
        needed = not packet.size or packet.pts in wanted
        context.skip_frame = "DEFAULT" if needed else "NONREF"
        yield from packet.decode()


def _decode_all(path: Path, promise: _Promise, spec: PreprocessSpec) -> Frame:
    """The clip, by decoding every frame; once more where the packets promised another timeline."""
    assumed = sample_frames(promise.timeline, spec)
    taken, actual = _decode_frames(path, assumed, spec)
    lost = promise.timeline.num_frames - actual.num_frames
    if lost > 1:
        raise VideoError(
            "truncated",
            f"{promise.timeline.num_frames} frames promised, {actual.num_frames} decoded",
        )
    indices = sample_frames(actual, spec)
    if not set(indices.tolist()) <= taken.keys():
        taken, _ = _decode_frames(path, indices, spec)
    return _stack(taken, indices)


def _decode_frames(
    path: Path, indices: Indices, spec: PreprocessSpec
) -> tuple[dict[int, Frame], Timeline]:
    """The frames with these indices, as the model sees them, and the timeline of all frames."""
    wanted = set(indices.tolist())
    taken: dict[int, Frame] = {}
    stamps: list[int | None] = []
    with av.open(str(path)) as container:
        stream = _video_stream(container.streams.video)
        convert = _converter(stream, spec)
        try:
            for index, frame in enumerate(container.decode(stream)):
                stamps.append(frame.pts)
                if index in wanted:
                    taken[index] = convert(frame)
        except av.FFmpegError as error:
            if not stamps:
                raise
            detail = f"decoding failed after {len(stamps)} frames: {_reason(error)}"
            raise VideoError("truncated", detail) from error
        if not stamps:
            raise VideoError("unreadable", "no frame could be decoded")
        return taken, _timeline(stamps, stream)


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
        rgb = reformatter.reformat(
            frame, format="rgb24", interpolation="BICUBIC", threads=1
        ).to_ndarray()
        quarter_turns = round(frame.rotation / 90) % 4
        upright = np.ascontiguousarray(np.rot90(rgb, quarter_turns), np.uint8)
        return fit_frame(upright, spec, 1 / aspect if quarter_turns % 2 else aspect)

    return convert


def _timeline(stamps: list[int | None], stream: VideoStream) -> Timeline:
    """When frames with these time stamps, in any order, are shown; by frame rate without stamps."""
    step = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) < len(stamps):
        starts = np.arange(len(stamps)) * step
    else:
        starts = (np.array(known, np.float64) - known[0]) * float(stream.time_base or 0)
    return Timeline(starts.astype(np.float64), float(starts[-1]) + step)


def _stack(taken: dict[int, Frame], indices: Indices) -> NDArray[np.uint8]:
    return np.stack([taken[i] for i in indices.tolist()])


def _reason(error: Exception) -> str:
    """FFmpeg's own words, without the number and the path around them."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
