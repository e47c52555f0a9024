"""A decoded frame becomes what a model sees: RGB, upright, resized and cropped."""

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

# Flags of libswscale/swscale.h. Bicubic, as OpenCV converts: it counts where colour is not 8-bit
# 4:2:0. Of more than 8 bits swscale makes 8 that are 1.2 to 1.6 levels too dark, unless it
# interpolates colour to full width, which it does with all bits and rounds.
_BICUBIC = 0x4
_FULL_CHROMA = 0x2000


class Converter:
    """Makes of decoded frames of a stream what the model sees of them.

    The orientation of the first frame is that of the whole video.

    Args:
        stream: Whose frames will come.
        spec: What is done to pixels.
    """

    def __init__(self, stream: VideoStream, spec: PreprocessSpec) -> None:
        self._spec = spec
        self._reformatter = VideoReformatter()  # a new one per frame halves the speed
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._orientation: Orientation | None = None
        self._turn: Callable[[VideoFrame], VideoFrame] = _as_it_is

    def see(self, frame: VideoFrame) -> Orientation:
        """The orientation of the video; every frame is to be shown here, wanted or not, in order.

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
        """What the model sees of the frame."""
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
    """The pixels of an RGB frame, where they lie; its rows may be padded."""
    plane = frame.planes[0]
    shape, strides = (frame.height, frame.width, 3), (plane.line_size, 3, 1)
    return np.ndarray(shape, np.uint8, memoryview(plane), strides=strides)
