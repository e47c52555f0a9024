"""Resize and crop frames: pure functions of arrays."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError

MAX_PIXELS = 8192 * 4320
"""Size limit of decoded and resized frames; a damaged header can claim any size."""

Crops = NDArray[np.uint8]
"""Parts of one frame: (crops, height, width, 3), RGB."""

_OPENCV = {
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
# Pillow widens a filter with the scale; OpenCV uses the same few pixels at any scale.
_PILLOW = {
    "bilinear_antialias": Image.Resampling.BILINEAR,
    "bicubic_antialias": Image.Resampling.BICUBIC,
    "lanczos_antialias": Image.Resampling.LANCZOS,
}


def fit_frame(frame: Frame, spec: PreprocessSpec, pixel_aspect: float = 1.0) -> Crops:
    """Resize and crop a frame: (num_crops, crop_size, crop_size, 3), uint8 RGB.

    Three crops are ordered from left to right, or from top to bottom if the frame is higher than
    wide.

    Args:
        frame: (height, width, 3), uint8 RGB, as stored in the video.
        spec: Fields for resizing and cropping.
        pixel_aspect: Pixel aspect ratio, width over height; lengths in the spec are those of the
            picture as displayed.

    Raises:
        VideoError: The resized frame would have more than :data:`MAX_PIXELS`.
    """
    size = spec.crop_size
    if spec.resize_type == "center_square":
        side = min(frame.shape[0], frame.shape[1] * pixel_aspect)
        shape = (round(side), round(side / pixel_aspect))
        squares = _crops(frame, *shape, spec.num_crops, pixel_aspect)
        return np.stack([_resize(square, size, size, spec.resize_filter) for square in squares])
    resized = _resize(frame, *_resized_shape(frame, spec, pixel_aspect), spec.resize_filter)
    filled = _fill(resized, size, odd_pixel_first=spec.resize_type == "crop")
    return np.stack(_crops(filled, size, size, spec.num_crops))


def _resized_shape(frame: Frame, spec: PreprocessSpec, pixel_aspect: float) -> tuple[int, int]:
    """Height and width of the whole frame before it is cropped or padded."""
    height, width = frame.shape[0], frame.shape[1] * pixel_aspect
    wanted = spec.short_side or spec.crop_size
    if spec.resize_type == "squash":
        return wanted, wanted
    if spec.resize_type == "crop":
        return height, max(1, round(width))
    given = max(height, width) if spec.resize_type == "pad" else min(height, width)
    whole = math.floor if spec.side_rounding == "down" else round

    def resized(length: float) -> int:
        # Multiply before dividing, like torchvision and transformers: a quotient without an exact
        # binary form would be rounded differently.
        return wanted if length == given else max(1, whole(wanted * length / given))

    return resized(height), resized(width)


def _fill(frame: Frame, size: int, *, odd_pixel_first: bool) -> Frame:
    """Pad a frame with black if it is smaller than a square of this size.

    Args:
        frame: (height, width, 3).
        size: Minimum height and width of the result.
        odd_pixel_first: If an odd number of pixels is added, the extra one goes to the top or
            left, as in ``center_crop`` of transformers, instead of the bottom or right.
    """
    height, width = frame.shape[:2]
    if min(height, width) >= size:
        return frame
    filled = np.zeros((max(size, height), max(size, width), 3), np.uint8)
    top, left = ((max(0, size - n) + odd_pixel_first) // 2 for n in (height, width))
    filled[top : top + height, left : left + width] = frame
    return filled


def _crops(
    frame: Frame, height: int, width: int, count: int, pixel_aspect: float = 1.0
) -> list[Frame]:
    """The centre crop, or three crops along the side that is longer when displayed."""
    height, width = max(1, min(height, frame.shape[0])), max(1, min(width, frame.shape[1]))
    room = np.array([frame.shape[0] - height, frame.shape[1] - width])
    centre = room // 2
    corners = [centre]
    if count == 3:
        along = np.array([1, 0] if frame.shape[0] > frame.shape[1] * pixel_aspect else [0, 1])
        corners = [centre * (1 - along), centre, np.where(along, room, centre)]
    return [frame[top : top + height, left : left + width] for top, left in corners]


def _resize(frame: Frame, height: int, width: int, resize_filter: str) -> Frame:
    if frame.shape[:2] == (height, width):
        return frame
    if height * width > MAX_PIXELS:
        raise VideoError(
            "unreadable", f"frames of {frame.shape[1]}x{frame.shape[0]} are too long to resize"
        )
    if resize_filter in _PILLOW:
        image = Image.fromarray(frame).resize((width, height), _PILLOW[resize_filter])
        return np.asarray(image)
    method = _OPENCV[resize_filter]
    return np.asarray(cv2.resize(frame, (width, height), interpolation=method), np.uint8)
