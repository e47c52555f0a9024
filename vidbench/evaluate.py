"""The table of contents: fetch, decode, cache, predict, score, in this order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.data.datasets.base import Dataset
from vidbench.data.features import FeatureCache
from vidbench.data.load import VideoLoader
from vidbench.data.records import Selection, VideoRecord
from vidbench.data.shared import SharedFolder
from vidbench.data.tarballs import FetchTarballs, fetch_tarballs
from vidbench.engine import Engine, OneMachine, Work
from vidbench.errors import ConfigError
from vidbench.finished_run import FinishedRun
from vidbench.identity import RunIdentity
from vidbench.label_matching import Labels, match_labels
from vidbench.leakage import Leakage, check_leakage
from vidbench.machine import default_batch_size
from vidbench.models.base import Model
from vidbench.pooling import fewer_views
from vidbench.predict import unfinished_batches
from vidbench.predictions import Predictions
from vidbench.report import write_report
from vidbench.run_config import RunConfig
from vidbench.run_folder import RunFolder
from vidbench.stopwatch import Stopwatch
from vidbench.summary import Facts

logger = logging.getLogger(__name__)


class Evaluation(NamedTuple):
    """What came of a run.

    Attributes:
        folder: Where it lies.
        metrics: The content of ``metrics.json``.
        seconds: By stage, one after another.
        beside: By stage, what workers did meanwhile, in all of them together.
    """

    folder: Path
    metrics: dict[str, Any]
    seconds: Mapping[str, float]
    beside: Mapping[str, float]


def evaluate(config: RunConfig, stopwatch: Stopwatch | None = None) -> Evaluation:
    """The accuracies of one model on one split, with everything kept in the run's folder.

    A run that was stopped goes on; one that is finished is only scored again.

    Args:
        config: What is asked for.
        stopwatch: Goes on counting with this one.

    Raises:
        ConfigError: The request contradicts itself, the model or the dataset; nothing was done.
        VidbenchError: Something could not be fetched, read or loaded.
    """
    stopwatch = stopwatch or Stopwatch()
    with stopwatch("check"):
        model = open_model(config)
    with open_engine(config) as engine:
        return _evaluate(config, model, engine, stopwatch)


@contextmanager
def open_engine(config: RunConfig) -> Iterator[Engine]:
    """What does the work: this machine, or the cluster that is asked for, while it is needed.

    Raises:
        ConfigError: There is no such cluster, or Ray is not installed.
    """
    if config.ray_address is None:
        yield OneMachine()
        return
    from vidbench.cluster import RayCluster, connect

    with connect(config.ray_address, verbose=config.verbose_logging) as nodes:
        yield RayCluster(config, nodes)


def _evaluate(config: RunConfig, model: Model, engine: Engine, stopwatch: Stopwatch) -> Evaluation:
    with stopwatch("check"):
        loader = open_loader(config, model, engine.fetch_tarballs)
        engine.bring_lists(loader.dataset)
        labels = match_labels(config, model, loader.dataset)
    with stopwatch("fetch"):
        selection = loader.select(config.num_videos, labels.classes if config.classes else None)
    _refuse_shared_frames(config, loader.dataset, selection.records)
    warn_of_few_classes(selection.records, labels)
    with stopwatch("open"):
        folder = open_run(config, model, loader, selection, labels)
        predictions = folder.load(
            Predictions.pending(
                selection.records,
                model.classes,
                labels.alignment.targets,
                fewer_views(loader.spec),
            )
        )
        batch_size = config.batch_size or default_batch_size(loader.spec.views_bytes)
        skip_stands = partial(engine.skip_stands, loader)
        batches = unfinished_batches(predictions, selection.records, skip_stands, batch_size)
    beside: Mapping[str, float] = {}
    if batches:
        videos = sum(map(len, batches))
        logger.info("%s: %d of %d videos to predict", folder.path, videos, len(predictions))
        records = selection.records
        work = Work(config, model, loader, records, predictions, batches, folder, stopwatch)
        beside, facts = engine.predict(work)
        folder.add_session(videos, stopwatch.seconds, beside, facts)
    else:
        logger.info("%s is finished: its predictions are scored again", folder.path)
    with stopwatch("score"):
        metrics = folder.finish(predictions, config.choose_top_n(labels.choices or model.classes))
    if not config.no_report:
        with stopwatch("report"):
            write_report(FinishedRun(folder.path, config.shared_places(loader.dataset.folder)))
            folder.publish("report.html")
            folder.publish("thumbnails.zip")
    return Evaluation(folder.path, metrics, stopwatch.seconds, beside)


def _refuse_shared_frames(
    config: RunConfig, dataset: Dataset, records: Sequence[VideoRecord]
) -> None:
    """Refuses folders of frames behind a URL: videos are brought from there file by file."""
    shared = isinstance(config.place_of(dataset.folder), SharedFolder)
    if shared and any(record.frames is not None for record in records):
        raise ConfigError(
            f"{dataset.name} has folders of frames, which are not read from shared storage: name "
            "a folder that all machines see, or make each of them a video"
        )


def open_model(config: RunConfig) -> Model:
    """The model, not loaded yet, whose weights are found and fit what is asked of them."""
    model = config.open_model()
    model.check(config.spec(model.spec))
    if config.top_n is not None and config.top_n > len(model.classes):
        raise ConfigError(
            f"top_n is {config.top_n}, but the model has only {len(model.classes)} classes"
        )
    return model


def open_loader(
    config: RunConfig, model: Model, fetch_tarballs: FetchTarballs = fetch_tarballs
) -> VideoLoader:
    """The loader of the dataset's videos, by the protocol that was asked for."""
    return VideoLoader(
        config.open_dataset(fetch_tarballs),
        config.spec(model.spec),
        cache_dir=config.cache_dir,
        num_workers=config.num_workers,
        compression=config.compression,
        policy=config.cache_policy,
        timeout_seconds=config.decode_timeout,
        features=open_features(config, model),
    )


