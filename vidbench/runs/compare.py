"""Compare runs on the videos that all of them scored, with paired intervals and tests.

Every difference is A minus B: above 0, A is right more often.
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
    """Compare runs on the videos that all of them scored, and whose class all models have.

    Args:
        runs: Two or more.
        k: A video is right if its class is among the k highest scores.
        min_common: Minimum share of the largest run's videos that must be common, 0 to 1.

    Raises:
        ConfigError: The runs cannot be compared, or an argument is out of range.
    """
    _refuse_bad_request(runs, min_common)
    judged = [_judge(name, run) for name, run in zip(_names(runs), runs, strict=True)]
    _refuse_bad_k(judged, k)
    video_ids = _common(judged)
    _refuse_few(judged, len(video_ids), min_common)
    answers = [_answers(run, video_ids, k) for run in judged]
    _refuse_other_labels(answers)
    sources = _sources(answers)
    return Comparison(
        k=k,
        videos=len(video_ids),
        sources=int(sources.max()) + 1,
        runs=tuple(
            run.compared(share(answer.hits, sources.astype(np.str_)))
            for run, answer in zip(judged, answers, strict=True)
        ),
        pairs=_compare_pairs(answers, sources),
    )


def common_rows(runs: Sequence[FinishedRun]) -> list[list[int]]:
    """For each run, the rows of the videos that :func:`compare` compares, in the same order."""
    judged = [_judge(name, run) for name, run in zip(_names(runs), runs, strict=True)]
    return [[run.rows[video] for video in _common(judged)] for run in judged]


@dataclass(frozen=True)
class _Judged:
    """A run whose predictions are restricted to the classes that its model may choose from.

    ``rows`` has, by video id, the rows of scored videos whose class the model has.
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
    return [video for video in judged[0].rows if all(video in run.rows for run in judged)]


@dataclass(frozen=True)
class _Answers:
    """Answers of one run on the common videos; each column is (videos,)."""

    name: str
    video_ids: Sequence[str]
    labels: Texts
    groups: Texts
    hits: Hits
    firsts: Texts
    scores: NDArray[np.object_]


def _answers(run: _Judged, video_ids: Sequence[str], k: int) -> _Answers:
    table = run.table.only([run.rows[video] for video in video_ids])
    outcomes = outcomes_of(table)
    if why := outcomes.why_no_accuracy(k):
        raise ConfigError(f"{run.name} has no accuracy at --k {k}: {why}")
    scores = outcomes.confidences.tolist() if table.has_scores else [None] * len(table)
    return _Answers(
        name=run.name,
        video_ids=video_ids,
        labels=table.labels,
        groups=table.groups,
        hits=outcomes.hits(k),
        firsts=np.array([*table.classes, ""], np.str_)[outcomes.choices],
        scores=np.array(scores, np.object_),
    )


def _sources(answers: Sequence[_Answers]) -> Indices:
    """Number of each video's source, from the first run that states it; else one per video."""
    columns = zip(*(answer.groups.tolist() for answer in answers), strict=True)
    groups = [next(filter(None, column), "") for column in columns]
    names = [(group, "" if group else str(index)) for index, group in enumerate(groups)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.intp)


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
    ids = [a.video_ids[index] for index in np.flatnonzero(chosen).tolist()]
    chosen_columns = (column[chosen].tolist() for column in columns)
    return tuple(Disagreement(*row) for row in zip(ids, *chosen_columns, strict=True))


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """The runs' names, or their paths if names are not unique."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _refuse_bad_request(runs: Sequence[FinishedRun], min_common: float) -> None:
    if len(runs) < 2:
        raise ConfigError(f"a comparison needs two runs or more, not {len(runs)}")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise ConfigError("a run is given twice: name each run once")
    if not 0 <= min_common <= 1:
        raise ConfigError(f"--min_common {min_common} must be from 0 to 1")


def _refuse_bad_k(judged: Sequence[_Judged], k: int) -> None:
    fewest = min(judged, key=lambda run: run.num_choices)
    if not 1 <= k <= fewest.num_choices:
        limit = f"{fewest.num_choices}, the classes that {fewest.name} may choose from"
        raise ConfigError(f"--k {k} must be from 1 to {limit}")


def _refuse_few(judged: Sequence[_Judged], common: int, min_common: float) -> None:
    """Raise ConfigError if the runs have no or too few videos in common."""
    counts = ", ".join(f"{len(run.rows)} of {run.name}" for run in judged)
    if not common:
        raise ConfigError(f"no scored and labelled video is common to all runs ({counts})")
    part = common / max(len(run.rows) for run in judged)
    if part < min_common:
        raise ConfigError(
            f"only {common} scored and labelled videos are common to all runs ({counts}): "
            f"{part:.1%} of the largest run, less than --min_common {min_common:g}; "
            "lower --min_common to compare them anyway"
        )


def _refuse_other_labels(answers: Sequence[_Answers]) -> None:
    first = answers[0]
    for other in answers[1:]:
        for row in np.flatnonzero(first.labels != other.labels).tolist():
            raise ConfigError(
                f"video {first.video_ids[row]} is {str(first.labels[row])!r} in {first.name} "
                f"and {str(other.labels[row])!r} in {other.name}: their labels must agree"
            )
