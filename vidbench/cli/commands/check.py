"""Decodes every video of a folder or a split, every frame of it, and says which are not whole."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from vidbench.cli.arguments import (
    OneLineParser,
    add_options,
    add_positional,
    parse_options,
    plain_parser,
    take_options,
)
from vidbench.config.opening import open_dataset
from vidbench.config.option_groups import VideoOptions
from vidbench.config.options import check_options, option
from vidbench.config.run_config import RunConfig
from vidbench.data.video.check import check_videos
from vidbench.data.video.scan import Scan, Status
from vidbench.errors import ConfigError, VidbenchError
from vidbench.storage.files import replacing
from vidbench.storage.video_files import Found, find_videos
from vidbench.system.machine import default_num_workers
from vidbench.terminal.logs import set_up_logging
from vidbench.terminal.progress import above_bar, progress
from vidbench.terminal.tables import Table

_COLUMNS = ("path", "status", "reason", "note")
_SPLIT = (
    "dataset",
    "kinetics_version",
    "split",
    "dataset_path",
    "videos_path",
    "annotations",
    "frames_fps",
    "data_dir",
)


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What is checked besides a split, and what is written."""

    path: Path | None = option(None, "a folder of videos, or one video", "PATH")
    num_workers: int | None = option(
        None, "processes (default: one a core; 0: none)", "N", limits=(0, 1_000)
    )
    csv: Path | None = option(
        None, "write path, status, reason and note of every video to this CSV file", "FILE"
    )
    json: bool = option(False, "print them as JSON")


def run(arguments: Sequence[str]) -> None:
    """Prints a line for each video that is not whole or has a note, and counts.

    Raises:
        ConfigError: There is nothing to check, or the CSV file is there already.
        VidbenchError: Some videos are not whole.
    """
    given = parse_options(_parser(), arguments, {})
    options = take_options(given, CheckOptions)
    _refuse_contradictions(options, given)
    set_up_logging()
    found = find_videos(options.path) if options.path else _split_on_disk(RunConfig(**given))
    scans = _check(options, found)
    rows = [_row(*pair) for pair in zip(found.videos, scans, strict=True)]
    if options.csv is not None:
        with replacing(options.csv) as temporary:
            temporary.write_text(Table(_COLUMNS, rows).render("csv") + "\n", "utf-8")
    if options.json:
        print(Table(_COLUMNS, rows).render("json"))
    counts = Counter(scan.status for scan in scans)
    left_out = found.left_out(options.path) if options.path else []
    print(_summary(counts, found, left_out), file=sys.stderr if options.json else sys.stdout)
    if bad := len(scans) - counts["ok"]:
        raise VidbenchError(f"not whole, and skipped by a run: {bad} of {_count(len(scans))}")


def _parser() -> OneLineParser:
    parser = plain_parser(
        "vidbench check",
        "Decode every frame of every video below a folder, and say which are truncated or "
        "broken. The exit code is 0 if all are whole, 1 if some are not, and 2 if there is "
        "nothing to check.",
    )
    add_positional(parser, CheckOptions, "path")
    add_options(parser, CheckOptions, ["num_workers", "csv", "json"])
    add_options(
        parser.add_argument_group("instead of PATH, the videos of a split on disk"),
        VideoOptions,
        _SPLIT,
    )
    return parser


def _refuse_contradictions(options: CheckOptions, given: Mapping[str, Any]) -> None:
    if (options.path is None) == ("dataset" not in given):
        raise ConfigError("check what? Give either PATH or --dataset")
    check_options(options)
    if options.csv is not None and options.csv.exists():
        raise ConfigError(f"--csv {options.csv} exists: name another file, or remove it")


def _split_on_disk(config: RunConfig) -> Found:
    dataset = open_dataset(config)
    videos = [dataset.folder / path for path in dataset.paths_on_disk()]
    if not videos:
        raise ConfigError(
            f"no video of {dataset.name}/{dataset.split} is below {dataset.folder}: `vidbench "
            "evaluate` and `vidbench subset` fetch them"
        )
    return Found(videos, [], [], [], {})


def _check(options: CheckOptions, found: Found) -> list[Scan]:
    """What is found out of each video; what is told of one is said at once, unless JSON follows."""
    workers = default_num_workers() if options.num_workers is None else options.num_workers
    scans = []
    results = check_videos(found.videos, workers)
    with progress("check", len(found.videos)) as advance:
        for video, scan in zip(found.videos, results, strict=True):
            scans.append(scan)
            told = scan.reason or scan.note
            if told and not options.json:
                with above_bar(sys.stdout):
                    print(f"{scan.status:<9}  {_one_line(video)}: {told}", flush=True)
            advance(1)
    return scans


def _row(video: Path, scan: Scan) -> dict[str, str]:
    path = str(video)
    # A name that is no UTF-8 is shown with escapes: JSON and CSV cannot hold it.
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return {"path": shown, "status": scan.status, "reason": scan.reason, "note": scan.note}


def _one_line(video: Path) -> str:
    """The path as it is, or quoted with escapes where it would break the line or the terminal."""
    path = str(video)
    return path if path.isprintable() else ascii(path)


def _summary(counts: Counter[Status], found: Found, left_out: Sequence[str]) -> str:
    kinds = ", ".join(f"{counts[status]} {status}" for status in get_args(Status))
    return "; ".join([f"{_count(len(found.videos))}: {kinds}", *left_out])


def _count(videos: int) -> str:
    return "1 video" if videos == 1 else f"{videos} videos"
