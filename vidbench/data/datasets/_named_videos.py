"""Videos below a folder by their names without endings: files, and folders of frames."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vidbench.storage.video_files import survey


class NamedVideos(NamedTuple):
    """What lies below a folder.

    Attributes:
        paths: Relative to the folder of a dataset, by what the key makes of a name; in order.
        frames: Those of them that are folders of frames.
    """

    paths: Mapping[str, Sequence[Path]]
    frames: frozenset[Path]

    @property
    def everything(self) -> set[Path]:
        """All paths."""
        return {path for paths in self.paths.values() for path in paths}


def exact_name(name: str) -> str:
    """The name itself, whether its accents are letters of their own or not."""
    return unicodedata.normalize("NFC", name)


def find_named_videos(
    folder: Path, root: Path, key: Callable[[str], str] = exact_name
) -> NamedVideos:
    """The videos below a folder by name; ``v_`` before an id of YouTube is no part of it.

    Args:
        folder: Where to look; hidden folders are left out.
        root: To which paths are relative.
        key: What tells names apart.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    found = survey(folder)
    paths: dict[str, list[Path]] = {}
    for path in found.videos:
        name = path.name if path in found.frames else path.stem
        for known in {name, name.removeprefix("v_")}:
            paths.setdefault(key(known), []).append(path.relative_to(root))
    return NamedVideos(paths, frozenset(path.relative_to(root) for path in found.frames))
