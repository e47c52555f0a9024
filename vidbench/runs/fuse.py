"""Late fusion: the scores of several finished runs averaged, as a run of its own."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import vidbench
from vidbench.data.records import Skip
from vidbench.errors import ConfigError
from vidbench.metrics.ranking import PROBABILITIES, name_evidence
from vidbench.runs.coverage import digest_videos
from vidbench.runs.finished import FinishedRun
from vidbench.runs.outputs import write_outputs
from vidbench.runs.predictions import BY_VIDEO, Predictions
from vidbench.runs.summary import RunContext, restrict_choices
from vidbench.storage.files import seen_from, write_json
from vidbench.system.provenance import provenance


@dataclass(frozen=True)
class Member:
    """A finished run that is fused with others.

    Attributes:
        run: Its folder.
        weight: Its part in the mean, 0 to 1.
        digest: Of its identity.
        identity: What decided its predictions.
        facts: What else is known of it.
        predictions: Among the classes that its model may choose from.
    """

    run: FinishedRun
    weight: float
    digest: str
    identity: Mapping[str, Any]
    facts: RunContext
    predictions: Predictions

    @classmethod
    def of(cls, run: FinishedRun, weight: float) -> Member:
        """The member that this run is.

        Raises:
            ConfigError: The run is unfinished or damaged, or has no probabilities.
        """
        facts, table = run.facts, run.predictions
        if table.evidence != PROBABILITIES:
            kind = name_evidence(table.evidence)
            raise ConfigError(
                f"{run.path} cannot be fused: it has {kind}, and a mean needs probabilities"
            )
        try:
            digest, identity = str(run.run["digest"]), dict(run.run["identity"])
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{run.path} cannot be fused: {error}") from error
        predictions = restrict_choices(replace(table, fewer_views={}), facts.choices)
        return cls(run, weight, digest, identity, facts, predictions)

    def as_dict(self) -> dict[str, Any]:
        """What the fusion's ``run.json`` says of it."""
        known = {"run": self.run.name, "digest": self.digest, "weight": self.weight}
        return known | {"signature": self.run.metrics["signature"]}


@dataclass(frozen=True)
class Fusion:
    """Runs fused into one; the order in which they were given changes nothing.

    Attributes:
        members: By their digests.
        predictions: Their weighted mean.
        digest: 8 hexadecimal digits of the members' digests and weights.
        identity: What decides the predictions, for ``run.json``.
        facts: What else is known.
    """

    members: tuple[Member, ...]
    predictions: Predictions
    digest: str
    identity: Mapping[str, Any]
    facts: RunContext

    @property
    def name(self) -> str:
        """Name of its folder: dataset and split, count of videos, digest."""
        data = f"{self.identity['dataset']}-{self.identity['split']}"
        return f"fusion_{data}_{len(self.predictions)}_{self.digest}".replace("/", "-")


def fuse(runs: Sequence[FinishedRun], weights: Sequence[float] | None = None) -> Fusion:
    """The runs as one: the weighted mean of their probabilities, in float64, for each video.

    Where a model may choose among some classes only, its probabilities are of these. A video that
    any run skipped is skipped.

    Args:
        runs: Two or more of the same classes, dataset, split and requested videos.
        weights: At least 0, one for each run; None for equal ones. Only their ratios matter.

    Raises:
        ConfigError: A run is unfinished or has no probabilities, or the runs differ in what they
            must have in common.
    """
    parts = _parts([1.0] * len(runs) if weights is None else weights, len(runs))
    found = [Member.of(run, part) for run, part in zip(runs, parts, strict=True)]
    members = sorted(found, key=lambda member: (member.digest, member.weight, member.run.name))
    for other in members[1:]:
        for difference in _differences((members[0], other)):
            raise ConfigError(f"these runs cannot be fused: {difference}")
    digests = json.dumps([(member.digest, member.weight) for member in members])
    identity, predictions = _identity(members), _mean(members)
    return Fusion(
        members=tuple(members),
        predictions=predictions,
        digest=hashlib.sha256(digests.encode()).hexdigest()[:8],
        identity=identity,
        facts=_facts(members, identity, predictions.video_ids.tolist()),
    )


