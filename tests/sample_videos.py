"""The videos of the embedded sample, by Python's tarfile alone."""

from __future__ import annotations

import tarfile
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


def read_sample(sample: Path = SAMPLE) -> dict[str, bytes]:
    """The content of each video by its file name, in the order of the tarballs."""
    videos = {}
    for path in sorted(sample.glob("val/part_*.tar.gz")):
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                videos[Path(member.name).name] = content.read()
    return videos


def extract_sample(folder: Path) -> list[Path]:
    """Writes every video into the folder; their paths, sorted."""
    for name, content in read_sample().items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())
