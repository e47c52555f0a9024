"""Official train and test lists of a dataset: untrusted text files."""

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
        name: File name.
        label: Class name.
        group: Source that the video was cut from; empty if the name does not tell.
        split: ``train`` or ``test``; empty for neither.
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
    """Names and format of a dataset's official lists.

    Attributes:
        archive: Name of the published archive.
        folder: Folder in that archive.
        first: One of the files, used to find the others, with ``{number}`` in it.
        parse: Reads the lists of a folder, given the number of a split and the classes.
    """

    archive: str
    folder: str
    first: str
    parse: Callable[[Path, int, Sequence[str]], Iterable[ListedVideo]]

    def find(self, base: Path, number: int, *, deep: bool) -> Path | None:
        """Find the folder of the lists: ``base``, their folder in it, or deeper if ``deep``."""
        first = self.first.format(number=number)
        for folder in (base, base / self.folder):
            if (folder / first).is_file():
                return folder
        if not deep:
            return None
        paths = (*base.glob(f"*/{first}"), *base.glob(f"*/*/{first}"))
        return min(paths).parent if paths else None

    def find_archive(self, folder: Path) -> Path | None:
        """Find the archive of the lists in a folder, in any archive format."""
        stem = self.archive.rpartition(".")[0]
        paths = (folder / f"{stem}{suffix}" for suffix in _ARCHIVES)
        return next((path for path in paths if path.is_file()), None)

    def read(self, folder: Path, number: int, classes: Sequence[str]) -> list[ListedVideo]:
        """Read the listed videos in order.

        Raises:
            FetchError: A list is missing or damaged, has an unknown class, or lists a video twice.
        """
        videos = list(self.parse(folder, number, classes))
        if unknown := {video.label for video in videos} - set(classes):
            raise FetchError(f"the lists in {folder} have {min(unknown)!r}, which is not a class")
        names: set[str] = set()
        for video in videos:
            if (key := file_key(video.name)) in names:
                raise FetchError(f"the lists in {folder} have {video.name!r} twice")
            names.add(key)
        return videos


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each non-empty line of a list, without surrounding blanks.

    Raises:
        FetchError: The list cannot be read, or is not UTF-8.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(f"the official list {path} cannot be read: {error}") from error
    yield from ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())


def file_key(name: str) -> str:
    """File name without differences in case and Unicode normalisation, which systems may change."""
    return unicodedata.normalize("NFC", name).casefold()
