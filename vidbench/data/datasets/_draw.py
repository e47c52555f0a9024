"""The order in which videos are drawn with a seed: the same for all datasets, on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

Video = TypeVar("Video")


def draw(videos: Iterable[Video], seed: int | None, name: Callable[[Video], str]) -> list[Video]:
    """The videos in the order in which a seed draws them; as they come without a seed.

    They are ranked by a SHA-256 of seed and name. So a draw of 10 is the head of a draw of 20,
    and no other video changes a video's place.

    Args:
        videos: Those to draw from.
        seed: Of the draw.
        name: A video's name, unique within the split.
    """
    if seed is None:
        return list(videos)
    return sorted(
        videos, key=lambda video: hashlib.sha256(f"{seed}/{name(video)}".encode()).digest()
    )
