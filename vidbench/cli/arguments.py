"""Build parsers from descriptions of options; read the command line, ``@file``, environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import configargparse

from vidbench.cli.option_files import expand_files
from vidbench.config.option_groups import (
    DecodingOptions,
    EngineOptions,
    ModelOptions,
    OutputOptions,
    VideoOptions,
)
from vidbench.config.options import Option, nearest, options_of
from vidbench.config.preconditions import check_request
from vidbench.config.protocol import ProtocolOptions
from vidbench.config.run_config import RunConfig
from vidbench.errors import ConfigError
from vidbench.storage.locations import is_remote, without_password
from vidbench.terminal.sanitize import escape_controls

Options = TypeVar("Options")

_ENVIRONMENT_PREFIX = "VIDBENCH_"
_EPILOG = (
    "@FILE holds options, one a line, with # comments. The command line overrides the file, and "
    f"both override environment variables {_ENVIRONMENT_PREFIX}<OPTION>."
)
GROUPS: Mapping[str, type] = {
    "model": ModelOptions,
    "videos": VideoOptions,
    "protocol (default: the preset's)": ProtocolOptions,
    "decoding": DecodingOptions,
    "machines": EngineOptions,
    "results": OutputOptions,
}


def parse_config(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> RunConfig:
    """Parse the options of a run from the arguments, their ``@file`` and the environment.

    The command line overrides ``@file`` in any order, and both override variables
    ``VIDBENCH_<OPTION>``.

    Raises:
        ConfigError: An option or a value is unknown, wrong or contradictory, or fails
            :func:`~vidbench.config.preconditions.check_request`.
    """
    config = RunConfig(**parse_options(build_parser(), arguments, environment))
    check_request(config)
    return config


def parse_options(
    parser: OneLineParser,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The given options by name, from the same sources as :func:`parse_config`.

    Raises:
        ConfigError: An option or a value is unknown.
    """
    environment = _with_present_names(os.environ if environment is None else environment)
    parsed, unknown = parser.parse_known_args(expand_files(arguments), env_vars=environment)
    if unknown:
        raise ConfigError(f"option {nearest(unknown[0], _option_names(parser))}")
    return dict(vars(parsed))


def take_options(given: dict[str, Any], owner: type[Options]) -> Options:
    """Remove the options of a dataclass from the given ones, and build it from them."""
    return owner(**{name: given.pop(name) for name in options_of(owner) if name in given})


def _with_present_names(environment: Mapping[str, str]) -> dict[str, str]:
    present = dict(environment)
    for name, described in options_of(RunConfig).items():
        former = _ENVIRONMENT_PREFIX + described.former.upper()
        if described.former and (value := present.pop(former, None)) is not None:
            present.setdefault(_ENVIRONMENT_PREFIX + name.upper(), value)
    return present


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in parser._actions for name in action.option_strings if len(name) > 2]


def build_parser() -> OneLineParser:
    """The parser of one evaluation; its errors are :class:`ConfigError`."""
    parser = new_parser(
        "vidbench evaluate",
        "Top-1 and top-k accuracy of a pretrained video classifier on a split, "
        "with intervals; every prediction is kept.",
    )
    for title, owner in GROUPS.items():
        add_options(parser.add_argument_group(title), owner)
    return parser


def new_parser(prog: str, description: str, positional: str = "") -> OneLineParser:
    """A parser without options for :func:`parse_options`, which also reads files of options.

    Args:
        prog: The command.
        description: Its description.
        positional: Positional arguments in its usage.
    """
    return OneLineParser(
        prog=prog,
        usage=" ".join(filter(None, (prog, "[@FILE ...] [OPTION ...]", positional))),
        description=description,
        epilog=_EPILOG,
        auto_env_var_prefix=_ENVIRONMENT_PREFIX,
        add_env_var_help=False,
        argument_default=argparse.SUPPRESS,
    )


def plain_parser(prog: str, description: str) -> OneLineParser:
    """A parser without options, which reads the command line only."""
    return OneLineParser(prog=prog, description=description, argument_default=argparse.SUPPRESS)


class OneLineParser(configargparse.ArgumentParser):  # type: ignore[misc]
    """A parser whose errors are one line each: :class:`ConfigError`."""

    def __init__(self, **described: Any) -> None:
        super().__init__(add_config_file_help=False, allow_abbrev=False, **described)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(escape_controls(message))


def add_options(
    group: Any, owner: type, names: Iterable[str] = (), texts: Mapping[str, str] | None = None
) -> None:
    """Add the options of a dataclass to a parser or to one of its groups.

    Args:
        group: The parser or the group.
        owner: The dataclass.
        names: Names of the options to add; empty for all.
        texts: Help texts that replace those of the options, by name.
    """
    options = options_of(owner)
    for name in names or options:
        described = options[name]
        if texts and name in texts:
            described = described.saying(texts[name])
        _add(group, name, described)


def add_positional(group: Any, owner: type, name: str) -> None:
    """Add an option of a dataclass as a positional argument."""
    described = options_of(owner)[name]
    kind, metavar = _parse(described), described.metavar
    text = described.help
    group.add_argument(name, metavar=metavar, type=kind, nargs="?", default=None, help=text)


def _add(group: Any, name: str, described: Option) -> None:
    flags = [f"--{each}" for each in (name, described.former) if each]
    text = described.help.replace("%", "%%")
    if described.kind is bool:
        group.add_argument(*flags, action="store_true", help=text, dest=name)
    else:
        kind, metavar = _parse(described), described.metavar
        group.add_argument(*flags, metavar=metavar, type=kind, help=text, dest=name)


def _parse(described: Option) -> Callable[[str], Any]:
    """The function that converts a text to a value."""
    if described.names == "shared_folder":
        return _folder
    return local_path if described.is_path else described.kind


def local_path(text: str) -> Path:
    """A path; rejects an empty text, which would mean the current folder, and URLs."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a value, or leave it out")
    if is_remote(text):
        shown = without_password(text, keep_name=True)
        raise argparse.ArgumentTypeError(f"{shown!r} is not a local path")
    return Path(text)


def _folder(text: str) -> Path | str:
    """A path, or the URL of a remote folder, which Path would corrupt."""
    return text if is_remote(text) else local_path(text)
