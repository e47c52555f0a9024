"""Reject options of a run that name something unknown or contradict one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidbench.config.options import nearest
from vidbench.config.protocol import fixed_by
from vidbench.data.datasets.base import (
    DatasetFamily,
    all_dataset_families,
    dataset_families,
    find_dataset_family,
)
from vidbench.data.spec import PRESETS
from vidbench.errors import ConfigError
from vidbench.models.base import ModelFamily, find_model_family, model_families
from vidbench.storage.locations import is_remote, without_password
from vidbench.system.plugins import is_module
from vidbench.system.runtime import require_device
from vidbench.system.validation import require_address

if TYPE_CHECKING:
    from vidbench.config.run_config import RunConfig


def refuse_contradictions(config: RunConfig) -> None:
    """Raise ConfigError if an option names something unknown, or contradicts another."""
    _refuse_unknown_names(config)
    _refuse_machines(config)
    _refuse_variants(config)
    _refuse_dataset_options(config)
    _refuse_fixed_protocol(config)
    _refuse_bad_paths(config)


def _refuse_unknown_names(config: RunConfig) -> None:
    for name, families in (("model_type", model_families()), ("dataset", dataset_families())):
        value = getattr(config, name).partition("/")[0]
        if value not in families and not is_module(value):
            raise ConfigError(f"--{name} {nearest(value, families)}")
    require_device(config.device)
    if config.preset is not None:
        _refuse_unknown_preset(config.preset)


def _refuse_unknown_preset(preset: str) -> None:
    family, slash, _ = preset.partition("/")
    if not slash and preset not in PRESETS:
        raise ConfigError(f"--preset {nearest(preset, list(PRESETS))}")
    if slash and family not in model_families() and not is_module(family):
        raise ConfigError(f"--preset {preset!r}: model {nearest(family, model_families())}")


def _refuse_machines(config: RunConfig) -> None:
    """Check options about devices, processes and clusters."""
    if config.no_cuda and config.device not in ("auto", "cpu"):
        raise ConfigError(f"--no_cuda contradicts --device {config.device}")
    if config.ray_address is not None and config.num_workers == 0:
        raise ConfigError("--num_workers 0 contradicts --ray_address: decoders are processes")
    if config.num_models is not None and config.ray_address is None:
        raise ConfigError("--num_models needs --ray_address: on one machine there is one model")
    for name, url in config.remote.items() if config.ray_address is None else ():
        raise ConfigError(
            f"--{name} {without_password(url, keep_name=True)} needs Ray: add --ray_address "
            "local, or the address of a cluster"
        )


def _refuse_dataset_options(config: RunConfig) -> None:
    """Check options that the dataset does not take, or that need another option."""
    for name in ("annotations", "videos_path"):
        if getattr(config, name) is not None and name not in config.dataset_family.options:
            raise ConfigError(f"--dataset {config.dataset} takes no --{name}: omit the option")
    if config.videos_path is not None and "dataset_path" in config.remote:
        raise ConfigError(
            "--videos_path contradicts a list in shared storage: put it beside its videos"
        )
    if config.restrict_choices and config.classes is None:
        raise ConfigError("--restrict_choices needs --classes: name the classes to choose from")


def _refuse_fixed_protocol(config: RunConfig) -> None:
    """Check options that the preset fixes."""
    if config.preset is not None:
        for name in sorted(fixed_by(config.preset) & config.protocol().keys()):
            raise ConfigError(f"--{name} contradicts --preset {config.preset}, which fixes it")


def _refuse_variants(config: RunConfig) -> None:
    """Check that a variant is given once, and is one of those that the family lists."""
    for option, variant, name, find in (
        ("model_trained_on", config.model_trained_on, "model_type", find_model_family),
        ("kinetics_version", config.kinetics_version, "dataset", find_dataset_family),
    ):
        if variant is None:
            continue
        if "/" in getattr(config, name):
            raise ConfigError(f"--{option} contradicts --{name} {getattr(config, name)}")
        family: ModelFamily | DatasetFamily = find(getattr(config, name))
        if family.variants == ():
            raise ConfigError(f"--{option} contradicts --{name} {family.name}, which has none")
        if family.variants is not None and variant not in family.variants:
            raise ConfigError(f"--{option} {nearest(variant, family.variants)}")


def _refuse_bad_paths(config: RunConfig) -> None:
    if config.dataset_path is not None and "dataset_path" not in config.remote:
        require_address("dataset_path", config.dataset_path)
        _refuse_source(config, config.dataset_path)
    if config.annotations is not None:
        require_address("annotations", config.annotations)


def _refuse_source(config: RunConfig, source: str) -> None:
    family = config.dataset_family
    if is_remote(source) and not is_module(family.name):
        families = all_dataset_families()
        others = ", ".join(other.name for other in families if other.read_in_place)
        raise ConfigError(
            f"--dataset_path {without_password(source, keep_name=True)}: --dataset {family.name} "
            f"is fetched from http(s) or a folder; only {others} read shared storage"
        )
    family.check_source(source)
