"""Scores predictions that another program made, as a run like an evaluated one."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidbench.cli.arguments import add_score_options, new_parser, parse_options
from vidbench.cli.commands._results import result_lines
from vidbench.config.preconditions import check_videos
from vidbench.config.run_config import RunConfig, nearest
from vidbench.errors import ConfigError, VidbenchError
from vidbench.external.read import require_predictions
from vidbench.external.scores import KINDS, POOLS
from vidbench.terminal.logs import set_up_logging

logger = logging.getLogger(__name__)

_OWN = ("file", "model_name", "scores_are", "pool")


def run(arguments: Sequence[str]) -> None:
    """Scores the file, and ends with the accuracies, their intervals and the signature.

    Raises:
        ConfigError: The request is wrong, or the file does not fit the dataset.
        VidbenchError: None of the requested videos has a prediction.
    """
    given = _parse(arguments)
    own: dict[str, Any] = {name: given[name] for name in _OWN if name in given}
    config = RunConfig(**{name: value for name, value in given.items() if name not in _OWN})
    require_predictions(own["file"])
    check_videos(config)
    set_up_logging(verbose=config.verbose_logging)
    from vidbench.external.score import ScoreRequest, score
    from vidbench.report.mlflow_log import connect

    experiment = connect() if config.mlflow else None
    known = config.as_dict()
    options = {name: str(own[name]) if name in own else known[name] for name in given}
    folder, metrics = score(ScoreRequest(config=config, options=options, **own))
    if config.json:
        print(json.dumps({"folder": str(folder), **metrics.as_json()}, indent=2))
    else:
        print("\n".join(result_lines(folder, metrics)))
    if experiment is not None:
        again = shlex.join(["vidbench", "score", *arguments])
        logger.info("logged to MLflow: %s", experiment.log(folder, again))
    if not metrics.evaluated:
        raise VidbenchError(f"no requested video has a prediction: see {folder / 'skipped.csv'}")


def _parse(arguments: Sequence[str]) -> dict[str, Any]:
    parser = new_parser(
        "vidbench score",
        "Top-1 and top-k accuracy of predictions that another program made, with intervals; the "
        "run's folder is like that of an evaluated model.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, .npz or JSON lines")
    group = parser.add_argument_group("predictions")
    group.add_argument("--model_name", metavar="NAME", help="what made them (default: the file's)")
    group.add_argument(
        "--scores_are", metavar="KIND", help=f"{', '.join(KINDS)} (default auto: found out)"
    )
    group.add_argument(
        "--pool", metavar="HOW", help=f"several rows of a video: {', '.join(POOLS)} (default mean)"
    )
    add_score_options(parser)
    given = parse_options(parser, arguments)
    for name, valid in (("scores_are", KINDS), ("pool", POOLS)):
        if given.get(name) is not None and given[name] not in valid:
            raise ConfigError(f"--{name} {nearest(given[name], valid)}")
    return given
