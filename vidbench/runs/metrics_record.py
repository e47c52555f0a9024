"""Metrics: the typed content of ``metrics.json``, which only this module reads and formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from vidbench.metrics.classification import Calibration, Confusion
from vidbench.metrics.intervals import Estimate
from vidbench.metrics.ranking import PROBABILITIES
from vidbench.runs.context import KnownLeakage, MatchedLabels
from vidbench.runs.coverage import Bounds, Coverage
from vidbench.storage.typed_json import (
    REST,
    Count,
    FieldError,
    Share,
    decode,
    decode_value,
    encode,
    read_json,
)


@dataclass(frozen=True)
class Missing:
    """Reason why a metric has no value."""

    reason: str


Top: TypeAlias = Estimate | Missing
"""An accuracy, or the reason why there is none at this k."""


class Macro(NamedTuple):
    """Unweighted means over the classes that have videos."""

    precision: Share
    recall: Share
    f1: Share


@dataclass(frozen=True)
class FewerViews:
    """Accuracies by k computed from fewer views, and their signature."""

    tops: Mapping[int, Top]
    signature: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Further metrics of a run with a top-1 accuracy.

    Attributes:
        tied: By k, the number of videos whose hit or miss depends on equal scores.
        mean_class_accuracy: Mean over the classes that have videos.
        macro: Precision, recall and F1.
        over_all: Accuracies by k if labels without a class of the model count as wrong.
        bounds: Bounds of top-1 over all ``requested`` and over all ``listed`` videos.
        fewer_views: Accuracies by name of the views, such as ``1x1 of 10x3``.
        calibration: Calibration of the scores, or the reason why there is none.
        most_confused: The most frequent confusions, largest first.
    """

    tied: Mapping[int, int]
    mean_class_accuracy: Estimate
    macro: Macro
    over_all: Mapping[int, Top]
    bounds: Mapping[str, Bounds]
    fewer_views: Mapping[str, FewerViews]
    calibration: Calibration | Missing
    most_confused: tuple[Confusion, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Common:
    """Fields of every file; files of earlier versions are all of probabilities."""

    requested: Count
    evaluated: Count
    skipped: Mapping[str, int]
    views: str
    evidence: str = PROBABILITIES
    coverage: Coverage
    labels: MatchedLabels
    leakage: KnownLeakage
    signature: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Metrics(_Common, Mapping[str, Any]):
    """The metrics of a run, independent of time and machine.

    As a mapping it is the content of ``metrics.json``, for programs that know the file.

    Attributes:
        tops: Accuracies by k in ascending order, or why there is none.
        scored: Further metrics; None if the run has no top-1 accuracy.
        requested: Number of requested videos.
        evaluated: Number of videos with scores.
        skipped: Number of videos without scores, by reason.
        views: Clips x crops, e.g. ``10x3``.
        evidence: Kind of scores, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
        coverage: The videos that the metrics cover.
        labels: How the dataset's labels were matched with the model's classes.
        leakage: Scored videos that the model was trained on, as far as known.
        signature: One line that identifies the metrics.
    """

    tops: Mapping[int, Top]
    scored: Scored | None

    @property
    def largest_k(self) -> int:
        """The largest k with an accuracy."""
        return max(self.tops)

    def accuracy(self, k: int) -> Estimate | None:
        """The top-k accuracy; None if there is none."""
        top = self.tops.get(k)
        return top if isinstance(top, Estimate) else None

    @property
    def not_scored(self) -> str | None:
        """Why the run has no top-1 accuracy; None if it has one."""
        top = self.tops[1]
        return top.reason if isinstance(top, Missing) else None

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self.as_json()

    def as_json(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        tops: dict[str, Any] = {f"top{k}": None for k in self.tops}
        content = tops | {"not_scored": self.not_scored}
        if self.scored is not None:
            content = _tops_as_json(self.tops) | _scored_as_json(self.scored)
        names = ("requested", "evaluated", "skipped", "views", "evidence", "coverage", "labels")
        return content | {n: encode(getattr(self, n)) for n in (*names, "leakage", "signature")}

    @classmethod
    def from_json(cls, content: object) -> Metrics:
        """Build the metrics from the content of a ``metrics.json``.

        Raises:
            FieldError: A field is missing or has a wrong value.
        """
        file = decode(_File, content)
        common = {own.name: getattr(file, own.name) for own in fields(_Common)}
        if file.rest.get("top1") is None:
            missing = Missing(decode(_NotScored, content).not_scored)
            return cls(tops=dict.fromkeys(sorted(_ks(file.rest)), missing), scored=None, **common)
        return cls(
            tops=_read_tops(file.rest), scored=_read_scored(decode(_Scored, content)), **common
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _File(_Common):
    """What every file says, and what only some say."""

    rest: Mapping[str, Any] = field(metadata=REST)


@dataclass(frozen=True)
class _NotScored:
    not_scored: str


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """Further fields of runs with accuracies; earlier versions counted no ties."""

    tied: Mapping[str, int] = field(default_factory=dict)
    mean_class_accuracy: Estimate
    macro: Macro
    over_all: Mapping[str, Any]
    bounds: Mapping[str, Bounds]
    fewer_views: Mapping[str, _FewerViews]
    calibration: Calibration | Missing
    most_confused: tuple[Confusion, ...]


@dataclass(frozen=True)
class _FewerViews:
    signature: str
    tops: Mapping[str, Any] = field(metadata=REST)


def _read_scored(file: _Scored) -> Scored:
    if isinstance(file.calibration, Calibration) and not file.calibration.bins:
        raise FieldError("calibration.bins is empty")
    return Scored(
        tied={k: file.tied[name] for k, name in _ks(file.tied).items()},
        mean_class_accuracy=file.mean_class_accuracy,
        macro=file.macro,
        over_all=_read_tops(file.over_all, "over_all."),
        bounds=file.bounds,
        fewer_views={
            name: FewerViews(_read_tops(views.tops, f"fewer_views.{name}."), views.signature)
            for name, views in file.fewer_views.items()
        },
        calibration=file.calibration,
        most_confused=file.most_confused,
    )


def _read_tops(content: Mapping[str, Any], where: str = "") -> dict[int, Top]:
    named = sorted(_ks(content).items())
    return {k: decode_value(Top, content[name], where + name) for k, name in named}


def _ks(content: Mapping[str, Any]) -> dict[int, str]:
    """Keys such as ``top5``, by their k."""
    names = [name for name in content if name.startswith("top") and name[3:].isdecimal()]
    return {int(name[3:]): name for name in names}


def _tops_as_json(tops: Mapping[int, Top]) -> dict[str, Any]:
    return {f"top{k}": _top_as_json(top) for k, top in tops.items()}


def _top_as_json(top: Top) -> Any:
    return {"value": None, "reason": top.reason} if isinstance(top, Missing) else encode(top)


def _scored_as_json(scored: Scored) -> dict[str, Any]:
    calibration = scored.calibration
    if isinstance(calibration, Missing):
        calibration_json: Any = {"error": None, "bins": [], "reason": calibration.reason}
    else:
        calibration_json = encode(calibration)
    return {
        "tied": {f"top{k}": count for k, count in scored.tied.items()},
        "mean_class_accuracy": encode(scored.mean_class_accuracy),
        "macro": encode(scored.macro),
        "over_all": _tops_as_json(scored.over_all),
        "bounds": encode(scored.bounds),
        "fewer_views": {
            name: _tops_as_json(fewer.tops) | {"signature": fewer.signature}
            for name, fewer in scored.fewer_views.items()
        },
        "calibration": calibration_json,
        "most_confused": encode(scored.most_confused),
    }


def read_metrics(path: Path) -> Metrics:
    """Read a ``metrics.json``.

    Raises:
        ConfigError: The file is damaged, or another program wrote it.
    """
    remedy = "vidbench report with --top_n writes it again from the run's scores"
    return read_json(path, Metrics.from_json, remedy)
