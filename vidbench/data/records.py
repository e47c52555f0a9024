"""Values that a dataset hands to a run: video records, selections, and reasons to skip a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""One image: (height, width, 3), RGB."""

Views = NDArray[np.uint8]
"""Model input for one or more videos: (views, frames, height, width, 3), RGB."""


Section = tuple[float, float]
"""A part of a video: the frames with start <= time < end; the end may be infinite.

Both are in seconds of playing time, which starts with the earliest stream of the file.
"""


class FrameFolder(NamedTuple):
    """Properties of a video that is stored as a folder of frames.

    Attributes:
        fps: Frames per second; None if not stated.
        num_frames: Number of frames according to the list; files beyond it are ignored. None for
            all files.
    """

    fps: float | None = None
    num_frames: int | None = None


@dataclass(frozen=True)
class VideoRecord:
    """One requested video; Kinetics calls it a clip.

    Attributes:
        video_id: Unique within the split.
        path: The file, or the folder of frames, relative to the data folder; None if no tarball
            contains it.
        label: Class name, or None in a split without labels.
        group: Source that the video was cut from, e.g. a YouTube video; videos of one group are
            not independent. Empty if no other video shares the source.
        section: The part of the file that is the video; None for all of it. Two sections of a
            file are two videos and need different values of ``video_id``.
        frames: Properties of a folder of frames; None for a file.
    """

    video_id: str
    path: Path | None
    label: str | None
    group: str = ""
    section: Section | None = None
    frames: FrameFolder | None = None


class Selection(NamedTuple):
    """The videos that a dataset selected for a request.

    Attributes:
        records: The requested videos in order.
        unlisted: Files that are not in the annotations.
        num_listed: Number of videos on the split's official list, requested or not.
    """

    records: tuple[VideoRecord, ...]
    unlisted: tuple[Path, ...]
    num_listed: int


class Skip(NamedTuple):
    """Why a requested video was not evaluated.

    Attributes:
        reason: ``missing``, ``unreadable``, ``truncated`` or ``too_short``.
        detail: Explanation for the user.
    """

    reason: str
    detail: str
