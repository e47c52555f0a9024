"""Read folders of frames: as views, frame by frame, and to check that they are complete.

Pictures are read as by OpenCV, which mmaction2 uses: 8 bits, without transparency, rotated
according to EXIF. The result equals that of a lossless video of the same pictures.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from vidbench.data.records import Frame, FrameFolder, Section, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import VideoInfo, refuse_huge
from vidbench.data.video.pixels import Indices, sample_frames
from vidbench.data.video.resize import Crops, fit_frame
from vidbench.data.video.timeline import Timeline, cut_section
from vidbench.errors import VideoError
from vidbench.storage.frame_folder import USUAL_FPS, Frames, find_frames

_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
_UNKNOWN = FrameFolder()


class TimedPicture(NamedTuple):
    """A frame of a folder.

    Attributes:
        seconds: Display time, relative to the first frame.
        path: The picture's file.
    """

    seconds: float
    path: Path


def fps_of(facts: FrameFolder | None) -> float:
    """Frames per second; :data:`~vidbench.storage.frame_folder.USUAL_FPS` if not stated."""
    return (facts or _UNKNOWN).fps or USUAL_FPS


def read_views(
    folder: Path,
    spec: PreprocessSpec,
    draw: str = "",
    *,
    facts: FrameFolder | None = None,
    section: Section | None = None,
    keep_truncated: bool = False,
) -> Views:
    """Decode the views of a folder of frames, with the same shape and errors as for a file.

    Only the selected pictures are decoded.

    Args:
        folder: Folder of the frames.
        spec: Preprocessing.
        draw: Identifies this video, for random sampling.
        facts: Rate and number of the frames, if known.
        section: Sample from this part of the video; None for all of it.
        keep_truncated: Treat the decodable pictures as the whole video.

    Raises:
        VideoError: Frames are missing or broken, or too few for the spec.
    """
    pictures = list_pictures(folder, facts, keep_truncated=keep_truncated)
    period = 1 / fps_of(facts)
    starts = np.array([picture.seconds for picture in pictures])
    timeline = Timeline(starts, float(starts[-1]) + period)
    first, part = (0, timeline) if section is None else cut_section(timeline, section)
    indices = first + sample_frames(part, spec, draw)
    crops = _read_crops(folder, [picture.path for picture in pictures], indices, spec)
    clips = np.stack([[crops[i] for i in clip] for clip in indices.tolist()])
    views = np.moveaxis(clips, 2, 1)  # (clips, crops, frames, height, width, 3)
    return np.ascontiguousarray(views.reshape(-1, *views.shape[2:]))


def _read_crops(
    folder: Path, paths: Sequence[Path], indices: Indices, spec: PreprocessSpec
) -> dict[int, Crops]:
    """Crops of each selected frame, by index."""
    reader = PictureReader(folder)
    try:
        return {i: fit_frame(reader.read(paths[i]), spec) for i in np.unique(indices).tolist()}
    except VideoError as error:
        reason = "truncated" if any(map(reader.can_read, paths)) else "unreadable"
        raise VideoError(reason, error.detail) from error


def list_pictures(
    folder: Path, facts: FrameFolder | None = None, *, keep_truncated: bool = False
) -> list[TimedPicture]:
    """The frames of a folder in order, with their times.

    Args:
        folder: Folder of the frames.
        facts: Rate and number of the frames, if known.
        keep_truncated: Leave out missing and broken frames; the others keep their times.

    Raises:
        VideoError: It is not a folder of frames, or frames are missing.
    """
    frames = find_frames(folder)
    if not keep_truncated:
        _refuse_incomplete(frames, facts)
        return _timed(frames, facts)
    reader = PictureReader(folder)
    pictures = [picture for picture in _timed(frames, facts) if reader.can_read(picture.path)]
    if not pictures:
        raise VideoError("unreadable", "no frame could be decoded")
    return pictures


def _timed(frames: Frames, facts: FrameFolder | None) -> list[TimedPicture]:
    """Frames with their times; missing numbers leave gaps, unless the listed count is reached."""
    fps, listed = fps_of(facts), facts.num_frames if facts else None
    complete = listed is not None and len(frames.paths) >= listed
    positions = range(len(frames.paths)) if complete else frames.places
    both = zip(positions, frames.paths, strict=True)
    return [TimedPicture(position / fps, path) for position, path in both][:listed]


def _refuse_incomplete(frames: Frames, facts: FrameFolder | None) -> None:
    """Raise VideoError if frames are missing from the listed count or, without one, in between."""
    listed = facts.num_frames if facts else None
    if listed is not None and len(frames.paths) < listed:
        detail = f"{listed} frames listed, {len(frames.paths)} in the folder"
        raise VideoError("truncated", detail)
    if listed is None and frames.missing:
        detail = f"{frames.missing} of {frames.places[-1] + 1} frames lack"
        raise VideoError("truncated", f"{detail}, such as {frames.first_missing}")


class PictureReader:
    """Reads the frames of one video, which must have the same size.

    Args:
        folder: Folder of the frames.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first: tuple[str, tuple[int, ...]] | None = None

    def read(self, path: Path) -> Frame:
        """The picture, (height, width, 3), uint8 RGB.

        Raises:
            VideoError: It is broken, or its size differs from that of the first one read.
        """
        picture = read_picture(path)
        name, shape = self._first = self._first or (path.name, picture.shape)
        if picture.shape != shape:
            sizes = [f"{width}x{height}" for height, width, _ in (picture.shape, shape)]
            detail = f"{path.name} has {sizes[0]} pixels, and {name} {sizes[1]}"
            raise VideoError("unreadable", f"{detail}: frames of a video have one size")
        return picture

    def can_read(self, path: Path) -> bool:
        """Whether the picture decodes, and has the size of the first one read."""
        try:
            self.read(path)
        except VideoError:
            return False
        return True


