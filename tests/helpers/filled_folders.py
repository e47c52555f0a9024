"""A run folder that is filled, to be compared with others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.contexts import new_context
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.spec import PRESETS
from vidbench.runs.identity import RunIdentity
from vidbench.runs.predictions import Predictions

CLASSES = ("a", "b", "c")
RECORDS = tuple(VideoRecord(f"v{i}", Path(f"{i}.mp4"), CLASSES[i % 3]) for i in range(6))
IDENTITY = RunIdentity(
    model="i3d/kinetics-400",
    weights="0123456789abcdef",
    dataset="kinetics-400",
    split="val",
    spec=PRESETS["hub"],
    video_ids=tuple(record.video_id for record in RECORDS),
)
CONTEXT = new_context(IDENTITY.signature(), num_listed=7)


def filled() -> Predictions:
    table = Predictions.pending(RECORDS, CLASSES)
    for row in range(5):
        table.set_scores(row, np.roll(np.array([0.5, 0.3, 0.2], np.float32), row % 2))
    table.set_skip(5, Skip("missing", "in no tarball"))
    return table


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def assert_equal_tables(one: Predictions, other: Predictions) -> None:
    for column in ("video_ids", "paths", "labels", "scores", "reasons", "details"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column), column)
