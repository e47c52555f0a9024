"""Which frames are taken, and how a frame is resized and cropped: pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError

MAX_PIXELS = 8192 * 4320
"""Pixels of the largest frame that is decoded or made; a damaged header can claim any size."""

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Timeline:
    """When each decoded frame of a video is shown.

    Attributes:
        starts_seconds: (frames,), rising, the first is 0.
        duration_seconds: From the first frame to the end of the last.
    """

    starts_seconds: NDArray[np.float64]
    duration_seconds: float

    @property
    def num_frames(self) -> int:
        return len(self.starts_seconds)


def sample_frames(timeline: Timeline, spec: PreprocessSpec) -> Indices:
    """Indices of the ``spec.num_frames`` frames to take, shape (num_frames,).

    Raises:
        VideoError: The video has too few frames and the spec says to skip such videos.
    """
    if spec.sampling == "uniform":
        return _uniform(timeline.num_frames, spec)
    return _strided(_resample(timeline, spec.fps), spec)


def _uniform(available: int, spec: PreprocessSpec) -> Indices:
    if available < spec.num_frames and spec.too_short != "stretch":
        return _loop(np.arange(available), np.arange(spec.num_frames), spec)
    if spec.num_frames == 1:
        return np.array([available // 2])
    return np.rint(np.linspace(0, available - 1, spec.num_frames)).astype(np.intp)


def _strided(frames: Indices, spec: PreprocessSpec) -> Indices:
    steps = np.arange(spec.num_frames) * spec.frame_stride
    span = int(steps[-1]) + 1
    if len(frames) < span:
        return _loop(frames, steps, spec)
    return frames[(len(frames) - span) // 2 + steps]


def _loop(frames: Indices, steps: Indices, spec: PreprocessSpec) -> Indices:
    if spec.too_short == "skip":
        raise VideoError("too_short", f"{len(frames)} frames, {int(steps[-1]) + 1} needed")
    return frames[steps % len(frames)]


def _resample(timeline: Timeline, fps: float | None) -> Indices:
    """Index of the frame shown in each slot of 1/fps seconds; all frames where fps is None.

    The rule of FFmpeg's ``fps`` filter with its default ``round=near``: times are rounded half
    up to slots, and a slot shows the last frame at or before it.
    """
    if fps is None:
        return np.arange(timeline.num_frames)
    slots = _round_half_up(timeline.starts_seconds * fps)
    count = max(1, int(_round_half_up(timeline.duration_seconds * fps)))
    return np.searchsorted(slots, np.arange(count), side="right") - 1


def _round_half_up(slots: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Whole numbers; what is a half but for the error of binary fractions counts as a half."""
    return np.floor(np.round(slots, 6) + 0.5)


def fit_frame(frame: Frame, spec: PreprocessSpec, pixel_aspect: float = 1.0) -> Frame:
    """The frame as the model sees it: (crop_size, crop_size, 3), uint8 RGB, bilinear.

    Args:
        frame: (height, width, 3), uint8 RGB, as stored in the video.
        spec: ``resize_type``, ``short_side`` and ``crop_size`` count.
        pixel_aspect: Shown width of a pixel over its height; lengths in the spec are those of
            the picture as it is shown.
    """
    if spec.resize_type == "short_side":
        return _short_side(frame, spec, pixel_aspect)
    if spec.resize_type == "pad":
        return _pad(frame, spec.crop_size, pixel_aspect)
    return _center_square(frame, spec.crop_size, pixel_aspect)


def _center_square(frame: Frame, size: int, pixel_aspect: float) -> Frame:
    height, width = frame.shape[:2]
    side = min(height, width * pixel_aspect)
    square = _center_crop(frame, round(side), round(side / pixel_aspect))
    return _resize(square, size, size)


def _short_side(frame: Frame, spec: PreprocessSpec, pixel_aspect: float) -> Frame:
    height, width = frame.shape[0], frame.shape[1] * pixel_aspect
    scale = (spec.short_side or spec.crop_size) / min(height, width)
    if height * width * scale**2 > MAX_PIXELS:
        raise VideoError("unreadable", f"frames of {width:.0f}x{height} are too long to resize")
    resized = _resize(frame, round(height * scale), round(width * scale))
    return np.ascontiguousarray(_center_crop(resized, spec.crop_size, spec.crop_size))


def _pad(frame: Frame, size: int, pixel_aspect: float) -> Frame:
    height, width = frame.shape[0], frame.shape[1] * pixel_aspect
    scale = size / max(height, width)
    resized = _resize(frame, max(1, round(height * scale)), max(1, round(width * scale)))
    padded = np.zeros((size, size, 3), np.uint8)
    top, left = (size - resized.shape[0]) // 2, (size - resized.shape[1]) // 2
    padded[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return padded


def _center_crop(frame: Frame, height: int, width: int) -> Frame:
    height, width = max(1, min(height, frame.shape[0])), max(1, min(width, frame.shape[1]))
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]


def _resize(frame: Frame, height: int, width: int) -> Frame:
    if frame.shape[:2] == (height, width):
        return frame.copy()
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
