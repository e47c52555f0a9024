"""Members of a fusion, and the properties that they must share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vidbench.errors import ConfigError
from vidbench.metrics.ranking import PROBABILITIES, name_evidence
from vidbench.runs.choices import restrict_choices
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions
from vidbench.runs.record import RecordedMember


@dataclass(frozen=True)
class Member:
    """A finished run that is fused with others.

    Attributes:
        run: The run.
        weight: Its weight in the mean, 0 to 1.
        predictions: Its predictions, restricted to the model's choices.
    """

    run: FinishedRun
    weight: float
    predictions: Predictions

    @classmethod
    def of(cls, run: FinishedRun, weight: float) -> Member:
        """Make a member of a finished run.

        Raises:
            ConfigError: The run is unfinished or damaged, or has no probabilities.
        """
        context, table = run.context, run.predictions
        if table.evidence != PROBABILITIES:
            kind = name_evidence(table.evidence)
            raise ConfigError(
                f"{run.path} cannot be fused: it has {kind}, and a mean needs probabilities"
            )
        return cls(run, weight, restrict_choices(replace(table, fewer_views={}), context.choices))

    @property
    def digest(self) -> str:
        """Digest of its identity."""
        return self.run.record.digest

    def as_recorded(self) -> RecordedMember:
        """The entry of this member in the fusion's ``run.json``."""
        signature = self.run.metrics.signature
        return RecordedMember(self.run.name, self.digest, self.weight, signature)


def sort_like(model: Predictions, table: Predictions) -> Predictions:
    """A copy of the table with the videos in the model's order."""
    rows = {video_id: row for row, video_id in enumerate(table.video_ids.tolist())}
    return table.only([rows[video_id] for video_id in model.video_ids.tolist()])


def differences(pair: tuple[Member, Member]) -> Iterator[str]:
    """Differences that prevent a fusion of two members; each check relies on those before it."""
    tables = [member.predictions for member in pair]
    for name in ("dataset", "split"):
        yield from _values(
            name, pair, [getattr(member.run.record.identity, name) for member in pair]
        )
    yield from _sets("classes", pair, [table.classes for table in tables])
    yield from _values("order of classes", pair, [table.classes for table in tables])
    yield from _sets(
        "classes to choose from", pair, [member.run.context.choices for member in pair]
    )
    yield from _sets("requested videos", pair, [table.video_ids.tolist() for table in tables])
    tables[1] = sort_like(*tables)
    for what in ("labels", "targets"):
        columns = [getattr(table, what).tolist() for table in tables]
        for video_id, *values in zip(tables[0].video_ids.tolist(), *columns, strict=True):
            yield from _values(f"{what.removesuffix('s')} of video {video_id}", pair, values)
    yield from _values("count of listed videos", pair, [m.run.context.num_listed for m in pair])
    yield from _values("matching of labels", pair, [member.run.context.labels for member in pair])


def _values(what: str, pair: tuple[Member, Member], values: Sequence[Any]) -> Iterator[str]:
    if values[0] != values[1]:
        a, b = (f"{value!s:.80} in {m.run.path}" for m, value in zip(pair, values, strict=True))
        yield f"the {what} is {a} and {b}"


def _sets(what: str, pair: tuple[Member, Member], lists: Sequence[Sequence[str]]) -> Iterator[str]:
    first, second = lists
    if unshared := sorted(set(first) ^ set(second)):
        a, b = (member.run.path for member in pair)
        counts = f"{len(first)} in {a} and {len(second)} in {b}"
        yield f"{what}: {counts}, of which {len(unshared)} in one only, e.g. {unshared[0]!r}"