def write_fusion(
    fusion: Fusion, folder: Path, top_n: int = 5, *, overwrite: bool = False
) -> dict[str, Any]:
    """The content of ``metrics.json``; writes all that a finished run has into the folder.

    Args:
        fusion: Of :func:`fuse`; if the folder has the same one, that is made again.
        folder: The fusion's.
        top_n: The k of the second accuracy, and the predictions listed for each video.
        overwrite: Remove another run that is there first.

    Raises:
        ConfigError: The folder holds something else, or there are fewer classes than ``top_n``.
    """
    num_choices = len(fusion.facts.choices or fusion.predictions.classes)
    if not 1 <= top_n <= num_choices:
        raise ConfigError(f"--top_n {top_n} must be from 1 to {num_choices}, the classes to choose")
    if _holds_another(fusion, folder):
        if not overwrite:
            raise ConfigError(f"{folder} holds another run: take another --run_name or --overwrite")
        shutil.rmtree(folder)
    first = fusion.members[0].run
    description: dict[str, Any] = {
        "digest": fusion.digest,
        "identity": fusion.identity,
        "facts": fusion.facts.as_dict(),
        "places": {"videos": seen_from(folder, first.videos_dir)},
        "thumbnails_of": seen_from(folder, first.path),
        **provenance(),
        "sessions": [],
    }
    write_json(folder / "run.json", description)
    fusion.predictions.save(folder / "scores.npz")
    return write_outputs(folder, fusion.predictions, description, top_n)


def _holds_another(fusion: Fusion, folder: Path) -> bool:
    if any(own.run.path.resolve().is_relative_to(folder.resolve()) for own in fusion.members):
        raise ConfigError(f"{folder} is or holds one of the runs to fuse: take another --run_name")
    if not folder.exists() or (
        folder.is_dir() and all(p.match(".*.tmp") for p in folder.iterdir())
    ):
        return False
    if not (folder / "run.json").is_file():
        raise ConfigError(f"{folder} exists and is no run folder: take another --run_name")
    found = FinishedRun(folder).run
    return not isinstance(found, dict) or found.get("digest") != fusion.digest


