"""What flows from a dataset to the run: records of videos, and why one was skipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""One image: (height, width, 3), RGB."""

Views = NDArray[np.uint8]
"""What a model sees of one or more videos: (views, frames, height, width, 3), RGB."""


Section = tuple[float, float]
"""A part of a video: frames from the first time on and before the second, which may be infinite.

Both are seconds on the clock of a player, which begins with the first of all streams of the file.
"""


class FrameFolder(NamedTuple):
    """What is known of a video that is a folder of frames, beside its files.

    Attributes:
        fps: Frames per second; None where not stated.
        num_frames: Frames that its list counts: the first so many are the video. None for all.
    """

    fps: float | None = None
    num_frames: int | None = None


@dataclass(frozen=True)
class VideoRecord:
    """One requested video; Kinetics calls it a clip.

    Attributes:
        video_id: Unique within the split.
        path: The file, or the folder of frames, relative to the data folder; None where no
            tarball holds it.
        label: Class name, or None in a split that has no labels.
        group: Videos of one group were cut from one source, e.g. a YouTube video, and tell less
            than so many of different ones; empty where no other video shares the source.
        section: The part of the file that is meant; None for all of it. Two sections of a file
            are two videos, so the ``video_id`` has to tell them apart.
        frames: What is known of a folder of frames; None for a file.
    """

    video_id: str
    path: Path | None
    label: str | None
    group: str = ""
    section: Section | None = None
    frames: FrameFolder | None = None


class Selection(NamedTuple):
    """What a dataset gives.

    Attributes:
        records: The requested videos in their order.
        unlisted: Files that no annotation lists.
        num_listed: Videos on the split's official list, requested or not.
    """

    records: tuple[VideoRecord, ...]
    unlisted: tuple[Path, ...]
    num_listed: int


class Skip(NamedTuple):
    """Why a requested video was not evaluated.

    Attributes:
        reason: ``missing``, ``unreadable``, ``truncated`` or ``too_short``.
        detail: What was found, for a person.
    """

    reason: str
    detail: str
