"""Videos whose pictures tell their number, whatever a codec does to them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (176, 144)
"""Width and height; H.261 and H.263 know few others."""

_BITS = 8


def picture(number: int, *, is_busy: bool = False) -> NDArray[np.uint8]:
    """Stripes, of which each is a bit of the number, the lowest on the left: (height, width, 3).

    Something goes through the lowest quarter of a busy picture.
    """
    stripes = [200 if number >> bit & 1 else 40 for bit in range(_BITS)]
    row = np.repeat(np.array(stripes, np.uint8), SIZE[0] // _BITS)
    found = np.broadcast_to(row[None, :, None], (SIZE[1], SIZE[0], 3)).copy()
    if is_busy:
        below = np.add.outer(np.arange(SIZE[1] // 4) * 5, np.arange(SIZE[0]) * 3 + 2 * number) % 256
        found[-len(below) :] = below[..., None]
    return found


def number_of(frame: NDArray[np.uint8]) -> int:
    """What a picture of any size tells."""
    stripes = frame[frame.shape[0] // 2 - 4 :][:8].mean(axis=(0, 2))
    width = len(stripes) / _BITS
    middles = [stripes[int(width * (bit + 0.3)) : int(width * (bit + 0.7))] for bit in range(_BITS)]
    return sum(int(middle.mean() > 120) << bit for bit, middle in enumerate(middles))


def numbers_of(clip: NDArray[np.uint8]) -> list[int]:
    """What each picture of a clip tells."""
    return [number_of(frame) for frame in clip]


def write_numbered(
    path: Path,
    codec: str,
    num_frames: int = 40,
    *,
    container_format: str | None = None,
    options: Mapping[str, str] | None = None,
    fps: int = 25,
    is_busy: bool = False,
) -> Path:
    """A video whose frame ``i`` tells that it is ``i``.

    Args:
        path: Its suffix decides the container if ``container_format`` does not.
        codec: FFmpeg's name of an encoder.
        num_frames: Up to 256.
        container_format: FFmpeg's name of a muxer.
        options: Of the encoder.
        fps: Frames per second.
        is_busy: Something moves.

    Raises:
        av.FFmpegError, ValueError: FFmpeg cannot write this codec into this container.
    """
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = SIZE
        formats = stream.codec_context.codec.video_formats or []
        names = [video_format.name for video_format in formats]
        stream.pix_fmt = "yuv420p" if not names or "yuv420p" in names else names[0]
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.thread_count = 1
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(number, is_busy=is_busy), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
