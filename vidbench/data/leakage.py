"""Check whether a model may have been trained on the videos that it is scored on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbench.data.datasets._annotation_files import find_beside
from vidbench.data.datasets._kinetics_annotations import is_json, read_annotations
from vidbench.data.datasets._kinetics_releases import RELEASES, release_name
from vidbench.data.datasets.base import all_dataset_families
from vidbench.data.fetch.download import is_url
from vidbench.errors import ConfigError, FetchError

_NUM_EXAMPLES = 5
_ID_COLUMN = "youtube_id"


@dataclass(frozen=True)
class Leak:
    """Scored videos whose source is in a training list.

    Attributes:
        num_videos: Number of such videos.
        of_videos: Number of scored videos with a known source.
        examples: A few of their source ids.
    """

    num_videos: int
    of_videos: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Leakage:
    """Overlap between a model's training data and the videos that it is scored on.

    Attributes:
        trained_on: The release that the model was trained on; None if not stated.
        lists: Training lists that were searched.
        leak: Scored videos found in them; None if there are none.
        published: Published overlap of the two releases, if no training list was available.
    """

    trained_on: str | None
    lists: tuple[Path, ...] = ()
    leak: Leak | None = None
    published: str | None = None

    @property
    def warning(self) -> str | None:
        """One line for the user, or None if no overlap is known."""
        if self.leak is not None:
            return (
                f"the model may have been trained on these videos: {self.leak.num_videos} of "
                f"{self.leak.of_videos} videos come from sources (YouTube ids) on the "
                f"training list of {self.trained_on or 'the model'}, "
                f"e.g. {', '.join(self.leak.examples[:2])}"
            )
        if self.published is not None:
            return (
                f"the model, trained on {self.trained_on}, may have seen these videos: "
                f"{self.published}"
            )
        return None

    def as_dict(self) -> dict[str, Any]:
        """For ``metrics.json``; ``leaked_videos`` is None if no training list was searched.

        A list is named by its last two folders, which are the same on every machine.
        """
        none_found = 0 if self.lists else None
        return {
            "trained_on": self.trained_on,
            "training_lists": ["/".join(path.parts[-3:]) for path in self.lists],
            "leaked_videos": self.leak.num_videos if self.leak else none_found,
            "examples": list(self.leak.examples) if self.leak else [],
            "published_overlap": self.published,
        }


def read_source_ids(path: Path) -> frozenset[str]:
    """YouTube ids of a Kinetics annotation file; CSV or JSON is recognised by content.

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
                start = ",".join(header)[:80]
                raise ConfigError(
                    f"{path} has no column {_ID_COLUMN!r}: it begins with {start!r}; give a "
                    "Kinetics annotation file with its header"
                )
            column = header.index(_ID_COLUMN)
            ids = {"".join(row[column : column + 1]): rows.line_num for row in rows if row}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"annotation file {path} cannot be read: {error}") from error
    if "" in ids:
        raise ConfigError(f"{path}, line {ids['']}: this row has no {_ID_COLUMN}")
    return frozenset(ids)


def training_lists(
    data_dir: Path, trained_on: str, root_url: str | None = None, dataset: str | None = None
) -> list[Path]:
    """Official lists of a training split that are on disk; nothing is fetched.

    Args:
        data_dir: The data folder, where datasets store the lists that they fetch.
        trained_on: E.g. ``kinetics-600``; ``kinetics-700`` means ``kinetics-700-2020``.
        root_url: Source of the videos; a folder has the lists at the same paths as the official
            server.
        dataset: Release of the videos in that folder, in the same form; lists beside extracted
            videos belong to this release.
    """
    names = {release.name: release.annotations["train"] for release in RELEASES.values()}
    release = release_name(trained_on)
    if release not in names:
        return []
    home, name = data_dir / release, Path(names[release]).name
    candidates = [home / "train" / name, home / "annotations" / name]
    if root_url is not None and not is_url(root_url):
        candidates.append(Path(root_url) / names[release])
        if dataset is not None and release_name(dataset) == release and Path(root_url).is_dir():
            candidates += find_beside(Path(root_url), "train", release)[:1]
    existing = {path.resolve(): path for path in candidates if path.is_file()}
    return list(existing.values())


def find_leaks(source_ids: Sequence[str], lists: Sequence[Path]) -> Leak | None:
    """Find the videos whose source is on one of the training lists; None if there are none.

    Args:
        source_ids: Source of each scored video (several may share one); ``""`` if unknown.
        lists: Annotation files of the training data.

    Raises:
        ConfigError: A list is not an annotation file.
    """
    trained = frozenset[str]().union(*map(read_source_ids, lists))
    known = [source for source in source_ids if source]
    leaked = [source for source in known if source in trained]
    if not leaked:
        return None
    examples = tuple(dict.fromkeys(leaked))[:_NUM_EXAMPLES]
    return Leak(len(leaked), len(known), examples)


def published_overlap(trained_on: str, dataset: str, split: str) -> str | None:
    """Published overlap of two releases, or None.

    Splits of one release share no video, so within a release only the training split gives a
    warning. Families of datasets declare what is published.

    Args:
        trained_on: E.g. ``kinetics-600``.
        dataset: The dataset of the scored videos, in the same form.
        split: Their split.
    """
    trained_on, dataset = release_name(trained_on), release_name(dataset)
    if (trained_on, split) == (dataset, "train"):
        return f"the train split of {dataset} is what it was trained on"
    shared = (
        family.overlaps.get((trained_on, dataset, split)) for family in all_dataset_families()
    )
    return next(filter(None, shared), None)


def check_leakage(
    trained_on: str | None,
    dataset: str,
    split: str,
    source_ids: Sequence[str],
    data_dir: Path,
    root_url: str | None = None,
    training_list: Path | None = None,
) -> Leakage:
    """Check for scored videos that the model was trained on.

    They are counted if the list of the training split is given or on disk; nothing is fetched.
    Otherwise the published overlap is reported.

    Args:
        trained_on: E.g. ``kinetics-600``; None if not stated.
        dataset: The dataset of the scored videos, in the same form.
        split: Their split.
        source_ids: YouTube id of each video; ``""`` if unknown.
        data_dir: The data folder, which may have the training list.
        root_url: Source of the videos; if it is a folder, it may have the training list.
        training_list: An annotation file that takes precedence over ``trained_on``.

    Raises:
        ConfigError: A training list is not an annotation file.
    """
    if training_list is not None:
        return Leakage(trained_on, (training_list,), leak=find_leaks(source_ids, [training_list]))
    if trained_on is None:
        return Leakage(None)
    if lists := training_lists(data_dir, trained_on, root_url, dataset):
        return Leakage(trained_on, tuple(lists), leak=find_leaks(source_ids, lists))
    return Leakage(trained_on, published=published_overlap(trained_on, dataset, split))
