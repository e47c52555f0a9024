"""Predictions: a table with a row for every requested video and its score of every class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import FrameFolder, Section, Skip, VideoRecord
from vidbench.errors import VidbenchError
from vidbench.metrics.ranking import (
    PROBABILITIES,
    Classes,
    Scores,
    best_classes,
    count_ranked,
    has_scores,
)
from vidbench.storage.columns import (
    ColumnReader,
    cut_rows,
    read_columns,
    unknown_scores,
    write_columns,
)
from vidbench.storage.files import replacing

_FEWER = "scores_"  # prefix of columns with scores from fewer views
_SECTIONS = "section"  # a column only of files in which some video is a section
_FRAMES = "frames"  # only of files with folders of frames whose rate or count is known
_EVIDENCE, _RANKED = "evidence", "ranked"  # only of files whose scores are not probabilities
_WHOLE: Section = (0.0, math.inf)
_NOTHING: Mapping[str, NDArray[np.float32]] = MappingProxyType({})

PENDING = "pending"
"""Reason of a row that is not yet scored or skipped."""

Texts = NDArray[np.str_]

_COLUMNS = {  # attributes by column of the file
    "video_id": "video_ids",
    "path": "paths",
    "label": "labels",
    "target": "targets",
    "group": "groups",
    "scores": "scores",
    "reason": "reasons",
    "detail": "details",
}
BY_VIDEO = (*_COLUMNS.values(), "sections", "frames", "ranked")
"""The attributes with a row for each video, except ``fewer_views``."""


@dataclass
class Predictions:
    """Aligned columns, one row for every requested video, in requested order.

    Attributes:
        classes: Class names, one for each column of ``scores``.
        video_ids: Unique ids of the videos.
        paths: Paths relative to the data folder; empty if no file was found.
        labels: The dataset's class names; empty if the split has no labels.
        targets: The model's classes that match the labels; empty if it has no such class.
        groups: Sources of the videos; see :class:`~vidbench.data.records.VideoRecord`.
        scores: (videos, classes), the mean over all views; NaN for videos that are not scored. For
            a ranking they are placeholders that decrease with the rank, not confidences.
        reasons: Why a video is not scored; empty if it is.
        details: The reason in more detail; for a scored video, what is wrong with its file.
        fewer_views: Arrays like ``scores``, from fewer views of the same pass, e.g. ``1x1``.
        sections: (videos, 2), start and end of the part of the file to decode, in seconds; 0 and
            infinity for all of it.
        frames: (videos, 2), rate and number of frames of folders of frames; NaN for files, or if
            unknown.
        evidence: Kind of scores, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
        ranked: (videos,), maximum number of classes that a prediction ranks.
        choices: Classes that the model may choose from; empty for all.
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
    frames: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    evidence: str = PROBABILITIES
    ranked: Classes = field(default_factory=lambda: np.empty(0, np.intp))
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.sections):
            self.sections = np.tile(_WHOLE, (len(self), 1))
        if not len(self.frames):
            self.frames = np.full((len(self), 2), np.nan)
        if not len(self.ranked):
            self.ranked = np.full(len(self), len(self.classes), np.intp)

    @classmethod
    def pending(
        cls,
        records: Sequence[VideoRecord],
        classes: tuple[str, ...],
        targets: Mapping[str, str] | None = None,
        fewer_views: Iterable[str] = (),
        evidence: str = PROBABILITIES,
    ) -> Predictions:
        """A table of these videos without predictions.

        Args:
            records: The requested videos.
            classes: Classes of the model.
            targets: The model's class by label, if it has one; None if labels are its classes.
            fewer_views: Names of the protocols with fewer views.
            evidence: Kind of scores that the model makes.
        """
        shape = len(records), len(classes)
        targets = {name: name for name in classes} if targets is None else targets
        return cls(
            classes=classes,
            video_ids=np.array([record.video_id for record in records], np.str_),
            paths=np.array([(r.path.as_posix() if r.path else "") for r in records], np.str_),
            labels=np.array([record.label or "" for record in records], np.str_),
            targets=np.array([targets.get(record.label or "", "") for record in records], np.str_),
            groups=np.array([record.group for record in records], np.str_),
            scores=unknown_scores(shape),
            reasons=np.full(len(records), PENDING, np.object_),
            details=np.full(len(records), "", np.object_),
            fewer_views={name: unknown_scores(shape) for name in fewer_views},
            sections=np.array([record.section or _WHOLE for record in records], np.float64),
            frames=np.array([record.frames or FrameFolder() for record in records], np.float64),
            evidence=evidence,
        )

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read a whole table from a file of :meth:`save`.

        Raises:
            VidbenchError: The file is damaged.
        """
        with read_columns(path, (*_COLUMNS, "classes")) as saved:
            classes, video_ids = tuple(saved.read("classes").tolist()), saved.read("video_id")
            shape = len(video_ids), len(classes)
            fewer = [name for name in saved.names if name.startswith(_FEWER)]
            return cls(
                classes=classes,
                video_ids=video_ids,
                **_read_texts(saved),
                scores=saved.read_scores("scores", shape),
                reasons=saved.read_texts("reason", len(video_ids)),
                details=saved.read_texts("detail", len(video_ids)),
                fewer_views={
                    name.removeprefix(_FEWER): saved.read_scores(name, shape) for name in fewer
                },
                sections=saved.read(_SECTIONS) if _SECTIONS in saved.names else np.empty((0, 2)),
                frames=saved.read(_FRAMES) if _FRAMES in saved.names else np.empty((0, 2)),
                **_read_evidence(saved),
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

    @property
    def has_scores(self) -> bool:
        """Whether the scores are the model's own, not placeholders for a ranking."""
        return has_scores(self.evidence)

    def best(self, top_n: int) -> Classes:
        """The classes that rank highest, best first, (videos, at most ``top_n``).

        -1 stands for classes that a prediction does not rank; see :mod:`vidbench.metrics.ranking`.
        """
        best = np.empty((len(self), min(top_n, len(self.classes))), np.intp)
        for rows in self.pieces():
            best[rows] = best_classes(*self.ranking(rows), top_n)
        return best

    def ranking(self, rows: slice | NDArray[np.intp]) -> tuple[Scores, Classes]:
        """Scores by which some rows rank the classes, and the number of classes each row ranks.

        Classes that the model may not choose score minus infinity. The scores are a copy.
        """
        scores = self.scores[rows]
        if self.choices:
            scores = np.where(np.isin(self.classes, self.choices), scores, np.float32(-np.inf))
        return scores, np.minimum(count_ranked(scores), self.ranked[rows])

    def pieces(self) -> Iterator[slice]:
        """All rows in slices, each small enough to process in memory."""
        return cut_rows(len(self), 4 * len(self.classes))

    def section(self, row: int) -> Section | None:
        """The part of the row's file to decode; None for all of it."""
        begin, end = self.sections[row].tolist()
        return None if (begin, end) == _WHOLE else (begin, end)

    def frame_folder(self, row: int) -> FrameFolder:
        """Known rate and number of frames, if the row's video is a folder of frames."""
        fps, count = self.frames[row].tolist()
        num_frames = None if math.isnan(count) else int(count)
        return FrameFolder(None if math.isnan(fps) else fps, num_frames)

    def only(self, rows: Sequence[int]) -> Predictions:
        """Some of the rows, in the order given."""
        chosen = list(rows)
        columns = {name: getattr(self, name)[chosen] for name in BY_VIDEO}
        fewer = {name: scores[chosen] for name, scores in self.fewer_views.items()}
        return replace(self, **columns, fewer_views=fewer)

    def set_scores(
        self,
        row: int,
        scores: NDArray[np.float32],
        fewer_views: Mapping[str, NDArray[np.float32]] = _NOTHING,
        note: str = "",
        ranked: int | None = None,
    ) -> None:
        """Set the scores of a row.

        Args:
            row: Index of the row.
            scores: (classes,).
            fewer_views: Scores from fewer views, by the names in the attribute ``fewer_views``.
            note: What is wrong with the video, for ``details``.
            ranked: Maximum number of classes that the scores rank; None for all.
        """
        self.scores[row], self.reasons[row], self.details[row] = scores, "", note
        self.ranked[row] = len(self.classes) if ranked is None else ranked
        for name, column in self.fewer_views.items():
            column[row] = fewer_views[name]

    def set_skip(self, row: int, skip: Skip) -> None:
        """Mark a row as skipped."""
        self.scores[row], self.reasons[row], self.details[row] = np.nan, skip.reason, skip.detail
        for column in self.fewer_views.values():
            column[row] = np.nan

    def save(self, path: Path, rows: Sequence[int] | None = None) -> None:
        """Write these rows, or the whole table, atomically as one .npz file."""
        chosen = slice(None) if rows is None else np.asarray(rows, np.intp)
        columns = {name: getattr(self, field)[chosen] for name, field in _COLUMNS.items()}
        columns["classes"] = np.array(self.classes, np.str_)
        columns |= {_FEWER + name: column[chosen] for name, column in self.fewer_views.items()}
        if (self.sections != _WHOLE).any():
            columns[_SECTIONS] = self.sections[chosen]
        if not np.isnan(self.frames).all():
            columns[_FRAMES] = self.frames[chosen]
        if self.evidence != PROBABILITIES:
            columns[_EVIDENCE] = np.array([self.evidence], np.str_)
            columns[_RANKED] = self.ranked[chosen].astype(np.float64)
        with replacing(path) as temporary, temporary.open("wb") as file:
            write_columns(file, columns)

    def update(self, path: Path) -> None:
        """Copy scores and skips from a file of :meth:`save`, by video id.

        Raises:
            VidbenchError: The file is damaged, or has other classes or views.
        """
        columns = {"scores": self.scores, "reason": self.reasons, "detail": self.details}
        columns |= {_FEWER + name: column for name, column in self.fewer_views.items()}
        columns |= {} if self.evidence == PROBABILITIES else {_RANKED: self.ranked}
        with read_columns(path, (*_COLUMNS, "classes")) as saved:
            if tuple(saved.read("classes").tolist()) != self.classes:
                raise VidbenchError(f"{path} has scores of other classes: remove it and run again")
            if _EVIDENCE not in saved.names:  # probabilities, which rank all classes
                columns.pop(_RANKED, None)
            if not columns.keys() <= set(saved.names):
                raise VidbenchError(f"{path} has scores of other views: remove it and run again")
            video_ids = saved.read("video_id").tolist()
            targets = np.array([self._rows.get(video_id, -1) for video_id in video_ids], np.intp)
            for name, column in columns.items():
                shape = len(targets), *column.shape[1:]
                for rows, piece in saved.read_pieces(name, shape):
                    is_here = targets[rows] >= 0
                    column[targets[rows][is_here]] = piece[is_here]


def _read_texts(saved: ColumnReader) -> dict[str, Any]:
    return {_COLUMNS[name]: saved.read(name) for name in ("path", "label", "target", "group")}


def _read_evidence(saved: ColumnReader) -> dict[str, Any]:
    """Evidence and ranked columns of a file; empty for probabilities, the default."""
    if _EVIDENCE not in saved.names:
        return {}
    ranked = saved.read(_RANKED).astype(np.intp)
    return {"evidence": str(saved.read(_EVIDENCE)[0]), "ranked": ranked}
