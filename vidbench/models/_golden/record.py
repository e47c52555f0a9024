"""A clip whose logits were published by the authors of a model: the record, and the clip itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.fetch.download import fetch, is_url
from vidbench.errors import ConfigError, FetchError
from vidbench.models._tensorflow.frozen import PixelRange

FloatClip = NDArray[np.float32]
"""A clip as a network takes it: (1, frames, height, width, 3), RGB, scaled."""

_RANGE_TOLERANCE = 1e-4  # of values: what a resize in float32 may go beyond the ends


class GoldenScore(NamedTuple):
    """The published logit and probability of one class."""

    label: str
    logit: float
    probability: float


@dataclass(frozen=True)
class Golden:
    """What the authors of a model published that it gives of one clip.

    Attributes:
        clip: Its name.
        url: The ``.npy`` file of its values.
        source: Where the numbers are from.
        shape: (1, frames, height, width, 3).
        pixel_range: What black and white are in that file.
        norm: Euclidean norm of all logits.
        top: The classes with the largest logits, in descending order.
        sha256: Hash of the file, where one is known.
    """

    clip: str
    url: str
    source: str
    shape: tuple[int, ...]
    pixel_range: PixelRange
    norm: float
    top: tuple[GoldenScore, ...]
    sha256: str | None = None

    def target(self, data_dir: Path, source: str) -> Path:
        """Where a fetched clip is kept; one from elsewhere never passes for the published one."""
        elsewhere = hashlib.sha256(source.encode()).hexdigest()[:8]
        name = self.clip if source == self.url else f"{self.clip}-{elsewhere}"
        return data_dir / "golden" / f"{name}.npy"


def find_clip(golden: Golden, data_dir: Path, source: str | None = None) -> tuple[FloatClip, Path]:
    """The clip's values, and the file on this machine that has them.

    Args:
        golden: Which clip.
        data_dir: A clip that comes by url is kept in its folder ``golden``.
        source: Its file or url; None for where it was published.

    Raises:
        ConfigError: The file that was named is not there or holds something else.
        FetchError: The url cannot be fetched, or gave something else.
    """
    origin = source or golden.url
    target = golden.target(data_dir, origin)
    try:
        path = fetch(origin, target, sha256=golden.sha256)
        return read_clip(path, golden), path
    except FetchError as error:
        if not is_url(origin):
            raise ConfigError(f"--golden_clip {origin}: {error}") from error
        if target.exists():
            raise FetchError(f"{error}; it came from {origin}: remove it to fetch again") from error
        raise FetchError(f"{target} does not exist, and {error}") from error


def read_clip(path: Path, golden: Golden) -> FloatClip:
    """The values of a ``.npy`` file, which is never unpickled.

    Raises:
        FetchError: It holds no such clip.
    """
    try:
        # Mapped, so that a header that promises too much allocates nothing.
        values = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever a damaged header makes NumPy raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FetchError(f"{path} is no .npy file of numbers: {reason}") from error
    try:
        require_clip(values, golden)
    except ConfigError as error:
        raise FetchError(f"{path}: {error}") from error
    return np.array(values, np.float32)


def require_clip(values: NDArray[np.generic], golden: Golden) -> None:
    """Check that these can be the values of the golden clip.

    Raises:
        ConfigError: Their type, their shape or their range is another.
    """
    if not np.issubdtype(values.dtype, np.floating):
        raise ConfigError(f"clip {golden.clip} is {values.dtype} here, expected float32")
    if values.shape != golden.shape:
        raise ConfigError(
            f"clip {golden.clip} has shape {list(values.shape)} here, expected {list(golden.shape)}"
        )
    low, high = golden.pixel_range
    least, most = float(values.min()), float(values.max())
    if not (low - _RANGE_TOLERANCE <= least and most <= high + _RANGE_TOLERANCE):  # or NaN
        raise ConfigError(
            f"clip {golden.clip} has values from {least:g} to {most:g} here, "
            f"expected {low:g} to {high:g}"
        )
