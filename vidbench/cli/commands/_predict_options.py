"""The parser of `vidbench predict`."""

from __future__ import annotations

from typing import Any

from vidbench.cli.arguments import (
    add_frames_option,
    add_model_options,
    add_protocol_options,
    local_path,
    new_parser,
)
from vidbench.data.loader import DEFAULT_CACHE_DIR


def build_parser() -> Any:
    """The parser, for :func:`~vidbench.cli.arguments.parse_options`."""
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
