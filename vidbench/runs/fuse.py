"""Late fusion: average the scores of several finished runs into a new run."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidbench.data.records import Skip
from vidbench.errors import ConfigError
from vidbench.runs.context import RunContext
from vidbench.runs.finished import FinishedRun
from vidbench.runs.fusion_members import Member, differences, sort_like
from vidbench.runs.fusion_record import describe_fusion, identify_fusion
from vidbench.runs.metrics_record import Metrics
from vidbench.runs.outputs import write_outputs
from vidbench.runs.predictions import Predictions
from vidbench.runs.record import RecordedIdentity, RunRecord
from vidbench.storage.files import seen_from, write_json
from vidbench.system.provenance import provenance


@dataclass(frozen=True)
class Fusion:
    """Runs fused into one, independent of the order in which they were given.

    Attributes:
        members: The runs with their weights, sorted by digest.
        predictions: Weighted mean of the members' predictions.
        digest: Digest of the members' digests and weights, 8 hexadecimal digits.
        identity: What decides the predictions, for ``run.json``.
        context: Context that the metrics need.
    """

    members: tuple[Member, ...]
    predictions: Predictions
    digest: str
    identity: RecordedIdentity
    context: RunContext

    @property
    def name(self) -> str:
        """Name of its folder: dataset and split, number of videos, digest."""
        data = f"{self.identity.dataset}-{self.identity.split}"
        return f"fusion_{data}_{len(self.predictions)}_{self.digest}".replace("/", "-")


def fuse(runs: Sequence[FinishedRun], weights: Sequence[float] | None = None) -> Fusion:
    """Fuse runs by the weighted mean of their probabilities, in float64, for each video.

    The probabilities of a model with restricted choices cover these classes only. A video that any
    run skipped is skipped.

    Args:
        runs: Two or more with the same classes, dataset, split and requested videos.
        weights: One for each run, at least 0; None for equal ones. Only their ratios matter.

    Raises:
        ConfigError: A run is unfinished or has no probabilities, or the runs differ in what they
            must have in common.
    """
    parts = _parts([1.0] * len(runs) if weights is None else weights, len(runs))
    unsorted = [Member.of(run, part) for run, part in zip(runs, parts, strict=True)]
    members = sorted(unsorted, key=lambda member: (member.digest, member.weight, member.run.name))
    for other in members[1:]:
        for difference in differences((members[0], other)):
            raise ConfigError(f"these runs cannot be fused: {difference}")
    digests = json.dumps([(member.digest, member.weight) for member in members])
    identity, predictions = identify_fusion(members), _mean(members)
    return Fusion(
        members=tuple(members),
        predictions=predictions,
        digest=hashlib.sha256(digests.encode()).hexdigest()[:8],
        identity=identity,
        context=describe_fusion(members, identity, predictions.video_ids.tolist()),
    )


def write_fusion(
    fusion: Fusion, folder: Path, top_n: int = 5, *, overwrite: bool = False
) -> Metrics:
    """Write all files of a finished run into a folder; return the metrics.

    Args:
        fusion: Result of :func:`fuse`; the same fusion in the folder is written again.
        folder: Folder of the fusion.
        top_n: The k of the second accuracy, and the number of predictions listed for each video.
        overwrite: Remove another run in the folder first.

    Raises:
        ConfigError: The folder has something else, or there are fewer classes than ``top_n``.
    """
    num_choices = len(fusion.context.choices or fusion.predictions.classes)
    if not 1 <= top_n <= num_choices:
        raise ConfigError(f"--top_n {top_n} must be from 1 to {num_choices}, the classes to choose")
    if _holds_another(fusion, folder):
        if not overwrite:
            raise ConfigError(f"{folder} has another run: use another --run_name or --overwrite")
        shutil.rmtree(folder)
    first = fusion.members[0].run
    record = RunRecord(
        digest=fusion.digest,
        identity=fusion.identity,
        context=fusion.context,
        places={"videos": seen_from(folder, first.videos_dir)},
        thumbnails_of=seen_from(folder, first.path),
        sessions=(),
        **provenance(),
    )
    write_json(folder / "run.json", record.as_json())
    fusion.predictions.save(folder / "scores.npz")
    return write_outputs(folder, fusion.predictions, fusion.context, top_n)


def _holds_another(fusion: Fusion, folder: Path) -> bool:
    paths = [member.run.path.resolve() for member in fusion.members]
    if any(path.is_relative_to(folder.resolve()) for path in paths):
        raise ConfigError(f"{folder} is or has one of the runs to fuse: use another --run_name")
    if not folder.exists() or (
        folder.is_dir() and all(p.match(".*.tmp") for p in folder.iterdir())
    ):
        return False
    if not (folder / "run.json").is_file():
        raise ConfigError(f"{folder} exists and is not a run folder: use another --run_name")
    try:
        return FinishedRun(folder).record.digest != fusion.digest
    except ConfigError:  # a damaged run counts as another one
        return True


def _parts(weights: Sequence[float], count: int) -> list[float]:
    """The weights, scaled to a sum of 1."""
    if count < 2:
        raise ConfigError(f"a fusion needs two runs or more, not {count}")
    if len(weights) != count:
        raise ConfigError(f"--weights has {len(weights)} numbers for {count} runs: give one each")
    total = math.fsum(weights)
    if not all(weight >= 0 for weight in weights) or not 0 < total < math.inf:
        raise ConfigError(f"--weights {list(weights)}: each must be 0 or more, and one above 0")
    return [weight / total for weight in weights]


def _mean(members: Sequence[Member]) -> Predictions:
    """The fused table, in the order of the first member."""
    tables = [sort_like(members[0].predictions, member.predictions) for member in members]
    weights = [member.weight for member in members]
    mean = np.average([table.scores for table in tables], axis=0, weights=weights)
    fused = replace(tables[0], scores=mean.astype(np.float32))
    scored = np.array([table.scored for table in tables])
    for row in np.flatnonzero(~scored.all(axis=0)).tolist():
        skipped_by = int(np.argmin(scored[:, row]))
        table = tables[skipped_by]
        detail = f"{members[skipped_by].run.name}: {table.details[row]}"
        fused.set_skip(row, Skip(str(table.reasons[row]), detail.removesuffix(": ")))
    return fused
