"""Draws finished runs: figures as PNG and SVG."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.errors import ConfigError
from vidbench.runs.finished import FinishedRun
from vidbench.storage.files import disk_errors
from vidbench.system.validation import require_folder
from vidbench.terminal.sanitize import escape_controls
from vidbench.terminal.tables import Table


def run(arguments: Sequence[str]) -> None:
    """Draw all figures, write them and print their paths; on standard error, which lack data.

    Raises:
        ConfigError: A run is unfinished or damaged, or nothing may be written where it should be.
    """
    options = _parse(arguments)
    from vidbench.figures import NoFigureError, draw
    from vidbench.figures.look import save

    drawn = dict(draw([FinishedRun(path) for path in options.runs]))
    require_folder("out", options.out)
    rows = []
    with disk_errors(options.out):
        for name, figure in drawn.items():
            if isinstance(figure, NoFigureError):
                print(f"no {name}: {figure}", file=sys.stderr)
                continue
            paths = save(figure, options.out / name)
            rows += [{"figure": name, "file": str(path)} for path in paths]
    if options.json:
        print(Table(("figure", "file"), rows).render("json"))
    else:
        print("\n".join(escape_controls(row["file"]) for row in rows))


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = OneLineParser(
        prog="vidbench figures",
        description="Draw finished runs: accuracies, classes, confusions, calibration, latency.",
    )
    parser.add_argument("runs", type=local_path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--out",
        type=local_path,
        metavar="DIR",
        help="folder of the files (of one run: RUN/figures)",
    )
    parser.add_argument("--json", action="store_true", help="print the files as JSON")
    options: Namespace = parser.parse_args(arguments)
    if options.out is None:
        if len(options.runs) > 1:
            raise ConfigError("--out is needed for several runs: name the folder of the figures")
        options.out = options.runs[0] / "figures"
    return options
