"""Choose the scorer of a run by what its model takes: clips, features or files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from vidbench.config.opening import (
    find_file_model,
    find_model,
    open_dataset,
    open_feature_cache,
    open_file_model,
    open_loader,
    open_model,
    open_worker_loader,
)
from vidbench.config.places import videos_location
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import Dataset
from vidbench.data.fetch.tarballs import FetchTarballs
from vidbench.data.spec import PreprocessSpec
from vidbench.engines.clip_scorers import ClipScorer, FeatureScorer
from vidbench.engines.file_scorer import FileScorer
from vidbench.engines.scoring import Scorer
from vidbench.errors import ConfigError
from vidbench.models.base import (
    CLIPS,
    FEATURES,
    FILES,
    AnyModel,
    Classifier,
    EmbeddingClassifier,
    FileClassifier,
    FileModel,
    Model,
    as_embedding_model,
)
from vidbench.storage.store import open_store
from vidbench.system.runtime import Runtime


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker of a cluster needs to know of a run.

    Attributes:
        config: Options of the run, with absolute paths.
        own_hashes: Whether each node keeps its own hashes of video files, because SQLite does not
            support folders that machines share.
        weights: Digest of the model on the driver.
        classes: Classes of the model.
        threads: Processor threads of the model; None for one a core.
        open: Opens the scorer.
    """

    config: RunConfig
    own_hashes: bool
    weights: str
    classes: tuple[str, ...]
    threads: int | None
    open: Callable[[WorkerSetup], Scorer]

    @property
    def runtime(self) -> Runtime:
        """Runtime of a model of the cluster."""
        return replace(self.config.runtime, num_threads=self.threads)

    def open_scorer(self) -> Scorer:
        """The scorer of one process of the cluster; it finds its model on loading."""
        return self.open(self)


class CheckedModel(NamedTuple):
    """A model that fits the options, and functions that open its scorer.

    Attributes:
        model: The model, not loaded yet.
        open_scorer: Opens the scorer of this machine; takes a function that fetches tarballs.
        open_worker: Opens the scorer of a process of a cluster, which finds the model again; can
            be pickled.
    """

    model: AnyModel
    open_scorer: Callable[[FetchTarballs], Scorer]
    open_worker: Callable[[WorkerSetup], Scorer]


def check_model(config: RunConfig) -> CheckedModel:
    """Find the model, check it against the options, and choose the scorer for its input.

    Raises:
        ConfigError: The model does not fit the options.
        ModelError: Its weights cannot be found.
    """
    return _BY_INPUT[config.model_family.input](config)


def _of_clips(config: RunConfig) -> CheckedModel:
    model = open_model(config)
    spec = config.spec(model.spec)
    return CheckedModel(
        model, partial(_clip_scorer, config, model), partial(_clip_worker, spec=spec)
    )


def _clip_scorer(config: RunConfig, model: Model, fetch_tarballs: FetchTarballs) -> Scorer:
    loader = open_loader(config, model, fetch_tarballs)
    load = partial(model.load, config.runtime)
    return ClipScorer(loader, model.classes, load)


def _clip_worker(setup: WorkerSetup, spec: PreprocessSpec) -> Scorer:
    loader = open_worker_loader(setup.config, spec, None, own_hashes=setup.own_hashes)
    return ClipScorer(loader, setup.classes, partial(_load_again, setup, spec))


def _load_again(setup: WorkerSetup, spec: PreprocessSpec) -> Classifier:
    return _find_again(setup, spec).load(setup.runtime)


def _of_features(config: RunConfig) -> CheckedModel:
    model = open_model(config)
    spec = config.spec(model.spec)
    embedding = as_embedding_model(model).embedding_digest(config.precision)
    return CheckedModel(
        model,
        partial(_feature_scorer, config, model, embedding),
        partial(_feature_worker, spec=spec, embedding=embedding),
    )


def _feature_scorer(
    config: RunConfig, model: Model, embedding: str, fetch_tarballs: FetchTarballs
) -> Scorer:
    return FeatureScorer(
        open_loader(config, model, fetch_tarballs),
        model.classes,
        partial(as_embedding_model(model).load, config.runtime),
        open_feature_cache(config, embedding),
    )


def _feature_worker(setup: WorkerSetup, spec: PreprocessSpec, embedding: str) -> Scorer:
    return FeatureScorer(
        open_worker_loader(setup.config, spec, embedding, own_hashes=setup.own_hashes),
        setup.classes,
        partial(_load_embedding_again, setup, spec),
        open_feature_cache(setup.config, embedding),
    )


def _load_embedding_again(setup: WorkerSetup, spec: PreprocessSpec) -> EmbeddingClassifier:
    model = as_embedding_model(_find_again(setup, spec))
    return model.load(setup.runtime)


def _of_files(config: RunConfig) -> CheckedModel:
    model = open_file_model(config)
    return CheckedModel(model, partial(_open_file_scorer, config, model), _file_worker)


def _open_file_scorer(config: RunConfig, model: FileModel, fetch_tarballs: FetchTarballs) -> Scorer:
    return _file_scorer(config, open_dataset(config, fetch_tarballs), model.classes, model.load)


def _file_worker(setup: WorkerSetup) -> Scorer:
    load = partial(_load_file_model_again, setup)
    return _file_scorer(setup.config, open_dataset(setup.config), setup.classes, load)


def _file_scorer(
    config: RunConfig,
    dataset: Dataset,
    classes: tuple[str, ...],
    load: Callable[[], FileClassifier],
) -> Scorer:
    videos = open_store(videos_location(config, dataset))
    return FileScorer(
        dataset,
        classes,
        load,
        evidence=config.model_family.evidence,
        local_copy=videos.local_copy,
        seconds=config.decode_timeout,
        retry_skipped=config.retry_skipped,
    )


def _load_file_model_again(setup: WorkerSetup) -> FileClassifier:
    model = find_file_model(setup.config)
    model.check()
    _require_same(setup, model)
    return model.load()


def _find_again(setup: WorkerSetup, spec: PreprocessSpec) -> Model:
    model = find_model(setup.config)
    model.check(spec)
    _require_same(setup, model)
    return model


def _require_same(setup: WorkerSetup, model: AnyModel) -> None:
    """Raise ConfigError if this node has another model than the driver."""
    if model.digest() != setup.weights:
        raise ConfigError(
            f"--model_path: {os.uname().nodename} has other weights ({model.digest()}) than "
            f"the driver ({setup.weights}): name a folder that all nodes share"
        )


_BY_INPUT = {CLIPS: _of_clips, FEATURES: _of_features, FILES: _of_files}
