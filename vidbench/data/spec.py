"""PreprocessSpec: the preprocessing of a video, as one value that also names cache entries."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from vidbench.errors import ConfigError

Sampling = Literal["uniform", "center", "dense", "random"]
ResizeType = Literal["center_square", "short_side", "pad", "squash", "crop"]
ResizeFilter = Literal[
    "bilinear", "bicubic", "area", "bilinear_antialias", "bicubic_antialias", "lanczos_antialias"
]
SideRounding = Literal["nearest", "down"]
TooShort = Literal["stretch", "loop", "repeat_last", "skip"]

PIXELS_VERSION = 2
"""Increased whenever decoding or processing changes pixels, so that older cache entries expire."""

SAMPLINGS: tuple[str, ...] = get_args(Sampling)
RESIZE_TYPES: tuple[str, ...] = get_args(ResizeType)
RESIZE_FILTERS: tuple[str, ...] = get_args(ResizeFilter)
SIDE_ROUNDINGS: tuple[str, ...] = get_args(SideRounding)
TOO_SHORT: tuple[str, ...] = get_args(TooShort)

KEEPING_SHAPE = ("short_side", "pad")
"""Resize types that keep the aspect ratio, so that the length of a side has to be rounded."""

_LATER = frozenset({"num_clips", "num_crops", "sampling_seed", "resize_filter", "side_rounding"})
"""Fields added later: with their default values a spec keeps the digest that it had before."""


@dataclass(frozen=True, kw_only=True)
class PreprocessSpec:
    """How a video becomes views: all settings that change pixels, and no others.

    Attributes:
        num_frames: Frames per clip.
        sampling: Position of the clips. ``uniform`` spreads the frames of one clip evenly over the
            whole video, including its first and last frame. The others take every
            ``frame_stride``-th frame: ``center`` in one clip from the middle of the video,
            ``dense`` in several clips with evenly spaced starts, ``random`` in clips with random
            starts.
        fps: Frame rate, in frames per second, to which all but ``uniform`` resample first; None
            keeps the video's own frames.
        frame_stride: Step between frames after resampling, for all but ``uniform``.
        num_clips: Clips per video; several for ``dense``, any number for ``random``.
        sampling_seed: Seed of ``random`` only: equal seeds give equal clips for equal files.
        resize_type: ``center_square`` resizes the largest centred square to ``crop_size``;
            ``short_side`` resizes the shorter side to ``short_side`` and crops the centre;
            ``pad`` fits the whole frame into the square and fills the rest with black; ``squash``
            squeezes the whole frame into a square of ``short_side`` and crops the centre;
            ``crop`` crops the centre without resizing and pads a smaller frame with black.
        short_side: Length of the shorter side, in pixels, for ``short_side`` and ``squash``.
        resize_filter: ``bilinear``, ``bicubic`` and ``area`` as in OpenCV;
            ``bilinear_antialias``, ``bicubic_antialias`` and ``lanczos_antialias`` as in Pillow.
        side_rounding: Rounding of the other side's length, in pixels, for ``short_side`` and
            ``pad``: to the ``nearest`` integer, or ``down``.
        crop_size: Height and width of a frame, in pixels.
        num_crops: 1 for the centre, 3 for both ends of the longer side as well.
        too_short: Treatment of a video with fewer frames than requested: ``stretch`` repeats
            frames evenly (``uniform`` only), ``loop`` starts again, ``repeat_last`` repeats the
            last frame, ``skip`` leaves the video out.

    Raises:
        ConfigError: A value is out of range, or two values contradict each other.
    """

    num_frames: int = 100
    sampling: Sampling = "uniform"
    fps: float | None = None
    frame_stride: int = 1
    num_clips: int = 1
    sampling_seed: int | None = None
    resize_type: ResizeType = "center_square"
    short_side: int | None = None
    resize_filter: ResizeFilter = "bilinear"
    side_rounding: SideRounding = "nearest"
    crop_size: int = 224
    num_crops: int = 1
    too_short: TooShort = "stretch"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("sampling", SAMPLINGS),
            ("resize_type", RESIZE_TYPES),
            ("resize_filter", RESIZE_FILTERS),
            ("side_rounding", SIDE_ROUNDINGS),
            ("too_short", TOO_SHORT),
            ("num_crops", (1, 3)),
        ):
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(str, allowed))
                raise ConfigError(f"{name} is {getattr(self, name)!r}, must be one of {choices}")
        for name in ("num_frames", "frame_stride", "num_clips", "crop_size", "short_side", "fps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}, must be above 0 and finite")
        self._refuse_contradictory_clips()
        self._refuse_contradictory_crops()

    def _refuse_contradictory_clips(self) -> None:
        if self.sampling == "uniform":
            if self.fps is not None or self.frame_stride != 1:
                raise ConfigError("sampling 'uniform' ignores fps and frame_stride: omit them")
            if self.num_clips != 1:
                raise ConfigError(
                    f"num_clips is {self.num_clips}, but sampling 'uniform' takes the whole video "
                    "as one clip: use 'dense' or 'random'"
                )
        elif self.too_short == "stretch":
            raise ConfigError(
                f"too_short 'stretch' needs sampling 'uniform': with {self.sampling!r} use 'loop', "
                "'repeat_last' or 'skip'"
            )
        if self.sampling == "center" and self.num_clips != 1:
            raise ConfigError(
                f"num_clips is {self.num_clips}, but sampling 'center' takes one clip: use 'dense'"
            )
        if self.sampling == "dense" and self.num_clips == 1:
            raise ConfigError("sampling 'dense' takes several clips: use 'center' for one")
        if (self.sampling == "random") != (self.sampling_seed is not None):
            raise ConfigError("sampling 'random' needs a sampling_seed, and no other sampling does")

    def _refuse_contradictory_crops(self) -> None:
        kind = self.resize_type
        if (kind in ("short_side", "squash")) != (self.short_side is not None):
            raise ConfigError(
                "resize_type 'short_side' and 'squash' need a length short_side, and no other "
                f"resize_type does: resize_type is {kind!r}, short_side {self.short_side}"
            )
        if self.short_side is not None and self.short_side < self.crop_size:
            raise ConfigError(f"short_side {self.short_side} is below crop_size {self.crop_size}")
        if kind in ("pad", "squash") and self.num_crops != 1:
            raise ConfigError(
                f"num_crops is {self.num_crops}, but resize_type {kind!r} shows the whole frame"
            )
        if kind not in KEEPING_SHAPE and self.side_rounding != "nearest":
            raise ConfigError(f"resize_type {kind!r} does not use side_rounding: omit it")

    @property
    def num_views(self) -> int:
        """Views per video: clips times crops."""
        return self.num_clips * self.num_crops

    @property
    def views_name(self) -> str:
        """Clips x crops, in the notation of papers, e.g. ``10x3``."""
        return f"{self.num_clips}x{self.num_crops}"

    @property
    def views_shape(self) -> tuple[int, int, int, int, int]:
        """Shape of a video's views: (views, frames, height, width, 3)."""
        return (self.num_views, self.num_frames, self.crop_size, self.crop_size, 3)

    @property
    def views_bytes(self) -> int:
        """Size of a video's views in bytes."""
        return math.prod(self.views_shape)

    def canonical(self) -> dict[str, Any]:
        """Fields by name in one form for equal specs: ``fps`` 25 and 25.0 are equal."""
        values = asdict(self)
        values["fps"] = None if self.fps is None else float(self.fps)
        default = {field.name for field in fields(self) if values[field.name] == field.default}
        return {name: value for name, value in values.items() if name not in default & _LATER}

    def digest(self) -> str:
        """16 hexadecimal digits that identify this spec; equal specs have equal digests."""
        text = json.dumps(self.canonical(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> str:
        """One short phrase for the user, e.g. ``100 frames uniform, center_square 224``."""
        rate = "" if self.fps is None else f" at {self.fps:g} fps"
        step = "" if self.frame_stride == 1 else f" every {self.frame_stride}"
        seed = "" if self.sampling_seed is None else f" seed {self.sampling_seed}"
        side = "" if self.short_side is None else f" {self.short_side} crop"
        how = "" if self.resize_filter == "bilinear" else f" {self.resize_filter}"
        down = "" if self.side_rounding == "nearest" else " rounded down"
        clips = "" if self.num_clips == 1 else f"{self.num_clips} clips of "
        crops = "" if self.num_crops == 1 else f" {self.num_crops} crops of"
        return (
            f"{clips}{self.num_frames} frames {self.sampling}{seed}{rate}{step}, "
            f"{self.resize_type}{side}{crops} {self.crop_size}{how}{down}, {self.too_short}"
        )


PRESETS: dict[str, PreprocessSpec] = {
    # I3D input in TF Hub's action recognition tutorial: the whole video, centre square, 224.
    "hub": PreprocessSpec(),
    # Carreira & Zisserman 2017 (arXiv:1705.07750), section 4: 25 fps, short side 256, centre
    # crop 224, the whole 10 s video in one pass, short videos looped.
    "paper": PreprocessSpec(
        num_frames=250,
        sampling="center",
        fps=25.0,
        resize_type="short_side",
        short_side=256,
        crop_size=224,
        too_short="loop",
    ),
}

USUALLY_OPEN = frozenset({"num_frames", "num_clips", "num_crops"})
"""Fields that a protocol leaves to whom it is given, unless :data:`OPEN_FIELDS` says otherwise."""

OPEN_FIELDS = {"paper": frozenset({"num_clips", "num_crops"})}
"""Fields that a preset leaves open, where they are not the usual ones."""
