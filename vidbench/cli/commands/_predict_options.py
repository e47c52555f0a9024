"""The parser of `vidbench predict`."""

from __future__ import annotations

from typing import Any

from vidbench.cli.arguments import add_options, add_positional, new_parser
from vidbench.config.option_groups import (
    DecodingOptions,
    EngineOptions,
    ModelOptions,
    OutputOptions,
    VideoOptions,
)
from vidbench.config.protocol import ProtocolOptions
from vidbench.footage.options import PredictOptions, ResultOptions, WindowOptions


def build_parser() -> Any:
    """The parser, for :func:`~vidbench.cli.arguments.parse_options`."""
    parser = new_parser(
        "vidbench predict",
        "Say what is seen in videos that are longer than a clip: a window slides over each, "
        "windows become segments, and classes that hold enough of a video label it.",
        positional="VIDEO_OR_FOLDER",
    )
    videos = parser.add_argument_group("videos")
    add_positional(videos, PredictOptions, "path")
    add_options(videos, PredictOptions, ["source"])
    seconds = {"decode_timeout": "seconds for one window"}
    add_options(videos, DecodingOptions, ["truncated", "decode_timeout"], seconds)
    add_options(videos, VideoOptions, ["frames_fps"])
    add_options(parser.add_argument_group("model"), ModelOptions)
    add_options(
        parser.add_argument_group("protocol of a window (default: the model's)"), ProtocolOptions
    )
    windows = parser.add_argument_group("windows and labels")
    add_options(windows, WindowOptions)
    at_once = {"batch_size": "windows at once (default: 64 MiB of clips)"}
    add_options(windows, EngineOptions, ["batch_size"], at_once)
    models = {"cache_dir": "folder of prepared models"}
    add_options(windows, DecodingOptions, ["cache_dir"], models)
    results = parser.add_argument_group("results")
    add_options(results, ResultOptions)
    add_options(results, OutputOptions, ["verbose_logging"])
    return parser
