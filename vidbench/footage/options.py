"""Options of `vidbench predict`, and their validation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vidbench.config.options import ANY_COUNT, check_options, option
from vidbench.errors import ConfigError
from vidbench.footage.labelling import Rules
from vidbench.system.validation import require_target

_SCHEMES = ("file", "http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
_ANY_SECONDS, _PERCENT = (0.01, 1e6), (0, 100)


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """How videos become windows, and windows labels."""

    window_seconds: float | None = option(
        None,
        "length of a window (default: what a clip spans; 10 where clips spread over a video)",
        "S",
        limits=_ANY_SECONDS,
    )
    step_seconds: float | None = option(
        None, "time between windows (default: half a window)", "S", limits=_ANY_SECONDS
    )
    threshold: float | None = option(
        None, "lowest score, of 100, that counts (default: 75)", "P", limits=_PERCENT
    )
    share: float = option(
        Rules().share, "percent of a video that a label needs", "P", limits=_PERCENT
    )
    top_n: int = option(Rules().top_n, "most classes listed", "N", limits=ANY_COUNT)


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """What is printed and written."""

    include_clips: bool = option(False, "list segments: start, end, class, score")
    json: bool = option(False, "print everything as JSON; a line per window of a live source")
    output: Path | None = option(None, "write everything to this JSON file", "FILE")
    csv: Path | None = option(None, "write a table to this CSV file", "FILE")
    overwrite: bool = option(False, "overwrite existing files")


@dataclass(frozen=True, kw_only=True)
class PredictOptions(ResultOptions, WindowOptions):
    """The options that no evaluation has."""

    path: str | None = option(None, "a video, or a folder of videos", "VIDEO_OR_FOLDER")
    source: str | None = option(
        None, "a live source instead: webcam 0, rtsp://..., a pipe", "N_OR_URL"
    )


def check(options: PredictOptions) -> None:
    """Raise ConfigError if options are invalid, contradict each other, or would overwrite files."""
    if (options.path is None) == (options.source is None):
        raise ConfigError("give a video or folder, or --source (not both)")
    check_options(options)
    window, step = options.window_seconds, options.step_seconds
    if window is not None and step is not None and step > window:
        raise ConfigError(f"--step_seconds {step:g} leaves gaps between windows of {window:g} s")
    for name in ("output", "csv"):
        if (path := getattr(options, name)) is not None:
            require_target(name, path)
            if os.path.lexists(path) and not options.overwrite:
                raise ConfigError(f"--{name} {path} exists: name another file, or use --overwrite")
    if options.output is not None and options.output == options.csv:
        raise ConfigError(f"--output and --csv are both {options.output}: name two files")
    if options.source is not None:
        _check_source(options.source)


def _check_source(source: str) -> None:
    scheme, slashes, _ = source.partition("://")
    if slashes:
        if scheme not in _SCHEMES:
            raise ConfigError(
                f"--source {source!r}: the scheme must be one of {', '.join(_SCHEMES)}"
            )
    elif not source.isdecimal() and (not os.path.lexists(source) or Path(source).is_dir()):
        raise ConfigError(f"--source {source!r} is not a camera number, URL, pipe, device or file")
