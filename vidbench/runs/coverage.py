"""Which videos a number is over: of the official list, what was requested, there, and scored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vidbench.runs.predictions import Predictions
from vidbench.storage.typed_json import Count, Share


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Which videos a run's numbers are over.

    Attributes:
        listed: Videos on the split's official list, of the classes that were asked for.
        requested: How many of them were requested.
        present: Requested videos with a file; the others are missing.
        scored: Requested videos with scores.
        scored_truncated: How many of these were scored though something is wrong with the file.
        skipped: The other requested videos, counted by reason.
        requested_digest: Of the requested videos, as of :func:`digest_videos`.
        scored_digest: Of the scored ones.
    """

    listed: Count
    requested: Count
    present: Count
    scored: Count
    scored_truncated: Count
    skipped: Mapping[str, int]
    requested_digest: str
    scored_digest: str


class Bounds(NamedTuple):
    """The accuracy if all videos that were not counted had been wrong, or right."""

    low: Share
    high: Share


def digest_videos(video_ids: Iterable[str]) -> str:
    """8 hexadecimal digits of a set of videos, whatever their order."""
    return hashlib.sha256("\n".join(sorted(video_ids)).encode()).hexdigest()[:8]


def cover(predictions: Predictions, num_listed: int) -> Coverage:
    """Count the videos, and digest the lists of requested and of scored ones.

    Args:
        predictions: Every requested video.
        num_listed: Videos on the official list.
    """
    scored = predictions.scored
    skipped = Counter(predictions.reasons[~scored].tolist())
    return Coverage(
        listed=num_listed,
        requested=len(predictions),
        present=len(predictions) - skipped["missing"],
        scored=int(scored.sum()),
        scored_truncated=int((predictions.details[scored] != "").sum()),
        skipped=dict(sorted(skipped.items())),
        requested_digest=digest_videos(predictions.video_ids.tolist()),
        scored_digest=digest_videos(predictions.video_ids[scored].tolist()),
    )


def bound(right: int, counted: int, total: int) -> Bounds:
    """The bounds of the accuracy over all videos that should have been judged.

    Args:
        right: Videos whose class was found.
        counted: Videos that were judged.
        total: All that should have been; at least one.
    """
    return Bounds(right / total, (right + total - counted) / total)
