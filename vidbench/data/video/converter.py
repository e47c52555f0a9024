"""Convert decoded frames to model input: RGB, upright, resized and cropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import refuse_huge
from vidbench.data.video.orientation import Orientation, filtering, orientation_of
from vidbench.data.video.resize import Crops, fit_frame

# Flags of libswscale/swscale.h. Bicubic, as in OpenCV; it matters for colour that is not 8-bit
# 4:2:0. For more than 8 bits swscale's output is 1.2 to 1.6 levels too dark, unless it
# interpolates colour to full width: that path uses all bits, and rounds.
_BICUBIC = 0x4
_FULL_CHROMA = 0x2000


class Converter:
    """Converts decoded frames of a stream to model input.

    The orientation of the first frame applies to the whole video.

    Args:
        stream: The stream of the frames.
        spec: Preprocessing of the frames.
    """

    def __init__(self, stream: VideoStream, spec: PreprocessSpec) -> None:
        self._spec = spec
        self._reformatter = VideoReformatter()  # a new one per frame halves the speed
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._orientation: Orientation | None = None
        self._turn: Callable[[VideoFrame], VideoFrame] = _as_it_is

    def see(self, frame: VideoFrame) -> Orientation:
        """Check a frame and return the video's orientation; call it for every frame, in order.

        Raises:
            VideoError: The frame is too large.
        """
        refuse_huge(frame.width, frame.height)
        if self._orientation is None:
            self._orientation = orientation_of(frame)
            if self._orientation.degrees:
                turn = Orientation(degrees=self._orientation.degrees)
                self._turn = filtering(frame, turn.filters())
        return self._orientation

    def __call__(self, frame: VideoFrame) -> Crops:
        """Convert one frame to its crops."""
        orientation = self.see(frame)
        method = _BICUBIC if frame.format.components[0].bits <= 8 else _BICUBIC | _FULL_CHROMA
        rgb = _pixels(
            self._reformatter.reformat(
                self._turn(frame), format="rgb24", interpolation=method, threads=1
            )
        )
        aspect = 1 / self._aspect if orientation.transposed else self._aspect
        return fit_frame(orientation.arrange(rgb), self._spec, aspect)


def _as_it_is(frame: VideoFrame) -> VideoFrame:
    return frame


def _pixels(frame: VideoFrame) -> Frame:
    """Pixels of an RGB frame, without a copy; its rows may be padded."""
    plane = frame.planes[0]
    shape, strides = (frame.height, frame.width, 3), (plane.line_size, 3, 1)
    return np.ndarray(shape, np.uint8, memoryview(plane), strides=strides)
