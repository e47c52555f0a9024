"""Find the annotation file of a Kinetics split: given, beside the videos, or on the server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidbench.data.datasets._kinetics_annotations import (
    Annotation,
    ClipKey,
    is_annotation_file,
    read_annotations,
)
from vidbench.data.datasets._kinetics_releases import RELEASES, Release
from vidbench.data.datasets._spellings import with_class_names
from vidbench.data.datasets._split_words import SPLIT_WORDS, split_of
from vidbench.data.fetch.download import fetch, is_url, join_source
from vidbench.errors import ConfigError, FetchError
from vidbench.system.validation import require_file

_SUFFIXES = (".csv", ".txt", ".json")
_FOLDERS = ("annotations", "annotation", "raw")  # torchvision, CVDF and mmaction2; FiftyOne
_GIVEN = "given"  # a folder of its own, so that a given list is not taken for the official one
_LEVELS_ABOVE = 2  # CVDF's script arranges videos as videos/val/CLASS beside annotations/val.csv
_RELEASE = re.compile(r"[4-7]00")
_WORDS = re.compile(r"[a-z]+")
_OF_RELEASES = ("kinetics", "k", "annotations", "list")


def read_given(
    source: str, split: str, folder: Path, classes: Sequence[str], name: str
) -> dict[ClipKey, Annotation]:
    """Read the annotations that ``--annotations`` names.

    Args:
        source: A file, or an http(s) URL.
        split: Clips of other splits are left out.
        folder: Folder for a fetched file.
        classes: Classes of the dataset; labels are returned in their spelling.
        name: Name of the dataset, for messages.

    Raises:
        ConfigError: The file is not an annotation file, or of another split or dataset.
        FetchError: The URL cannot be fetched, or its content cannot be read.
    """
    path = Path(source)
    if is_url(source):
        path = fetch(source, folder / _GIVEN / source.rpartition("/")[2])
    try:
        return with_class_names(read_annotations(path, split), classes, name, path)
    except FetchError as error:
        if is_url(source):
            raise
        raise ConfigError(f"--annotations: {error}") from error


def check_given(source: str, split: str) -> None:
    """Raise ConfigError unless ``--annotations`` is a URL or lists videos of the split.

    Args:
        source: A file, or an http(s) URL, which is not fetched.
        split: The requested split.
    """
    if is_url(source):
        return
    require_file("annotations", Path(source))
    try:
        read_annotations(Path(source), split)
    except FetchError as error:
        raise ConfigError(f"--annotations: {error}") from error


def fetch_official(release: Release, split: str, data_dir: Path) -> Path:
    """Fetch the official list of a split from the release's server, unless it was fetched before.

    Raises:
        FetchError: It cannot be fetched.
    """
    relative = release.annotations[split]
    folder = data_dir / release.name / "annotations"
    return fetch(join_source(release.root, relative), folder / Path(relative).name)


def find_beside(folder: Path, split: str, release: str) -> list[Path]:
    """Find annotation files of a split near extracted videos, the nearest and plainest first.

    They are recognised by name (a word for the split, as in ``val.csv``,
    ``kinetics_validate.json`` or ``k400_val.csv``) and by content. Searched are the folder of
    videos, its folder ``annotations``, the folder of the split, and the same one and two levels
    above.

    Args:
        folder: Folder of the videos.
        split: Split of the list.
        release: E.g. ``kinetics-400``; files that name another release are ignored.
    """
    return [
        path
        for searched in _searched_folders(folder, split, release)
        for path in sorted(searched.iterdir(), key=_plainest)
        if _is_named(path.name, split, release) and is_annotation_file(path)
    ]


def _searched_folders(folder: Path, split: str, release: str) -> Iterator[Path]:
    folder = folder.absolute()
    root = next((r for r in RELEASES.values() if r.name == release), None)
    above = [folder, *folder.parents][: _LEVELS_ABOVE + 1]
    candidates = [base / below for base in above for below in ("", *_FOLDERS)]
    if root is not None:  # as on the server
        candidates[1:1] = [folder / Path(root.annotations[split]).parent]
    candidates += [child for child in _folders(folder) if split_of(child.name) == split]
    yield from (path for path in dict.fromkeys(candidates) if path.is_dir())


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir())


def _is_named(name: str, split: str, release: str) -> bool:
    stem = Path(name).stem
    numbers = set(_RELEASE.findall(stem))
    of_another = bool(numbers) and not numbers & set(_RELEASE.findall(release))
    return Path(name).suffix.lower() in _SUFFIXES and split_of(stem) == split and not of_another


def _plainest(path: Path) -> tuple[bool, bool, int, str]:
    """Sort key: text before JSON, and names of just split and release before others."""
    others = set(_WORDS.findall(path.stem.casefold())) - {*SPLIT_WORDS, *_OF_RELEASES}
    return (path.suffix.lower() == ".json", bool(others), len(path.name), path.name)
