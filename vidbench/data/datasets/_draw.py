"""Draw videos with a seed: in the same order for all datasets and on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

Video = TypeVar("Video")


def draw(videos: Iterable[Video], seed: int | None, name: Callable[[Video], str]) -> list[Video]:
    """Return the videos in the order of the draw; in their own order without a seed.

    They are ranked by a SHA-256 of seed and name. So a draw of 10 is the start of a draw of 20,
    and the order of two videos does not depend on the others.

    Args:
        videos: Videos to draw from.
        seed: Seed of the draw.
        name: Returns a video's name, unique within the split.
    """
    if seed is None:
        return list(videos)
    return sorted(
        videos, key=lambda video: hashlib.sha256(f"{seed}/{name(video)}".encode()).digest()
    )
