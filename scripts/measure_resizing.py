"""Measure the differences between the ways of resizing, for the table of docs/protocol.md.

    python scripts/measure_resizing.py FOLDER_OF_VIDEOS ...

Takes 8 decodable frames of each video, and prints for each size of video the mean and the largest
difference from the result of transformers, in levels of 255.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.resize import fit_frame

TRANSFORMERS = PreprocessSpec(
    resize_type="short_side",
    short_side=224,
    resize_filter="bilinear_antialias",
    side_rounding="down",
)
PLAIN = replace(TRANSFORMERS, resize_filter="bilinear", side_rounding="nearest")
WAYS = {
    "bilinear, nearest": PLAIN,
    "bilinear, down": replace(PLAIN, side_rounding="down"),
    "area, down": replace(TRANSFORMERS, resize_filter="area"),
    "bilinear_antialias, nearest": replace(TRANSFORMERS, side_rounding="nearest"),
    "bilinear_antialias, down": TRANSFORMERS,
    "bicubic_antialias, down": replace(TRANSFORMERS, resize_filter="bicubic_antialias"),
    "squash, bicubic_antialias": PreprocessSpec(
        resize_type="squash", short_side=224, resize_filter="bicubic_antialias"
    ),
}

Frames = list[NDArray[np.uint8]]


def frames_of(path: Path, wanted: int = 8) -> Frames:
    """Evenly spaced frames of a video, of those that decode."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(np.ascontiguousarray(read[1][..., ::-1]))
    chosen = np.rint(np.linspace(0, len(frames) - 1, min(wanted, len(frames)))).astype(int)
    return [frames[index] for index in chosen]


def by_size(folders: Sequence[Path]) -> dict[tuple[int, int], Frames]:
    """Frames by their width and height, the widest last."""
    frames: dict[tuple[int, int], Frames] = defaultdict(list)
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        for frame in frames_of(path):
            frames[frame.shape[1], frame.shape[0]].append(frame)
    return {size: frames[size] for size in sorted(frames) if min(size) >= 224}


def difference(frames: Frames, spec: PreprocessSpec) -> str:
    """Mean and largest difference from the frames of transformers."""
    gaps = [np.abs(fit_frame(f, TRANSFORMERS).astype(int) - fit_frame(f, spec)) for f in frames]
    return f"{np.mean(gaps):.1f} / {np.max(gaps)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    sizes = by_size(parser.parse_args().folders)
    print("|", " | ".join(["", *(f"{w}x{h} ({len(f)})" for (w, h), f in sizes.items())]), "|")
    print("|---" * (len(sizes) + 1) + "|")
    for name, spec in WAYS.items():
        print("|", " | ".join([name, *(difference(f, spec) for f in sizes.values())]), "|")


if __name__ == "__main__":
    main()
