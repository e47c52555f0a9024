"""Ranks the finished runs of a folder."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.runs.leaderboard import Leaderboard, Row, leaderboard
from vidbench.terminal.tables import FORMATS, Table, terminal_width

_NOTE = """\
Runs are ranked among those that scored the same videos (scored_digest) with the
same labels and choices. range: the ranks that the 95 % intervals leave open;
`vidbench compare` tests whether two runs differ. ms: median latency of a video.
--format csv, markdown and json have all columns and digits."""
_KEPT = ("rank", "range", "top1", "interval", "topk", "ms")
"""Columns that are shown even if all runs have the same value there."""
_VARYING = ("model", "dataset", "scored_digest", "labels", "choices", "k", "videos", "views")
_COLUMNS = (*_KEPT, *_VARYING, "cost_usd", "precision", "run")


def run(arguments: Sequence[str]) -> None:
    """Print the runs, the best first, and on standard error those that are not ranked with them."""
    parser = OneLineParser(
        prog="vidbench leaderboard",
        description="Rank the finished runs of a folder by top-1 accuracy.",
    )
    parser.add_argument("results_dir", type=local_path, metavar="RESULTS_DIR")
    parser.add_argument("--dataset", metavar="NAME", help="only runs on it, e.g. kinetics-400")
    parser.add_argument("--format", choices=FORMATS, default="text", help="text is the default")
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    options = parser.parse_args(arguments)
    form = "json" if options.json else options.format
    board = leaderboard(options.results_dir, options.dataset)
    if form == "text":
        print("\n".join(_lines(board)))
    else:
        print(board.table().render(form))
    _warn(board)


def _lines(board: Leaderboard) -> list[str]:
    """The table, and below it once each value that all rows share."""
    rows = [_brief(row) for row in board.rows]
    table, constant = Table(_COLUMNS, rows).without_constants((*_KEPT, "run"))
    shared = ", ".join(f"{name} {value}" for name, value in constant.items() if value is not None)
    lines = textwrap.wrap(f"all: {shared}", terminal_width()) if shared else []
    return [table.shown(), "", *lines, _NOTE]


def _brief(row: Row) -> Row:
    """A row for text: shares in percent, the interval in one column, latency in 3 digits."""
    low, high, latency = row["low"], row["high"], row["latency_ms"]
    return row | {
        "range": row["rank_range"],
        "top1": _percent(row["top1"]),
        "interval": None if low is None else f"{_percent(low)}-{_percent(high)}",
        "topk": _percent(row["topk"]),
        "ms": None if latency is None else f"{latency:.3g}",
    }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.1f}"


def _warn(board: Leaderboard) -> None:
    for note in board.notes:
        print(note, file=sys.stderr)
    if board.left_out:
        print(f"left out {len(board.left_out)} unfinished or damaged runs:", file=sys.stderr)
    for why in board.left_out.values():
        print(f"  {why}", file=sys.stderr)
