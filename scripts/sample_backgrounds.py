"""Backgrounds of the sample's videos: pictures of several kinds, different ones for each split.

Every function of a generator and a hue returns an RGB picture in [0, 255] of the canvas, shape
(GROUND_HEIGHT, GROUND_WIDTH, 3).
"""

import colorsys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 160, 120  # Of a frame, in pixels.
SCALE = 2  # Pictures are drawn at twice the size, for smooth edges and half-pixel drift.
MARGIN = 12  # Pixels of background on each side for the camera to drift over.
GROUND_WIDTH, GROUND_HEIGHT = SCALE * (WIDTH + 2 * MARGIN), SCALE * (HEIGHT + 2 * MARGIN)
Y, X = np.mgrid[:GROUND_HEIGHT, :GROUND_WIDTH].astype(np.float64)


def draw(canvas: Floats, points: Floats, colour: Floats, opacity: float) -> None:
    """Draw a filled polygon onto the canvas; its corners are in canvas pixels."""
    left, top = np.maximum(np.floor(points.min(0)).astype(int) - 2, 0)
    right, bottom = np.maximum(np.ceil(points.max(0)).astype(int) + 3, 0)
    part = canvas[top:bottom, left:right]
    if part.size:
        mask = np.zeros(part.shape[:2], np.uint8)
        corner = np.rint((points - (left, top)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corner], 255, cv2.LINE_AA, shift=4)
        part += (colour - part) * (mask[..., None] * (opacity / 255))


def colour(rng: Generator, hue: float) -> Floats:
    """Return a random RGB colour in [0, 255] near a hue in [0, 1]."""
    parts = (hue + rng.uniform(-0.12, 0.12)) % 1, rng.uniform(0.1, 0.55), rng.uniform(0.25, 0.9)
    return 255 * np.array(colorsys.hsv_to_rgb(*parts))


def mix(weight: Floats, rng: Generator, hue: float) -> Floats:
    """Return a picture that blends two random colours, with weights in [0, 1]."""
    first, second = colour(rng, hue), colour(rng, hue)
    return first + weight[..., None] * (second - first)


def field(rng: Generator, cells: int) -> Floats:
    """Return a smooth random picture in [0, 1] with about ``cells`` blobs in each direction."""
    grid = rng.uniform(size=(cells, cells))
    size = (GROUND_WIDTH, GROUND_HEIGHT)
    return np.clip(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), 0, 1)


def ramp(rng: Generator) -> Floats:
    """Return a straight slope in a random direction, in canvas pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    slope: Floats = X * np.cos(angle) + Y * np.sin(angle)
    return slope


def clouds(rng: Generator, hue: float) -> Floats:
    """Return soft clouds."""
    return mix(0.6 * field(rng, 4) + 0.3 * field(rng, 9) + 0.1 * field(rng, 25), rng, hue)


def stripes(rng: Generator, hue: float) -> Floats:
    """Return soft straight stripes."""
    return mix(np.clip(0.5 + np.sin(ramp(rng) / rng.uniform(5, 25)), 0, 1), rng, hue)


def mosaic(rng: Generator, hue: float) -> Floats:
    """Return overlapping rectangles."""
    canvas = mix(field(rng, 3), rng, hue)
    for place in rng.uniform(-60, (GROUND_WIDTH, GROUND_HEIGHT), (25, 2)):
        box = place + rng.uniform(30, 130, 2) * [(0, 0), (0, 1), (1, 1), (1, 0)]
        draw(canvas, box, colour(rng, hue), rng.uniform(0.2, 0.8))
    return canvas


def bokeh(rng: Generator, hue: float) -> Floats:
    """Return discs of light that is out of focus."""
    canvas = mix(field(rng, 2), rng, hue)
    turned = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for centre in rng.uniform(0, (GROUND_WIDTH, GROUND_HEIGHT), (25, 2)):
        disc = centre + rng.uniform(8, 45) * np.stack([np.cos(turned), np.sin(turned)], 1)
        draw(canvas, disc, colour(rng, hue), rng.uniform(0.1, 0.5))
    return canvas


def contours(rng: Generator, hue: float) -> Floats:
    """Return rings like those of cut wood or the contour lines of a map."""
    return mix(0.5 + 0.5 * np.sin(field(rng, 4) * rng.uniform(15, 40)), rng, hue)


def bricks(rng: Generator, hue: float) -> Floats:
    """Return a brick wall."""
    height = rng.uniform(20, 40)
    row = Y // height
    along = X + row % 2 * height
    joint = (Y % height < 4) | (along % (2 * height) < 4)
    tone = rng.uniform(0, 0.7, (40, 40))[row.astype(int), (along // (2 * height)).astype(int)]
    return mix(np.where(joint, 1.0, tone), rng, hue)


def hills(rng: Generator, hue: float) -> Floats:
    """Return ranges of hills below a sky."""
    canvas = mix(Y / GROUND_HEIGHT, rng, hue)
    for base in np.sort(rng.uniform(0.2, 1, 4)) * GROUND_HEIGHT:
        waves = sum(h * np.sin(X[0] / h / 3 + rng.uniform(0, 6)) for h in rng.uniform(3, 16, 3))
        canvas = np.where((base + waves < Y)[..., None], mix(field(rng, 20) / 3, rng, hue), canvas)
    return canvas


def skyline(rng: Generator, hue: float) -> Floats:
    """Return houses with lit windows in front of a sky."""
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
