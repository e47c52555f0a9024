"""The table of contents: fetch, decode, cache, predict, score, in this order."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.arguments import RunConfig
from vidbench.data.clips import CachePolicy
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.load import VideoLoader
from vidbench.data.records import Selection, VideoRecord
from vidbench.errors import ConfigError
from vidbench.identity import RunIdentity
from vidbench.labels import require_known_labels
from vidbench.machine import default_batch_size
from vidbench.models.base import GRAPH_FOLDER, Model, load_model
from vidbench.predict import predict, unfinished_batches
from vidbench.run_folder import RunFolder
from vidbench.stopwatch import Stopwatch

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
        loader = open_loader(config, model)
    with stopwatch("fetch"):
        selection = loader.select(config.num_videos)
    _warn_of_few_classes(selection.records, loader.dataset)
    with stopwatch("open"):
        folder = open_run(config, model, loader, selection)
        predictions = folder.load(selection.records, model.classes)
        batch_size = config.batch_size or default_batch_size(loader.spec.clip_bytes)
        batches = unfinished_batches(predictions, selection.records, loader, batch_size)
    if batches:
        videos = sum(map(len, batches))
        logger.info("%s: %d of %d videos to predict", folder.path, videos, len(predictions))
        load = partial(
            model.load,
            precision=config.precision,
            use_gpu=not config.no_cuda,
            graph_dir=config.cache_dir / GRAPH_FOLDER,
        )
        predict(load, loader, selection.records, predictions, batches, folder, stopwatch)
        folder.add_session(videos, stopwatch.seconds, loader.work)
    else:
        logger.info("%s is finished: its predictions are scored again", folder.path)
    with stopwatch("score"):
        metrics = folder.finish(predictions, config.top_n)
    return Evaluation(folder.path, metrics, stopwatch.seconds, loader.work)


def open_model(config: RunConfig) -> Model:
    """The model, not loaded yet, whose weights are found and fit what is asked of them."""
    model = load_model(
        config.model_name, model_path=config.model_path, classes_file=config.classes_file
    )
    model.check(config.spec(model.spec))
    if config.top_n > len(model.classes):
        raise ConfigError(
            f"top_n is {config.top_n}, but the model has only {len(model.classes)} classes"
        )
    return model


def open_loader(config: RunConfig, model: Model) -> VideoLoader:
    """The loader of the dataset's videos, whose labels the model knows."""
    dataset = load_dataset(
        config.dataset_name,
        config.kinetics_split,
        data_dir=config.data_dir,
        root_url=config.kinetics_root_url,
        seed=config.seed,
        num_tarballs=config.num_tarballs,
    )
    require_known_labels(model.classes, dataset.classes)
    return VideoLoader(
        dataset,
        config.spec(model.spec),
        cache_dir=config.cache_dir,
        num_workers=config.num_workers,
        compression=config.compression,
        policy=CachePolicy(config.overwrite_cache, config.retry_skipped),
    )


def open_run(
    config: RunConfig, model: Model, loader: VideoLoader, selection: Selection
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
    )
    folder = RunFolder(config.results_dir / (config.run_name or identity.run_name()), identity)
    folder.open(config.as_dict(), selection.unlisted, overwrite=config.overwrite_output_dir)
    return folder


def _warn_of_few_classes(records: Sequence[VideoRecord], dataset: Dataset) -> None:
    labels = {record.label for record in records if record.label is not None}
    if labels and 2 * len(labels) < len(dataset.classes):
        logger.warning(
            "the %d requested videos cover %d of the %d classes: the accuracy is not that of "
            "the whole split",
            len(records),
            len(labels),
            len(dataset.classes),
        )
