"""RunConfig: everything that one evaluation is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbench.config.option_groups import (
    DecodingOptions,
    EngineOptions,
    ModelOptions,
    OutputOptions,
    VideoOptions,
)
from vidbench.config.options import check_options, nearest, options_of
from vidbench.config.protocol import (
    PROTOCOL_OPTIONS,
    ProtocolOptions,
    change,
    find_preset,
    fixed_by,
)
from vidbench.data.datasets.base import (
    DatasetFamily,
    all_dataset_families,
    dataset_families,
    find_dataset_family,
)
from vidbench.data.spec import (
    PRESETS,
    PreprocessSpec,
)
from vidbench.errors import ConfigError
from vidbench.models.base import (
    ModelFamily,
    find_model_family,
    model_families,
)
from vidbench.storage.locations import is_remote, without_password, working_folder
from vidbench.system.runtime import Runtime, require_device
from vidbench.system.validation import require_address

DEFAULT_TOP_N = 5
"""The k of the second accuracy unless another is asked for, if there are so many classes."""

_FOLDERS = ("data_dir", "cache_dir", "results_dir")
_PASSWORD = re.compile(r"//[^/\s@]*@")  # and the user's name


@dataclass(frozen=True, kw_only=True, repr=False)
class RunConfig(
    OutputOptions, EngineOptions, DecodingOptions, ProtocolOptions, VideoOptions, ModelOptions
):
    """Everything that one evaluation is asked for; each field is the option of the same name.

    Folders are paths, or URLs of remote ones such as ``s3://bucket/prefix``.

    Raises:
        ConfigError: A value is out of range, or two options contradict one another.
    """

    def __post_init__(self) -> None:
        check_options(self)
        for name, described in options_of(RunConfig).items():
            value = getattr(self, name)
            if described.is_path and value is not None and not is_remote(value):
                object.__setattr__(self, name, Path(value))
        self._refuse_unknown_names()
        self._refuse_contradictions()
        self._refuse_bad_paths()

    def _refuse_unknown_names(self) -> None:
        for name, families in (("model_type", model_families()), ("dataset", dataset_families())):
            value = getattr(self, name).partition("/")[0]
            if value not in families and not is_module(value):
                raise ConfigError(f"--{name} {nearest(value, families)}")
        require_device(self.device)
        if self.preset is not None:
            self._refuse_unknown_preset(self.preset)

    def _refuse_unknown_preset(self, preset: str) -> None:
        family, slash, _ = preset.partition("/")
        if not slash and preset not in PRESETS:
            raise ConfigError(f"--preset {nearest(preset, list(PRESETS))}")
        if slash and family not in model_families() and not is_module(family):
            raise ConfigError(f"--preset {preset!r}: model {nearest(family, model_families())}")

    def _refuse_contradictions(self) -> None:
        for name, other in (("model_type", "model_trained_on"), ("dataset", "kinetics_version")):
            if "/" in getattr(self, name) and getattr(self, other) is not None:
                raise ConfigError(f"--{other} contradicts --{name} {getattr(self, name)}")
        if self.no_cuda and self.device not in ("auto", "cpu"):
            raise ConfigError(f"--no_cuda contradicts --device {self.device}")
        if self.ray_address is not None and self.num_workers == 0:
            raise ConfigError("--num_workers 0 contradicts --ray_address: decoders are processes")
        if self.num_models is not None and self.ray_address is None:
            raise ConfigError("--num_models needs --ray_address: on one machine there is one model")
        for name, url in self.remote.items():
            if self.ray_address is None:
                raise ConfigError(
                    f"--{name} {without_password(url)} is read and written with Ray alone: add "
                    "--ray_address local, or the address of a cluster"
                )
        self._refuse_unknown_variants()
        for name in ("annotations", "videos_path"):
            if getattr(self, name) is not None and name not in self.dataset_family.options:
                raise ConfigError(f"--dataset {self.dataset} takes no --{name}: drop the option")
        if self.videos_path is not None and "dataset_path" in self.remote:
            raise ConfigError(
                "--videos_path contradicts a list in shared storage, beside its videos"
            )
        if self.restrict_choices and self.classes is None:
            raise ConfigError("--restrict_choices needs --classes: to which classes?")
        if self.preset is not None:
            for name in sorted(fixed_by(self.preset) & self._protocol().keys()):
                raise ConfigError(f"--{name} contradicts --preset {self.preset}, which fixes it")

    def _refuse_unknown_variants(self) -> None:
        """Of a family that lists its variants; any other tells when it is opened."""
        for option, variant, name, find in (
            ("model_trained_on", self.model_trained_on, "model_type", find_model_family),
            ("kinetics_version", self.kinetics_version, "dataset", find_dataset_family),
        ):
            if variant is None:
                continue
            family: ModelFamily | DatasetFamily = find(getattr(self, name))
            if family.variants == ():
                raise ConfigError(f"--{option} contradicts --{name} {family.name}, which has none")
            if family.variants is not None and variant not in family.variants:
                raise ConfigError(f"--{option} {nearest(variant, family.variants)}")

    def _refuse_bad_paths(self) -> None:
        if self.dataset_path is not None and "dataset_path" not in self.remote:
            require_address("dataset_path", self.dataset_path)
            self._refuse_source(self.dataset_path)
        if self.annotations is not None:
            require_address("annotations", self.annotations)

    def _refuse_source(self, source: str) -> None:
        family = self.dataset_family
        if is_remote(source) and not is_module(family.name):
            others = ", ".join(one.name for one in all_dataset_families() if one.read_in_place)
            raise ConfigError(
                f"--dataset_path {without_password(source)}: --dataset {family.name} is fetched "
                f"from http(s) or a folder; only {others} read shared storage"
            )
        family.check_source(source)

    def __repr__(self) -> str:
        options = (f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"RunConfig({', '.join(options)})"

    @property
    def remote(self) -> dict[str, str]:
        """The URLs of remote folders, by option; that of a list of videos names the file."""
        names = [name for name in (*_FOLDERS, "dataset_path") if is_remote(getattr(self, name))]
        if "dataset_path" in names and not self.dataset_family.read_in_place:
            names.remove("dataset_path")  # its dataset may know URLs of its own
        return {name: getattr(self, name) for name in names}

    @property
    def model_name(self) -> str:
        """``family`` or ``family/variant``."""
        return "/".join(filter(None, (self.model_type, self.model_trained_on)))

    @property
    def dataset_name(self) -> str:
        """``family`` or ``family/variant``."""
        return "/".join(filter(None, (self.dataset, self.kinetics_version)))

    @property
    def dataset_family(self) -> DatasetFamily:
        """What the dataset's family is and can; a module of yours is imported for it.

        Raises:
            ConfigError: There is no such family.
        """
        return find_dataset_family(self.dataset)

    @property
    def model_family(self) -> ModelFamily:
        """What the model's family is and can; a module of yours is imported for it.

        Raises:
            ConfigError: There is no such family.
        """
        return find_model_family(self.model_type)

    def choose_top_n(self, classes: Sequence[str]) -> int:
        """The k of the second accuracy: as asked for, or 5, or all where there are fewer classes.

        Args:
            classes: Those that the model may choose from.
        """
        return min(DEFAULT_TOP_N, len(classes)) if self.top_n is None else self.top_n

    @property
    def runtime(self) -> Runtime:
        """On what the model runs, and in which precision."""
        return Runtime(
            precision=self.precision,
            device=self.processor,
            num_threads=self.num_threads,
            cache_dir=working_folder(self.cache_dir),
        )

    @property
    def processor(self) -> str:
        """What the model is to run on: ``auto``, ``cpu``, or a GPU as ``device`` names it."""
        return "cpu" if self.no_cuda else self.device

    @property
    def compression(self) -> str | None:
        """How decoded clips are written: ``zstd``, or None for as they are."""
        return None if self.cache_compression == "none" else self.cache_compression

    def spec(self, default: PreprocessSpec) -> PreprocessSpec:
        """What is done to pixels: the preset or else the model's own, and what goes over it.

        Raises:
            ConfigError: The options contradict one another, or the protocol.
        """
        spec = default if self.preset is None else find_preset(self.preset)
        return change(spec, self._protocol())

    def _protocol(self) -> dict[str, Any]:
        """The options of the protocol that are given."""
        values = {name: getattr(self, name) for name in PROTOCOL_OPTIONS}
        return {name: value for name, value in values.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """The options by name, with paths as text, and without the passwords of addresses."""
        values = {name: _publishable(getattr(self, name)) for name in options_of(RunConfig)}
        return values | {name: without_password(url) for name, url in self.remote.items()}


def _publishable(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return _PASSWORD.sub("//", value) if isinstance(value, str) else value


def is_module(name: str) -> bool:
    """Whether this names somebody's own module: identifiers with dots between them."""
    return "." in name and all(part.isidentifier() for part in name.split("."))
