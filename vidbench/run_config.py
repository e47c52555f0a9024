"""RunConfig: everything that one evaluation is asked for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vidbench.checks import require_address, require_file, require_number, require_text
from vidbench.data.cache import COMPRESSIONS
from vidbench.data.datasets._releases import RELEASES
from vidbench.data.datasets.base import Dataset, dataset_families, load_dataset
from vidbench.data.fetch import require_source
from vidbench.data.load import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR
from vidbench.data.pool import DEFAULT_TIMEOUT_SECONDS
from vidbench.data.spec import PRESETS, RESIZE_TYPES, SAMPLINGS, TOO_SHORT, PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.labels import list_names
from vidbench.models.base import PRECISIONS, Model, load_model, model_families, require_device
from vidbench.protocol import PROTOCOL_OPTIONS, change, find_preset, fixed_by

_RANGES: dict[str, tuple[float, float]] = {  # far beyond what anybody could mean
    "batch_size": (1, 100_000),
    "crop_size": (1, 10_000),
    "decode_timeout": (0.001, 1_000_000),
    "fps": (0.001, 1_000),
    "frame_stride": (1, 100_000),
    "num_clips": (1, 1_000),
    "num_crops": (1, 3),
    "num_frames": (1, 100_000),
    "num_tarballs": (1, 1_000_000),
    "num_videos": (1, 100_000_000),
    "num_workers": (0, 1_000),
    "sampling_seed": (0, 2**64 - 1),
    "seed": (0, 2**64 - 1),
    "short_side": (1, 10_000),
    "top_n": (1, 100_000),
}


_FOLDERS = ("data_dir", "cache_dir", "results_dir")
_PASSWORD = re.compile(r"//[^/\s@]*@")  # and the user's name


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that one evaluation is asked for; each field is the option of the same name.

    Raises:
        ConfigError: A value is out of range, or two options contradict one another.
    """

    model_type: str = "i3d"
    model_trained_on: str | None = None
    model_path: str | None = None
    classes_file: Path | None = None
    prompts: Path | None = None
    dataset: str = "kinetics"
    kinetics_version: str | None = None
    split: str | None = None
    dataset_path: str | None = None
    num_tarballs: int | None = None
    num_videos: int | None = None
    seed: int | None = None
    classes: str | None = None
    restrict_choices: bool = False
    training_list: Path | None = None
    preset: str | None = None
    num_frames: int | None = None
    sampling: str | None = None
    fps: float | None = None
    frame_stride: int | None = None
    num_clips: int | None = None
    sampling_seed: int | None = None
    resize_type: str | None = None
    short_side: int | None = None
    crop_size: int | None = None
    num_crops: int | None = None
    too_short: str | None = None
    batch_size: int | None = None
    top_n: int = 5
    num_workers: int | None = None
    truncated: str = "skip"
    decode_timeout: float = DEFAULT_TIMEOUT_SECONDS
    data_dir: Path = DEFAULT_DATA_DIR
    cache_dir: Path = DEFAULT_CACHE_DIR
    cache_compression: str = "none"
    results_dir: Path = Path("results")
    run_name: str | None = None
    no_cuda: bool = False
    device: str = "auto"
    precision: str = "fp32"
    profile: bool = False
    no_report: bool = False
    mlflow: bool = False
    json: bool = False
    verbose_logging: bool = False
    overwrite_output_dir: bool = False
    overwrite_cache: bool = False
    retry_skipped: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), str | Path):
                require_text(field.name, str(value))
        for name in ("classes_file", "prompts", "training_list", *_FOLDERS):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(value))
        for name, limits in _RANGES.items():
            if (value := getattr(self, name)) is not None:
                require_number(name, value, *limits)
        self._refuse_unknown_names()
        self._refuse_contradictions()
        self._refuse_bad_paths()

    def _refuse_unknown_names(self) -> None:
        for name, families in (("model_type", model_families()), ("dataset", dataset_families())):
            value = getattr(self, name).partition("/")[0]
            if value not in families and not is_module(value):
                raise ConfigError(f"--{name} {nearest(value, families)}")
        for name, valid in (
            ("kinetics_version", list(RELEASES)),
            ("sampling", list(SAMPLINGS)),
            ("resize_type", list(RESIZE_TYPES)),
            ("too_short", list(TOO_SHORT)),
            ("truncated", ["skip", "score"]),
            ("cache_compression", list(COMPRESSIONS)),
            ("precision", list(PRECISIONS)),
        ):
            value = getattr(self, name)
            if value is not None and value not in valid:
                raise ConfigError(f"--{name} {nearest(value, valid)}")
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
        if self.model_type == "saved_model" and self.model_trained_on is not None:
            raise ConfigError("--model_trained_on contradicts --model_type saved_model")
        if self.dataset == "sample" and self.kinetics_version is not None:
            raise ConfigError("--kinetics_version contradicts --dataset sample")
        if self.restrict_choices and self.classes is None:
            raise ConfigError("--restrict_choices needs --classes: to which classes?")
        if self.preset is not None:
            for name in sorted(fixed_by(self.preset) & self._protocol().keys()):
                raise ConfigError(f"--{name} contradicts --preset {self.preset}, which fixes it")

    def _refuse_bad_paths(self) -> None:
        for option in ("classes_file", "prompts", "training_list"):
            path = getattr(self, option)
            if path is not None and not (option == "prompts" and str(path) in list_names()):
                require_file(option, path)
        name = self.run_name
        if name is not None and (Path(name).name != name or name == ".."):
            raise ConfigError(f"--run_name {name!r} must be one plain folder name")
        if self.dataset_path is not None:
            require_address("dataset_path", self.dataset_path)
            if self.dataset.partition("/")[0] in ("kinetics", "sample"):
                require_source(self.dataset_path)

    @property
    def model_name(self) -> str:
        """``family`` or ``family/variant``."""
        return "/".join(filter(None, (self.model_type, self.model_trained_on)))

    @property
    def dataset_name(self) -> str:
        """``family`` or ``family/variant``."""
        version = self.kinetics_version or ("400" if self.dataset == "kinetics" else None)
        return "/".join(filter(None, (self.dataset, version)))

    def open_model(self) -> Model:
        """The model, not loaded yet; nothing is read.

        Raises:
            ConfigError: There is no such model, or it takes no such options.
        """
        return load_model(
            self.model_name,
            model_path=self.model_path,
            classes_file=self.classes_file,
            prompts=self.prompts,
        )

    def open_dataset(self) -> Dataset:
        """The dataset's split; nothing is read or fetched.

        Raises:
            ConfigError: There is no such dataset or split.
        """
        return load_dataset(
            self.dataset_name,
            self.split,
            data_dir=self.data_dir,
            root_url=self.dataset_path,
            seed=self.seed,
            num_tarballs=self.num_tarballs,
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
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _publishable(value) for name, value in values.items()}


def _publishable(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return _PASSWORD.sub("//", value) if isinstance(value, str) else value


def is_module(name: str) -> bool:
    """Whether this names somebody's own module: identifiers with dots between them."""
    return "." in name and all(part.isidentifier() for part in name.split("."))


def nearest(name: str, valid: Sequence[str]) -> str:
    """What to say of an unknown name: the valid one that is most like it."""
    close = difflib.get_close_matches(name.partition("=")[0], valid, n=1, cutoff=0.0)
    return f"{name!r} is unknown: the nearest valid one is {close[0]!r}"
