"""The table of predictions: a row for every requested video, with every class score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vidbench.columns import SavedColumns, cut_rows, gather, read_columns, write_columns
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
        shape = len(records), len(classes)
        targets = {name: name for name in classes} if targets is None else targets
        return cls(
            classes=classes,
            video_ids=np.array([record.video_id for record in records], np.str_),
            paths=np.array([(r.path.as_posix() if r.path else "") for r in records], np.str_),
            labels=np.array([record.label or "" for record in records], np.str_),
            targets=np.array([targets.get(record.label or "", "") for record in records], np.str_),
            groups=np.array([record.group for record in records], np.str_),
            scores=_nothing(shape),
            reasons=np.full(len(records), PENDING, np.object_),
            details=np.full(len(records), "", np.object_),
            fewer_views={name: _nothing(shape) for name in fewer_views},
            sections=np.array([record.section or _WHOLE for record in records], np.float64),
        )

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """The whole table of a file of :meth:`save`.

        Raises:
            VidbenchError: The file is damaged.
        """
        with read_columns(path, _COLUMNS) as saved:
            classes, video_ids = tuple(saved.read("classes").tolist()), saved.read("video_id")
            shape = len(video_ids), len(classes)
            fewer = [name for name in saved.names if name.startswith(_FEWER)]
            return cls(
                classes=classes,
                video_ids=video_ids,
                paths=saved.read("path"),
                labels=saved.read("label"),
                targets=saved.read("target"),
                groups=saved.read("group"),
                scores=_read_scores(saved, "scores", shape),
                reasons=saved.read_texts("reason", len(video_ids)),
                details=saved.read_texts("detail", len(video_ids)),
                fewer_views={
                    name.removeprefix(_FEWER): _read_scores(saved, name, shape) for name in fewer
                },
                sections=saved.read(_SECTIONS) if _SECTIONS in saved.names else np.empty((0, 2)),
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

    def best(self, top_n: int) -> NDArray[np.intp]:
        """The classes with the highest scores, best first, (videos, at most ``top_n``).

        Ties go to the first class.
        """
        found = np.empty((len(self), min(top_n, len(self.classes))), np.intp)
        for rows in self.pieces():
            found[rows] = _best(self.scores[rows], top_n)
        return found

    def pieces(self) -> Iterator[slice]:
        """All rows, as many at a time as leave the memory to others."""
        return cut_rows(len(self), 4 * len(self.classes))

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
        chosen = slice(None) if rows is None else np.asarray(rows, np.intp)
        columns = {
            "video_id": self.video_ids[chosen],
            "path": self.paths[chosen],
            "label": self.labels[chosen],
            "target": self.targets[chosen],
            "group": self.groups[chosen],
            "scores": self.scores[chosen],
            "reason": self.reasons[chosen],
            "detail": self.details[chosen],
            "classes": np.array(self.classes, np.str_),
        }
        columns |= {_FEWER + name: column[chosen] for name, column in self.fewer_views.items()}
        if (self.sections != _WHOLE).any():
            columns[_SECTIONS] = self.sections[chosen]
        with replacing(path) as temporary, temporary.open("wb") as file:
            write_columns(file, columns)

    def update(self, path: Path) -> None:
        """Takes scores and skips from a file of :meth:`save`, by video id.

        Raises:
            VidbenchError: The file is damaged or is of other classes.
        """
        columns = {"scores": self.scores, "reason": self.reasons, "detail": self.details}
        columns |= {_FEWER + name: column for name, column in self.fewer_views.items()}
        with read_columns(path, _COLUMNS) as saved:
            if tuple(saved.read("classes").tolist()) != self.classes:
                raise VidbenchError(f"{path} has scores of other classes: remove it and run again")
            if not columns.keys() <= set(saved.names):
                raise VidbenchError(f"{path} has scores of other views: remove it and run again")
            video_ids = saved.read("video_id").tolist()
            places = np.array([self._rows.get(video_id, -1) for video_id in video_ids], np.intp)
            for name, column in columns.items():
                shape = len(places), *column.shape[1:]
                for rows, piece in saved.read_pieces(name, shape):
                    known = places[rows] >= 0
                    column[places[rows][known]] = piece[known]

    def write_csv(self, path: Path, top_n: int) -> None:
        """Writes ``predictions.csv``: a line for each scored video, its top classes and scores."""
        ranks = range(1, top_n + 1)
        header = ["video_id", "path", "label", "target"]
        header += [f"pred_{k}" for k in ranks] + [f"score_{k}" for k in ranks] + ["note"]
        write_csv(path, header, self._lines(top_n))

    def _lines(self, top_n: int) -> Iterator[list[object]]:
        scored = self.scored
        for rows in self.pieces():
            best = _best(self.scores[rows], top_n).tolist()
            for row, top in zip(range(rows.start, rows.stop), best, strict=True):
                if scored[row]:
                    yield [
                        *self._identity(row),
                        self.targets[row],
                        *(self.classes[place] for place in top),
                        *(f"{self.scores[row, place]:.6f}" for place in top),
                        self.details[row],
                    ]

    def write_skipped_csv(self, path: Path) -> None:
        """Writes ``skipped.csv``: a line for each video that was not scored, and why."""
        lines = (
            [*self._identity(row), self.reasons[row], self.details[row]]
            for row in np.flatnonzero(~self.scored).tolist()
        )
        write_csv(path, ["video_id", "path", "label", "reason", "detail"], lines)

    def _identity(self, row: int) -> list[str]:
        return [str(column[row]) for column in (self.video_ids, self.paths, self.labels)]


def _best(scores: NDArray[np.float32], top_n: int) -> NDArray[np.intp]:
    """Likewise to :meth:`Predictions.best`; a stable sort of what is lowest first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :top_n]


def _nothing(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Scores that are not known yet."""
    pieces = cut_rows(shape[0], 4 * shape[1])
    lengths = (rows.stop - rows.start for rows in pieces)
    return gather((np.full((own, shape[1]), np.nan, np.float32) for own in lengths), shape)


def _read_scores(saved: SavedColumns, name: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    return gather((piece for _, piece in saved.read_pieces(name, shape)), shape)
