"""Data about each video for HTML pages: file, label, predictions and outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions
from vidbench.storage.files import seen_from

STATES = ("right", "near", "wrong", "unjudged", "skipped")
"""Outcomes of a video.

Right; wrong, but right among the listed classes; wrong; no class to compare with; not scored.
"""


@dataclass(frozen=True)
class Videos:
    """Every requested video of a run, in the run's order.

    Attributes:
        table: The predictions, restricted to the model's choices.
        videos_dir: Folder that the paths are relative to.
        best: (videos, top_n), the classes that rank highest, best first; -1 for unranked ones.
        states: (videos,), indices into :data:`STATES`.
    """

    table: Predictions
    videos_dir: Path
    best: NDArray[np.intp]
    states: NDArray[np.intp]

    def wrong_first(self) -> list[int]:
        """The scored rows: wrong ones, then near ones, then the others."""
        order = np.array([2, 1, 0, 3, 4])[self.states]
        rows = np.argsort(order, kind="stable")
        scored_rows: list[int] = rows[self.table.scored[rows]].tolist()
        return scored_rows

    def only(self, rows: Sequence[int]) -> Videos:
        """Some of the videos, in the order of the rows."""
        chosen = list(rows)
        return Videos(
            self.table.only(chosen), self.videos_dir, self.best[chosen], self.states[chosen]
        )

    def as_columns(self, folder: Path) -> dict[str, Any]:
        """Columns that do not depend on the model; file paths are relative to this folder."""
        labels = dict.fromkeys(self.table.labels.tolist())
        index_of = {label: index for index, label in enumerate(labels)}
        root = quote(seen_from(folder, self.videos_dir))
        return {
            "id": self.table.video_ids.tolist(),
            "labels": list(labels),
            "label": [index_of[label] for label in self.table.labels.tolist()],
            "file": [self._address(root, row) for row in range(len(self.table))],
        }

    def _address(self, root: str, row: int) -> str:
        """URL of the file, with the section to play (https://www.w3.org/TR/media-frags/)."""
        path, section = str(self.table.paths[row]), self.table.section(row)
        if not path:
            return ""
        address = quote(path) if Path(path).is_absolute() else f"{root}/{quote(path)}"
        if section is None:
            return address
        begin, end = section
        return f"{address}#t={begin:g}" + ("" if end == math.inf else f",{end:g}")

    def as_run(self, name: str) -> dict[str, Any]:
        """The model's predictions and their outcomes."""
        index_of = {name: index for index, name in enumerate(self.table.classes)}
        return {
            "name": name,
            "evidence": self.table.evidence,
            "top_n": self.best.shape[1],
            "target": [index_of.get(target, -1) for target in self.table.targets.tolist()],
            "best": [[index for index in row if index >= 0] for row in self.best.tolist()],
            "scores": self._scores(),
            "state": self.states.tolist(),
            "reason": self.table.reasons.tolist(),
            "note": self.table.details.tolist(),
        }

    def _scores(self) -> list[list[float]]:
        """Scores of the best classes; empty if the scores are placeholders for a ranking."""
        if not self.table.has_scores:
            return [[] for _ in self.best]
        scores = np.take_along_axis(self.table.scores, np.maximum(self.best, 0), axis=1)
        rounded = scores.astype(float).round(4).tolist()
        counts = np.count_nonzero(self.best >= 0, axis=1).tolist()
        return [row[:count] for row, count in zip(rounded, counts, strict=True)]


def describe_videos(run: FinishedRun, top_n: int, k: int = 1) -> Videos:
    """Collect the data about each video of a run for a page.

    Args:
        run: The run.
        top_n: Number of classes to list for each video.
        k: A video is right if its class is among the k highest scores.
    """
    table = run.judged
    best = table.best(top_n)
    classes = np.array([*table.classes, ""], np.str_)  # the last one for unranked classes
    hits = (classes[best] == table.targets[:, None]) & (table.targets != "")[:, None]
    states = np.select(
        [~table.scored, table.targets == "", hits[:, :k].any(axis=1), hits.any(axis=1)],
        [4, 3, 0, 1],
        2,
    )
    return Videos(table, run.videos_dir, best, states)
