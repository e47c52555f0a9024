"""Render the sample: two-second videos of a shape that moves, turns, grows or blinks.

The class of a video is its motion. Everything else (shape, colours, position, phase, speed,
background, camera drift, noise, distractor) is random, in the same way for all classes, so that a
single frame does not reveal the class, and most classes are the reverse of another class.

    python scripts/render_sample.py --out data/sample
"""

import argparse
import base64
import csv
import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sample_backgrounds import (
    BACKGROUNDS,
    HEIGHT,
    MARGIN,
    SCALE,
    WIDTH,
    Floats,
    colour,
    draw,
    field,
)

Image = NDArray[np.uint8]
Video = NDArray[np.uint8]

FPS, FRAMES = 25, 50
SPLITS = ("train", "tune", "val")
VAL_PER_CLASS = 8
PARTS = 4

# Difficulty, set on the tune split (see docs/sample.md).
NOISE = (3.0, 8.0)  # Standard deviation of a pixel's noise, of 255.
DRIFT = (1.0, 5.0)  # Standard deviation of the camera's position over a video, in pixels.
OPACITY = (0.55, 0.9)  # Of the shape.
CONTRAST = 150.0  # Minimum difference of its colour from the background's mean, over R, G and B.
RADIUS = (12.0, 22.0)  # Of the shape, in pixels.
CYCLES = (0.45, 0.75)  # Of the motion, per second.


# Motions --------------------------------------------------------------------------------------


@dataclass
class Pose:
    """Where the shape is and how it looks: one number per frame in each field."""

    x: Floats  # Pixels from the left of the frame.
    y: Floats  # Pixels from the top.
    radius: Floats  # Pixels.
    angle: Floats  # Radians, clockwise.
    opacity: Floats  # 0 to 1.


Motion = Callable[[Pose, Floats, Generator], None]


