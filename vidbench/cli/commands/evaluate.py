"""Evaluates a model, and ends with the accuracies, their intervals and the signature."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import psutil

from vidbench.cli.arguments import parse_config
from vidbench.cli.commands._results import result_lines
from vidbench.config.run_config import RunConfig
from vidbench.errors import VidbenchError
from vidbench.storage.locations import join
from vidbench.system.stopwatch import Stopwatch
from vidbench.terminal.logs import set_up_logging
from vidbench.terminal.signals import handle_stop_signals

logger = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> None:
    """Evaluates, and ends with the accuracies, their intervals and the signature.

    Raises:
        StoppedError: A signal asked for it.
        VidbenchError: No video at all could be evaluated.
    """
    config = parse_config(arguments)
    set_up_logging(verbose=config.verbose_logging)
    with handle_stop_signals(partial(_resuming, arguments)):
        _evaluate(config, partial(_resuming, arguments, True))


def _evaluate(config: RunConfig, again: Callable[[], str]) -> None:
    from vidbench.evaluate import evaluate
    from vidbench.report.mlflow_log import connect

    stopwatch = Stopwatch()
    stopwatch.add({"start": time.time() - psutil.Process().create_time()})
    with stopwatch("check"):
        experiment = connect() if config.mlflow else None
    folder, metrics, seconds, beside = evaluate(config, stopwatch)
    for stage, value in {**seconds, **beside}.items():
        logger.debug("%s took %.2f s", stage, value)
    if config.json:
        print(json.dumps({"folder": str(folder), **metrics.as_json()}, indent=2))
    else:
        location = join(config.results_dir, folder.name)
        print("\n".join(result_lines(folder, metrics, location)))
    if config.profile:
        print("\n".join(_profile(seconds, beside)), file=sys.stderr if config.json else sys.stdout)
    if experiment is not None:
        logger.info("logged to MLflow: %s", experiment.log(folder, again()))
    if not metrics.evaluated:
        raise VidbenchError(f"no video could be evaluated: see {folder / 'skipped.csv'}")


def _resuming(arguments: Sequence[str], begun: bool) -> str:
    """What was typed; once the run is begun, without the option that would start it again."""
    script = Path(sys.argv[0])
    program = sys.orig_argv[: len(sys.orig_argv) - len(arguments)]
    if [*program, *arguments] != sys.orig_argv:  # called from another program
        program = ["vidbench", "evaluate"]
    elif script.name == "vidbench":  # which the system has turned into `python .../vidbench`
        found = shutil.which("vidbench") == str(script)
        program = ["vidbench" if found else str(script), "evaluate"]
    again = {"--overwrite_output_dir"} if begun else set()
    return shlex.join([*program, *(word for word in arguments if word not in again)])


_STAGES = {
    "start": "Python and imports",
    "check": "checks of options, model and dataset",
    "fetch": "lists and tarballs, files on disk",
    "open": "the run's folder",
    "load_model": "the framework and the model",
    "wait_for_clips": "the model waits for clips",
    "wait_for_shards": "the cluster decodes and predicts",
    "predict": "the model",
    "write": "scores of each batch",
    "score": "metrics and tables",
    "report": "the report page",
    "hash": "hashes of video files, to find their clips",
    "decode": "videos to frames",
    "write_cache": "clips to the cache",
    "read_cache": "clips from the cache",
    "predict_shards": "the models of the cluster",
}


def _profile(seconds: Mapping[str, float], beside: Mapping[str, float]) -> list[str]:
    """The seconds of each stage, below a line that names the longest one."""
    total = sum(seconds.values())
    longest = max(seconds, key=lambda stage: seconds[stage])
    lines = [f"waited for {longest}, {seconds[longest] / total:.0%} of {total:.1f} s:"]
    lines += [_stage(stage, value) for stage, value in seconds.items()]
    if beside:
        lines.append("in parallel, sum over worker processes and the reading thread:")
    return lines + [_stage(stage, value) for stage, value in beside.items()]


def _stage(stage: str, seconds: float) -> str:
    return f"  {stage:<15}{seconds:8.2f} s  {_STAGES.get(stage, '')}"