def merge_leakage(members: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What is known of scored videos that members were trained on, the same where all agree.

    Else ``leaked_videos`` is the most of any member: the fusion has at least as many. It is None
    where that would be 0, but one searched no training list.

    Args:
        members: Names and what is known of each, at least one.
    """
    known = [leakage for _, leakage in members]
    if all(leakage == known[0] for leakage in known):
        return dict(known[0])
    counts = [leakage.get("leaked_videos") for leakage in known]
    most = max((count for count in counts if count is not None), default=0)
    published = _union([leakage.get("published_overlap") or ""] for leakage in known)
    return {
        "trained_on": _join(leakage.get("trained_on") or "unknown" for leakage in known),
        "training_lists": _union(leakage.get("training_lists", ()) for leakage in known),
        "leaked_videos": None if most == 0 and None in counts else most,
        "examples": _union(leakage.get("examples", ()) for leakage in known),
        "published_overlap": "; ".join(filter(None, published)) or None,
        "members": [{"run": name} | dict(leakage) for name, leakage in members],
    }


def _parts(weights: Sequence[float], count: int) -> list[float]:
    """The weights, so that they add up to 1."""
    if count < 2:
        raise ConfigError(f"two runs or more are needed to fuse, not {count}")
    if len(weights) != count:
        raise ConfigError(f"--weights has {len(weights)} numbers for {count} runs: give one a run")
    total = math.fsum(weights)
    if not all(weight >= 0 for weight in weights) or not 0 < total < math.inf:
        raise ConfigError(f"--weights {list(weights)}: each must be 0 or more, and one above 0")
    return [weight / total for weight in weights]


def _mean(members: Sequence[Member]) -> Predictions:
    """The fused table, in the order of the first member's."""
    tables = [_sorted_like(members[0].predictions, member.predictions) for member in members]
    mean = np.average([t.scores for t in tables], axis=0, weights=[own.weight for own in members])
    fused = replace(tables[0], scores=mean.astype(np.float32))
    scored = np.array([table.scored for table in tables])
    for row in np.flatnonzero(~scored.all(axis=0)).tolist():
        place = int(np.argmin(scored[:, row]))
        detail = f"{members[place].run.name}: {tables[place].details[row]}"
        fused.set_skip(row, Skip(str(tables[place].reasons[row]), detail.removesuffix(": ")))
    return fused


def _sorted_like(model: Predictions, table: Predictions) -> Predictions:
    """A copy of the table with the model's order of videos."""
    rows = {video_id: row for row, video_id in enumerate(table.video_ids.tolist())}
    order = np.array([rows[video_id] for video_id in model.video_ids.tolist()], np.intp)
    return replace(table, **{name: getattr(table, name)[order] for name in BY_VIDEO})


def _identity(members: Sequence[Member]) -> dict[str, Any]:
    models = [str(member.identity["model"]) for member in members]
    texts = ("dataset", "split", "precision", "labels")
    return {
        "model": "fusion of " + " + ".join(f"({m})" if " + " in m else m for m in models),
        "members": [member.as_dict() for member in members],
        **{name: _join(member.identity[name] for member in members) for name in texts},
        "choices": list(members[0].facts.choices),
    }


def _facts(
    members: Sequence[Member], identity: Mapping[str, Any], ids: Sequence[str]
) -> RunContext:
    views = _join(member.facts.views for member in members)
    equal = len({member.weight for member in members}) == 1
    digests = (own.digest + ("" if equal else f" x {own.weight:.4g}") for own in members)
    choices = f", {len(identity['choices'])} to choose from" if identity["choices"] else ""
    signature = [
        f"fusion of {len(members)} runs ({', '.join(digests)})",
        f"{identity['dataset']}/{identity['split']}",
        f"{{evaluated}} of {len(ids)} videos {digest_videos(ids)}",
        f"{identity['labels']}{choices}",
        f"{views} views",
        identity["precision"],
        f"vidbench {vidbench.__version__}",
    ]
    leakage = merge_leakage([(member.run.name, member.facts.leakage) for member in members])
    return replace(members[0].facts, signature=" | ".join(signature), views=views, leakage=leakage)


def _join(texts: Iterable[str]) -> str:
    """The text that all have, or each in turn."""
    found = list(texts)
    return found[0] if len(set(found)) == 1 else " + ".join(found)


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(text for texts in lists for text in texts))


def _differences(pair: tuple[Member, Member]) -> Iterator[str]:
    """What two members must have in common and do not; each thing relies on those before."""
    tables = [member.predictions for member in pair]
    for name in ("dataset", "split"):
        yield from _values(name, pair, [member.identity[name] for member in pair])
    yield from _sets("classes", pair, [table.classes for table in tables])
    yield from _values("order of classes", pair, [table.classes for table in tables])
    yield from _sets("classes to choose from", pair, [member.facts.choices for member in pair])
    yield from _sets("requested videos", pair, [table.video_ids.tolist() for table in tables])
    tables[1] = _sorted_like(*tables)
    for what in ("labels", "targets"):
        columns = [getattr(table, what).tolist() for table in tables]
        for video_id, *own in zip(tables[0].video_ids.tolist(), *columns, strict=True):
            yield from _values(f"{what.removesuffix('s')} of video {video_id}", pair, own)
    yield from _values("count of listed videos", pair, [own.facts.num_listed for own in pair])
    yield from _values("matching of labels", pair, [own.facts.labels for own in pair])


def _values(what: str, pair: tuple[Member, Member], values: Sequence[Any]) -> Iterator[str]:
    if values[0] != values[1]:
        a, b = (f"{value!s:.80} in {m.run.path}" for m, value in zip(pair, values, strict=True))
        yield f"the {what} is {a} and {b}"


def _sets(what: str, pair: tuple[Member, Member], lists: Sequence[Sequence[str]]) -> Iterator[str]:
    one, other = lists
    if alone := sorted(set(one) ^ set(other)):
        a, b = (member.run.path for member in pair)
        counts = f"{len(one)} in {a} and {len(other)} in {b}"
        yield f"{what}: {counts}, of which {len(alone)} in one only, e.g. {alone[0]!r}"
