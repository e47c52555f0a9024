"""Which videos a number is over: of the official list, what was requested, there, and scored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from vidbench.runs.predictions import Predictions


def digest_videos(video_ids: Iterable[str]) -> str:
    """8 hexadecimal digits of a set of videos, whatever their order."""
    return hashlib.sha256("\n".join(sorted(video_ids)).encode()).hexdigest()[:8]


def cover(predictions: Predictions, num_listed: int) -> dict[str, Any]:
    """Counts of videos, and digests of the lists of requested and of scored ones.

    ``listed`` is the split's official list (of the classes that were asked for), ``requested`` a
    part of it; ``present`` and ``missing`` add up to ``requested``, and so do ``scored`` and the
    reasons in ``skipped``. ``scored_truncated`` is a part of ``scored``.

    Args:
        predictions: Every requested video.
        num_listed: Videos on the official list.
    """
    scored = predictions.scored
    skipped = Counter(predictions.reasons[~scored].tolist())
    return {
        "listed": num_listed,
        "requested": len(predictions),
        "present": len(predictions) - skipped["missing"],
        "scored": int(scored.sum()),
        "scored_truncated": int((predictions.details[scored] != "").sum()),
        "skipped": dict(sorted(skipped.items())),
        "requested_digest": digest_videos(predictions.video_ids.tolist()),
        "scored_digest": digest_videos(predictions.video_ids[scored].tolist()),
    }


def bound(right: int, counted: int, total: int) -> dict[str, float]:
    """The accuracy if all videos that were not counted had been wrong, or right.

    Args:
        right: Videos whose class was found.
        counted: Videos that were judged.
        total: All that should have been; at least one.
    """
    return {"low": right / total, "high": (right + total - counted) / total}
