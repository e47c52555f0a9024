"""Turn another program's predictions into a run: read, match and score them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidbench.config.label_matching import Labels, match_labels
from vidbench.config.opening import open_dataset
from vidbench.config.run_config import RunConfig
from vidbench.config.scope import warn_of_few_classes, warn_of_leakage
from vidbench.data.datasets.base import Dataset, list_videos
from vidbench.data.records import Selection, Skip, VideoRecord
from vidbench.errors import ConfigError
from vidbench.external.identity import ForeignIdentity
from vidbench.external.matching import match_rows
from vidbench.external.options import ScoreOptions
from vidbench.external.read import read_answers
from vidbench.external.table import ForeignTable, tabulate
from vidbench.labels.aliases import read_aliases
from vidbench.labels.alignment import align
from vidbench.labels.class_lists import find_classes
from vidbench.metrics.ranking import has_scores, name_evidence
from vidbench.report import write_report
from vidbench.runs.context import KnownLeakage, MatchedLabels, RunContext
from vidbench.runs.finished import FinishedRun
from vidbench.runs.folder import RunFolder
from vidbench.runs.identity import UNKNOWN
from vidbench.runs.metrics_record import Metrics
from vidbench.runs.predictions import Predictions
from vidbench.storage.locations import join

logger = logging.getLogger(__name__)

NO_PREDICTION = "no_prediction"
"""Skip reason of a requested video without a row in the file."""


@dataclass(frozen=True, kw_only=True)
class ScoreRequest(ScoreOptions):
    """A request to score a file.

    Attributes:
        file: File of predictions: CSV, .npz or JSON lines.
        config: Which videos to score, and where the run goes; model options are ignored.
        options: The given options by name, to be stored in ``run.json``.
    """

    file: Path
    config: RunConfig
    options: dict[str, Any]


class Scored(NamedTuple):
    """Result: the run's folder and its numbers."""

    folder: Path
    metrics: Metrics


class _Source(NamedTuple):
    """The model behind the predictions."""

    name: str
    classes: tuple[str, ...]


def score(request: ScoreRequest) -> Scored:
    """Score the predictions in a file, and write a run folder like that of an evaluation.

    No video is decoded, and none is fetched if the dataset can list its videos.

    Raises:
        ConfigError: The file cannot be read, or does not match the dataset; nothing was written.
        VidbenchError: The dataset's list is not available.
    """
    config, dataset = request.config, open_dataset(request.config)
    everything = list_videos(dataset).records
    table = _read(request, dataset, everything)
    source = _Source(request.model_name or request.file.stem, table.classes)
    labels = match_labels(config, source, dataset)
    top_n = _choose_top_n(config, labels, table)
    selection = list_videos(dataset, config.num_videos, labels.classes if config.classes else None)
    predictions = _fill(request.file, table, everything, selection.records, labels)
    warn_of_few_classes(selection.records, labels)
    folder = _open_run(request, dataset, selection, labels, table, source)
    folder.add(predictions, range(len(predictions)))
    metrics = folder.finish(predictions, top_n)
    if not config.no_report:
        write_report(FinishedRun(folder.path))
    return Scored(folder.path, metrics)


def _read(request: ScoreRequest, dataset: Dataset, records: Sequence[VideoRecord]) -> ForeignTable:
    """Read the file's predictions, one row per video of the split, and log how they were read."""
    config = request.config
    listed = None if config.classes_file is None else find_classes(str(config.classes_file))
    answers = read_answers(request.file, listed or dataset.classes)
    rows = match_rows(answers, records, dataset.folder)
    aliases = None if config.class_aliases is None else read_aliases(config.class_aliases)
    table = tabulate(
        answers,
        rows,
        len(records),
        listed,
        dataset.classes,
        aliases=aliases,
        kind=request.scores_are,
        pool=request.pool,
    )
    how = "; ".join(
        filter(None, [name_evidence(table.evidence), table.how, table.why, *answers.notes])
    )
    logger.info(
        "%s: predictions of %d of %d videos among %d classes, read as %s",
        request.file,
        int(table.given.sum()),
        len(records),
        len(table.classes),
        how,
    )
    others = align(dataset.classes, table.classes, aliases).unused
    if others and dataset.classes:
        logger.info(
            "%s: %d of its classes are not in the dataset, e.g. %s",
            request.file,
            len(others),
            others[0],
        )
    return table


def _choose_top_n(config: RunConfig, labels: Labels, table: ForeignTable) -> int:
    """Choose the k of the second accuracy.

    Raises:
        ConfigError: There are fewer classes, or the choices of a ranking are to be restricted.
    """
    if labels.choices and not has_scores(table.evidence):
        kind = name_evidence(table.evidence)
        raise ConfigError(f"--restrict_choices needs scores of all classes: the file has {kind}")
    classes = labels.choices or table.classes
    top_n = config.choose_top_n(classes)
    if top_n > len(classes):
        raise ConfigError(f"--top_n is {top_n}, but there are only {len(classes)} classes")
    return top_n


def _fill(
    file: Path,
    table: ForeignTable,
    everything: Sequence[VideoRecord],
    requested: Sequence[VideoRecord],
    labels: Labels,
) -> Predictions:
    """Make the table of the requested videos; those without a prediction are skipped."""
    index_of = {record.video_id: index for index, record in enumerate(everything)}
    indices = np.array([index_of[record.video_id] for record in requested], np.intp)
    pending = Predictions.pending(requested, table.classes, labels.alignment.targets)
    predictions = replace(
        pending,
        scores=table.scores[indices],
        evidence=table.evidence,
        ranked=table.ranked[indices],
        reasons=np.full(len(requested), "", np.object_),
    )
    for row in np.flatnonzero(~table.given[indices]).tolist():
        predictions.set_skip(row, Skip(NO_PREDICTION, f"{file.name} has no row of it"))
    if left_out := int(table.given.sum()) - int(table.given[indices].sum()):
        logger.info("%s: predictions of %d videos that are not requested", file, left_out)
    if unanswered := int(np.count_nonzero(table.ranked[indices][table.given[indices]] == 0)):
        logger.warning("%s names no class for %d videos: they count as wrong", file, unanswered)
    return predictions


def _open_run(
    request: ScoreRequest,
    dataset: Dataset,
    selection: Selection,
    labels: Labels,
    table: ForeignTable,
    source: _Source,
) -> RunFolder:
    config = request.config
    identity = ForeignIdentity(
        model=source.name,
        file=request.file.name,
        sha256=hashlib.sha256(request.file.read_bytes()).hexdigest(),
        dataset=dataset.name,
        split=dataset.split,
        video_ids=tuple(record.video_id for record in selection.records),
        labels=labels.alignment.describe(),
        classes=table.classes,
        choices=labels.choices,
        evidence=table.evidence,
        how=table.how,
    )
    leakage = warn_of_leakage(config, config.model_trained_on, dataset, selection.records)
    context = RunContext(
        signature=identity.signature(),
        views=UNKNOWN,
        num_listed=selection.num_listed,
        labels=MatchedLabels.of(labels.alignment),
        choices=labels.choices,
        leakage=KnownLeakage.of(leakage),
    )
    folder = RunFolder(join(config.results_dir, config.run_name or identity.run_name()), identity)
    places = {"videos": dataset.folder}
    overwrite = config.overwrite_output_dir
    folder.open(request.options, context, selection.unlisted, places, overwrite=overwrite)
    return folder
