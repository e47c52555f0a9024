"""A small Kinetics-400 in the layout of its server, made of the embedded sample's videos.

It stands in where no real footage is at hand, and has the same kinds of trouble: one listed
video is truncated, one is in no tarball, and one file is not listed.
"""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

from tests.helpers.sample_videos import read_sample
from vidbench.labels.class_lists import load_classes

NUM_LISTED = 30
NUM_TARBALLS = 3
VERSION_ROOT = "https://s3.amazonaws.com/kinetics/"


def build_mirror(sample: Path, root: Path) -> Path:
    """The root of a mirror with 30 listed videos in three tarballs of ten files."""
    videos = dict(list(read_sample(sample).items())[: NUM_LISTED - 1])
    names = sorted(videos)
    labels = load_classes("kinetics-400")
    missing = "missing_vid_000003_000013.mp4"
    rows = [(labels[7 * i], name) for i, name in enumerate([*names, missing])]
    files = {name: videos[name] for name in names}
    files[names[4]] = files[names[4]][:2000]  # cut short
    files["zzUnlisted0_000000_000010.mp4"] = videos[names[1]]
    _write_lists(root, rows)
    ordered = list(files)
    for part in range(NUM_TARBALLS):
        members = ordered[part * 10 : part * 10 + 10]
        _write_tarball(root / f"400/val/part_{part}.tar.gz", {n: files[n] for n in members})
    return root


def _write_lists(root: Path, rows: list[tuple[str, str]]) -> None:
    (root / "400/val").mkdir(parents=True)
    (root / "400/annotations").mkdir()
    urls = [f"{VERSION_ROOT}400/val/part_{part}.tar.gz\n" for part in range(NUM_TARBALLS)]
    (root / "400/val/k400_val_path.txt").write_text("".join(urls))
    with (root / "400/annotations/val.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
        for label, name in rows:
            writer.writerow([label, name[:11], int(name[12:18]), int(name[19:25]), "val", 0])


def _write_tarball(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
