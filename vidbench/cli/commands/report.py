"""Scores a finished run again, from its folder alone; prints what came out, and draws the page."""

from __future__ import annotations

import json
from collections.abc import Sequence

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.cli.commands._results import result_lines
from vidbench.errors import ConfigError
from vidbench.metrics.classification import ClassMetrics, class_metrics
from vidbench.report import NUM_THUMBNAILS, ReportOptions, write_report
from vidbench.runs.finished import FinishedRun
from vidbench.runs.metrics_record import Missing, Scored
from vidbench.runs.outcomes import outcomes_of
from vidbench.runs.outputs import write_outputs
from vidbench.terminal.tables import Table

_LISTED = 5


def run(arguments: Sequence[str]) -> None:
    """Makes all tables and the page of a finished run again; needs no model.

    Frames of its videos come from the cache, the videos, or the page's own copies in the folder.
    """
    options = _parser().parse_args(arguments)
    finished = FinishedRun(options.run)
    top_n = finished.metrics.largest_k if options.top_n is None else options.top_n
    if top_n < 1:
        raise ConfigError(f"--top_n is {top_n}, must be 1 or more")
    if options.thumbnails < 0:
        raise ConfigError(f"--thumbnails is {options.thumbnails}, must be 0 or more")
    metrics = write_outputs(finished.path, finished.predictions, finished.context, top_n)
    write_report(FinishedRun(options.run), ReportOptions(options.thumbnails, options.embed))
    if options.json:
        print(json.dumps(metrics.as_json(), indent=2))
        return
    print("\n".join(result_lines(finished.path, metrics)))
    if metrics.scored is not None:
        classes = class_metrics(outcomes_of(finished.judged))
        print("\n".join(_details(metrics.scored, classes)))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="vidbench report",
        description="Score a finished run again from its folder, and write its report.html.",
    )
    parser.add_argument("run", type=local_path, metavar="RUN", help="the run's folder")
    parser.add_argument("--top_n", type=int, metavar="N", help="k of the second accuracy")
    parser.add_argument(
        "--thumbnails",
        type=int,
        default=NUM_THUMBNAILS,
        metavar="N",
        help=f"show frames of so many videos, wrong ones first ({NUM_THUMBNAILS})",
    )
    parser.add_argument(
        "--embed", action="store_true", help="put small videos into the page, wrong ones first"
    )
    parser.add_argument("--json", action="store_true", help="print all metrics as JSON")
    return parser


def _details(scored: Scored, classes: Sequence[ClassMetrics]) -> list[str]:
    macro, found = scored.macro, scored.calibration
    calibrated = found.reason if isinstance(found, Missing) else f"error {found.error:.1%}"
    lines = [
        f"macro      precision {macro.precision:.1%}, recall {macro.recall:.1%}, F1 {macro.f1:.1%}",
        f"calibration {calibrated}",
        "",
        "worst classes",
        _worst(classes).shown(),
    ]
    if scored.most_confused:
        columns = ["label", "predicted", "videos", "share"]
        rows = [confusion._asdict() for confusion in scored.most_confused[:_LISTED]]
        lines += ["", "most confused", Table(columns, rows).shown()]
    return lines


def _worst(classes: Sequence[ClassMetrics]) -> Table:
    judged = [found for found in classes if found.accuracy is not None]
    judged.sort(key=lambda found: found.accuracy.value if found.accuracy else 0)
    rows = [
        {
            "class": found.name,
            "videos": found.num_videos,
            **dict(zip(("accuracy", "low", "high"), found.accuracy or (), strict=False)),
            "precision": found.precision,
            "f1": found.f1,
        }
        for found in judged[:_LISTED]
    ]
    columns = ["class", "videos", "accuracy", "low", "high", "precision", "f1"]
    return Table(columns, rows)
