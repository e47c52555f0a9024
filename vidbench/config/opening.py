"""Open what a run is asked for: its model, its dataset, its loader, its features."""

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
"""Options that mean something to models that take clips, and give probabilities, alone."""


def find_model(config: RunConfig) -> Model:
    """The model, not loaded yet; nothing is read.

    Raises:
        ConfigError: There is no such model, or it takes no such options.
    """
    return load_model(config.model_name, **_model_options(config))


def find_file_model(config: RunConfig) -> FileModel:
    """The model, which reads files of videos itself, not loaded yet; nothing is read.

    Raises:
        ConfigError: There is no such model, or an option has no meaning for it.
    """
    usual = RunConfig()
    for name in _OF_CLIPS:
        if getattr(config, name) != getattr(usual, name):
            raise ConfigError(
                f"--{name} has no meaning for --model_type {config.model_type}, which reads the "
                "files of videos itself: drop the option"
            )
    return load_file_model(config.model_name, **_model_options(config))


def _model_options(config: RunConfig) -> dict[str, Any]:
    option, classes_file = "classes_file", config.classes_file
    if option in config.dataset_family.options and option not in config.model_family.options:
        classes_file = None  # it names the labels of the dataset alone
    return {
        "model_path": config.model_path,
        "classes_file": classes_file,
        "prompts": config.prompts,
    }


def open_model(config: RunConfig) -> Model:
    """The model, not loaded yet, whose weights are found and fit what is asked of them."""
    model = find_model(config)
    model.check(config.spec(model.spec))
    _require_top_n(config, model)
    return model


def open_file_model(config: RunConfig) -> FileModel:
    """The model, which reads files of videos itself, not loaded yet; it is there."""
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
    """The dataset's split; nothing is read or fetched.

    Args:
        config: What is asked for.
        fetch_tarballs: Fetches tarballs when they are wanted.

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
    """The loader of the dataset's videos, by the protocol that was asked for."""
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
    """The loader of one of a cluster's processes, which decodes one video at a time.

    Args:
        config: What is asked for, with absolute paths.
        spec: What is done to pixels.
        embedding: Digest of what decides the features of clips; None for a model without.
        own_hashes: Keep hashes of video files on this machine alone, because SQLite is not made
            for folders that machines share.
    """
    return _open_loader(
        config,
        open_dataset(config),
        spec,
        num_workers=1,
        features=open_feature_cache(config, embedding) if embedding else None,
        hashes=own_folder(config.cache_dir) / "files.sqlite" if own_hashes else None,
        sweep=False,  # after each shard; the driver does it, once
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
    """Where the model keeps what it makes of clips; None where its classes are fixed."""
    if config.model_family.input != FEATURES:
        return None
    digest = as_embedding_model(model).embedding_digest(config.precision)
    return open_feature_cache(config, digest)


def open_feature_cache(config: RunConfig, embedding: str) -> FeatureCache:
    """Where features are kept that are made as this digest says."""
    return FeatureCache(config.cache_dir, embedding)


def cache_policy(config: RunConfig) -> CachePolicy:
    """Which entries of the cache are made again."""
    return CachePolicy(config.overwrite_cache, config.retry_skipped, config.truncated == "score")
