"""Open the model, dataset, loader and features that a run's options name."""

from __future__ import annotations

from typing import Any

from vidbench.config.places import dataset_source, videos_location
from vidbench.config.protocol import PROTOCOL_OPTIONS
from vidbench.config.run_config import RunConfig
from vidbench.data.clips.features import FeatureCache
from vidbench.data.clips.source import CachePolicy
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.fetch.tarballs import FetchTarballs, fetch_and_list
from vidbench.data.loader import VideoLoader
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models.base import (
    FEATURES,
    AnyModel,
    FileModel,
    Model,
    as_embedding_model,
    load_file_model,
    load_model,
)
from vidbench.storage.locations import own_folder, working_folder

_OF_CLIPS = (
    *PROTOCOL_OPTIONS,
    *("preset", "precision", "device", "no_cuda", "num_threads", "num_workers", "truncated"),
    *("cache_compression", "overwrite_cache", "restrict_choices"),
)
"""Options that apply only to models that take clips and give probabilities."""


def find_model(config: RunConfig) -> Model:
    """Find the model without loading it; does no I/O.

    Raises:
        ConfigError: There is no such model, or it does not take the options.
    """
    return load_model(config.model_name, **_model_options(config))


def find_file_model(config: RunConfig) -> FileModel:
    """Find a model that reads video files itself, without loading it; does no I/O.

    Raises:
        ConfigError: There is no such model, or an option does not apply to it.
    """
    defaults = RunConfig()
    for name in _OF_CLIPS:
        if getattr(config, name) != getattr(defaults, name):
            raise ConfigError(
                f"--{name} does not apply to --model_type {config.model_type}, which reads "
                "video files itself: omit the option"
            )
    return load_file_model(config.model_name, **_model_options(config))


def _model_options(config: RunConfig) -> dict[str, Any]:
    option, classes_file = "classes_file", config.classes_file
    if option in config.dataset_family.options and option not in config.model_family.options:
        classes_file = None  # the option is for the labels of the dataset only
    return {
        "model_path": config.model_path,
        "classes_file": classes_file,
        "prompts": config.prompts,
    }


def open_model(config: RunConfig) -> Model:
    """Find the model and check that its weights fit the options, without loading it."""
    model = find_model(config)
    model.check(config.spec(model.spec))
    _require_top_n(config, model)
    return model


def open_file_model(config: RunConfig) -> FileModel:
    """Find a model that reads video files itself and check that it exists, without loading it."""
    model = find_file_model(config)
    model.check()
    _require_top_n(config, model)
    return model


def _require_top_n(config: RunConfig, model: AnyModel) -> None:
    if config.top_n is not None and config.top_n > len(model.classes):
        raise ConfigError(
            f"top_n is {config.top_n}, but the model has only {len(model.classes)} classes"
        )


def open_dataset(config: RunConfig, fetch_tarballs: FetchTarballs = fetch_and_list) -> Dataset:
    """Open the dataset's split; does no I/O.

    Args:
        config: Options of the run.
        fetch_tarballs: Fetches tarballs when they are needed.

    Raises:
        ConfigError: There is no such dataset or split.
    """
    takes_list = "classes_file" in config.dataset_family.options
    return load_dataset(
        config.dataset_name,
        config.split,
        data_dir=working_folder(config.data_dir),
        root_url=dataset_source(config),
        seed=config.seed,
        num_tarballs=config.num_tarballs,
        annotations=config.annotations,
        frames_fps=config.frames_fps,
        videos_path=config.videos_path,
        classes_file=config.classes_file if takes_list else None,
        fetch_tarballs=fetch_tarballs,
    )


def open_loader(
    config: RunConfig, model: Model, fetch_tarballs: FetchTarballs = fetch_and_list
) -> VideoLoader:
    """Open the loader of the dataset's videos with the requested protocol."""
    return _open_loader(
        config,
        open_dataset(config, fetch_tarballs),
        config.spec(model.spec),
        num_workers=config.num_workers,
        features=open_features(config, model),
    )


def open_worker_loader(
    config: RunConfig, spec: PreprocessSpec, embedding: str | None, *, own_hashes: bool
) -> VideoLoader:
    """Open the loader of one process of a cluster, which decodes one video at a time.

    Args:
        config: Options of the run, with absolute paths.
        spec: Preprocessing of clips.
        embedding: Digest that decides the features of clips; None for a model without features.
        own_hashes: Keep hashes of video files on this machine only, because SQLite does not
            support folders that machines share.
    """
    return _open_loader(
        config,
        open_dataset(config),
        spec,
        num_workers=1,
        features=open_feature_cache(config, embedding) if embedding else None,
        hashes=own_folder(config.cache_dir) / "files.sqlite" if own_hashes else None,
        sweep=False,  # not after each shard: the driver does it once
    )


def _open_loader(
    config: RunConfig, dataset: Dataset, spec: PreprocessSpec, **others: Any
) -> VideoLoader:
    return VideoLoader(
        dataset,
        spec,
        videos=videos_location(config, dataset),
        cache_dir=config.cache_dir,
        compression=config.compression,
        policy=cache_policy(config),
        timeout_seconds=config.decode_timeout,
        **others,
    )


def open_features(config: RunConfig, model: Model) -> FeatureCache | None:
    """Open the model's cache of features; None if the model has no features."""
    if config.model_family.input != FEATURES:
        return None
    digest = as_embedding_model(model).embedding_digest(config.precision)
    return open_feature_cache(config, digest)


def open_feature_cache(config: RunConfig, embedding: str) -> FeatureCache:
    """Open the cache of features with this digest."""
    return FeatureCache(config.cache_dir, embedding)


def cache_policy(config: RunConfig) -> CachePolicy:
    """Which cache entries are replaced."""
    return CachePolicy(config.overwrite_cache, config.retry_skipped, config.truncated == "score")
