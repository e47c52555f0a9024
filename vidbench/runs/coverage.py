"""Coverage of a run: how many videos were listed, requested, present and scored."""

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
    """The videos that a run's metrics cover.

    Attributes:
        listed: Number of videos on the split's official list, of the requested classes.
        requested: Number of requested videos.
        present: Number of requested videos with a file; the others are missing.
        scored: Number of requested videos with scores.
        scored_truncated: Number of videos that were scored although their file is damaged.
        skipped: Number of requested videos without scores, by reason.
        requested_digest: Digest of the requested videos, see :func:`digest_videos`.
        scored_digest: Digest of the scored videos.
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
    """The accuracy if all videos without a judgement were wrong (low) or right (high)."""

    low: Share
    high: Share


def digest_videos(video_ids: Iterable[str]) -> str:
    """Digest of a set of videos in 8 hexadecimal digits, independent of their order."""
    return hashlib.sha256("\n".join(sorted(video_ids)).encode()).hexdigest()[:8]


def cover(predictions: Predictions, num_listed: int) -> Coverage:
    """Count the videos, and digest the lists of requested and scored ones.

    Args:
        predictions: Predictions with every requested video.
        num_listed: Number of videos on the official list.
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
    """Bounds of the accuracy over all videos that should have been judged.

    Args:
        right: Number of videos with a correct prediction.
        counted: Number of videos that were judged.
        total: Number of videos that should have been judged; at least 1.
    """
    return Bounds(right / total, (right + total - counted) / total)
