"""Roots of Kinetics with tarballs and annotations, as the servers have them."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vidbench.data.datasets._kinetics_releases import CVDF_ROOT

PATH_LISTS = {
    "400": "400/{}/k400_{}_path.txt",
    "600": "600/{}/k600_{}_path.txt",
    "700": "700_2020/{}/k700_2020_{}_path.txt",
}
FOLDERS = {"400": "400", "600": "600", "700": "700_2020"}


def clip(number: int, start: int = 0) -> str:
    """A file name as on the server."""
    return f"video-{number:05d}_{start:06d}_{start + 10:06d}.mp4"


def write_tarball(path: Path, names: Iterable[str], content: str = "") -> None:
    """A tarball of files whose content is the given one and their name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            data = f"{content}{Path(name).name}".encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_annotations(path: Path, labels: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for name, label in labels.items():
            writer.writerow([label, name[:11], int(name[12:18]), int(name[19:25]), "val"])


def write_root(
    root: Path,
    tarballs: Mapping[str, Sequence[str]],
    labels: Mapping[str, str],
    *,
    version: str = "400",
    split: str = "val",
    entry_root: str = CVDF_ROOT,
) -> Path:
    """A root of a release, with the tarballs in the order given."""
    folder = f"{FOLDERS[version]}/{split}"
    for name, files in tarballs.items():
        write_tarball(root / folder / f"{name}.tar.gz", files)
    entries = [f"{entry_root}{folder}/{name}.tar.gz\n" for name in tarballs]
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / PATH_LISTS[version].format(split, split)).write_text("".join(entries))
    write_annotations(annotation_file(root, version, split), labels)
    return root


def annotation_file(root: Path, version: str = "400", split: str = "val") -> Path:
    suffix = "txt" if version == "600" and split != "test" else "csv"
    return root / FOLDERS[version] / "annotations" / f"{split}.{suffix}"
