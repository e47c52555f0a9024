"""Requested videos found so far in the folders of extracted tarballs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

from vidbench.data.datasets._kinetics_annotations import Annotation, ClipKey, parse_name
from vidbench.data.datasets._local_videos import report_unlisted
from vidbench.data.fetch.tarballs import Extracted


class Shelf:
    """Requested videos found so far, in the order of tarballs and of file names.

    Args:
        wanted: The videos to look for.
        listed: All videos on the split's list; other files are recorded as unlisted.
    """

    def __init__(self, wanted: Mapping[ClipKey, Annotation], listed: Set[ClipKey]) -> None:
        self._wanted = wanted
        self._listed = listed
        self.paths: dict[ClipKey, Path] = {}
        self.unlisted: list[Path] = []
        self.largest = 0  # number of videos in the largest tarball

    def add(self, tarball: Extracted, data_dir: Path) -> None:
        """Add the videos of an extracted tarball; of two files of one video, the first is kept."""
        paths = self._read(tarball, data_dir)
        self.largest = max(self.largest, len(paths))
        for key, path in paths.items():
            self.paths.setdefault(key, path)

    def replace(self, tarball: Extracted, data_dir: Path, *, add: bool) -> None:
        """Replace videos by those of the tarball; with ``add``, add new ones as well."""
        paths = self._read(tarball, data_dir)
        self.paths.update({k: p for k, p in paths.items() if add or k in self.paths})

    def report(self) -> None:
        report_unlisted(self.unlisted, "are not in the annotations and are not evaluated")

    def _read(self, tarball: Extracted, data_dir: Path) -> dict[ClipKey, Path]:
        paths: dict[ClipKey, Path] = {}
        for name in tarball.names:
            relative = tarball.folder.relative_to(data_dir) / name
            key = parse_name(name)
            if key is None or key not in self._listed:
                self.unlisted.append(relative)
            elif key in self._wanted:
                paths.setdefault(key, relative)
        return paths
