"""PreprocessSpec: what is done to a video's pixels, as one value that names the cache."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from vidbench.errors import ConfigError

Sampling = Literal["uniform", "stride"]
ResizeType = Literal["center_square", "short_side", "pad"]
TooShort = Literal["stretch", "loop", "skip"]

PIXELS_VERSION = 1
"""Raised whenever decoding or processing gives other pixels, so that no older cache is read."""

RESIZE_TYPES: tuple[str, ...] = get_args(ResizeType)


@dataclass(frozen=True, kw_only=True)
class PreprocessSpec:
    """How a video becomes one clip of frames: everything that changes pixels, and nothing else.

    Attributes:
        num_frames: Frames in a clip.
        sampling: ``uniform`` spreads them evenly over the whole video, its first and last frame
            included; ``stride`` takes every ``frame_stride``-th frame from the middle of the video.
        fps: Frame rate, in frames per second, to which ``stride`` resamples first; None keeps
            the video's own frames.
        frame_stride: Step of ``stride``, in frames after resampling.
        resize_type: ``center_square`` resizes the largest square at the centre to ``crop_size``;
            ``short_side`` resizes the shorter side to ``short_side`` and crops the centre;
            ``pad`` fits the whole frame into the square and fills the rest with black.
        short_side: Length of the shorter side, in pixels, for ``short_side`` only.
        crop_size: Height and width of a frame, in pixels.
        too_short: What a video with fewer frames than asked for does: ``stretch`` repeats
            frames evenly (``uniform`` only), ``loop`` starts again, ``skip`` leaves it out.

    Raises:
        ConfigError: A value is out of range, or two of them contradict one another.
    """

    num_frames: int = 100
    sampling: Sampling = "uniform"
    fps: float | None = None
    frame_stride: int = 1
    resize_type: ResizeType = "center_square"
    short_side: int | None = None
    crop_size: int = 224
    too_short: TooShort = "stretch"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("sampling", get_args(Sampling)),
            ("resize_type", RESIZE_TYPES),
            ("too_short", get_args(TooShort)),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r}, must be one of {', '.join(allowed)}"
                )
        for name in ("num_frames", "frame_stride", "crop_size", "short_side", "fps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}, must be above 0 and finite")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.sampling == "uniform" and (self.fps is not None or self.frame_stride != 1):
            raise ConfigError("fps and frame_stride need sampling 'stride'; 'uniform' ignores both")
        if self.sampling == "stride" and self.too_short == "stretch":
            raise ConfigError("too_short 'stretch' needs sampling 'uniform': use 'loop' or 'skip'")
        if (self.resize_type == "short_side") != (self.short_side is not None):
            raise ConfigError("resize_type 'short_side' and a length short_side go together")
        if self.short_side is not None and self.short_side < self.crop_size:
            raise ConfigError(f"short_side {self.short_side} is below crop_size {self.crop_size}")

    @property
    def clip_bytes(self) -> int:
        """Bytes of one clip, uint8."""
        return self.num_frames * self.crop_size**2 * 3

    def canonical(self) -> dict[str, Any]:
        """The fields by name, with numbers in one form: 25 and 25.0 are the same rate."""
        values = asdict(self)
        values["fps"] = None if self.fps is None else float(self.fps)
        return values

    def digest(self) -> str:
        """16 hexadecimal digits that name this spec: equal specs, equal digests."""
        text = json.dumps(self.canonical(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> str:
        """One short phrase for a person, e.g. ``100 frames uniform, center_square 224``."""
        rate = "" if self.fps is None else f" at {self.fps:g} fps"
        step = "" if self.frame_stride == 1 else f" every {self.frame_stride}"
        side = "" if self.short_side is None else f" {self.short_side} crop"
        return (
            f"{self.num_frames} frames {self.sampling}{rate}{step}, "
            f"{self.resize_type}{side} {self.crop_size}, {self.too_short}"
        )


SPEC_FIELDS = frozenset(field.name for field in fields(PreprocessSpec))

PRESETS: dict[str, PreprocessSpec] = {
    # What TF Hub's action recognition tutorial feeds I3D: the whole video, centre square, 224.
    "hub": PreprocessSpec(),
    # Carreira & Zisserman 2017 (arXiv:1705.07750), section 4: 25 fps, short side 256, centre
    # crop 224, the whole 10 s video in one pass, short videos looped.
    "paper": PreprocessSpec(
        num_frames=250,
        sampling="stride",
        fps=25.0,
        resize_type="short_side",
        short_side=256,
        crop_size=224,
        too_short="loop",
    ),
}