def read_picture(path: Path) -> Frame:
    """Read a picture as OpenCV does: (height, width, 3), uint8 RGB, rotated according to EXIF.

    Raises:
        VideoError: It is truncated, broken or too large.
    """
    try:
        content = path.read_bytes()
        _refuse_broken(content)
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (*_DAMAGE, cv2.error, Warning) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise VideoError("unreadable", f"{path.name}: {' '.join(reason.split())}") from error
    if pixels is None:
        raise VideoError("unreadable", f"{path.name}: OpenCV does not decode it")
    return np.ascontiguousarray(pixels[:, :, ::-1], np.uint8)


def _refuse_broken(content: bytes) -> None:
    """Decode with Pillow to detect damage: OpenCV 4.10 decodes truncated pictures without error."""
    if not content:
        raise ValueError("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            refuse_huge(*image.size)
            image.load()


def iterate_frames(folder: Path, facts: FrameFolder | None = None) -> Iterator[tuple[float, Frame]]:
    """Yield each decodable frame of a folder with its time.

    Raises:
        VideoError: It is not a folder of frames; or, after all frames, some are missing or broken.
    """
    frames, reader = find_frames(folder), PictureReader(folder)
    decoded, damage = 0, None
    for picture in _timed(frames, facts):
        try:
            frame = reader.read(picture.path)
        except VideoError as error:
            damage = damage or error
            continue
        decoded += 1
        yield picture.seconds, frame
    if damage is not None:
        raise VideoError("truncated" if decoded else "unreadable", damage.detail)
    _refuse_incomplete(frames, facts)


def describe_frames(folder: Path, facts: FrameFolder | None = None) -> VideoInfo:
    """Properties of a folder of frames; missing and broken frames are ignored.

    Raises:
        VideoError: No frame can be decoded.
    """
    pictures = list_pictures(folder, facts, keep_truncated=True)
    height, width, _ = read_picture(pictures[0].path).shape
    period = 1 / fps_of(facts)
    codec = pictures[0].path.suffix[1:].lower()
    seconds = pictures[-1].seconds + period
    return VideoInfo(seconds, 1 / period, width, height, len(pictures), codec)
