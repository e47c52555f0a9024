"""The table of predictions: a row for every requested video, with every class score."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Section, Skip, VideoRecord
from vidbench.errors import VidbenchError
from vidbench.files import replacing, write_csv

_FEWER = "scores_"  # before the name of a protocol with fewer views
_SECTIONS = "section"  # a column of those files only in which some video is a section
_WHOLE: Section = (0.0, math.inf)
_NOTHING: Mapping[str, NDArray[np.float32]] = MappingProxyType({})

PENDING = "pending"
"""The reason of a row that is neither scored nor skipped yet."""

Texts = NDArray[np.str_]

_COLUMNS = (
    "video_id",
    "path",
    "label",
    "target",
    "group",
    "scores",
    "reason",
    "detail",
    "classes",
)
_DAMAGES = (TypeError, RuntimeError)  # what zipfile and numpy also raise for a damaged file


@dataclass
class Predictions:
    """Aligned columns, one row for every requested video, in requested order.

    Attributes:
        classes: Names of the scores' columns.
        video_ids: Unique.
        paths: Relative to the data folder; empty where no file was found.
        labels: The dataset's class names; empty where the split has none.
        targets: The model's classes that the labels mean; empty where it has none of the kind.
        groups: Sources of the videos; as in :class:`~vidbench.data.records.VideoRecord`.
        scores: (videos, classes), probabilities, the mean over all views; NaN where the video is
            not scored.
        reasons: Empty where the video is scored; else why not.
        details: More about the reason, for a person; of a scored video what is wrong with it.
        fewer_views: Likewise to ``scores``, from fewer views of the same pass, e.g. of ``1x1``.
        sections: (videos, 2), start and end in seconds of the part of the file that is meant; 0 and
            infinity for all of it.
    """

    classes: tuple[str, ...]
    video_ids: Texts
    paths: Texts
    labels: Texts
    targets: Texts
    groups: Texts
    scores: NDArray[np.float32]
    reasons: NDArray[np.object_]
    details: NDArray[np.object_]
    fewer_views: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    sections: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))

    def __post_init__(self) -> None:
        if not len(self.sections):
            self.sections = np.tile(_WHOLE, (len(self), 1))

    @classmethod
    def pending(
        cls,
        records: Sequence[VideoRecord],
        classes: tuple[str, ...],
        targets: Mapping[str, str] | None = None,
        fewer_views: Iterable[str] = (),
    ) -> Predictions:
        """The table of these videos before anything is predicted.

        Args:
            records: The requested videos.
            classes: The model's.
            targets: The model's class by label, where it has one; None where labels are classes.
            fewer_views: Names of the protocols with fewer views.
        """
        shape = (len(records), len(classes))
        targets = {name: name for name in classes} if targets is None else targets
        return cls(
            classes=classes,
            video_ids=np.array([record.video_id for record in records], np.str_),
            paths=np.array([(r.path.as_posix() if r.path else "") for r in records], np.str_),
            labels=np.array([record.label or "" for record in records], np.str_),
            targets=np.array([targets.get(record.label or "", "") for record in records], np.str_),
            groups=np.array([record.group for record in records], np.str_),
            scores=np.full(shape, np.nan, np.float32),
            reasons=np.full(len(records), PENDING, np.object_),
            details=np.full(len(records), "", np.object_),
            fewer_views={name: np.full(shape, np.nan, np.float32) for name in fewer_views},
            sections=np.array([record.section or _WHOLE for record in records], np.float64),
        )

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """The whole table of a file of :meth:`save`.

        Raises:
            VidbenchError: The file is damaged.
        """
        saved = _read(path)
        return cls(
            classes=tuple(saved["classes"].tolist()),
            video_ids=saved["video_id"],
            paths=saved["path"],
            labels=saved["label"],
            targets=saved["target"],
            groups=saved["group"],
            scores=saved["scores"],
            reasons=saved["reason"].astype(np.object_),
            details=saved["detail"].astype(np.object_),
            fewer_views={
                name.removeprefix(_FEWER): column
                for name, column in saved.items()
                if name.startswith(_FEWER)
            },
            sections=saved.get(_SECTIONS, np.empty((0, 2))),
        )

    def __len__(self) -> int:
        return len(self.video_ids)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which rows have scores, (videos,)."""
        return np.asarray(self.reasons == "", np.bool_)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {video_id: row for row, video_id in enumerate(self.video_ids.tolist())}

    def section(self, row: int) -> Section | None:
        """The part of the row's file that is meant; None for all of it."""
        begin, end = self.sections[row].tolist()
        return None if (begin, end) == _WHOLE else (begin, end)

    def only(self, rows: Sequence[int]) -> Predictions:
        """Some of the rows, in the order given."""
        chosen = list(rows)
        columns = {
            name: getattr(self, name)[chosen]
            for name in (
                "video_ids",
                "paths",
                "labels",
                "targets",
                "groups",
                "scores",
                "reasons",
                "details",
                "sections",
            )
        }
        fewer = {name: scores[chosen] for name, scores in self.fewer_views.items()}
        return replace(self, **columns, fewer_views=fewer)

    def set_scores(
        self,
        row: int,
        scores: NDArray[np.float32],
        fewer_views: Mapping[str, NDArray[np.float32]] = _NOTHING,
        note: str = "",
    ) -> None:
        """Makes a row a scored one; ``fewer_views`` as the attribute, the note in ``details``."""
        self.scores[row], self.reasons[row], self.details[row] = scores, "", note
        for name, column in self.fewer_views.items():
            column[row] = fewer_views[name]

    def set_skip(self, row: int, skip: Skip) -> None:
        """Makes a row a skipped one."""
        self.scores[row], self.reasons[row], self.details[row] = np.nan, skip.reason, skip.detail
        for column in self.fewer_views.values():
            column[row] = np.nan

    def save(self, path: Path, rows: Sequence[int] | None = None) -> None:
        """Writes these rows, or the whole table, as one .npz: there whole or not at all."""
        chosen = np.arange(len(self)) if rows is None else np.asarray(rows, np.intp)
        columns = {
            "video_id": self.video_ids[chosen],
            "path": self.paths[chosen],
            "label": self.labels[chosen],
            "target": self.targets[chosen],
            "group": self.groups[chosen],
            "scores": self.scores[chosen],
            "reason": self.reasons[chosen].astype(np.str_),
            "detail": self.details[chosen].astype(np.str_),
            "classes": np.array(self.classes, np.str_),
        }
        columns |= {_FEWER + name: column[chosen] for name, column in self.fewer_views.items()}
        if (self.sections != _WHOLE).any():
            columns[_SECTIONS] = self.sections[chosen]
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **columns)

    def update(self, path: Path) -> None:
        """Takes scores and skips from a file of :meth:`save`, by video id.

        Raises:
            VidbenchError: The file is damaged or is of other classes.
        """
        saved = _read(path)
        if tuple(saved["classes"].tolist()) != self.classes:
            raise VidbenchError(f"{path} has scores of other classes: remove it and run again")
        if not {_FEWER + name for name in self.fewer_views} <= saved.keys():
            raise VidbenchError(f"{path} has scores of other views: remove it and run again")
        for i, video_id in enumerate(saved["video_id"].tolist()):
            if (row := self._rows.get(video_id)) is not None:
                self.scores[row] = saved["scores"][i]
                for name, column in self.fewer_views.items():
                    column[row] = saved[_FEWER + name][i]
                self.reasons[row] = str(saved["reason"][i])
                self.details[row] = str(saved["detail"][i])

    def write_csv(self, path: Path, top_n: int) -> None:
        """Writes ``predictions.csv``: a line for each scored video, its top classes and scores."""
        ranks = range(1, top_n + 1)
        header = ["video_id", "path", "label", "target"]
        header += [f"pred_{k}" for k in ranks] + [f"score_{k}" for k in ranks] + ["note"]
        rows = np.flatnonzero(self.scored)
        best = np.argsort(-self.scores[rows], axis=1, kind="stable")[:, :top_n]
        lines = (
            [
                *self._identity(row),
                self.targets[row],
                *(self.classes[place] for place in top),
                *(f"{self.scores[row, place]:.6f}" for place in top),
                self.details[row],
            ]
            for row, top in zip(rows.tolist(), best.tolist(), strict=True)
        )
        write_csv(path, header, lines)

    def write_skipped_csv(self, path: Path) -> None:
        """Writes ``skipped.csv``: a line for each video that was not scored, and why."""
        lines = (
            [*self._identity(row), self.reasons[row], self.details[row]]
            for row in np.flatnonzero(~self.scored).tolist()
        )
        write_csv(path, ["video_id", "path", "label", "reason", "detail"], lines)

    def _identity(self, row: int) -> list[str]:
        return [str(column[row]) for column in (self.video_ids, self.paths, self.labels)]


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in dict.fromkeys([*_COLUMNS, *file.files])}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, *_DAMAGES) as error:
        raise VidbenchError(f"{path} cannot be read ({error}): remove it and run again") from error
