"""Whether a model may have been trained on the videos that it is scored on."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vidbench.data.datasets._annotation_files import find_beside
from vidbench.data.datasets._kinetics_annotations import is_json, read_annotations
from vidbench.data.datasets._kinetics_releases import RELEASES
from vidbench.data.fetch.download import is_url
from vidbench.errors import ConfigError, FetchError

_NUM_EXAMPLES = 5
_ID_COLUMN = "youtube_id"

_MANY_OF_600 = (
    "the authors of kinetics-700 (arXiv 1907.06987) warn that many clips of kinetics-600 {} "
    "are in its train"
)
_OVERLAPS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("kinetics-600", "kinetics-400", "val"): (
            "of the 19,906 videos on the list of kinetics-400 val, 13,569 are in kinetics-600 val "
            "and 450 in its test; any of the others may be in its train"
        ),
        ("kinetics-600", "kinetics-400", "test"): (
            "of the 39,805 videos on the list of kinetics-400 test, 27,589 are in kinetics-600 "
            "test; any of the others may be in its train"
        ),
        ("kinetics-400", "kinetics-600", "val"): (
            "of the 29,994 videos on the list of kinetics-600 val, 13,569 are in kinetics-400 val; "
            "any of the others may be in its train"
        ),
        ("kinetics-400", "kinetics-600", "test"): (
            "of the videos on the list of kinetics-600 test, 27,589 are in kinetics-400 test and "
            "450 in its val; any of the others may be in its train"
        ),
        ("kinetics-700-2020", "kinetics-400", "val"): (
            "the CVDF, which serves Kinetics, warns that kinetics-400 val is largely part of "
            "kinetics-700 train"
        ),
        ("kinetics-700-2020", "kinetics-600", "val"): _MANY_OF_600.format("val"),
        ("kinetics-700-2020", "kinetics-600", "test"): _MANY_OF_600.format("test"),
    }
)
"""What is known of (trained on, dataset, split): shared YouTube ids of the official lists.

