"""Tiny videos made in a test, whose frames tell their index by their brightness."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_video(
    path: Path,
    levels: Sequence[int],
    *,
    size: tuple[int, int] = (64, 48),
    fps: int = 25,
    codec: str = "libx264",
    stamps: Sequence[int] | None = None,
    faststart: bool = False,
) -> Path:
    """A video whose i-th frame is grey of brightness ``levels[i]``, with B-frames in H.264.

    Args:
        path: Its suffix decides the container.
        levels: 0 to 255.
        size: Width and height.
        fps: Frames per second; also the unit of ``stamps``.
        codec: Of libavcodec.
        stamps: When each frame is shown; 0, 1, 2, ... if None.
        faststart: Put the index of an mp4 before its frames.
    """
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(_grey(level, size), format="rgb24")
            frame.pts = index if stamps is None else stamps[index]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def levels_of(clip: NDArray[np.uint8]) -> list[int]:
    """The brightness of each frame, rounded."""
    return [round(float(frame.mean())) for frame in clip]


def _grey(level: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), level, np.uint8)
