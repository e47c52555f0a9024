"""What a model sees of a frame: how it is resized and cropped, pure functions of arrays."""

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
"""Pixels of the largest frame that is decoded or made; a damaged header can claim any size."""

Crops = NDArray[np.uint8]
"""Parts of one frame: (crops, height, width, 3), RGB."""

_OPENCV = {
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
# Pillow widens a filter by the scale, OpenCV does not: it takes the same few pixels at any scale.
_PILLOW = {
    "bilinear_antialias": Image.Resampling.BILINEAR,
    "bicubic_antialias": Image.Resampling.BICUBIC,
    "lanczos_antialias": Image.Resampling.LANCZOS,
}


def fit_frame(frame: Frame, spec: PreprocessSpec, pixel_aspect: float = 1.0) -> Crops:
    """The frame as the model sees it: (num_crops, crop_size, crop_size, 3), uint8 RGB.

    Three crops go from left to right, or from top to bottom in a frame that is higher than wide.

    Args:
        frame: (height, width, 3), uint8 RGB, as stored in the video.
        spec: All fields of resizing and cropping count.
        pixel_aspect: Shown width of a pixel over its height; lengths in the spec are those of
            the picture as it is shown.

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
    """Height and width of the whole frame before it is cropped or filled up."""
    height, width = frame.shape[0], frame.shape[1] * pixel_aspect
    wanted = spec.short_side or spec.crop_size
    if spec.resize_type == "squash":
        return wanted, wanted
    if spec.resize_type == "crop":
        return height, max(1, round(width))
    given = max(height, width) if spec.resize_type == "pad" else min(height, width)
    whole = math.floor if spec.side_rounding == "down" else round

    def resized(length: float) -> int:
        # Product before quotient, as torchvision and transformers have it: it decides what a whole
        # number is, where the quotient alone has no exact form in binary.
        return wanted if length == given else max(1, whole(wanted * length / given))

    return resized(height), resized(width)


def _fill(frame: Frame, size: int, *, odd_pixel_first: bool) -> Frame:
    """The frame with black around it, where it is smaller than a square of this size.

    Args:
        frame: (height, width, 3).
        size: Least height and width of the result.
        odd_pixel_first: Where an odd number of pixels is added, one more goes to the top or
            left, as in ``center_crop`` of transformers, and not to the bottom or right.
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
    """The part at the centre, or the three along the side that is shown longer."""
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
