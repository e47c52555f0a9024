"""Fuses finished runs: the mean of their scores becomes a run of its own."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.cli.commands._results import result_lines
from vidbench.config.option_groups import OutputOptions
from vidbench.config.options import options_of
from vidbench.runs.finished import FinishedRun
from vidbench.terminal.tables import Table


def run(arguments: Sequence[str]) -> None:
    """Writes the fusion's folder, and shows its members and accuracies.

    Raises:
        ConfigError: The runs cannot be fused, or the folder holds something else.
    """
    options = _parse(arguments)
    from vidbench.report import write_report
    from vidbench.runs.fuse import fuse, write_fusion

    fusion = fuse([FinishedRun(path) for path in options.runs], options.weights)
    folder = options.results_dir / (options.run_name or fusion.name)
    metrics = write_fusion(fusion, folder, options.top_n, overwrite=options.overwrite)
    write_report(FinishedRun(folder))
    members = [member._asdict() for member in fusion.identity.members]
    if options.json:
        known = {"folder": str(folder), "members": members}
        print(json.dumps(known | metrics.as_json(), indent=2))
    else:
        print(Table(("digest", "weight", "run"), members).shown() + "\n")
        print("\n".join(result_lines(folder, metrics)))


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = OneLineParser(
        prog="vidbench fuse",
        description="Average the scores of finished runs of the same videos into a new run.",
    )
    parser.add_argument("runs", type=local_path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="one a run (default: equal)"
    )
    parser.add_argument(
        "--results_dir", type=local_path, required=True, metavar="DIR", help="folder of run folders"
    )
    parser.add_argument("--run_name", metavar="NAME", help="the fusion's folder")
    parser.add_argument(
        "--top_n", type=int, default=5, metavar="N", help="k of the second accuracy (5)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="remove another run of this name first"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options: Namespace = parser.parse_args(arguments)
    if options.run_name is not None:
        options_of(OutputOptions)["run_name"].check("run_name", options.run_name)
    return options
