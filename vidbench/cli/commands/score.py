"""Scores predictions that another program made, as a run like an evaluated one."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vidbench.cli.arguments import (
    OneLineParser,
    add_options,
    new_parser,
    parse_options,
    take_options,
)
from vidbench.cli.commands._results import result_lines
from vidbench.config.option_groups import ModelOptions, OutputOptions, VideoOptions
from vidbench.config.preconditions import check_videos
from vidbench.config.run_config import RunConfig
from vidbench.errors import VidbenchError
from vidbench.external.options import ScoreOptions
from vidbench.external.read import require_predictions
from vidbench.terminal.logs import set_up_logging

logger = logging.getLogger(__name__)

_TEXTS = {
    "classes_file": "the model's classes, one a line, where the file has numbers",
    "model_trained_on": "what the model was trained on, e.g. kinetics-400",
}


def run(arguments: Sequence[str]) -> None:
    """Scores the file, and ends with the accuracies, their intervals and the signature.

    Raises:
        ConfigError: The request is wrong, or the file does not fit the dataset.
        VidbenchError: None of the requested videos has a prediction.
    """
    given = parse_options(_parser(), arguments)
    options = dict(given)
    file = given.pop("file")
    how = take_options(given, ScoreOptions)
    config = RunConfig(**given)
    require_predictions(file)
    check_videos(config)
    set_up_logging(verbose=config.verbose_logging)
    from vidbench.external.score import ScoreRequest, score
    from vidbench.report.mlflow_log import connect

    experiment = connect() if config.mlflow else None
    known = config.as_dict()
    options = {name: known.get(name, str(value)) for name, value in options.items()}
    request = ScoreRequest(file=file, config=config, options=options, **asdict(how))
    folder, metrics = score(request)
    if config.json:
        print(json.dumps({"folder": str(folder), **metrics.as_json()}, indent=2))
    else:
        print("\n".join(result_lines(folder, metrics)))
    if experiment is not None:
        again = shlex.join(["vidbench", "score", *arguments])
        logger.info("logged to MLflow: %s", experiment.log(folder, again))
    if not metrics.evaluated:
        raise VidbenchError(f"no requested video has a prediction: see {folder / 'skipped.csv'}")


def _parser() -> OneLineParser:
    parser = new_parser(
        "vidbench score",
        "Top-1 and top-k accuracy of predictions that another program made, with intervals; the "
        "run's folder is like that of an evaluated model.",
        positional="FILE",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, .npz or JSON lines")
    predictions = parser.add_argument_group("predictions")
    add_options(predictions, ScoreOptions)
    add_options(predictions, ModelOptions, _TEXTS, _TEXTS)
    add_options(parser.add_argument_group("videos"), VideoOptions)
    add_options(parser.add_argument_group("results"), OutputOptions)
    return parser
