"""Measures vidbench on this machine, as ratios of things that run side by side.

    python -m benchmarks --only decode,cache --rounds 5

Every made video and the I3D network (with random weights) are kept in the output folder for the
next run. It says at the end which goals hold, and does not fail if some do not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from benchmarks.clips import found_clips
from benchmarks.machine import describe_machine, summary
from benchmarks.rows import Row, write_rows
from benchmarks.workspace import Workspace

STAGES = ("decode", "cache", "model", "pipeline", "end_to_end", "growth", "scale")
_USUAL = STAGES[:-1]
"""Without ``scale``, which takes half an hour and the extra ``ray``."""
_STAGES_HELP = f"{', '.join(STAGES)} (default: all but scale, which takes long)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 whatever was measured."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    (out / "machine.json").write_text(json.dumps(machine, indent=2) + "\n", "utf-8")
    print(summary(machine), flush=True)
    with TemporaryDirectory(prefix="working-", dir=out) as temporary:
        workspace = Workspace(out, Path(temporary), options.clips, options.rounds, options.smoke)
        rows = chain.from_iterable(_rows(stage, workspace) for stage in options.only)
        found = write_rows(rows, out / "benchmarks.csv")
    with_goal = [row for row in found if row.holds is not None]
    print(f"{sum(row.holds is True for row in with_goal)} of {len(with_goal)} goals hold")
    return 0


def _rows(stage: str, workspace: Workspace) -> Iterator[Row]:
    """A stage's rows; its module is imported late, because decoding processes import this one."""
    rows: Iterator[Row] = import_module(f"benchmarks.{stage}").rows(workspace)
    return rows


class _OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line each."""

    def error(self, message: str) -> NoReturn:
        print(f"benchmarks: {message}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--only", type=_stages, default=_USUAL, metavar="STAGES", help=_STAGES_HELP)
    add("--rounds", type=_at_least_one, default=3, metavar="N", help="of each case (default 3)")
    add("--clips", type=_folder, metavar="DIR", help="videos that take the place of made ones")
    add("--out", type=Path, default=Path("results/benchmarks"), metavar="DIR", help="results")
    add("--smoke", action="store_true", help="few and short videos: shows that it works, no more")
    return parser


def _stages(text: str) -> tuple[str, ...]:
    """The named stages, in their own order."""
    names = text.split(",")
    for name in names:
        if name not in STAGES:
            raise argparse.ArgumentTypeError(f"there is no {name!r}, only {', '.join(STAGES)}")
    return tuple(stage for stage in STAGES if stage in names)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of 1 or more")
    return int(text)


def _folder(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {text!r} does not exist")
    if not found_clips(path):
        raise argparse.ArgumentTypeError(f"the folder {text!r} has no videos")
    return path


if __name__ == "__main__":
    sys.exit(main())
