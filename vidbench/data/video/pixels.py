"""Select the frames of a video: pure functions of its timeline."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.timeline import Timeline
from vidbench.errors import VideoError

Indices = NDArray[np.intp]


def sample_frames(timeline: Timeline, spec: PreprocessSpec, draw: str = "") -> Indices:
    """Indices of the frames to take, shape (num_clips, num_frames).

    Args:
        timeline: The video's frames.
        spec: Sampling.
        draw: Identifies this video, for ``random``.

    Raises:
        VideoError: The video has too few frames and the spec says to skip such videos.
    """
    if spec.sampling == "uniform":
        return _uniform(timeline.num_frames, spec)[None]
    frames = _resample(timeline, spec.fps)
    steps = np.arange(spec.num_frames) * spec.frame_stride
    room = len(frames) - int(steps[-1]) - 1
    if room < 0:
        return np.tile(_fill(frames, steps, spec), (spec.num_clips, 1))
    return np.asarray(frames[_starts(room, spec, draw)[:, None] + steps])


def _uniform(available: int, spec: PreprocessSpec) -> Indices:
    if available < spec.num_frames and spec.too_short != "stretch":
        return _fill(np.arange(available), np.arange(spec.num_frames), spec)
    if spec.num_frames == 1:
        return np.array([available // 2])
    return np.rint(np.linspace(0, available - 1, spec.num_frames)).astype(np.intp)


def _fill(frames: Indices, steps: Indices, spec: PreprocessSpec) -> Indices:
    """Frames of a clip that is longer than the video."""
    if spec.too_short == "skip":
        raise VideoError("too_short", f"{len(frames)} frames, {int(steps[-1]) + 1} needed")
    if spec.too_short == "repeat_last":
        return frames[np.minimum(steps, len(frames) - 1)]
    return frames[steps % len(frames)]


def _starts(room: int, spec: PreprocessSpec, draw: str) -> Indices:
    """First frames of the clips, (num_clips,), each from 0 to ``room``.

    With ``dense`` the first clip starts with the video, and the last one ends with it.
    """
    if spec.sampling == "center":
        return np.array([room // 2])
    if spec.sampling == "dense":
        return np.arange(spec.num_clips) * room // (spec.num_clips - 1)
    return np.array(
        [_drawn(f"{spec.sampling_seed}/{draw}/{i}", room) for i in range(spec.num_clips)]
    )


def _drawn(name: str, room: int) -> int:
    """Number from 0 to ``room`` derived from the name, independent of library versions."""
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return drawn * (room + 1) >> 64


def _resample(timeline: Timeline, fps: float | None) -> Indices:
    """Index of the frame shown in each slot of 1/fps seconds; all frames if fps is None.

    This is the rule of FFmpeg's ``fps`` filter with its default ``round=near``: times are rounded
    half up to slots, and a slot shows the last frame at or before it.
    """
    if fps is None:
        return np.arange(timeline.num_frames)
    slots = _round_half_up(timeline.starts_seconds * fps)
    count = max(1, int(_round_half_up(timeline.duration_seconds * fps)))
    return np.searchsorted(slots, np.arange(count), side="right") - 1


def _round_half_up(slots: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Round half up; a half with a floating-point error still counts as a half."""
    return np.floor(np.round(slots, 6) + 0.5)
