"""RunConfig, and how it is read from the command line, ``@file`` and the environment."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import configargparse

from vidbench.data.cache import COMPRESSIONS
from vidbench.data.datasets.base import dataset_families
from vidbench.data.datasets.kinetics import RELEASES, SPLITS
from vidbench.data.fetch import require_source
from vidbench.data.load import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR
from vidbench.data.spec import PRESETS, RESIZE_TYPES, PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models.base import PRECISIONS, model_families

_ENVIRONMENT_PREFIX = "VIDBENCH_"
# Up to a # at the beginning of a word and outside quotes.
_BEFORE_COMMENT = re.compile(r"""(?:[^'"#]|'[^']*'|"[^"]*"|['"]|(?<=\S)#)*""")
_POSITIVE = ("batch_size", "num_videos", "num_frames", "top_n", "num_tarballs")


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
    dataset: str = "kinetics"
    kinetics_version: str | None = None
    kinetics_split: str = "val"
    kinetics_root_url: str | None = None
    num_tarballs: int | None = None
    num_videos: int | None = None
    seed: int | None = None
    preset: str | None = None
    num_frames: int | None = None
    resize_type: str | None = None
    batch_size: int | None = None
    top_n: int = 5
    num_workers: int | None = None
    data_dir: Path = DEFAULT_DATA_DIR
    cache_dir: Path = DEFAULT_CACHE_DIR
    cache_compression: str = "none"
    results_dir: Path = Path("results")
    run_name: str | None = None
    no_cuda: bool = False
    precision: str = "fp32"
    profile: bool = False
    verbose_logging: bool = False
    overwrite_output_dir: bool = False
    overwrite_cache: bool = False
    retry_skipped: bool = False

    def __post_init__(self) -> None:
        for name in ("classes_file", "data_dir", "cache_dir", "results_dir"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(value))
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} is {value}, must be 1 or more")
        for name in ("num_workers", "seed"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"--{name} is {value}, must be 0 or more")
        self._refuse_unknown_names()
        self._refuse_contradictions()
        self._refuse_bad_paths()

    def _refuse_unknown_names(self) -> None:
        for name, families in (("model_type", model_families()), ("dataset", dataset_families())):
            value = getattr(self, name)
            if value not in families and not _is_module(value):
                raise ConfigError(f"--{name} {_nearest(value, families)}")
        for name, valid in (
            ("kinetics_version", list(RELEASES)),
            ("kinetics_split", list(SPLITS)),
            ("preset", list(PRESETS)),
            ("resize_type", list(RESIZE_TYPES)),
            ("cache_compression", list(COMPRESSIONS)),
            ("precision", list(PRECISIONS)),
        ):
            value = getattr(self, name)
            if value is not None and value not in valid:
                raise ConfigError(f"--{name} {_nearest(value, valid)}")

    def _refuse_contradictions(self) -> None:
        if self.model_type == "saved_model" and self.model_trained_on is not None:
            raise ConfigError("--model_trained_on contradicts --model_type saved_model")
        if self.dataset == "sample" and self.kinetics_version is not None:
            raise ConfigError("--kinetics_version contradicts --dataset sample")
        if self.preset == "paper" and self.num_frames is not None:
            raise ConfigError("--num_frames contradicts --preset paper, which fixes 250 frames")
        if self.preset is not None and self.resize_type is not None:
            raise ConfigError(f"--resize_type contradicts --preset {self.preset}, which fixes it")

    def _refuse_bad_paths(self) -> None:
        name = self.run_name
        if name is not None and (Path(name).name != name or name == ".."):
            raise ConfigError(f"--run_name {self.run_name!r} must be one plain folder name")
        if self.classes_file is not None and not self.classes_file.is_file():
            raise ConfigError(f"--classes_file {str(self.classes_file)!r} does not exist")
        if self.kinetics_root_url is not None:
            require_source(self.kinetics_root_url)

    @property
    def model_name(self) -> str:
        """``family`` or ``family/variant``."""
        return "/".join(filter(None, (self.model_type, self.model_trained_on)))

    @property
    def dataset_name(self) -> str:
        """``family`` or ``family/variant``."""
        version = self.kinetics_version or ("400" if self.dataset == "kinetics" else None)
        return "/".join(filter(None, (self.dataset, version)))

    @property
    def compression(self) -> str | None:
        """How decoded clips are written: ``zstd``, or None for as they are."""
        return None if self.cache_compression == "none" else self.cache_compression

    def spec(self, default: PreprocessSpec) -> PreprocessSpec:
        """What is done to pixels: the preset or else the model's own, and what overrides it."""
        spec = default if self.preset is None else PRESETS[self.preset]
        changes: dict[str, Any] = {}
        if self.num_frames is not None:
            changes["num_frames"] = self.num_frames
        if self.resize_type is not None:
            changes["resize_type"] = self.resize_type
            changes["short_side"] = 256 if self.resize_type == "short_side" else None
        return replace(spec, **changes)

    def as_dict(self) -> dict[str, Any]:
        """The options by name, with paths as text."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


def parse_config(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> RunConfig:
    """The configuration in these arguments, in the files they name, and in the environment.

    The command line goes over ``@file``, whatever their order, and both go over variables
    ``VIDBENCH_<OPTION>``.

    Raises:
        ConfigError: An option or a value is unknown, wrong or contradictory.
    """
    parser = build_parser()
    environment = os.environ if environment is None else environment
    found, unknown = parser.parse_known_args(_expand_files(arguments), env_vars=environment)
    if unknown:
        raise ConfigError(f"option {_nearest(unknown[0], _option_names(parser))}")
    return RunConfig(**vars(found))


def build_parser() -> configargparse.ArgumentParser:
    """The parser of one evaluation; its errors are :class:`ConfigError`."""
    parser = OneLineParser(
        prog="vidbench evaluate",
        description="Top-1 and top-k accuracy of a pretrained video classifier on a split, "
        "with intervals; every prediction is kept.",
        epilog="@FILE holds options, one a line, with # comments. The command line goes over the "
        f"file, and both over environment variables {_ENVIRONMENT_PREFIX}<OPTION>.",
        auto_env_var_prefix=_ENVIRONMENT_PREFIX,
        add_config_file_help=False,
        add_env_var_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    _add_model_options(parser.add_argument_group("model"))
    _add_data_options(parser.add_argument_group("videos"))
    _add_pixel_options(parser.add_argument_group("pixels"))
    _add_run_options(parser.add_argument_group("run"))
    return parser


def _add_model_options(group: Any) -> None:
    families = ", ".join(model_families())
    _add(group, "model_type", "NAME", f"family of the model: {families} (default i3d)")
    _add(group, "model_trained_on", "NAME", "i3d: kinetics-400 (default) or kinetics-600")
    _add(group, "model_path", "PATH", "weights: a SavedModel folder, an archive, or a Hub handle")
    _add(group, "classes_file", "FILE", "class names, one a line, for a saved_model without", Path)
    _add(
        group, "precision", "NAME", "fp32 (default, exact) or bf16 (faster, scores shift a little)"
    )
    _flag(group, "no_cuda", "do not use a GPU")


def _add_data_options(group: Any) -> None:
    families = ", ".join(dataset_families())
    _add(group, "dataset", "NAME", f"where videos come from: {families} (default kinetics)")
    _add(group, "kinetics_version", "N", "400 (default), 600, or 700, which is 700-2020")
    _add(group, "kinetics_split", "NAME", "train, val (default) or test")
    _add(group, "kinetics_root_url", "URL", "mirror of the official server, or a local folder")
    _add(group, "num_videos", "N", "videos to request (default: the whole split)", int)
    _add(group, "seed", "N", "draw the videos at random, equally everywhere", int)
    _add(group, "num_tarballs", "N", "take videos from the first N tarballs only", int)
    _add(group, "data_dir", "DIR", f"fetched videos (default {DEFAULT_DATA_DIR})", Path)


def _add_pixel_options(group: Any) -> None:
    presets = "; ".join(f"{name}: {spec.describe()}" for name, spec in PRESETS.items())
    _add(group, "preset", "NAME", f"protocol ({presets}; default: the model's own)")
    _add(group, "num_frames", "N", "frames in a clip (default: the protocol's)", int)
    _add(group, "resize_type", "NAME", f"{', '.join(RESIZE_TYPES)} (default: the protocol's)")
    _add(group, "cache_dir", "DIR", f"decoded clips (default {DEFAULT_CACHE_DIR})", Path)
    _add(group, "cache_compression", "NAME", "none (default) or zstd: half the bytes, lossless")
    _flag(group, "overwrite_cache", "decode again the clips that this run reads")
    _add(group, "num_workers", "N", "decoding processes (default: one a core; 0: none)", int)


def _add_run_options(group: Any) -> None:
    _add(group, "batch_size", "N", "videos in a batch (default: 64 MiB of clips, at most 16)", int)
    _add(group, "top_n", "N", "k of the second accuracy; predictions listed (default 5)", int)
    _add(group, "results_dir", "DIR", "folder of run folders (default results)", Path)
    _add(group, "run_name", "NAME", "the run's folder (default: named after what decides it)")
    _flag(group, "overwrite_output_dir", "remove this run's folder and start again")
    _flag(group, "retry_skipped", "try again the videos that were skipped")
    _flag(group, "profile", "say how long each stage took, and what the run waited for")
    _flag(group, "verbose_logging", "say everything that happens")


def _add(group: Any, name: str, metavar: str, text: str, kind: type = str) -> None:
    group.add_argument(f"--{name}", metavar=metavar, type=kind, help=text)


def _flag(group: Any, name: str, text: str) -> None:
    group.add_argument(f"--{name}", action="store_true", help=text)


class OneLineParser(configargparse.ArgumentParser):  # type: ignore[misc]
    """A parser whose errors are one line each: :class:`ConfigError`."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _expand_files(arguments: Sequence[str]) -> list[str]:
    """Options of every ``@file`` first, so that the command line goes over them."""
    files = [argument for argument in arguments if argument.startswith("@")]
    others = [argument for argument in arguments if not argument.startswith("@")]
    return [token for file in files for token in _read_file(Path(file[1:]))] + others


def _read_file(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read: {error.args[-1]}") from error
    return [token for number, line in enumerate(lines, 1) for token in _split(line, path, number)]


def _split(line: str, path: Path, number: int) -> list[str]:
    """The words of a line; a comment begins with a # at the beginning of a word."""
    try:
        return shlex.split(_BEFORE_COMMENT.match(line)[0])  # type: ignore[index]
    except ValueError as error:
        raise ConfigError(f"config file {path}, line {number}: {error}") from error


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in parser._actions for name in action.option_strings if len(name) > 2]


def _is_module(name: str) -> bool:
    """Whether this names somebody's own module: identifiers with dots between them."""
    return "." in name and all(part.isidentifier() for part in name.split("."))


def _nearest(name: str, valid: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.partition("=")[0], valid, n=1, cutoff=0.0)
    return f"{name!r} is unknown: the nearest valid one is {close[0]!r}"
