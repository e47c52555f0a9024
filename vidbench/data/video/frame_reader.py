"""Folders of frames, decoded: views, frames one after another, and whether they are whole.

Pictures are read as OpenCV reads them, which mmaction2 does: 8 bits, without transparency, turned
as their EXIF data say. What a video without loss of the same pictures gives, this gives too.
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
        seconds: When it is shown, from the first one.
        path: Its file.
    """

    seconds: float
    path: Path


def fps_of(facts: FrameFolder | None) -> float:
    """Frames per second; :data:`~vidbench.storage.frame_folder.USUAL_FPS` where not stated."""
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
    """The views of a folder of frames; arguments, shape and errors as for a file.

    Only the pictures that are wanted are decoded.

    Args:
        folder: Holds the frames.
        spec: What is done to their pixels.
        draw: Tells this video from others, for sampling at random.
        facts: Rate and count of the frames, as far as they are known.
        section: Sample from this part of the video; None for all of it.
        keep_truncated: Take the pictures that are there and decode for the whole.

    Raises:
        VideoError: Frames lack or are broken, or are too few for the spec.
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
    """What the model sees of each frame that is wanted."""
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
        folder: Holds the frames.
        facts: Rate and count of the frames, as far as they are known.
        keep_truncated: Leave out what lacks or does not decode; the others keep their times.

    Raises:
        VideoError: It is no such folder, or frames lack.
    """
    found = find_frames(folder)
    if not keep_truncated:
        _refuse_incomplete(found, facts)
        return _timed(found, facts)
    reader = PictureReader(folder)
    pictures = [picture for picture in _timed(found, facts) if reader.can_read(picture.path)]
    if not pictures:
        raise VideoError("unreadable", "no frame could be decoded")
    return pictures


def _timed(found: Frames, facts: FrameFolder | None) -> list[TimedPicture]:
    """All frames at their times; what lacks leaves a gap, unless the list counts as many."""
    fps, listed = fps_of(facts), facts.num_frames if facts else None
    complete = listed is not None and len(found.paths) >= listed
    places = range(len(found.paths)) if complete else found.places
    both = zip(places, found.paths, strict=True)
    return [TimedPicture(place / fps, path) for place, path in both][:listed]


def _refuse_incomplete(found: Frames, facts: FrameFolder | None) -> None:
    """Refuses fewer frames than the list counts or, where it counts none, numbers that lack."""
    listed = facts.num_frames if facts else None
    if listed is not None and len(found.paths) < listed:
        detail = f"{listed} frames listed, {len(found.paths)} in the folder"
        raise VideoError("truncated", detail)
    if listed is None and found.missing:
        detail = f"{found.missing} of {found.places[-1] + 1} frames lack"
        raise VideoError("truncated", f"{detail}, such as {found.first_missing}")


class PictureReader:
    """Reads the frames of one video, which have one size.

    Args:
        folder: Holds the frames.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first: tuple[str, tuple[int, ...]] | None = None

    def read(self, path: Path) -> Frame:
        """The picture, (height, width, 3), uint8 RGB.

        Raises:
            VideoError: It is broken, or of another size than the first one read.
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
    """A picture as OpenCV reads it: (height, width, 3), uint8 RGB, turned as its EXIF data say.

    Raises:
        VideoError: It is cut, broken or too large.
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
    """Decodes the picture by Pillow: OpenCV 4.10 gives a whole picture of a cut one."""
    if not content:
        raise ValueError("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            refuse_huge(*image.size)
            image.load()


def iterate_frames(folder: Path, facts: FrameFolder | None = None) -> Iterator[tuple[float, Frame]]:
    """Every frame of a folder that decodes with its time, one at a time.

    Raises:
        VideoError: It is no such folder; or, after all its frames, some lack or are broken.
    """
    found, reader = find_frames(folder), PictureReader(folder)
    decoded, damage = 0, None
    for picture in _timed(found, facts):
        try:
            frame = reader.read(picture.path)
        except VideoError as error:
            damage = damage or error
            continue
        decoded += 1
        yield picture.seconds, frame
    if damage is not None:
        raise VideoError("truncated" if decoded else "unreadable", damage.detail)
    _refuse_incomplete(found, facts)


def describe_frames(folder: Path, facts: FrameFolder | None = None) -> VideoInfo:
    """What the folder is, after decoding its first frame; it is described as far as it goes.

    Raises:
        VideoError: No frame can be decoded.
    """
    pictures = list_pictures(folder, facts, keep_truncated=True)
    height, width, _ = read_picture(pictures[0].path).shape
    period = 1 / fps_of(facts)
    codec = pictures[0].path.suffix[1:].lower()
    seconds = pictures[-1].seconds + period
    return VideoInfo(seconds, 1 / period, width, height, len(pictures), codec)