A video in the val or test split of the release that a model was trained on is no leak: what counts
is its train split, whose overlap nobody has published as a number.
"""


@dataclass(frozen=True)
class Leak:
    """Scored videos whose source is in a training list.

    Attributes:
        num_videos: How many they are.
        of_videos: Out of how many, all of them with a known source.
        paths: The training lists that hold some of them.
        examples: A few of their source ids.
    """

    num_videos: int
    of_videos: int
    paths: tuple[Path, ...]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Leakage:
    """What could be found out about one model and the videos that it is scored on.

    Attributes:
        trained_on: The release that the model was trained on; None where not stated.
        lists: Training lists that were searched.
        leak: What they hold of the scored videos; None where that is nothing.
        published: What is known of the two releases, where no training list was at hand.
    """

    trained_on: str | None
    lists: tuple[Path, ...] = ()
    leak: Leak | None = None
    published: str | None = None

    @property
    def warning(self) -> str | None:
        """One line for a person, or None where nothing is known against the score."""
        if self.leak is not None:
            return (
                f"the model may have seen what it is scored on: {self.leak.num_videos} of "
                f"{self.leak.of_videos} videos are cut from sources (by YouTube id) on the "
                f"training list of {self.trained_on or 'the model'}, "
                f"e.g. {', '.join(self.leak.examples[:2])}"
            )
        if self.published is not None:
            return f"a model trained on {self.trained_on} may have seen these: {self.published}"
        return None

    def as_dict(self) -> dict[str, Any]:
        """For ``metrics.json``; ``leaked_videos`` is None where no training list was searched.

        A list is named by its last two folders, which are the same on every machine.
        """
        known = self.leak
        searched = 0 if self.lists else None
        return {
            "trained_on": self.trained_on,
            "training_lists": ["/".join(path.parts[-3:]) for path in self.lists],
            "leaked_videos": known.num_videos if known else searched,
            "examples": list(known.examples) if known else [],
            "published_overlap": self.published,
        }


def read_source_ids(path: Path) -> frozenset[str]:
    """The YouTube ids of an annotation file of Kinetics, CSV or JSON, whatever its suffix.

    Raises:
        ConfigError: The file cannot be read, has no column ``youtube_id``, or a row without one.
    """
    if is_json(path):
        try:
            return frozenset(key.youtube_id for key in read_annotations(path))
        except FetchError as error:
            raise ConfigError(str(error)) from error
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if _ID_COLUMN not in header:
                found = ",".join(header)[:80]
                raise ConfigError(
                    f"{path} has no column {_ID_COLUMN!r}: it begins {found!r}; give an annotation "
                    "file of Kinetics, with its header"
                )
            column = header.index(_ID_COLUMN)
            ids = {"".join(row[column : column + 1]): rows.line_num for row in rows if row}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"annotation file {path} cannot be read: {error}") from error
    if "" in ids:
        raise ConfigError(f"{path}, line {ids['']}: there is no {_ID_COLUMN} in this row")
    return frozenset(ids)


def training_lists(
    data_dir: Path, trained_on: str, root_url: str | None = None, dataset: str | None = None
) -> list[Path]:
    """Official lists of a training split that lie on disk; nothing is fetched.

    Args:
        data_dir: The data folder, where a dataset puts a list that it has fetched.
        trained_on: E.g. ``kinetics-600``; ``kinetics-700`` means ``kinetics-700-2020``.
        root_url: Where videos come from; a folder has the lists where the official server does.
        dataset: Of the videos in that folder, named likewise; lists that lie beside extracted
            videos are of the same release.
    """
    names = {release.name: release.annotations["train"] for release in RELEASES.values()}
    release = _release_name(trained_on)
    if release not in names:
        return []
    home, name = data_dir / release, Path(names[release]).name
    candidates = [home / "train" / name, home / "annotations" / name]
    if root_url is not None and not is_url(root_url):
        candidates.append(Path(root_url) / names[release])
        if dataset is not None and _release_name(dataset) == release and Path(root_url).is_dir():
            candidates += find_beside(Path(root_url), "train", release)[:1]
    found = {path.resolve(): path for path in candidates if path.is_file()}
    return list(found.values())


def find_leaks(source_ids: Sequence[str], lists: Sequence[Path]) -> Leak | None:
    """The videos whose source is on one of the training lists, or None if there are none.

    Args:
        source_ids: The source of each scored video, which some may share; ``""`` where unknown.
        lists: Annotation files of what the model was trained on.

    Raises:
        ConfigError: A list is no annotation file.
    """
    trained = {path: read_source_ids(path) for path in lists}
    known = [source for source in source_ids if source]
    leaked = [source for source in known if any(source in ids for ids in trained.values())]
    if not leaked:
        return None
    paths = tuple(path for path, ids in trained.items() if not ids.isdisjoint(leaked))
    examples = tuple(dict.fromkeys(leaked))[:_NUM_EXAMPLES]
    return Leak(len(leaked), len(known), paths, examples)


def published_overlap(trained_on: str, dataset: str, split: str) -> str | None:
    """What is known of videos that two releases share, or None.

    Splits of one release share no video, so only its own training split is warned of. The numbers
    are YouTube ids that the official lists share; the CVDF's warning is in
    https://github.com/cvdfoundation/kinetics-dataset/issues/48.

    Args:
        trained_on: E.g. ``kinetics-600``.
        dataset: The dataset of the scored videos, named likewise.
        split: Their split.
    """
    trained_on, dataset = _release_name(trained_on), _release_name(dataset)
    if (trained_on, split) == (dataset, "train"):
        return f"the train split of {dataset} is what it was trained on"
    return _OVERLAPS.get((trained_on, dataset, split))


def check_leakage(
    trained_on: str | None,
    dataset: str,
    split: str,
    source_ids: Sequence[str],
    data_dir: Path,
    root_url: str | None = None,
    training_list: Path | None = None,
) -> Leakage:
    """What is known of scored videos that the model was trained on.

    They are counted where the training split's list is named or lies on disk; nothing is fetched
    for it. Else stands what is published.

    Args:
        trained_on: E.g. ``kinetics-600``; None where not stated.
        dataset: The dataset of the scored videos, named likewise.
        split: Their split.
        source_ids: The YouTube id of each; ``""`` where unknown.
        data_dir: The data folder, which may have the training list.
        root_url: Where videos come from; if it is a folder, it may have the list.
        training_list: An annotation file that somebody names, whatever ``trained_on`` says.

    Raises:
        ConfigError: A file in the place of a training list is none.
    """
    if training_list is not None:
        return Leakage(trained_on, (training_list,), leak=find_leaks(source_ids, [training_list]))
    if trained_on is None:
        return Leakage(None)
    if lists := training_lists(data_dir, trained_on, root_url, dataset):
        return Leakage(trained_on, tuple(lists), leak=find_leaks(source_ids, lists))
    return Leakage(trained_on, published=published_overlap(trained_on, dataset, split))


def _release_name(name: str) -> str:
    return "kinetics-700-2020" if name == "kinetics-700" else name
