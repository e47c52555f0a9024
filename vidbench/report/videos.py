"""What pages tell of each video: where it lies, what it shows, what a model took it for."""

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
"""Right; wrong, but right among those told; wrong; without a class to compare to; no scores."""


@dataclass(frozen=True)
class Videos:
    """Every requested video of a run, in its order.

    Attributes:
        table: The predictions, restricted to what the model may choose from.
        videos_dir: The paths are relative to it.
        best: (videos, top_n), the classes that rank highest, best first; -1 beyond what is ranked.
        states: (videos,), places in :data:`STATES`.
    """

    table: Predictions
    videos_dir: Path
    best: NDArray[np.intp]
    states: NDArray[np.intp]

    def wrong_first(self) -> list[int]:
        """The scored rows: wrong ones, then near ones, then the others."""
        order = np.array([2, 1, 0, 3, 4])[self.states]
        rows = np.argsort(order, kind="stable")
        found: list[int] = rows[self.table.scored[rows]].tolist()
        return found

    def only(self, rows: Sequence[int]) -> Videos:
        """Some of the videos, in the order of the rows."""
        chosen = list(rows)
        return Videos(
            self.table.only(chosen), self.videos_dir, self.best[chosen], self.states[chosen]
        )

    def as_columns(self, folder: Path) -> dict[str, Any]:
        """What does not depend on the model, by name; a page in this folder plays the files."""
        labels = dict.fromkeys(self.table.labels.tolist())
        places = {label: place for place, label in enumerate(labels)}
        root = quote(seen_from(folder, self.videos_dir))
        return {
            "id": self.table.video_ids.tolist(),
            "labels": list(labels),
            "label": [places[label] for label in self.table.labels.tolist()],
            "file": [self._address(root, row) for row in range(len(self.table))],
        }

    def _address(self, root: str, row: int) -> str:
        """Of the file, with the section to play (https://www.w3.org/TR/media-frags/)."""
        path, section = str(self.table.paths[row]), self.table.section(row)
        if not path:
            return ""
        address = quote(path) if Path(path).is_absolute() else f"{root}/{quote(path)}"
        if section is None:
            return address
        begin, end = section
        return f"{address}#t={begin:g}" + ("" if end == math.inf else f",{end:g}")

    def as_run(self, name: str) -> dict[str, Any]:
        """What the model made of the videos."""
        index = {own: place for place, own in enumerate(self.table.classes)}
        return {
            "name": name,
            "evidence": self.table.evidence,
            "top_n": self.best.shape[1],
            "target": [index.get(target, -1) for target in self.table.targets.tolist()],
            "best": [[place for place in row if place >= 0] for row in self.best.tolist()],
            "scores": self._scores(),
            "state": self.states.tolist(),
            "reason": self.table.reasons.tolist(),
            "note": self.table.details.tolist(),
        }

    def _scores(self) -> list[list[float]]:
        """Those of the best classes; none where the scores are stand-ins for a rank."""
        if not self.table.has_scores:
            return [[] for _ in self.best]
        scores = np.take_along_axis(self.table.scores, np.maximum(self.best, 0), axis=1)
        rounded = scores.astype(float).round(4).tolist()
        counts = np.count_nonzero(self.best >= 0, axis=1).tolist()
        return [row[:count] for row, count in zip(rounded, counts, strict=True)]


def describe_videos(run: FinishedRun, top_n: int, k: int = 1) -> Videos:
    """What a page tells of each video of a run.

    Args:
        run: Its predictions among what the model may choose from, and where the videos are.
        top_n: How many classes are told of each.
        k: A video is right where its class is among the k highest scores.
    """
    table = run.judged
    best = table.best(top_n)
    classes = np.array([*table.classes, ""], np.str_)  # the last for what is not ranked
    hits = (classes[best] == table.targets[:, None]) & (table.targets != "")[:, None]
    states = np.select(
        [~table.scored, table.targets == "", hits[:, :k].any(axis=1), hits.any(axis=1)],
        [4, 3, 0, 1],
        2,
    )
    return Videos(table, run.videos_dir, best, states)
