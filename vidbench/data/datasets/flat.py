"""All videos below a folder, without labels: they are predicted, and not scored.

::

    vidbench evaluate --dataset flat --dataset_path DIR

Videos are taken in the order of their paths.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vidbench.data.datasets._local import (
    EVERYTHING,
    Listing,
    LocalVideos,
    name_of,
    refuse_split,
    refuse_undecodable,
    report_unlisted,
    require_path,
)
from vidbench.data.datasets.base import DatasetCard, FetchOptions
from vidbench.data.media import is_media, list_files
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError

DEFAULT_SPLIT = EVERYTHING

CARDS = (
    DatasetCard(
        name="flat",
        splits={EVERYTHING: None},
        num_classes=0,
        size="",
        licence="of your videos",
        source="your folder of videos without labels: --dataset_path DIR",
    ),
)


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """The videos below ``--dataset_path``, at any depth.

    Raises:
        ConfigError: No folder is given, or an option has no meaning here.
    """
    root = require_path("flat", variant, options, "DIR")
    refuse_split("flat", split)
    return LocalVideos(name_of("flat", root), split, root, options.seed, partial(_list, root))


def _list(root: Path) -> Listing:
    if not root.is_dir():
        raise ConfigError(f"--dataset_path {root} is no folder: name one with videos in it")
    files = list_files(root)
    videos = [file for file in files if is_media(file)]
    if not videos:
        raise ConfigError(f"{root} holds no video: {len(files)} other files are below it")
    for file in videos:
        refuse_undecodable(file)
    others = tuple(file.relative_to(root) for file in files if not is_media(file))
    report_unlisted(others, "are no videos by their names")
    paths = [file.relative_to(root) for file in videos]
    return Listing(tuple(VideoRecord(path.as_posix(), path, None) for path in paths), others)
