"""Loaders of the sample, and the clips and processes that they make."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from vidbench.data.clips.source import CachePolicy
from vidbench.data.datasets.base import load_dataset
from vidbench.data.loader import VideoLoader
from vidbench.data.spec import PreprocessSpec

SPEC = PreprocessSpec(num_frames=8, crop_size=32)


def sample(tmp_path: Path, **policy: bool) -> VideoLoader:
    return VideoLoader(
        load_dataset("sample", "val", data_dir=tmp_path / "raw"),
        SPEC,
        cache_dir=tmp_path / "cache",
        num_workers=2,
        policy=CachePolicy(**policy),
    )


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """What changes when a clip is written again: the renamed file is another inode."""
    return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*.h5")}


def garble(path: Path) -> None:
    """Other content under an unchanged identity: only a reader of the file can tell."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(os.urandom(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def decoders() -> list[psutil.Process]:
    """Worker processes of this one, and nothing else that it or its libraries started."""
    return [child for child in psutil.Process().children() if _is_decoder(child)]


def _is_decoder(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return False
