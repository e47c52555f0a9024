"""Ranks the finished runs of a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.runs.leaderboard import Leaderboard, leaderboard
from vidbench.terminal.tables import FORMATS

_NOTE = """\
Ranks are among runs that scored the same videos (scored_digest) by the same labels and choices.
rank_range: the ranks that the 95 % intervals leave open; `vidbench compare` tells runs apart."""
_KEPT = ("rank", "rank_range", "run", "top1", "low", "high", "topk", "latency_ms")


def run(arguments: Sequence[str]) -> None:
    """Shows the runs, the best first; on standard error, which are not ranked, or not together."""
    parser = OneLineParser(
        prog="vidbench leaderboard",
        description="Rank the finished runs of a folder by top-1 accuracy.",
        add_config_file_help=False,
        allow_abbrev=False,
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
    """What is the same in all rows stands once, below the table."""
    table, constant = board.table().without_constants(_KEPT)
    said = [f"{name} {value}" for name, value in constant.items() if value is not None]
    shown = table.shown()
    below = [""] if "\n\n" in shown else []  # behind paragraphs
    return [shown, *below, *([f"all: {', '.join(said)}"] if said else []), _NOTE]


def _warn(board: Leaderboard) -> None:
    for note in board.notes:
        print(note, file=sys.stderr)
    if board.left_out:
        print(f"left out {len(board.left_out)} unfinished or damaged runs:", file=sys.stderr)
    for why in board.left_out.values():
        print(f"  {why}", file=sys.stderr)
