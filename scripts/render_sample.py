"""Renders the sample: two-second videos of a shape that moves, turns, grows or blinks.

A video's class is a motion. Everything else about it (shape, colours, place, phase, speed,
background, camera drift, noise, distractor) is drawn at random in the same way for all classes, so
that one frame does not tell the class, and most classes are another class run backwards.

    python scripts/render_sample.py --out data/sample
"""

import argparse
import base64
import colorsys
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

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Video = NDArray[np.uint8]

WIDTH, HEIGHT, FPS, FRAMES = 160, 120, 25, 50
SCALE = 2  # Pictures are drawn at twice the size, for smooth edges and half-pixel drift.
MARGIN = 12  # Pixels of background on each side for the camera to drift over.
SPLITS = ("train", "tune", "val")
VAL_PER_CLASS = 8
PARTS = 4

# Difficulty, set on the tune split (see docs/sample.md).
NOISE = (3.0, 8.0)  # Standard deviation of a pixel's noise, of 255.
DRIFT = (1.0, 5.0)  # Standard deviation of the camera's place over a video, in pixels.
OPACITY = (0.55, 0.9)  # Of the shape.
CONTRAST = 150.0  # Least difference of its colour from the background's mean, over R, G and B.
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
    """Moves the shape to the right, in again from the left when it is out of the frame."""
    pose.x = -pose.radius + (cycles % 1) * (WIDTH + 2 * pose.radius)


