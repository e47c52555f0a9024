"""Videos laid out as a server of vidbench's datasets lays them out, so that it fetches them."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfile

from vidbench.data.datasets.sample import ROOT as SAMPLE
from vidbench.labels.class_lists import load_classes, read_classes


def build_mirror(videos: Sequence[Path], root: Path, count: int | None = None) -> Path:
    """The root of a Kinetics-400 mirror whose split ``val`` has ``count`` videos in one tarball.

    Args:
        videos: Repeated if fewer than ``count``; each repetition gets bytes of its own, so that
            it is another file to the cache.
        root: A new folder.
        count: None for as many as there are.
    """
    contents = list(_distinct([path.read_bytes() for path in videos], count or len(videos)))
    _write(root / "400", "k400", contents, load_classes("kinetics-400"), prefix="400/")
    return root


def build_sample_mirror(root: Path, count: int) -> Path:
    """The root of a mirror of the embedded sample with ``count`` videos, repeated likewise.

    Args:
        root: A new folder.
        count: How many videos.
    """
    contents = list(_distinct(_sample_videos(), count))
    _write(root, "sample", contents, read_classes(SAMPLE / "classes.txt"), prefix="")
    copyfile(SAMPLE / "classes.txt", root / "classes.txt")
    return root


def copy_distinct(videos: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """``count`` files in a new folder, repeated likewise."""
    folder.mkdir(parents=True)
    paths = [folder / f"video{i:06d}.mp4" for i in range(count)]
    contents = _distinct([path.read_bytes() for path in videos], count)
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def _write(
    folder: Path, name: str, contents: Sequence[bytes], labels: Sequence[str], *, prefix: str
) -> None:
    """Tarball, list of tarballs and annotations below the folder, which has this prefix."""
    names = [f"video{i:06d}_000000_000010.mp4" for i in range(len(contents))]
    (folder / "val").mkdir(parents=True)
    (folder / "annotations").mkdir()
    (folder / f"val/{name}_val_path.txt").write_text(f"{prefix}val/part_0.tar.gz\n")
    with (folder / "annotations/val.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
        for i, video in enumerate(names):
            writer.writerow([labels[i % len(labels)], video[:11], 0, 10, "val", 0])
    with tarfile.open(folder / "val/part_0.tar.gz", "w:gz", compresslevel=1) as tar:
        for video, content in zip(names, contents, strict=True):
            member = tarfile.TarInfo(video)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _sample_videos() -> list[bytes]:
    contents = []
    for path in sorted((SAMPLE / "val").glob("*.tar.gz")):
        with tarfile.open(path) as tar:
            files = [tar.extractfile(member) for member in tar.getmembers()]
            contents += [file.read() for file in files if file]
    return contents


def _distinct(contents: Sequence[bytes], count: int) -> Iterator[bytes]:
    for i in range(count):
        yield contents[i % len(contents)] + _free_box(i // len(contents))


def _free_box(number: int) -> bytes:
    """A box that an mp4 file may end with and no reader looks into (ISO/IEC 14496-12, 8.1.2)."""
    return b"" if number == 0 else (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
