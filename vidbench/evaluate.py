"""Run an evaluation: fetch, decode, cache, predict and score, in this order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vidbench.config.label_matching import Labels, match_labels
from vidbench.config.places import require_files, sync_lists, videos_location
from vidbench.config.run_config import RunConfig
from vidbench.config.scope import warn_of_few_classes, warn_of_leakage
from vidbench.data.records import Selection
from vidbench.engines.base import Engine, Workload
from vidbench.engines.one_machine import OneMachine
from vidbench.engines.open_scorer import CheckedModel, check_model
from vidbench.engines.scoring import Scorer, unfinished_batches
from vidbench.models.base import AnyModel
from vidbench.report import write_report
from vidbench.runs.context import KnownLeakage, MatchedLabels, RunContext
from vidbench.runs.evidence import settle_evidence
from vidbench.runs.finished import FinishedRun
from vidbench.runs.folder import RunFolder
from vidbench.runs.identity import RunIdentity
from vidbench.runs.metrics_record import Metrics
from vidbench.runs.predictions import Predictions
from vidbench.storage.locations import join
from vidbench.system.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


class Evaluation(NamedTuple):
    """Result of an evaluation.

    Attributes:
        folder: Folder of the run.
        metrics: Metrics of the run; as a mapping, the content of ``metrics.json``.
        seconds: Time by stage, one after another.
        beside: Time by stage in other threads and processes, summed over all of them.
    """

    folder: Path
    metrics: Metrics
    seconds: Mapping[str, float]
    beside: Mapping[str, float]


def evaluate(config: RunConfig, stopwatch: Stopwatch | None = None) -> Evaluation:
    """Evaluate a model on a split of a dataset, and write everything to the run's folder.

    An interrupted run is resumed; a finished one is only scored again.

    Args:
        config: Options of the run.
        stopwatch: Continues with this stopwatch; None for a new one.

    Raises:
        ConfigError: The options contradict each other, the model or the dataset; no work was done.
        VidbenchError: Something could not be fetched, read or loaded.
    """
    stopwatch = stopwatch or Stopwatch()
    with stopwatch("check"):
        checked = check_model(config)
    with open_engine(config) as engine:
        return _evaluate(config, checked, engine, stopwatch)


@contextmanager
def open_engine(config: RunConfig) -> Iterator[Engine]:
    """Context with the engine of a run: this machine, or the requested cluster.

    Raises:
        ConfigError: There is no such cluster, or Ray is not installed.
    """
    if config.ray_address is None:
        yield OneMachine()
        return
    from vidbench.engines.cluster import RayCluster, connect

    with connect(config.ray_address, verbose=config.verbose_logging) as nodes:
        yield RayCluster(config, nodes)


def _evaluate(
    config: RunConfig, checked: CheckedModel, engine: Engine, stopwatch: Stopwatch
) -> Evaluation:
    model = checked.model
    with stopwatch("check"):
        scorer = checked.open_scorer(engine.fetch_tarballs)
        dataset = scorer.dataset
        sync_lists(config, dataset)
        labels = match_labels(config, model, dataset)
    with stopwatch("fetch"):
        classes = labels.classes if config.classes else None
        selection = dataset.fetch(config.num_videos, classes)
    scorer.check(selection.records)
    require_files(config, dataset, selection.records)
    warn_of_few_classes(selection.records, labels)
    with stopwatch("open"):
        folder = open_run(config, model, scorer, selection, labels)
        predictions = folder.load(
            Predictions.pending(
                selection.records,
                model.classes,
                labels.alignment.targets,
                scorer.fewer_views,
                scorer.evidence,
            )
        )
        batch_size = config.batch_size or scorer.batch_size
        skip_is_final = partial(engine.skip_is_final, scorer)
        batches = unfinished_batches(predictions, selection.records, skip_is_final, batch_size)
    beside: Mapping[str, float] = {}
    if batches:
        videos = sum(map(len, batches))
        logger.info("%s: %d of %d videos to predict", folder.path, videos, len(predictions))
        records = selection.records
        work = Workload(checked, scorer, records, predictions, batches, folder, stopwatch)
        beside, numbers = engine.predict(work)
        folder.add_session(videos, stopwatch.seconds, beside, numbers)
    else:
        logger.info("%s is finished: its predictions are scored again", folder.path)
    predictions = settle_evidence(predictions)
    with stopwatch("score"):
        metrics = folder.finish(predictions, config.choose_top_n(labels.choices or model.classes))
    if not config.no_report:
        with stopwatch("report"):
            location = videos_location(config, dataset)
            write_report(FinishedRun(folder.path, location, config.cache_dir))
            folder.upload("report.html")
            folder.upload("thumbnails.zip")
    return Evaluation(folder.path, metrics, stopwatch.seconds, beside)


def open_run(
    config: RunConfig, model: AnyModel, scorer: Scorer, selection: Selection, labels: Labels
) -> RunFolder:
    """Create or continue the run's folder."""
    dataset = scorer.dataset
    identity = RunIdentity(
        model=model.name,
        weights=model.digest(),
        dataset=dataset.name,
        split=dataset.split,
        spec=scorer.spec,
        video_ids=tuple(record.video_id for record in selection.records),
        precision=config.precision,
        labels=labels.alignment.describe(),
        choices=labels.choices,
        truncated=config.truncated,
        frames=tuple(record.frames for record in selection.records if record.frames),
    )
    leakage = warn_of_leakage(config, model.trained_on, dataset, selection.records)
    context = RunContext(
        signature=identity.signature(),
        views=identity.views,
        num_listed=selection.num_listed,
        labels=MatchedLabels.of(labels.alignment),
        choices=labels.choices,
        leakage=KnownLeakage.of(leakage),
    )
    location = join(config.results_dir, config.run_name or identity.run_name())
    folder = RunFolder(location, identity)
    places = {"videos": videos_location(config, dataset), "cache": config.cache_dir}
    overwrite = config.overwrite_output_dir
    folder.open(config.as_dict(), context, selection.unlisted, places, overwrite=overwrite)
    return folder