def open_features(config: RunConfig, model: Model) -> FeatureCache | None:
    """Where the model keeps what it makes of clips; None where its classes are fixed."""
    digest = getattr(model, "embedding_digest", None)
    return FeatureCache(config.cache_dir, digest(config.precision)) if digest else None


def open_run(
    config: RunConfig, model: Model, loader: VideoLoader, selection: Selection, labels: Labels
) -> RunFolder:
    """The run's folder, new or as an earlier session left it."""
    identity = RunIdentity(
        model=model.name,
        weights=model.digest(),
        dataset=loader.dataset.name,
        split=loader.dataset.split,
        spec=loader.spec,
        video_ids=tuple(record.video_id for record in selection.records),
        precision=config.precision,
        labels=labels.alignment.describe(),
        choices=labels.choices,
        truncated=config.truncated,
        frames=tuple(record.frames for record in selection.records if record.frames),
    )
    leakage = warn_of_leakage(config, model.trained_on, loader.dataset, selection.records)
    facts = Facts(
        signature=identity.signature(),
        views=loader.spec.views_name,
        num_listed=selection.num_listed,
        labels=labels.alignment.as_dict(),
        choices=labels.choices,
        leakage=leakage.as_dict(),
    )
    path = config.results_dir / (config.run_name or identity.run_name())
    folder = RunFolder(path, identity, config.place("results_dir"))
    places = {
        name: place.address(place.local) if isinstance(place, SharedFolder) else place.local
        for name, place in (
            ("videos", config.place_of(loader.dataset.folder)),
            ("cache", config.place("cache_dir")),
        )
    }
    overwrite = config.overwrite_output_dir
    folder.open(config.as_dict(), facts, selection.unlisted, places, overwrite=overwrite)
    return folder


def warn_of_leakage(
    config: RunConfig, trained_on: str | None, dataset: Dataset, records: Sequence[VideoRecord]
) -> Leakage:
    """What is known of videos that the model was trained on; a warning says it."""
    leakage = check_leakage(
        trained_on,
        dataset.name,
        dataset.split,
        [record.group for record in records],
        config.data_dir,
        config.dataset_path,
        config.training_list,
    )
    if leakage.warning:
        logger.warning("%s", leakage.warning)
    return leakage


def warn_of_few_classes(records: Sequence[VideoRecord], labels: Labels) -> None:
    """Warn where the requested videos are of less than half of the classes."""
    found = {record.label for record in records if record.label is not None}
    if found and 2 * len(found) < len(labels.classes):
        logger.warning(
            "the %d requested videos cover %d of the %d classes: the accuracy is not that of "
            "the whole split",
            len(records),
            len(found),
            len(labels.classes),
        )
