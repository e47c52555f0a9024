"""How a player turns and mirrors the pictures of a video, by its display matrix.

The matrix comes from the container (mp4, mov, mkv) or from the stream itself (the display
orientation of H.264 and HEVC, the EXIF of Motion JPEG); FFmpeg attaches it to the frames. What it
means is what the ffmpeg program takes it for, unless it is told ``-noautorotate`` (the same in 5.1
and 9.0): angles are rounded to a degree, an angle that is no quarter turn turns the picture within
its frame, and scale and shear are ignored.
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
    """What is done to each stored picture before it is shown, in this order.

    Attributes:
        transposed: Rows become columns.
        mirrored: Left and right change places.
        flipped: Top and bottom change places.
        degrees: The picture is turned clockwise within its frame, which leaves corners black; 0
            unless the angle is no quarter turn.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False
    degrees: int = 0

    def arrange(self, picture: Frame) -> Frame:
        """The picture, (height, width, 3), with all done to it but ``degrees``."""
        if not any(self[:3]):
            return picture
        rows = picture.swapaxes(0, 1) if self.transposed else picture
        down, right = -1 if self.flipped else 1, -1 if self.mirrored else 1
        return np.ascontiguousarray(rows[::down, ::right])

    def filters(self) -> list[tuple[str, str | None]]:
        """Names and arguments of the filters of FFmpeg that do all of it."""
        found: list[tuple[str, str | None]] = []
        if self.transposed:
            found.append(("transpose", "cclock_flip"))
        if self.mirrored:
            found.append(("hflip", None))
        if self.flipped:
            found.append(("vflip", None))
        if self.degrees:
            found.append(("rotate", f"{self.degrees}*PI/180"))
        return found


def orientation_of(frame: VideoFrame) -> Orientation:
    """How the frame is to be shown, by the display matrix that it carries."""
    try:
        side_data: Any = frame.side_data
    except ValueError:  # PyAV 17 and 18 refuse kinds that they do not know, such as EXIF
        side_data = _without_unknown_kinds(frame).side_data
    found = side_data.get(Type.DISPLAYMATRIX)
    return Orientation() if found is None else _orientation(_MATRIX.unpack(bytes(found)))


def filtering(
    template: VideoFrame, filters: Iterable[tuple[str, str | None]]
) -> Callable[[VideoFrame], VideoFrame]:
    """A function that passes frames like the template through filters of FFmpeg, in order."""
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
    """The same picture with side data of the kinds that PyAV knows."""
    known: set[object] = {kind.value for kind in Type}
    unknown = [kind for kind in range(_KINDS) if kind not in known]
    return filtering(frame, [("sidedata", f"mode=delete:type={kind}") for kind in unknown])(frame)


def _orientation(matrix: tuple[int, ...]) -> Orientation:
    """What a matrix a b u, c d v, x y w means; see ``libavutil/display.h`` of FFmpeg.

    The angle alone does not tell whether the picture is mirrored as well: a sign does.
    """
    a, b, _, c, d, *_ = matrix
    across, along = math.hypot(a, c), math.hypot(b, d)
    if not across or not along:  # it would leave nothing to see
        return Orientation()
    degrees = math.floor(math.degrees(math.atan2(b / along, a / across)) + 0.5) % 360
    quarters = {
        0: Orientation(flipped=d < 0),
        1: Orientation(),  # so the ffmpeg program has it
        90: Orientation(transposed=True, mirrored=c <= 0),
        180: Orientation(mirrored=a < 0, flipped=d < 0),
        270: Orientation(transposed=True, mirrored=c < 0, flipped=True),
    }
    return quarters.get(degrees, Orientation(degrees=degrees))
