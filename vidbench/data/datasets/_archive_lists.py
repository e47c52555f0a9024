"""Official lists of what a dataset is trained and tested on: text files, which are not trusted."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vidbench.errors import FetchError

_ARCHIVES = (".rar", ".zip", ".tar.gz", ".tar")


class ListedVideo(NamedTuple):
    """One line of the official lists.

    Attributes:
        name: Of the file.
        label: Class name.
        group: What it was cut from; empty where its name does not say.
        split: ``train`` or ``test``; empty for a video of neither.
    """

    name: str
    label: str
    group: str
    split: str

    @property
    def video_id(self) -> str:
        """The file's name without its suffix."""
        return PurePosixPath(self.name).stem


@dataclass(frozen=True, kw_only=True)
class OfficialLists:
    """How a dataset's lists are called, and how they are read.

    Attributes:
        archive: Name of the archive that the authors publish.
        folder: Folder in that archive.
        first: One of the files, by which the others are found, with ``{number}`` in it.
        parse: The videos in the lists of a folder, for the number of a split and the classes.
    """

    archive: str
    folder: str
    first: str
    parse: Callable[[Path, int, Sequence[str]], Iterable[ListedVideo]]

    def find(self, place: Path, number: int, *, deep: bool) -> Path | None:
        """The folder of the lists: a place, or their folder in it; with ``deep`` any below it."""
        first = self.first.format(number=number)
        for folder in (place, place / self.folder):
            if (folder / first).is_file():
                return folder
        if not deep:
            return None
        found = (*place.glob(f"*/{first}"), *place.glob(f"*/*/{first}"))
        return min(found).parent if found else None

    def find_archive(self, place: Path) -> Path | None:
        """The archive of the lists in a folder, as published or packed otherwise."""
        stem = self.archive.rpartition(".")[0]
        paths = (place / f"{stem}{suffix}" for suffix in _ARCHIVES)
        return next((path for path in paths if path.is_file()), None)

    def read(self, folder: Path, number: int, classes: Sequence[str]) -> list[ListedVideo]:
        """The listed videos in order.

        Raises:
            FetchError: A list is missing or damaged, names no class of the dataset, or names
                one video twice.
        """
        videos = list(self.parse(folder, number, classes))
        if unknown := {video.label for video in videos} - set(classes):
            raise FetchError(f"the lists in {folder} name {min(unknown)!r}, which is no class")
        names: set[str] = set()
        for video in videos:
            if (key := file_key(video.name)) in names:
                raise FetchError(f"the lists in {folder} name {video.name!r} twice")
            names.add(key)
        return videos


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the lines of a list that are not empty, without space at their ends.

    Raises:
        FetchError: It cannot be read, or is no text.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(f"the official list {path} cannot be read: {error}") from error
    yield from ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())


def file_key(name: str) -> str:
    """What is left of a file's name on systems that know no case, or that split accents."""
    return unicodedata.normalize("NFC", name).casefold()
