"""Open what a run is asked for: its model, its loader, its features."""

from __future__ import annotations

from vidbench.config.run_config import RunConfig
from vidbench.data.clips.features import FeatureCache
from vidbench.data.fetch.tarballs import FetchTarballs, fetch_tarballs
from vidbench.data.loader import VideoLoader
from vidbench.errors import ConfigError
from vidbench.models.base import Model


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
