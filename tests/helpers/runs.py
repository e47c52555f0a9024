"""Finished runs, made without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.contexts import new_context
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.spec import PRESETS
from vidbench.labels.alignment import align
from vidbench.runs.context import MatchedLabels
from vidbench.runs.finished import FinishedRun
from vidbench.runs.folder import RunFolder
from vidbench.runs.identity import RunIdentity
from vidbench.runs.predictions import Predictions

CLASSES = ("a", "b", "c")
SKIP = Skip("truncated", "3 of 9 frames")


def finish_run(
    path: Path, table: Predictions, *, choices: tuple[str, ...] = (), **identity: str
) -> FinishedRun:
    """The run of this finished table, as ``vidbench evaluate`` leaves it."""
    alignment = align(sorted({*table.labels.tolist()} - {""}), table.classes)
    named: dict[str, Any] = {"dataset": "kinetics-400", "split": "val", "weights": path.name}
    named |= {"model": "i3d/kinetics-400", "labels": alignment.describe(), **identity}
    decisive = RunIdentity(
        **named,
        spec=PRESETS["hub"],
        video_ids=tuple(table.video_ids.tolist()),
        choices=choices,
    )
    context = new_context(
        decisive.signature(),
        num_listed=len(table),
        labels=MatchedLabels.of(alignment),
        choices=choices,
    )
    folder = RunFolder(path, decisive)
    folder.open({}, context)
    folder.finish(table, top_n=2)
    return FinishedRun(path)


def write_run(
    path: Path,
    firsts: str,
    *,
    labels: str | None = None,
    prefix: str = "v",
    groups: tuple[str, ...] = (),
    choices: tuple[str, ...] = (),
    dataset: str = "kinetics-400",
) -> FinishedRun:
    """A run whose first choice for each video is this letter; a blank is a video not scored."""
    labels = labels or (CLASSES[0] + CLASSES[1]) * len(firsts)
    records = tuple(
        VideoRecord(f"{prefix}{i}", Path(f"{i}.mp4"), label, groups[i] if groups else "")
        for i, label in zip(range(len(firsts)), labels, strict=False)
    )
    table = Predictions.pending(records, CLASSES)
    for row, first in enumerate(firsts):
        if first == " ":
            table.set_skip(row, SKIP)
        else:
            scores = np.array([0.22, 0.2, 0.18], np.float32)
            scores[CLASSES.index(first)] = 0.6
            table.set_scores(row, scores)
    return finish_run(path, table, choices=choices, dataset=dataset)


def change(path: Path, name: str, **values: Any) -> None:
    content = json.loads((path / name).read_text("utf-8"))
    (path / name).write_text(json.dumps(content | values), "utf-8")
