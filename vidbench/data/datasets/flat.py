"""All videos and folders of frames below a folder, without labels: predicted but not scored.

::

    vidbench evaluate --dataset flat --dataset_path DIR

Videos are taken in the order of their paths.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vidbench.data.datasets._local_videos import (
    Listing,
    LocalVideos,
    declare,
    name_of,
    refuse_split,
    refuse_undecodable,
    report_left_out,
    report_unknown_rate,
    require_path,
)
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.errors import ConfigError
from vidbench.storage.video_files import find_videos

FAMILY = declare("flat", "your folder of videos without labels: --dataset_path DIR", num_classes=0)


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """Load the videos below ``--dataset_path``, at any depth.

    Raises:
        ConfigError: No folder is given, or an option does not apply.
    """
    root = require_path("flat", variant, options, "DIR")
    refuse_split("flat", split)
    return LocalVideos(
        name_of("flat", root), split, root, options.seed, partial(_list, root, options.frames_fps)
    )


def _list(root: Path, fps: float | None) -> Listing:
    if not root.is_dir():
        raise ConfigError(f"--dataset_path {root} is not a folder: name a folder of videos")
    content = find_videos(root)
    if content.videos == [root]:
        raise ConfigError(f"{root} is one video, a folder of frames: name its parent folder")
    for file in content.videos:
        refuse_undecodable(file)
    report_left_out(content, root)
    unlisted = tuple(path.relative_to(root) for path in (*content.others, *content.hidden))
    records = tuple(
        VideoRecord(
            path.relative_to(root).as_posix(),
            path.relative_to(root),
            None,
            frames=FrameFolder(fps) if path in content.frames else None,
        )
        for path in content.videos
    )
    report_unknown_rate(records)
    return Listing(records, unlisted)
