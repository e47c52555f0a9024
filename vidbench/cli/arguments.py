"""How a RunConfig is read from the command line, ``@file`` and the environment."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import configargparse

from vidbench.config.preconditions import check_request
from vidbench.config.run_config import RunConfig, nearest
from vidbench.data.datasets.base import dataset_families
from vidbench.data.loader import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR
from vidbench.data.spec import (
    PRESETS,
    RESIZE_FILTERS,
    RESIZE_TYPES,
    SAMPLINGS,
    SIDE_ROUNDINGS,
    TOO_SHORT,
)
from vidbench.errors import ConfigError
from vidbench.models.base import model_families
from vidbench.storage.locations import is_remote, without_password
from vidbench.terminal.sanitize import escape_controls

_ENVIRONMENT_PREFIX = "VIDBENCH_"
_FORMER = {"kinetics_split": "split", "kinetics_root_url": "dataset_path"}
"""Names that options had when Kinetics was the only dataset; they stay valid."""
_MAX_FILE_BYTES = 1 << 20
# Up to a # at the beginning of a word and outside quotes.
_BEFORE_COMMENT = re.compile(r"""(?:[^'"#]|'[^']*'|"[^"]*"|['"]|(?<=\S)#)*""")


def parse_config(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> RunConfig:
    """The configuration in these arguments, in the files they name, and in the environment.

    The command line goes over ``@file``, whatever their order, and both go over variables
    ``VIDBENCH_<OPTION>``.

    Raises:
        ConfigError: An option or a value is unknown, wrong or contradictory, or what is asked for
            cannot be had, as far as :func:`~vidbench.config.preconditions.check_request` knows.
    """
    config = RunConfig(**parse_options(build_parser(), arguments, environment))
    check_request(config)
    return config


def parse_options(
    parser: configargparse.ArgumentParser,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The options that are given, by name, as :func:`parse_config` finds them.

    Raises:
        ConfigError: An option or a value is unknown.
    """
    environment = _with_present_names(os.environ if environment is None else environment)
    found, unknown = parser.parse_known_args(_expand_files(arguments), env_vars=environment)
    if unknown:
        raise ConfigError(f"option {nearest(unknown[0], _option_names(parser))}")
    return dict(vars(found))


def _with_present_names(environment: Mapping[str, str]) -> dict[str, str]:
    present = dict(environment)
    for former, now in _FORMER.items():
        if (value := present.pop(_ENVIRONMENT_PREFIX + former.upper(), None)) is not None:
            present.setdefault(_ENVIRONMENT_PREFIX + now.upper(), value)
    return present


def build_parser() -> configargparse.ArgumentParser:
    """The parser of one evaluation; its errors are :class:`ConfigError`."""
    parser = new_parser(
        "vidbench evaluate",
        "Top-1 and top-k accuracy of a pretrained video classifier on a split, "
        "with intervals; every prediction is kept.",
    )
    model = parser.add_argument_group("model")
    add_model_options(model)
    _add(model, "training_list", "FILE", "annotations of what the model was trained on", Path)
    _add_data_options(parser.add_argument_group("videos"))
    add_protocol_options(parser.add_argument_group("protocol (default: the preset's)"))
    _add_cache_options(parser.add_argument_group("decoding"))
    _add_cluster_options(parser.add_argument_group("cluster"))
    _add_run_options(parser.add_argument_group("run"))
    return parser


def new_parser(prog: str, description: str) -> configargparse.ArgumentParser:
    """A parser without options, for :func:`parse_options`."""
    return OneLineParser(
        prog=prog,
        description=description,
        epilog="@FILE holds options, one a line, with # comments. The command line goes over the "
        f"file, and both over environment variables {_ENVIRONMENT_PREFIX}<OPTION>.",
        auto_env_var_prefix=_ENVIRONMENT_PREFIX,
        add_config_file_help=False,
        add_env_var_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )


def add_model_options(group: Any) -> None:
    """Adds which model is meant, and how it runs, to a parser's group."""
    families = ", ".join(model_families())
    _add(group, "model_type", "NAME", f"family of the model: {families} (default i3d)")
    _add(group, "model_trained_on", "NAME", "the variant, e.g. of i3d: kinetics-400 (default)")
    _add(group, "model_path", "PATH", "weights: a folder, a file, an archive, or a name on a hub")
    _add(group, "classes_file", "FILE", "class names, one a line, of a model or of indices", Path)
    _add(
        group,
        "prompts",
        "FILE",
        "classes and prompts of a zero-shot model, or a list",
        Path,
    )
    _add(
        group,
        "precision",
        "NAME",
        "fp32 (default, exact) or bf16 (faster where the processor has it; scores shift a little)",
    )
    _add(group, "device", "NAME", "auto (default: a GPU if there is one), cpu, cuda, cuda:1, mps")
    _flag(group, "no_cuda", "as --device cpu")
    _add(group, "num_threads", "N", "processor threads of the model (default: one a core)", int)


def add_score_options(parser: configargparse.ArgumentParser) -> None:
    """Adds which videos are meant, and where a run goes, for predictions that are made already."""
    model = parser.add_argument_group("model")
    _add(model, "classes_file", "FILE", "its classes, one a line, where they are numbers", Path)
    _add(model, "model_trained_on", "NAME", "what it was trained on, e.g. kinetics-400")
    _add(model, "training_list", "FILE", "annotations of what it was trained on", Path)
    _add_data_options(parser.add_argument_group("videos"))
    _add_output_options(parser.add_argument_group("run"))


def _add_data_options(group: Any) -> None:
    families = ", ".join(dataset_families())
    _add(group, "dataset", "NAME", f"where videos come from: {families} (default kinetics)")
    add_dataset_options(group)
    _add(group, "class_aliases", "FILE", "the model's classes for names of the dataset", Path)
    _add(group, "num_videos", "N", "videos to request (default: the whole split)", int)
    _add(group, "classes", "NAME", "these classes only: a list that ships, or a file of names")
    _flag(group, "restrict_choices", "let the model choose among these classes only")
    _add(group, "seed", "N", "draw the videos at random, equally everywhere", int)
    _add(group, "num_tarballs", "N", "take videos from the first N tarballs only", int)
    _add(group, "data_dir", "DIR", f"fetched videos (default {DEFAULT_DATA_DIR})", _folder)


def add_dataset_options(group: Any) -> None:
    """Adds which part of a dataset is meant, and where it comes from, to a parser's group."""
    _add(group, "kinetics_version", "N", "400 (default), 600, or 700, which is 700-2020")
    _add(group, "split", "NAME", "train, val, test or all (default: the dataset's usual one)")
    _add(group, "dataset_path", "PATH", "its videos: a mirror, an archive, a folder or a list")
    _add(group, "videos_path", "DIR", "folder that the paths of a list are relative to", Path)
    _add(group, "annotations", "FILE", "official list, or Kinetics' address of it (default: found)")
    add_frames_option(group)


def add_frames_option(group: Any) -> None:
    """Adds what is to be known of folders of frames to a parser's group."""
    _add(group, "frames_fps", "RATE", "frames a second of videos that are folders of frames", float)


def add_protocol_options(group: Any) -> None:
    """Adds what is done to pixels to a parser's group."""
    presets = "; ".join(f"{name}: {spec.describe()}" for name, spec in PRESETS.items())
    _add(group, "preset", "NAME", f"protocol ({presets}; or a model's; default: this model's)")
    _add(group, "num_frames", "N", "frames in a clip", int)
    _add(group, "sampling", "NAME", f"where clips lie: {', '.join(SAMPLINGS)}")
    _add(group, "fps", "RATE", "resample to so many frames per second first", float)
    _add(group, "frame_stride", "N", "take every Nth frame", int)
    _add(group, "num_clips", "N", "clips of a video, whose scores are averaged", int)
    _add(group, "num_crops", "N", "crops of a clip, 1 or 3, likewise", int)
    _add(group, "sampling_seed", "N", "of sampling random (default 0)", int)
    _add(group, "resize_type", "NAME", ", ".join(RESIZE_TYPES))
    _add(group, "short_side", "PX", "of resize_type short_side (default 256)", int)
    _add(group, "resize_filter", "NAME", ", ".join(RESIZE_FILTERS))
    _add(group, "side_rounding", "NAME", f"of the longer side: {', '.join(SIDE_ROUNDINGS)}")
    _add(group, "crop_size", "PX", "height and width of what the model sees", int)
    _add(group, "too_short", "NAME", f"what too short a video does: {', '.join(TOO_SHORT)}")


def _add_cache_options(group: Any) -> None:
    _add(group, "cache_dir", "DIR", f"decoded clips (default {DEFAULT_CACHE_DIR})", _folder)
    _add(group, "cache_compression", "NAME", "none (default) or zstd: half the bytes, lossless")
    _flag(group, "overwrite_cache", "decode again the clips that this run reads")
    _add(group, "truncated", "NAME", "videos cut short: skip (default), or score what decodes")
    _add(group, "decode_timeout", "S", "seconds for one video, then it is skipped (300)", float)
    _add(group, "num_workers", "N", "decoding processes (default: one a core; 0: none)", int)


def _add_cluster_options(group: Any) -> None:
    _add(group, "ray_address", "ADDRESS", "run on Ray: HOST:PORT, auto, or local for this machine")
    _add(group, "num_models", "N", "models that run at once (default: one a GPU, or 4 cores)", int)


def _add_run_options(group: Any) -> None:
    _add(group, "batch_size", "N", "videos in a batch (default: 64 MiB of clips, at most 16)", int)
    _flag(group, "retry_skipped", "try again the videos that were skipped")
    _flag(group, "profile", "say how long each stage took, and what the run waited for")
    _add_output_options(group)


def _add_output_options(group: Any) -> None:
    _add(group, "top_n", "N", "k of the second accuracy; predictions listed (at most 5)", int)
    _add(group, "results_dir", "DIR", "folder of run folders (default results)", _folder)
    _add(group, "run_name", "NAME", "the run's folder (default: named after what decides it)")
    _flag(group, "overwrite_output_dir", "remove this run's folder and start again")
    _flag(group, "no_report", "write no report.html")
    _flag(group, "mlflow", "log the run to the MLflow server that MLFLOW_TRACKING_URI names")
    _flag(group, "json", "print all metrics as JSON")
    _flag(group, "verbose_logging", "say everything that happens")


def _add(group: Any, name: str, metavar: str, text: str, kind: Callable[[str], Any] = str) -> None:
    kind = local_path if kind is Path else kind
    names = (name, *(former for former, now in _FORMER.items() if now == name))
    options = (f"--{each}" for each in names)
    group.add_argument(*options, metavar=metavar, type=kind, help=text, dest=name)


def local_path(text: str) -> Path:
    """Not of an empty text, which would be the current folder, nor of a remote folder's URL."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a value, or leave it out")
    if is_remote(text):
        raise argparse.ArgumentTypeError(f"{without_password(text)!r} is no path of this machine")
    return Path(text)


def _folder(text: str) -> Path | str:
    """A path, or the URL of a remote folder, which a path would mangle."""
    return text if is_remote(text) else local_path(text)


def _flag(group: Any, name: str, text: str) -> None:
    group.add_argument(f"--{name}", action="store_true", help=text)


class OneLineParser(configargparse.ArgumentParser):  # type: ignore[misc]
    """A parser whose errors are one line each: :class:`ConfigError`."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(escape_controls(message))


def _expand_files(arguments: Sequence[str]) -> list[str]:
    """Options of every ``@file`` first, so that the command line goes over them."""
    files = [argument for argument in arguments if argument.startswith("@")]
    others = [argument for argument in arguments if not argument.startswith("@")]
    return [token for file in files for token in _read_file(Path(file[1:]))] + others


def _read_file(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"config file {str(path)!r} is no text in UTF-8: name another") from error
    if len(content) > _MAX_FILE_BYTES or "\0" in content.decode("utf-8", "replace"):
        raise ConfigError(f"config file {str(path)!r} is no list of options: name another")
    return [token for number, line in enumerate(lines, 1) for token in _split(line, path, number)]


def _split(line: str, path: Path, number: int) -> list[str]:
    """The words of a line; a comment begins with a # at the beginning of a word."""
    try:
        words = shlex.split(_BEFORE_COMMENT.match(line)[0])  # type: ignore[index]
    except ValueError as error:
        raise ConfigError(f"config file {path}, line {number}: {error}") from error
    if words and words[0].startswith("@"):
        raise ConfigError(
            f"config file {path}, line {number}: a file cannot name {words[0]!r}; give both files"
        )
    return words


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in parser._actions for name in action.option_strings if len(name) > 2]
