"""Find videos below a folder by name without suffix: files, and folders of frames."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vidbench.storage.video_files import survey


class NamedVideos(NamedTuple):
    """Videos below a folder.

    Attributes:
        paths: Paths relative to the dataset's folder, in order, by the key of their names.
        frames: The paths that are folders of frames.
    """

    paths: Mapping[str, Sequence[Path]]
    frames: frozenset[Path]

    @property
    def everything(self) -> set[Path]:
        """All paths."""
        return {path for paths in self.paths.values() for path in paths}


def exact_name(name: str) -> str:
    """Name in Unicode normal form C."""
    return unicodedata.normalize("NFC", name)


def find_named_videos(
    folder: Path, root: Path, key: Callable[[str], str] = exact_name
) -> NamedVideos:
    """Find the videos below a folder by name, also without a prefix ``v_``.

    Args:
        folder: Folder to search; hidden folders are left out.
        root: Base of the returned paths.
        key: Converts a name to the key that it is found by.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    content = survey(folder)
    paths: dict[str, list[Path]] = {}
    for path in content.videos:
        name = path.name if path in content.frames else path.stem
        for spelling in {name, name.removeprefix("v_")}:
            paths.setdefault(key(spelling), []).append(path.relative_to(root))
    return NamedVideos(paths, frozenset(path.relative_to(root) for path in content.frames))
