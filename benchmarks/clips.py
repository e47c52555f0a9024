"""Videos to measure on: made here with libx264's defaults, or the files of a folder."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidbench.storage.files import replacing

FPS = 30
_SUFFIXES = {".avi", ".mkv", ".mov", ".mp4", ".webm"}

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


def found_clips(folder: Path) -> list[Path]:
    """The videos of a folder."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)


def made_clips(folder: Path, width: int, height: int, count: int, seconds: int = 10) -> list[Path]:
    """``count`` videos of this size in the folder; those that are there are taken as they are."""
    name = f"{width}x{height}_{seconds}s"
    paths = [folder / f"{name}_{seed:03d}.mp4" for seed in range(count)]
    missing = [(path, seed) for seed, path in enumerate(paths) if not path.exists()]
    if missing:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            make = partial(_make, size=(width, height), seconds=seconds)
            list(pool.map(make, *zip(*missing, strict=True)))
    return paths


def _make(path: Path, seed: int, size: tuple[int, int], seconds: int) -> None:
    """One video: things that move over a textured ground, before a camera that sways."""
    rng = np.random.default_rng(seed)
    cv2.setNumThreads(1)
    scene = _Scene(size, rng)
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(FPS * seconds):
            picture = scene.frame(index / FPS)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


class _Scene:
    """A ground and objects, all with the spectrum of natural pictures, in smooth motion."""

    def __init__(self, size: tuple[int, int], rng: Generator) -> None:
        self._size, self._rng = size, rng
        longest = max(size)
        self._ground = _texture(2 * longest, rng)
        self._objects = [_Object(longest, rng) for _ in range(4)]
        self._sway = _Path(rng, 0.08 * longest, 0.05, 0.3)
        self._shake = _Path(rng, 0.004 * longest, 0.8, 2.5)
        self._zoom = _Path(rng, 0.08, 0.05, 0.2)
        self._grain = [rng.normal(0, 1.5, (size[1], size[0], 1)) for _ in range(8)]

    def frame(self, seconds: float) -> Image:
        width, height = self._size
        dx, dy = self._sway.at(seconds) + self._shake.at(seconds)
        zoom = 0.9 + self._zoom.at(seconds)[0]
        center = len(self._ground) / 2
        camera = np.array([[zoom, 0, center + dx], [0, zoom, center + dy]], np.float32)
        camera[:, 2] -= zoom * np.array([width, height], np.float32) / 2
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = np.asarray(
            cv2.warpAffine(self._ground, camera, self._size, flags=flags), np.float32
        )
        for thing in self._objects:
            thing.draw(picture, seconds)
        grain = self._grain[self._rng.integers(8)]
        return np.clip(picture + grain, 0, 255).astype(np.uint8)


class _Object:
    """A textured ellipse with a soft edge that moves and turns."""

    def __init__(self, longest: int, rng: Generator) -> None:
        side = int(rng.uniform(0.15, 0.35) * longest)
        self._texture = _texture(side, rng)
        place = (np.indices((side, side)) - (side - 1) / 2) / (side / 2)
        distance = np.hypot(place[0] / rng.uniform(0.5, 0.9), place[1] / 0.9)
        self._alpha = np.clip((1 - distance) * side / 6, 0, 1).astype(np.float32)[..., None]
        self._path = _Path(rng, 0.3 * longest, 0.05, 0.4)
        self._turn = _Path(rng, 60, 0.05, 0.3)

    def draw(self, picture: Floats, seconds: float) -> None:
        height, width = picture.shape[:2]
        side = len(self._texture)
        degrees = self._turn.at(seconds)[0]
        turn = np.asarray(cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1), np.float64)
        turn[:, 2] += self._path.at(seconds) + (np.array([width, height]) - side) / 2
        drawn, alpha = (
            np.asarray(cv2.warpAffine(image, turn, (width, height)), np.float32)
            for image in (self._texture, self._alpha)
        )
        picture += alpha[..., None] * (drawn - picture)


class _Path:
    """A smooth path in two dimensions: a sum of slow waves.

    Args:
        rng: Draws the waves.
        reach: Standard deviation of each coordinate.
        slowest: Lowest frequency, in Hz.
        fastest: Highest.
    """

    def __init__(self, rng: Generator, reach: float, slowest: float, fastest: float) -> None:
        self._hz = rng.uniform(slowest, fastest, (4, 2))
        self._phase = rng.uniform(0, 2 * np.pi, (4, 2))
        self._reach = reach

    def at(self, seconds: float) -> NDArray[np.float64]:
        waves = np.sin(2 * np.pi * self._hz * seconds + self._phase)
        return np.asarray(self._reach * waves.sum(axis=0) / np.sqrt(2))


def _texture(side: int, rng: Generator) -> Floats:
    """A square in colour with detail of every size, a little less of the smaller ones.

    Natural pictures hold about equal energy in each octave (Field 1987); video holds less.
    """
    total = np.zeros((side, side, 3), np.float32)
    cells = 4
    while cells < side:
        octave = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        octave = octave.mean(axis=2, keepdims=True) + 0.4 * octave
        detail = cv2.resize(octave, (side, side), interpolation=cv2.INTER_CUBIC)
        total += np.asarray(detail, np.float32) / np.float32(cells**0.3)
        cells *= 2
    spread = np.float32(45) / total.std()
    ground = rng.uniform(90, 160, 3).astype(np.float32) + total * spread
    return np.asarray(np.clip(ground, 0, 255), np.float32)
