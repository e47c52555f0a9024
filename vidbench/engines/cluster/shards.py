"""Shards: consecutive batches that a cluster processes as one piece of work, as plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidbench.data.records import FrameFolder, Section, Skip, VideoRecord
from vidbench.runs.predictions import Predictions

SHARD_VIDEOS = 64
"""Maximum videos in a shard of several batches; a node that dies loses a shard, at most minutes."""

_SHARDS_PER_MODEL = 4  # minimum if there are enough batches, so that all models end together


class Shard(NamedTuple):
    """Consecutive batches of a run.

    Attributes:
        batches: Indices of each batch's videos in the list of requested ones.
        records: The videos, one batch after another.
    """

    batches: Sequence[range]
    records: Sequence[VideoRecord]

    @property
    def name(self) -> str:
        """Indices of its first and its last video, e.g. ``shard 64-127``."""
        return f"shard {self.batches[0].start}-{self.batches[-1].stop - 1}"

    @property
    def rows(self) -> list[int]:
        """Indices of its videos."""
        return [row for rows in self.batches for row in rows]

    def dump(self) -> dict[str, str]:
        """The shard for a worker: its name, and all that the worker needs of the videos."""
        videos = [(str(r.path) if r.path else None, r.section, r.frames) for r in self.records]
        batches = [(rows.start, rows.stop) for rows in self.batches]
        return {"name": self.name, "shard": json.dumps({"batches": batches, "videos": videos})}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Shard:
        """The shard from :meth:`dump`; records are named by index and have no labels."""
        content = json.loads(row["shard"])
        batches = [range(start, stop) for start, stop in content["batches"]]
        rows = (index for batch in batches for index in batch)
        return cls(batches, [_record(*pair) for pair in zip(rows, content["videos"], strict=True)])


def _record(
    row: int, video: tuple[str | None, Section | None, tuple[float | None, int | None] | None]
) -> VideoRecord:
    path, section, rate_and_count = video
    frames = None if rate_and_count is None else FrameFolder(*rate_and_count)
    times = (float(section[0]), float(section[1])) if section else None
    return VideoRecord(str(row), Path(path) if path else None, None, section=times, frames=frames)


def cut_shards(
    batches: Sequence[range], records: Sequence[VideoRecord], num_models: int = 1
) -> list[Shard]:
    """Group batches into shards of up to :data:`SHARD_VIDEOS` videos.

    Scores do not depend on the grouping.

    Args:
        batches: Indices of each batch's videos.
        records: All requested videos.
        num_models: Number of models that share the work; shards are smaller for few videos.
    """
    limit = min(SHARD_VIDEOS, sum(map(len, batches)) // (_SHARDS_PER_MODEL * num_models))
    shards: list[list[range]] = []
    for rows in batches:
        if shards and sum(map(len, shards[-1])) + len(rows) <= limit:
            shards[-1].append(rows)
        else:
            shards.append([rows])
    return [Shard(shard, [records[row] for rows in shard for row in rows]) for shard in shards]


def dump_outcomes(predictions: Predictions) -> dict[str, Any]:
    """The outcomes of a shard's videos: scores as bytes, reasons and details as text."""
    texts = {
        "reasons": predictions.reasons.tolist(),
        "details": predictions.details.tolist(),
        "ranked": predictions.ranked.tolist(),
    }
    fewer = predictions.fewer_views.values()
    scores = [array.tobytes() for array in (predictions.scores, *fewer)]
    return {"outcomes": json.dumps(texts), "scores": b"".join(scores)}


def take_outcomes(
    predictions: Predictions, rows: Sequence[int], outcomes: Mapping[str, Any]
) -> None:
    """Write the outcomes from :func:`dump_outcomes` into these rows.

    An earlier score is kept if the video can no longer be scored.
    """
    texts = json.loads(outcomes["outcomes"])
    shape = (1 + len(predictions.fewer_views), len(rows), len(predictions.classes))
    scores, *fewer = np.frombuffer(outcomes["scores"], np.float32).reshape(shape)
    for index, row in enumerate(rows):
        reason, detail = texts["reasons"][index], texts["details"][index]
        if not reason:
            views = zip(predictions.fewer_views, fewer, strict=True)
            pooled = {name: array[index] for name, array in views}
            predictions.set_scores(row, scores[index], pooled, detail, texts["ranked"][index])
        elif predictions.reasons[row]:
            predictions.set_skip(row, Skip(reason, detail))
