"""The ``vidbench`` command; the only module that prints."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from vidbench.arguments import OneLineParser, RunConfig, parse_config
from vidbench.errors import ConfigError, VidbenchError
from vidbench.stopwatch import Stopwatch

_USAGE = """\
usage: vidbench COMMAND [OPTION ...]

  evaluate  accuracy of a model on a split of a dataset; `vidbench evaluate --help` lists options
  cache     what is cached, and how to remove it; likewise

  vidbench evaluate @scripts/config.txt
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of the command: 0 done, 1 failed, 2 asked for wrongly, 130 interrupted."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help"):
        print(_USAGE, end="")
        return 0
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "evaluate": run_evaluate,
        "cache": run_cache,
    }
    try:
        if command not in commands:
            raise ConfigError(f"there is no command {command!r}, only {', '.join(commands)}")
        commands[command](rest)
    except VidbenchError as error:
        print(f"vidbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("vidbench: interrupted; the same command goes on from here", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def run_evaluate(arguments: Sequence[str]) -> None:
    """Evaluates, and ends with the accuracies, their intervals and the signature.

    Raises:
        VidbenchError: No video at all could be evaluated.
    """
    config = parse_config(arguments)
    _set_up_logging(config)
    from vidbench.evaluate import evaluate

    stopwatch = Stopwatch()
    stopwatch.add({"start": time.time() - psutil.Process().create_time()})
    folder, metrics, seconds, beside = evaluate(config, stopwatch)
    print("\n".join(_summary(folder, metrics)))
    if config.profile:
        print("\n".join(_profile(seconds, beside)))
    if not metrics["evaluated"]:
        raise VidbenchError(f"no video could be evaluated: see {folder / 'skipped.csv'}")


def run_cache(arguments: Sequence[str]) -> None:
    """Shows what the cache holds of each spec and of models, or removes some of it."""
    from vidbench.data.cache import ClipCache
    from vidbench.data.load import DEFAULT_CACHE_DIR
    from vidbench.models._kept_graphs import KeptGraphs
    from vidbench.models.base import GRAPH_FOLDER

    parser = OneLineParser(
        prog="vidbench cache",
        description="Show the decoded clips and the models kept on disk, or remove some.",
        add_config_file_help=False,
    )
    parser.add_argument("--cache_dir", type=Path, default=DEFAULT_CACHE_DIR, metavar="DIR")
    parser.add_argument(
        "--prune",
        nargs="?",
        const="",
        metavar="NAME",
        help="remove the spec NAME, `graphs` or `all`; without NAME what other versions left",
    )
    options = parser.parse_args(arguments)
    cache = ClipCache(options.cache_dir)
    graphs = KeptGraphs(options.cache_dir / GRAPH_FOLDER)
    if options.prune is None:
        _print_usage(cache.usage(), graphs.usage(), f"{options.cache_dir} holds")
    else:
        name = options.prune or None
        clips = [] if name == GRAPH_FOLDER else cache.prune(name)
        _print_usage(clips, graphs.prune(name), "removed")


def _print_usage(clips: Sequence[Any], graphs: Any, verb: str) -> None:
    for entry in clips:
        size = f"{entry.num_bytes / 1e6:.1f} MB"
        print(f"{entry.name}  {entry.videos:>6} videos  {entry.skipped:>4} skipped  {size:>10}")
        print(f"  {entry.spec}")
    if graphs.models:
        size = f"{graphs.num_bytes / 1e6:.1f} MB"
        print(f"{'graphs':<20}  {graphs.models:>6} {_models(graphs.models):<6}  {size:>24}")
        print("  models made ready for TensorFlow, so that they start faster")
    counts = f"{sum(entry.videos for entry in clips)} videos"
    if graphs.models:
        counts += f", {graphs.models} {_models(graphs.models)}"
    total = sum(entry.num_bytes for entry in [*clips, graphs])
    print(f"{verb} {counts}, {total / 1e6:.1f} MB")


def _models(count: int) -> str:
    return "model" if count == 1 else "models"


def _set_up_logging(config: RunConfig) -> None:
    if not config.verbose_logging:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    level = logging.DEBUG if config.verbose_logging else logging.INFO
    logging.getLogger("vidbench").setLevel(level)


def _summary(folder: Path, metrics: dict[str, Any]) -> list[str]:
    skipped = ", ".join(f"{count} {reason}" for reason, count in metrics["skipped"].items())
    lines = [
        f"results    {folder}",
        f"videos     {metrics['evaluated']} evaluated of {metrics['requested']} requested"
        + (f"; skipped: {skipped}" if skipped else ""),
    ]
    accuracies = [
        f"{name.replace('top', 'top-'):<10} {_shown(metrics, name)}"
        for name in metrics
        if name.startswith("top")
    ]
    return [*lines, *accuracies, f"signature  {metrics['signature']}"]


_STAGES = {
    "start": "Python and imports",
    "check": "the request, the model and the dataset are checked",
    "fetch": "lists, tarballs and what is on disk",
    "open": "the run's folder",
    "load_model": "TensorFlow and the model; videos are decoded meanwhile",
    "wait_for_clips": "the model waits for clips",
    "predict": "the model",
    "write": "scores of each batch",
    "score": "metrics and tables",
    "hash": "video files, to find them in the cache",
    "decode": "videos to frames",
    "write_cache": "clips to the cache",
    "read_cache": "clips from the cache",
}


def _profile(seconds: Mapping[str, float], beside: Mapping[str, float]) -> list[str]:
    """Seconds by stage, and which stage the run waited for most."""
    total = sum(seconds.values())
    longest = max(seconds, key=lambda stage: seconds[stage])
    lines = [f"waited for {longest}, {seconds[longest] / total:.0%} of {total:.1f} s:"]
    lines += [_stage(stage, value) for stage, value in seconds.items()]
    if beside:
        lines.append("meanwhile, in all worker processes and the reading thread together:")
    return lines + [_stage(stage, value) for stage, value in beside.items()]


def _stage(stage: str, seconds: float) -> str:
    return f"  {stage:<15}{seconds:8.2f} s  {_STAGES.get(stage, '')}"


def _shown(metrics: dict[str, Any], name: str) -> str:
    from vidbench.statistics import Estimate

    estimate = metrics[name]
    return str(Estimate(**estimate)) if estimate else f"not scored: {metrics['not_scored']}"
