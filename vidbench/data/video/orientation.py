"""Orientation of a video: rotation and mirroring by its display matrix.

The matrix comes from the container (mp4, mov, mkv) or from the stream itself (the display
orientation of H.264 and HEVC, the EXIF of Motion JPEG); FFmpeg attaches it to the frames. It is
interpreted as by the ffmpeg program without ``-noautorotate`` (5.1 and 9.0 agree): angles are
rounded to a degree, any angle other than a quarter turn rotates the picture within its frame, and
scale and shear are ignored.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidbench.data.records import Frame

_MATRIX = struct.Struct("9i")
_KINDS = 64  # of side data; FFmpeg 9.0 has about 35


class Orientation(NamedTuple):
    """Transformations of each stored picture before display, in this order.

    Attributes:
        transposed: Rows become columns.
        mirrored: Left and right are swapped.
        flipped: Top and bottom are swapped.
        degrees: Clockwise rotation within the frame, which leaves black corners; 0 for quarter
            turns.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False
    degrees: int = 0

    def arrange(self, picture: Frame) -> Frame:
        """The picture, (height, width, 3), after all transformations except ``degrees``."""
        if not any(self[:3]):
            return picture
        rows = picture.swapaxes(0, 1) if self.transposed else picture
        down, right = -1 if self.flipped else 1, -1 if self.mirrored else 1
        return np.ascontiguousarray(rows[::down, ::right])

    def filters(self) -> list[tuple[str, str | None]]:
        """Names and arguments of the FFmpeg filters for all transformations."""
        filters: list[tuple[str, str | None]] = []
        if self.transposed:
            filters.append(("transpose", "cclock_flip"))
        if self.mirrored:
            filters.append(("hflip", None))
        if self.flipped:
            filters.append(("vflip", None))
        if self.degrees:
            filters.append(("rotate", f"{self.degrees}*PI/180"))
        return filters


def orientation_of(frame: VideoFrame) -> Orientation:
    """Orientation of a frame, from its display matrix."""
    try:
        side_data: Any = frame.side_data
    except ValueError:  # PyAV 17 and 18 refuse unknown kinds, such as EXIF
        side_data = _without_unknown_kinds(frame).side_data
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return Orientation() if matrix is None else _orientation(_MATRIX.unpack(bytes(matrix)))


def filtering(
    template: VideoFrame, filters: Iterable[tuple[str, str | None]]
) -> Callable[[VideoFrame], VideoFrame]:
    """Return a function that applies FFmpeg filters, in order, to frames like the template."""
    graph = Graph()
    source = graph.add_buffer(
        width=template.width,
        height=template.height,
        format=template.format,
        time_base=template.time_base,
    )
    between = [graph.add(*each) for each in filters]
    graph.link_nodes(source, *between, graph.add("buffersink")).configure()

    def filtered(frame: VideoFrame) -> VideoFrame:
        graph.vpush(frame)
        return graph.vpull()

    return filtered


def _without_unknown_kinds(frame: VideoFrame) -> VideoFrame:
    """The frame without side data of kinds unknown to PyAV."""
    known: set[object] = {kind.value for kind in Type}
    unknown = [kind for kind in range(_KINDS) if kind not in known]
    return filtering(frame, [("sidedata", f"mode=delete:type={kind}") for kind in unknown])(frame)


def _orientation(matrix: tuple[int, ...]) -> Orientation:
    """Orientation of a matrix a b u, c d v, x y w; see ``libavutil/display.h`` of FFmpeg.

    The angle alone does not show whether the picture is also mirrored: the signs do.
    """
    a, b, _, c, d, *_ = matrix
    across, along = math.hypot(a, c), math.hypot(b, d)
    if not across or not along:  # the picture would have no area
        return Orientation()
    degrees = math.floor(math.degrees(math.atan2(b / along, a / across)) + 0.5) % 360
    quarters = {
        0: Orientation(flipped=d < 0),
        1: Orientation(),  # as in the ffmpeg program
        90: Orientation(transposed=True, mirrored=c <= 0),
        180: Orientation(mirrored=a < 0, flipped=d < 0),
        270: Orientation(transposed=True, mirrored=c < 0, flipped=True),
    }
    return quarters.get(degrees, Orientation(degrees=degrees))
