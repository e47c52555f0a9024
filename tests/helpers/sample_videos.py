"""The videos of the embedded sample, by Python's tarfile alone."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.helpers.paths import SAMPLE


def read_sample(sample: Path = SAMPLE) -> dict[str, bytes]:
    """The content of each video by its file name, in the order of the tarballs."""
    tarballs = sorted(sample.glob("val/part_*.tar.gz"))
    return {name: content for path in tarballs for name, content in read_tarball(path).items()}


def read_tarball(path: Path) -> dict[str, bytes]:
    """The content of each file by its name, without the folders that it lies in."""
    files = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if content := tar.extractfile(member):
                files[Path(member.name).name] = content.read()
    return files


def extract_sample(folder: Path) -> list[Path]:
    """Writes every video into the folder; their paths, sorted."""
    for name, content in read_sample().items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())
