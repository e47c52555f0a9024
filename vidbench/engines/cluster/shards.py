"""Shards: consecutive batches that go through a cluster as one piece of work, as plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidbench.data.records import FrameFolder, Section, Skip, VideoRecord
from vidbench.runs.predictions import Predictions

SHARD_VIDEOS = 64
"""Most videos of a shard of several batches: what is lost where a node dies, seconds to minutes."""

_SHARDS_PER_MODEL = 4  # at least, where there are batches enough: so that all end at about one time


class Shard(NamedTuple):
    """Consecutive batches of a run.

    Attributes:
        batches: The places of each batch's videos in the list of requested ones.
        records: The videos, one batch after another.
    """

    batches: Sequence[range]
    records: Sequence[VideoRecord]

    @property
    def name(self) -> str:
        """The places of its first and its last video, e.g. ``shard 64-127``."""
        return f"shard {self.batches[0].start}-{self.batches[-1].stop - 1}"

    @property
    def rows(self) -> list[int]:
        """The places of its videos."""
        return [row for rows in self.batches for row in rows]

    def dump(self) -> dict[str, str]:
        """What travels to a worker: the name, and all that is needed there of the videos."""
        videos = [(str(r.path) if r.path else None, r.section, r.frames) for r in self.records]
        batches = [(rows.start, rows.stop) for rows in self.batches]
        return {"name": self.name, "shard": json.dumps({"batches": batches, "videos": videos})}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Shard:
        """The shard of :meth:`dump`; records are named by place and have no labels."""
        found = json.loads(row["shard"])
        batches = [range(start, stop) for start, stop in found["batches"]]
        rows = (place for batch in batches for place in batch)
        return cls(batches, [_record(*one) for one in zip(rows, found["videos"], strict=True)])


def _record(
    row: int, video: tuple[str | None, Section | None, tuple[float | None, int | None] | None]
) -> VideoRecord:
    path, section, facts = video
    frames = None if facts is None else FrameFolder(*facts)
    times = (float(section[0]), float(section[1])) if section else None
    return VideoRecord(str(row), Path(path) if path else None, None, section=times, frames=frames)


def cut_shards(
    batches: Sequence[range], records: Sequence[VideoRecord], num_models: int = 1
) -> list[Shard]:
    """The batches in shards, each of as many as have up to :data:`SHARD_VIDEOS` videos.

    No score depends on how batches are put together.

    Args:
        batches: The places of each batch's videos.
        records: All requested videos.
        num_models: How many models share the work; few videos are cut into smaller shards.
    """
    most = min(SHARD_VIDEOS, sum(map(len, batches)) // (_SHARDS_PER_MODEL * num_models))
    shards: list[list[range]] = []
    for rows in batches:
        if shards and sum(map(len, shards[-1])) + len(rows) <= most:
            shards[-1].append(rows)
        else:
            shards.append([rows])
    return [Shard(one, [records[row] for rows in one for row in rows]) for one in shards]


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
    """Fills these rows with what :func:`dump_outcomes` says of them.

    A score that is there already is not lost with its video.
    """
    texts = json.loads(outcomes["outcomes"])
    shape = (1 + len(predictions.fewer_views), len(rows), len(predictions.classes))
    scores, *fewer = np.frombuffer(outcomes["scores"], np.float32).reshape(shape)
    for place, row in enumerate(rows):
        reason, detail = texts["reasons"][place], texts["details"][place]
        if not reason:
            views = zip(predictions.fewer_views, fewer, strict=True)
            pooled = {name: array[place] for name, array in views}
            predictions.set_scores(row, scores[place], pooled, detail, texts["ranked"][place])
        elif predictions.reasons[row]:
            predictions.set_skip(row, Skip(reason, detail))