def slide_x(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Move the shape to the right; it returns from the left after leaving the frame."""
    pose.x = -pose.radius + (cycles % 1) * (WIDTH + 2 * pose.radius)


def slide_y(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Move the shape down; it returns from the top after leaving the frame."""
    pose.y = -pose.radius + (cycles % 1) * (HEIGHT + 2 * pose.radius)


def circle(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Move the shape clockwise along a circle."""
    size = rng.uniform(20, 34)
    pose.x += size * np.cos(2 * np.pi * cycles)
    pose.y += size * np.sin(2 * np.pi * cycles)


def turn(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Turn the shape clockwise."""
    pose.angle += 2 * np.pi * cycles


def resize(pose: Pose, share: Floats) -> None:
    """Set the radius from its smallest value, for a share of 0, to its largest, for 1."""
    small, large = 0.5 * RADIUS[0], 1.6 * RADIUS[1]
    pose.radius = small + share * (large - small)


def grow(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Grow the shape from small to large, repeatedly."""
    resize(pose, 2 * cycles % 1)


def pulse(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Grow and shrink the shape in turn."""
    resize(pose, np.abs(2 * (cycles % 1) - 1))


def bounce(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Bounce the shape off an invisible floor."""
    pose.y += 20 - rng.uniform(40, 60) * (1 - (2 * (cycles % 1) - 1) ** 2)


def sway(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Swing the shape from side to side."""
    pose.x += rng.uniform(25, 40) * np.sin(2 * np.pi * cycles)


def blink(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Show and hide the shape in turn."""
    pose.opacity *= cycles % 0.5 < 0.25


# A direction of -1 runs the motion backwards; 0 marks those that look the same both ways.
MOTIONS: dict[str, tuple[Motion, int]] = {
    "blinking": (blink, 0),
    "bouncing": (bounce, 0),
    "growing": (grow, 1),
    "moving along circle clockwise": (circle, 1),
    "moving along circle counterclockwise": (circle, -1),
    "moving down": (slide_y, 1),
    "moving left": (slide_x, -1),
    "moving right": (slide_x, 1),
    "moving up": (slide_y, -1),
    "pulsing": (pulse, 0),
    "shrinking": (grow, -1),
    "swaying": (sway, 0),
    "turning clockwise": (turn, 1),
    "turning counterclockwise": (turn, -1),
}
CLASSES = sorted(MOTIONS)
MIRRORED: dict[str, str] = {
    label: next(k for k, v in MOTIONS.items() if v == (motion, -direction))
    for label, (motion, direction) in MOTIONS.items()
}


def random_pose(rng: Generator) -> Pose:
    """Return a shape at rest, at a random position near the centre of the frame."""
    numbers = (
        rng.uniform(WIDTH / 2 - 28, WIDTH / 2 + 28),
        rng.uniform(HEIGHT / 2 - 28, HEIGHT / 2 + 28),
        rng.uniform(*RADIUS),
        rng.uniform(0, 2 * np.pi),
        rng.uniform(*OPACITY),
    )
    return Pose(*(np.full(FRAMES, number) for number in numbers))


def moved_pose(label: str, rng: Generator) -> Pose:
    """Return the shape's pose in all frames of a video of the class."""
    motion, direction = MOTIONS[label]
    pose = random_pose(rng)
    cycles = rng.uniform(*CYCLES) * np.arange(FRAMES) / FPS
    motion(pose, rng.uniform() + (direction or 1) * cycles, rng)
    return pose


# Shapes ---------------------------------------------------------------------------------------

Shape = tuple[tuple[float, float], ...]

# Corners as (angle in degrees, distance from the centre); all point one way, so that turning shows.
SHAPES: tuple[Shape, ...] = (
    ((0, 1.7), (140, 0.8), (220, 0.8)),  # Dart.
    ((0, 1.6), (130, 0.9), (180, 0.3), (230, 0.9)),  # Arrowhead.
    ((0, 1.6), (60, 0.6), (110, 0.6), (150, 0.7), (210, 0.7), (250, 0.6), (300, 0.6)),  # Drop.
    ((350, 1.5), (15, 1.5), (50, 0.5), (110, 1.0), (150, 1.0), (240, 0.5)),  # Boot.
    ((0, 1.7), (40, 0.4), (90, 0.7), (135, 0.4), (180, 0.7), (225, 0.4), (270, 0.7), (320, 0.4)),
    ((335, 1.5), (0, 1.6), (25, 1.5), (150, 0.5), (210, 0.5)),  # Fan.
    ((350, 1.5), (10, 1.5), (50, 0.5), (150, 0.8), (210, 0.8), (310, 0.5)),  # Bottle.
)


def outline(shape: Shape, x: float, y: float, radius: float, angle: float) -> Floats:
    """Return the (n, 2) corners of a shape in canvas pixels; the arguments are in frame pixels."""
    degrees, distance = np.array(shape).T
    turned = np.radians(degrees) + angle
    turns = np.stack([distance * np.cos(turned), distance * np.sin(turned)], 1)
    return SCALE * (radius * turns + (x + MARGIN, y + MARGIN))


# Videos ---------------------------------------------------------------------------------------


def distinct_colour(rng: Generator, ground: Floats) -> Floats:
    """Return an RGB colour in [0, 255] that stands out from the background's mean."""
    while True:
        candidate = colour(rng, rng.uniform())
        if np.abs(candidate - ground.mean((0, 1))).sum() > CONTRAST:
            return candidate


def background(rng: Generator, split: str) -> Floats:
    """Return a background of one of the split's kinds, with grain and a still shape on it."""
    kinds = BACKGROUNDS[split]
    ground = kinds[rng.integers(len(kinds))](rng, rng.uniform())
    ground += 24 * (field(rng, 60)[..., None] - 0.5)
    tint, shape = distinct_colour(rng, ground), SHAPES[rng.integers(len(SHAPES))]
    *place, opacity = (numbers[0] for numbers in vars(random_pose(rng)).values())
    draw(ground, outline(shape, *place), tint, opacity)
    return ground


def drift(rng: Generator) -> NDArray[np.int64]:
    """Return the camera's position in each frame, left and top in canvas pixels: (50, 2)."""
    steps = np.cumsum(rng.normal(size=(FRAMES + 14, 2)), 0)
    path = np.stack([np.convolve(steps[:, k], np.ones(15) / 15, "valid") for k in (0, 1)], 1)
    path = (path - path.mean(0)) / path.std() * rng.uniform(*DRIFT)
    corner: Floats = np.clip(np.rint((path + MARGIN) * SCALE), 0, 2 * MARGIN * SCALE)
    return corner.astype(np.int64)


def render(label: str, seed: int, split: str) -> Video:
    """Return a video of the class: uint8 RGB, shape (50, 120, 160, 3)."""
    rng = np.random.default_rng([SPLITS.index(split), CLASSES.index(label), seed])
    ground = background(rng, split)
    tint, shape = distinct_colour(rng, ground), SHAPES[rng.integers(len(SHAPES))]
    noise, cameras, pose = rng.uniform(*NOISE), drift(rng), moved_pose(label, rng)
    frames = []
    for camera, *place, opacity in zip(cameras, *vars(pose).values(), strict=True):
        left, top = camera
        canvas = ground[top : top + SCALE * HEIGHT, left : left + SCALE * WIDTH].copy()
        draw(canvas, outline(shape, *place) - camera, tint, opacity)
        frame = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        grain = noise * rng.standard_normal(frame.shape, np.float32)
        frames.append(np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8))
    return np.stack(frames)


# One thread, without x264's faster approximations: they differ between processors, and even
# between runs.
ENCODER = {"crf": "30", "threads": "1", "x264-params": "cpu-independent=1"}


def encode(video: Video) -> bytes:
    """Return the video as an mp4 file: H.264, 25 frames per second, with reproducible bytes."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=ENCODER)
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in video:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


# The val split on disk ------------------------------------------------------------------------


def video_id(label: str, seed: int) -> str:
    """Return the id of a val video: 11 characters that do not reveal the class."""
    digest = hashlib.sha256(f"{label} {seed}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:11].decode()


def write_tarball(path: Path, members: dict[str, bytes]) -> None:
    """Write files into a .tar.gz without dates, so that its bytes are reproducible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tarball,
    ):
        for name, content in sorted(members.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tarball.addfile(member, io.BytesIO(content))


def write_tarballs(folder: Path) -> None:
    """Write the tarballs of val videos, each with all classes, and the list of tarballs."""
    names = [f"val/part_{part}.tar.gz" for part in range(PARTS)]
    for part, name in enumerate(names):
        videos = [(label, seed) for label in CLASSES for seed in range(part, VAL_PER_CLASS, PARTS)]
        members = {
            f"{video_id(*video)}_000000_000002.mp4": encode(render(*video, "val"))
            for video in videos
        }
        write_tarball(folder / name, members)
    (folder / "val" / "sample_val_path.txt").write_text("".join(f"{name}\n" for name in names))


def write_annotations(folder: Path) -> None:
    """Write the classes and the table of val videos with their labels."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("".join(f"{label}\n" for label in CLASSES))
    videos = [(label, video_id(label, seed)) for label in CLASSES for seed in range(VAL_PER_CLASS)]
    with (folder / "annotations" / "val.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
        writer.writerows([*video, 0, 2, "val", 0] for video in sorted(videos))


def main() -> None:
    """Write the val split into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/sample"), help="folder to write to")
    folder = parser.parse_args().out
    write_tarballs(folder)
    write_annotations(folder)


if __name__ == "__main__":
    main()