def slide_y(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Moves the shape down, in again from the top when it is out of the frame."""
    pose.y = -pose.radius + (cycles % 1) * (HEIGHT + 2 * pose.radius)


def circle(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Moves the shape along a circle, clockwise."""
    size = rng.uniform(20, 34)
    pose.x += size * np.cos(2 * np.pi * cycles)
    pose.y += size * np.sin(2 * np.pi * cycles)


def turn(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Turns the shape clockwise."""
    pose.angle += 2 * np.pi * cycles


def resize(pose: Pose, share: Floats) -> None:
    """Gives the shape its smallest radius where the share is 0, its largest where it is 1."""
    small, large = 0.5 * RADIUS[0], 1.6 * RADIUS[1]
    pose.radius = small + share * (large - small)


def grow(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Grows the shape from small to large, again and again."""
    resize(pose, 2 * cycles % 1)


def pulse(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Grows and shrinks the shape in turn."""
    resize(pose, np.abs(2 * (cycles % 1) - 1))


def bounce(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Bounces the shape off an unseen floor."""
    pose.y += 20 - rng.uniform(40, 60) * (1 - (2 * (cycles % 1) - 1) ** 2)


def sway(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Swings the shape from side to side."""
    pose.x += rng.uniform(25, 40) * np.sin(2 * np.pi * cycles)


def blink(pose: Pose, cycles: Floats, rng: Generator) -> None:
    """Shows and hides the shape in turn."""
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
    """Returns a shape at rest, anywhere near the middle of the frame."""
    numbers = (
        rng.uniform(WIDTH / 2 - 28, WIDTH / 2 + 28),
        rng.uniform(HEIGHT / 2 - 28, HEIGHT / 2 + 28),
        rng.uniform(*RADIUS),
        rng.uniform(0, 2 * np.pi),
        rng.uniform(*OPACITY),
    )
    return Pose(*(np.full(FRAMES, number) for number in numbers))


def moved_pose(label: str, rng: Generator) -> Pose:
    """Returns the shape's pose in all frames of a video of the class."""
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
    """Returns the (n, 2) corners of a shape in canvas pixels; place and radius in frame pixels."""
    degrees, distance = np.array(shape).T
    turned = np.radians(degrees) + angle
    turns = np.stack([distance * np.cos(turned), distance * np.sin(turned)], 1)
    return SCALE * (radius * turns + (x + MARGIN, y + MARGIN))


def draw(canvas: Floats, points: Floats, colour: Floats, opacity: float) -> None:
    """Draws a filled polygon, its corners in pixels of the canvas, onto the canvas."""
    left, top = np.maximum(np.floor(points.min(0)).astype(int) - 2, 0)
    right, bottom = np.maximum(np.ceil(points.max(0)).astype(int) + 3, 0)
    part = canvas[top:bottom, left:right]
    if part.size:
        mask = np.zeros(part.shape[:2], np.uint8)
        corner = np.rint((points - (left, top)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corner], 255, cv2.LINE_AA, shift=4)
        part += (colour - part) * (mask[..., None] * (opacity / 255))


# Backgrounds: RGB in [0, 255], shape (GROUND_HEIGHT, GROUND_WIDTH, 3) ---------------------------

GROUND_WIDTH, GROUND_HEIGHT = SCALE * (WIDTH + 2 * MARGIN), SCALE * (HEIGHT + 2 * MARGIN)
Y, X = np.mgrid[:GROUND_HEIGHT, :GROUND_WIDTH].astype(np.float64)


def colour(rng: Generator, hue: float) -> Floats:
    """Returns a random RGB colour in [0, 255] near a hue in [0, 1]."""
    parts = (hue + rng.uniform(-0.12, 0.12)) % 1, rng.uniform(0.1, 0.55), rng.uniform(0.25, 0.9)
    return 255 * np.array(colorsys.hsv_to_rgb(*parts))


def mix(weight: Floats, rng: Generator, hue: float) -> Floats:
    """Returns a picture that goes from one random colour to another, for weights in [0, 1]."""
    first, second = colour(rng, hue), colour(rng, hue)
    return first + weight[..., None] * (second - first)


def field(rng: Generator, cells: int) -> Floats:
    """Returns a smooth random picture in [0, 1] with about so many blobs each way."""
    grid = rng.uniform(size=(cells, cells))
    size = (GROUND_WIDTH, GROUND_HEIGHT)
    return np.clip(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), 0, 1)


def ramp(rng: Generator) -> Floats:
    """Returns a straight slope in a random direction, in canvas pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    slope: Floats = X * np.cos(angle) + Y * np.sin(angle)
    return slope


def clouds(rng: Generator, hue: float) -> Floats:
    """Returns soft clouds."""
    return mix(0.6 * field(rng, 4) + 0.3 * field(rng, 9) + 0.1 * field(rng, 25), rng, hue)


def stripes(rng: Generator, hue: float) -> Floats:
    """Returns soft straight stripes."""
    return mix(np.clip(0.5 + np.sin(ramp(rng) / rng.uniform(5, 25)), 0, 1), rng, hue)


def mosaic(rng: Generator, hue: float) -> Floats:
    """Returns overlapping rectangles."""
    canvas = mix(field(rng, 3), rng, hue)
    for place in rng.uniform(-60, (GROUND_WIDTH, GROUND_HEIGHT), (25, 2)):
        box = place + rng.uniform(30, 130, 2) * [(0, 0), (0, 1), (1, 1), (1, 0)]
        draw(canvas, box, colour(rng, hue), rng.uniform(0.2, 0.8))
    return canvas


def bokeh(rng: Generator, hue: float) -> Floats:
    """Returns discs of light out of focus."""
    canvas = mix(field(rng, 2), rng, hue)
    turned = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for centre in rng.uniform(0, (GROUND_WIDTH, GROUND_HEIGHT), (25, 2)):
        disc = centre + rng.uniform(8, 45) * np.stack([np.cos(turned), np.sin(turned)], 1)
        draw(canvas, disc, colour(rng, hue), rng.uniform(0.1, 0.5))
    return canvas


def contours(rng: Generator, hue: float) -> Floats:
    """Returns the rings of cut wood or of a map's heights."""
    return mix(0.5 + 0.5 * np.sin(field(rng, 4) * rng.uniform(15, 40)), rng, hue)


def bricks(rng: Generator, hue: float) -> Floats:
    """Returns a brick wall."""
    height = rng.uniform(20, 40)
    row = Y // height
    along = X + row % 2 * height
    joint = (Y % height < 4) | (along % (2 * height) < 4)
    tone = rng.uniform(0, 0.7, (40, 40))[row.astype(int), (along // (2 * height)).astype(int)]
    return mix(np.where(joint, 1.0, tone), rng, hue)


def hills(rng: Generator, hue: float) -> Floats:
    """Returns ranges of hills below a sky."""
    canvas = mix(Y / GROUND_HEIGHT, rng, hue)
    for base in np.sort(rng.uniform(0.2, 1, 4)) * GROUND_HEIGHT:
        waves = sum(h * np.sin(X[0] / h / 3 + rng.uniform(0, 6)) for h in rng.uniform(3, 16, 3))
        canvas = np.where((base + waves < Y)[..., None], mix(field(rng, 20) / 3, rng, hue), canvas)
    return canvas


def skyline(rng: Generator, hue: float) -> Floats:
    """Returns houses with lit windows before a sky."""
    canvas = mix(Y / GROUND_HEIGHT, rng, hue)
    for left in rng.permutation(np.arange(-20, GROUND_WIDTH, 28)):
        top, width, step = rng.uniform(40, 220), rng.uniform(30, 70), rng.uniform(9, 16)
        house = (top < Y) & (left < X) & (left + width > X)
        lit = ((Y - top) % step > step / 2) & ((X - left) % step > step / 2)
        canvas[house] = mix(lit * rng.uniform(0.2, 0.8), rng, hue)[house]
    return canvas


# No kind of background is in two splits.
BACKGROUNDS: dict[str, tuple[Callable[[Generator, float], Floats], ...]] = {
    "train": (clouds, stripes, mosaic, bokeh),
    "tune": (contours, bricks),
    "val": (hills, skyline),
}

# Videos ---------------------------------------------------------------------------------------


def distinct_colour(rng: Generator, ground: Floats) -> Floats:
    """Returns an RGB colour in [0, 255] that stands out from the background's mean."""
    while True:
        found = colour(rng, rng.uniform())
        if np.abs(found - ground.mean((0, 1))).sum() > CONTRAST:
            return found


def background(rng: Generator, split: str) -> Floats:
    """Returns a background of one of the split's kinds, with grain and a still shape on it."""
    kinds = BACKGROUNDS[split]
    ground = kinds[rng.integers(len(kinds))](rng, rng.uniform())
    ground += 24 * (field(rng, 60)[..., None] - 0.5)
    tint, shape = distinct_colour(rng, ground), SHAPES[rng.integers(len(SHAPES))]
    *place, opacity = (numbers[0] for numbers in vars(random_pose(rng)).values())
    draw(ground, outline(shape, *place), tint, opacity)
    return ground


def drift(rng: Generator) -> NDArray[np.int64]:
    """Returns the camera's place in each frame, in canvas pixels left and top: (50, 2)."""
    steps = np.cumsum(rng.normal(size=(FRAMES + 14, 2)), 0)
    path = np.stack([np.convolve(steps[:, k], np.ones(15) / 15, "valid") for k in (0, 1)], 1)
    path = (path - path.mean(0)) / path.std() * rng.uniform(*DRIFT)
    corner: Floats = np.clip(np.rint((path + MARGIN) * SCALE), 0, 2 * MARGIN * SCALE)
    return corner.astype(np.int64)


def render(label: str, seed: int, split: str) -> Video:
    """Returns a video of the class: uint8 RGB, shape (50, 120, 160, 3)."""
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


# One thread, and none of x264's faster approximations: those differ between processors, and even
# from run to run.
ENCODER = {"crf": "30", "threads": "1", "x264-params": "cpu-independent=1"}


def encode(video: Video) -> bytes:
    """Returns the video as an mp4 file: h264, 25 frames per second, the same bytes every time."""
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
    """Returns the id of a val video: 11 characters that do not tell the class."""
    digest = hashlib.sha256(f"{label} {seed}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:11].decode()


def write_tarball(path: Path, members: dict[str, bytes]) -> None:
    """Writes files into a .tar.gz that holds no dates, so that it is the same every time."""
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
    """Writes the val videos, the classes mixed over the tarballs, and the list of tarballs."""
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
    """Writes the classes and the table of val videos with their labels."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("".join(f"{label}\n" for label in CLASSES))
    videos = [(label, video_id(label, seed)) for label in CLASSES for seed in range(VAL_PER_CLASS)]
    with (folder / "annotations" / "val.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
        writer.writerows([*video, 0, 2, "val", 0] for video in sorted(videos))


def main() -> None:
    """Writes the val split into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/sample"), help="folder to write to")
    folder = parser.parse_args().out
    write_tarballs(folder)
    write_annotations(folder)


if __name__ == "__main__":
    main()
