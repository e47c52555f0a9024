"""Options of `vidbench predict`, and their validation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from vidbench.errors import ConfigError
from vidbench.footage.labelling import Rules
from vidbench.system.validation import require_number, require_target, require_text

_SCHEMES = ("file", "http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
_RANGES = {
    "window_seconds": (0.01, 1e6),
    "step_seconds": (0.01, 1e6),
    "threshold": (0, 100),
    "share": (0, 100),
    "top_n": (1, 100_000),
}


class PredictOptions(NamedTuple):
    """The options that `vidbench evaluate` does not have; see the help."""

    path: str | None = None
    source: str | None = None
    window_seconds: float | None = None
    step_seconds: float | None = None
    threshold: float | None = None
    share: float = Rules().share
    top_n: int = Rules().top_n
    include_clips: bool = False
    json: bool = False
    csv: Path | None = None
    output: Path | None = None
    overwrite: bool = False


def check(options: PredictOptions) -> None:
    """Raise ConfigError if options are invalid, contradict each other, or would overwrite files."""
    if (options.path is None) == (options.source is None):
        raise ConfigError("give a video or folder, or --source (not both)")
    for name, limits in _RANGES.items():
        if (value := getattr(options, name)) is not None:
            require_number(name, value, *limits)
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
    require_text("source", source)
    scheme, slashes, _ = source.partition("://")
    if slashes:
        if scheme not in _SCHEMES:
            raise ConfigError(
                f"--source {source!r}: the scheme must be one of {', '.join(_SCHEMES)}"
            )
    elif not source.isdecimal() and (not os.path.lexists(source) or Path(source).is_dir()):
        raise ConfigError(f"--source {source!r} is not a camera number, URL, pipe, device or file")
