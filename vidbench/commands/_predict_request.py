"""What `vidbench predict` is asked for: its options, and what is refused of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.arguments import (
    add_frames_option,
    add_model_options,
    add_protocol_options,
    local_path,
    new_parser,
)
from vidbench.checks import require_number, require_target, require_text
from vidbench.data.load import DEFAULT_CACHE_DIR
from vidbench.errors import ConfigError
from vidbench.label_videos import Rules

_SCHEMES = ("file", "http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
_RANGES = {
    "window_seconds": (0.01, 1e6),
    "step_seconds": (0.01, 1e6),
    "threshold": (0, 100),
    "share": (0, 100),
    "top_n": (1, 100_000),
}


class Request(NamedTuple):
    """The options that no evaluation has; see the help."""

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


def build_parser() -> Any:
    """The parser, for :func:`~vidbench.arguments.parse_options`."""
    parser = new_parser(
        "vidbench predict",
        "Say what is seen in videos that are longer than a clip: a window slides over each, "
        "windows become segments, and classes that hold enough of a video label it.",
    )
    videos = parser.add_argument_group("videos")
    add = videos.add_argument
    add("path", metavar="VIDEO_OR_FOLDER", nargs="?", help="a video, or a folder of them")
    add("--source", metavar="N_OR_URL", help="a live one instead: webcam 0, rtsp://..., a pipe")
    add("--truncated", metavar="NAME", help="cut short: skip (default), or score what decodes")
    add("--decode_timeout", metavar="S", type=float, help="seconds for a window (default 300)")
    add_frames_option(videos)
    add_model_options(parser.add_argument_group("model"))
    add_protocol_options(parser.add_argument_group("protocol of a window (default: the model's)"))
    add = parser.add_argument_group("windows and labels").add_argument
    add(
        "--window_seconds",
        metavar="S",
        type=float,
        help="length of a window (default: what a clip spans; 10 where clips spread over a video)",
    )
    add("--step_seconds", metavar="S", type=float, help="between windows (default: half of one)")
    add("--threshold", metavar="P", type=float, help="score of 100 that counts (default 75)")
    add("--share", metavar="P", type=float, help="percent of a video for a label (default 50)")
    add("--top_n", metavar="N", type=int, help="classes listed, at most (default 5)")
    add("--batch_size", metavar="N", type=int, help="windows at once (default: 64 MiB of clips)")
    add("--cache_dir", metavar="DIR", type=local_path, help=f"models (default {DEFAULT_CACHE_DIR})")
    add = parser.add_argument_group("results").add_argument
    add("--include_clips", action="store_true", help="list segments: start, end, class, score")
    add("--json", action="store_true", help="print all as JSON; of a live source a line each")
    add("--output", metavar="FILE", type=local_path, help="write it as JSON")
    add("--csv", metavar="FILE", type=local_path, help="write it as a table")
    add("--overwrite", action="store_true", help="write over files that are there")
    add("--verbose_logging", action="store_true", help="say everything that happens")
    return parser


def check(request: Request) -> None:
    """Check that this can be done.

    Raises:
        ConfigError: It contradicts itself, or what lies on disk.
    """
    if (request.path is None) == (request.source is None):
        raise ConfigError("predict what? Give either VIDEO_OR_FOLDER or --source")
    for name, limits in _RANGES.items():
        if (value := getattr(request, name)) is not None:
            require_number(name, value, *limits)
    window, step = request.window_seconds, request.step_seconds
    if window is not None and step is not None and step > window:
        raise ConfigError(f"--step_seconds {step:g} leaves gaps between windows of {window:g} s")
    for name in ("output", "csv"):
        if (path := getattr(request, name)) is not None:
            require_target(name, path)
            if os.path.lexists(path) and not request.overwrite:
                raise ConfigError(f"--{name} {path} exists: name another file, or --overwrite it")
    if request.output is not None and request.output == request.csv:
        raise ConfigError(f"--output and --csv are both {request.output}: name two files")
    if request.source is not None:
        _check_source(request.source)


def _check_source(source: str) -> None:
    require_text("source", source)
    scheme, slashes, _ = source.partition("://")
    if slashes:
        if scheme not in _SCHEMES:
            raise ConfigError(f"--source {source!r}: its scheme must be of {', '.join(_SCHEMES)}")
    elif not source.isdecimal() and (not os.path.lexists(source) or Path(source).is_dir()):
        raise ConfigError(f"--source {source!r} is no camera's number, address, pipe or file")
