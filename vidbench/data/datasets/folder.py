"""A folder of class folders: ``DIR/<class>/<video>``, or ``DIR/<split>/<class>/<video>``.

::

    vidbench evaluate --dataset folder --dataset_path DIR

Labels are the names of the class folders, letter by letter. Videos are taken in turns: the first
of every class, then the second of every class, and so on, classes and videos by name.
"""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from pathlib import Path

from vidbench.data.datasets._local import (
    EVERYTHING,
    Listing,
    LocalVideos,
    name_of,
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
        name="folder",
        splits={EVERYTHING: None},
        num_classes=None,
        size="",
        licence="of your videos",
        source="your folder of class folders: --dataset_path DIR",
    ),
)

_NAMED_AT_MOST = 5


def load(variant: str, split: str, options: FetchOptions) -> LocalVideos:
    """The videos in the class folders of ``--dataset_path``, or of its subfolder ``split``.

    Raises:
        ConfigError: No folder is given, or an option has no meaning here.
    """
    root = require_path("folder", variant, options, "DIR")
    if Path(split).name != split or split == "..":
        raise ConfigError(f"--split {split!r} must be the name of a folder in {root}")
    read = partial(_list, root, split)
    return LocalVideos(name_of("folder", root), split, root, options.seed, read)


def _list(root: Path, split: str) -> Listing:
    top = root if split == EVERYTHING else root / split
    if not top.is_dir():
        raise ConfigError(f"{top} is no folder: {_has(root)}")
    files = list_files(top)
    videos = [file for file in files if is_media(file)]
    listed = [file for file in videos if len(file.relative_to(top).parts) == 2]
    if not listed:
        raise ConfigError(f"{top} has no folder of a class with videos: {_has(top)}")
    for file in listed:
        refuse_undecodable(file)
    misplaced = sorted({*videos} - {*listed})
    others = sorted({*files} - {*videos})
    unlisted = tuple(path.relative_to(root) for path in (*misplaced, *others))
    report_unlisted(unlisted[: len(misplaced)], "lie in no class folder, and are not evaluated")
    report_unlisted(unlisted[len(misplaced) :], "are no videos by their names")
    return Listing(_in_turns([file.relative_to(root) for file in listed]), unlisted)


def _has(folder: Path) -> str:
    """What to say of a folder that has not what was looked for there."""
    if not folder.is_dir():
        return f"{folder} is none either" if folder.exists() else f"{folder} does not exist"
    found = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if not found:
        return f"there is no folder in {folder}"
    more = ", ..." if len(found) > _NAMED_AT_MOST else ""
    return f"{folder} has {', '.join(found[:_NAMED_AT_MOST])}{more} (--split takes one of them)"


def _in_turns(paths: list[Path]) -> tuple[VideoRecord, ...]:
    classes: dict[str, list[VideoRecord]] = {}
    for path in sorted(paths):
        label = path.parent.name
        record = VideoRecord(path.as_posix(), path, label)
        classes.setdefault(label, []).append(record)
    turns = zip_longest(*(classes[label] for label in sorted(classes)))
    return tuple(record for turn in turns for record in turn if record is not None)
