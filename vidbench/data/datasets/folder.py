"""A folder of class folders: ``DIR/<class>/<video>``, or ``DIR/<split>/<class>/<video>``.

::

    vidbench evaluate --dataset folder --dataset_path DIR

A video is a file or a folder of frames. Labels are the exact names of the class folders, even if
these are links; hidden folders are not classes, and videos in FiftyOne's ``_unlabeled`` have no
label. Videos are taken in turns: the first of every class, then the second of every class, and so
on, with classes and videos sorted by name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path

from vidbench.data.datasets._local_videos import (
    EVERYTHING,
    Listing,
    LocalVideos,
    declare,
    name_of,
    refuse_undecodable,
    report_left_out,
    report_unknown_rate,
    require_path,
)
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.errors import ConfigError
from vidbench.storage.video_files import Found, describe_left_out, is_hidden, survey

logger = logging.getLogger(__name__)

FAMILY = declare("folder", "your folder of class folders: --dataset_path DIR")

UNLABELED = "_unlabeled"
"""FiftyOne's folder for videos without a class."""

_NAMED_AT_MOST = 5
_LEVELS = 2  # of folders: class and video


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """Load the videos in the class folders of ``--dataset_path``, or of its subfolder ``split``.

    Raises:
        ConfigError: No folder is given, or an option does not apply.
    """
    root = require_path("folder", variant, options, "DIR")
    if Path(split).name != split or split == "..":
        raise ConfigError(f"--split {split!r} must be the name of a folder in {root}")
    read = partial(_list, root, split, options.frames_fps)
    return LocalVideos(name_of("folder", root), split, root, options.seed, read)


def _list(root: Path, split: str, fps: float | None) -> Listing:
    top = root if split == EVERYTHING else root / split
    if not top.is_dir():
        raise ConfigError(f"{top} is not a folder: {_has(root)}")
    content = survey(top, by_name=_LEVELS)
    listed = [path for path in content.videos if _is_of_class(path, top)]
    if not listed:
        raise ConfigError(f"{top} has no class folder with videos: {_has(top)}")
    frames = {path for path in listed if path in content.frames}
    if frames:  # an empty folder beside them is a video without frames, and is reported as such
        frames |= {path for path in content.empty if _is_of_class(path, top)}
    listed = sorted({*listed, *frames})
    for path in listed:
        refuse_undecodable(path)
    misplaced = _elsewhere(content.videos, listed)
    _report(content, misplaced, listed, top, root)
    unlisted = (*misplaced, *content.others, *content.hidden)
    records = [_record(path.relative_to(root), path in frames, fps) for path in listed]
    report_unknown_rate(records)
    return Listing(_in_turns(records), tuple(path.relative_to(root) for path in unlisted))


def _is_of_class(path: Path, top: Path) -> bool:
    return len(path.relative_to(top).parts) == _LEVELS


def _elsewhere(videos: Sequence[Path], listed: Sequence[Path]) -> list[Path]:
    """The videos that are not listed, under their name or that of a link."""
    others = sorted({*videos} - {*listed})
    if not others:
        return []
    real = cache(os.path.realpath)
    listed_files = {(real(path.parent), path.name) for path in listed}
    return [path for path in others if (real(path.parent), path.name) not in listed_files]


def _report(
    content: Found, misplaced: list[Path], listed: list[Path], top: Path, root: Path
) -> None:
    if misplaced:
        why = "they are in no class folder and are not evaluated"
        logger.warning("%s", describe_left_out(misplaced, why, root))
    report_left_out(content, root)
    if bare := [path for path in content.empty if path.parent == top and not is_hidden(path.name)]:
        logger.warning("empty folders, ignored as classes: %d, e.g. %s", len(bare), bare[0].name)
    names_by_target: dict[str, list[str]] = {}
    for folder in sorted({path.parent for path in listed}):
        names_by_target.setdefault(os.path.realpath(folder), []).append(folder.name)
    for target, names in names_by_target.items():
        if len(names) > 1:
            logger.warning("the classes %s are the same folder, %s", " and ".join(names), target)
    if unlabeled := sum(path.parent.name == UNLABELED for path in listed):
        logger.warning(
            "%d of %d videos are in %s and have no label: they are predicted but not scored",
            unlabeled,
            len(listed),
            UNLABELED,
        )


def _record(path: Path, is_frames: bool, fps: float | None) -> VideoRecord:
    name = path.parent.name
    label = None if name == UNLABELED else name
    return VideoRecord(path.as_posix(), path, label, frames=FrameFolder(fps) if is_frames else None)


def _has(folder: Path) -> str:
    """Describe the subfolders of a folder without the expected videos."""
    if not folder.is_dir():
        return f"{folder} is a file" if folder.exists() else f"{folder} does not exist"
    names = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if not names:
        return f"there is no folder in {folder}"
    more = ", ..." if len(names) > _NAMED_AT_MOST else ""
    return f"{folder} has {', '.join(names[:_NAMED_AT_MOST])}{more} (--split takes one of them)"


def _in_turns(records: Sequence[VideoRecord]) -> tuple[VideoRecord, ...]:
    """The first of every class, then the second, and so on; unlabelled videos are one class."""
    classes: dict[str, list[VideoRecord]] = {}
    for record in records:
        classes.setdefault(record.label or "", []).append(record)
    turns = zip_longest(*(classes[label] for label in sorted(classes)))
    return tuple(record for turn in turns for record in turn if record is not None)
