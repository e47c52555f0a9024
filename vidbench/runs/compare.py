"""Whether two runs differ, on the videos that both scored: paired intervals and tests.

Every difference is of A minus B: above 0, A is right more often.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.metrics.intervals import Estimate, share
from vidbench.metrics.paired import (
    Hits,
    Indices,
    McNemar,
    adjust,
    compare_classes,
    compare_hits,
    mcnemar_p,
    videos_to_tell,
)
from vidbench.runs.comparison import ComparedRun, Comparison, Disagreement, Pair
from vidbench.runs.finished import FinishedRun
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.predictions import Predictions, Texts
from vidbench.runs.record import RecordedIdentity


def compare(runs: Sequence[FinishedRun], k: int = 1, min_common: float = 0.5) -> Comparison:
    """How the runs differ on the videos that all of them scored and can name.

    Args:
        runs: Two or more.
        k: A video is right where its class is among the k highest scores.
        min_common: Least share of the largest run's videos that must be common, 0 to 1.

    Raises:
        ConfigError: The runs cannot be compared, or not as asked.
    """
    _refuse_bad_request(runs, min_common)
    judged = [_judge(name, run) for name, run in zip(_names(runs), runs, strict=True)]
    _refuse_bad_k(judged, k)
    video_ids = _common(judged)
    _refuse_few(judged, len(video_ids), min_common)
    answers = [_answers(own, video_ids, k) for own in judged]
    _refuse_other_labels(answers)
    sources = _sources(answers)
    return Comparison(
        k=k,
        videos=len(video_ids),
        sources=int(sources.max()) + 1,
        runs=tuple(
            own.compared(share(answer.hits, sources.astype(np.str_)))
            for own, answer in zip(judged, answers, strict=True)
        ),
        pairs=_compare_pairs(answers, sources),
    )


def common_rows(runs: Sequence[FinishedRun]) -> list[list[int]]:
    """For each run the rows of the videos that :func:`compare` compares, all in one order."""
    judged = [_judge(name, run) for name, run in zip(_names(runs), runs, strict=True)]
    return [[own.rows[video] for video in _common(judged)] for own in judged]


@dataclass(frozen=True)
class _Judged:
    """A run whose predictions are restricted to what its model may choose from.

    Its ``rows`` are, by video id, those that are scored and whose class the model has.
    """

    name: str
    identity: RecordedIdentity
    table: Predictions
    num_choices: int
    rows: Mapping[str, int]

    def compared(self, accuracy: Estimate) -> ComparedRun:
        model, dataset = self.identity.model, self.identity.split_name
        return ComparedRun(self.name, model, dataset, self.num_choices, len(self.rows), accuracy)


def _judge(name: str, run: FinishedRun) -> _Judged:
    table = run.judged
    rows = np.flatnonzero(table.scored & (table.targets != ""))
    return _Judged(
        name=name,
        identity=run.record.identity,
        table=table,
        num_choices=len(run.context.choices or table.classes),
        rows=dict(zip(table.video_ids[rows].tolist(), rows.tolist(), strict=True)),
    )


def _common(judged: Sequence[_Judged]) -> list[str]:
    return [video for video in judged[0].rows if all(video in own.rows for own in judged)]


@dataclass(frozen=True)
class _Answers:
    """What one run answered on the common videos; each column (videos,)."""

    name: str
    video_ids: Sequence[str]
    labels: Texts
    groups: Texts
    hits: Hits
    firsts: Texts
    scores: NDArray[np.object_]


def _answers(own: _Judged, video_ids: Sequence[str], k: int) -> _Answers:
    table = own.table.only([own.rows[video] for video in video_ids])
    outcomes = outcomes_of(table)
    if why := outcomes.why_no_accuracy(k):
        raise ConfigError(f"{own.name} has no accuracy at --k {k}: {why}")
    scores = outcomes.confidences.tolist() if table.has_scores else [None] * len(table)
    return _Answers(
        name=own.name,
        video_ids=video_ids,
        labels=table.labels,
        groups=table.groups,
        hits=outcomes.hits(k),
        firsts=np.array([*table.classes, ""], np.str_)[outcomes.choices],
        scores=np.array(scores, np.object_),
    )


def _sources(answers: Sequence[_Answers]) -> Indices:
    """Source of each video as a number, by the first run that knows it; else the video's own."""
    columns = zip(*(answer.groups.tolist() for answer in answers), strict=True)
    known = [next(filter(None, groups), "") for groups in columns]
    named = [(group, "" if group else str(place)) for place, group in enumerate(known)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return np.array([numbers[name] for name in named], np.intp)


def _compare_pairs(answers: Sequence[_Answers], sources: Indices) -> tuple[Pair, ...]:
    pairs = [_compare_pair(a, b, sources) for a, b in itertools.combinations(answers, 2)]
    adjusted = adjust([pair.mcnemar.p for pair in pairs])
    return tuple(
        replace(pair, mcnemar=replace(pair.mcnemar, p_adjusted=p))
        for pair, p in zip(pairs, adjusted, strict=True)
    )


def _compare_pair(a: _Answers, b: _Answers, sources: Indices) -> Pair:
    only_a, only_b = (
        _disagreements(a, b, chosen) for chosen in (a.hits & ~b.hits, b.hits & ~a.hits)
    )
    p = mcnemar_p(len(only_a), len(only_b))
    return Pair(
        a=a.name,
        b=b.name,
        difference=compare_hits(a.hits, b.hits, sources),
        mcnemar=McNemar(p, len(only_a), len(only_b), p_adjusted=p),
        videos_to_tell=videos_to_tell(len(only_a), len(only_b), len(a.hits)),
        only_a=only_a,
        only_b=only_b,
        classes=compare_classes(a.hits, b.hits, a.labels),
    )


def _disagreements(a: _Answers, b: _Answers, chosen: Hits) -> tuple[Disagreement, ...]:
    columns = (a.labels, a.firsts, a.scores, b.firsts, b.scores)
    ids = [a.video_ids[place] for place in np.flatnonzero(chosen).tolist()]
    chosen_columns = (column[chosen].tolist() for column in columns)
    return tuple(Disagreement(*row) for row in zip(ids, *chosen_columns, strict=True))


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """The runs' names, or their paths where names are not unique."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _refuse_bad_request(runs: Sequence[FinishedRun], min_common: float) -> None:
    if len(runs) < 2:
        raise ConfigError(f"two runs or more are needed to compare, not {len(runs)}")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise ConfigError("a run is named twice: name each run to compare once")
    if not 0 <= min_common <= 1:
        raise ConfigError(f"--min_common {min_common} must be from 0 to 1")


def _refuse_bad_k(judged: Sequence[_Judged], k: int) -> None:
    fewest = min(judged, key=lambda own: own.num_choices)
    if not 1 <= k <= fewest.num_choices:
        limit = f"{fewest.num_choices}, the classes that {fewest.name} may choose from"
        raise ConfigError(f"--k {k} must be from 1 to {limit}")


def _refuse_few(judged: Sequence[_Judged], common: int, min_common: float) -> None:
    """Refuses runs without a common video, or whose common ones are too few of the largest."""
    counts = ", ".join(f"{len(own.rows)} of {own.name}" for own in judged)
    if not common:
        raise ConfigError(f"no scored and labelled video is common to all runs ({counts})")
    part = common / max(len(own.rows) for own in judged)
    if part < min_common:
        raise ConfigError(
            f"only {common} scored and labelled videos are common to all runs ({counts}): "
            f"{part:.1%} of the largest run, less than --min_common {min_common:g}; "
            "a lower --min_common compares them nevertheless"
        )


def _refuse_other_labels(answers: Sequence[_Answers]) -> None:
    first = answers[0]
    for other in answers[1:]:
        for place in np.flatnonzero(first.labels != other.labels).tolist():
            raise ConfigError(
                f"video {first.video_ids[place]} is {str(first.labels[place])!r} in {first.name} "
                f"and {str(other.labels[place])!r} in {other.name}: their labels must agree"
            )
