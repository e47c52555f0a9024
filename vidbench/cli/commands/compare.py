"""Compares runs on the videos that all of them scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.errors import ConfigError
from vidbench.storage.files import replacing
from vidbench.system.validation import require_target
from vidbench.terminal.tables import Table

if TYPE_CHECKING:
    from vidbench.metrics.paired import ClassDifference
    from vidbench.runs.comparison import Comparison, Disagreement, Pair

_COLUMNS = (
    "a",
    "b",
    "right",
    "video_id",
    "label",
    "first_a",
    "score_a",
    "first_b",
    "score_b",
)
_SHOWN = 5
"""Videos and classes that the text shows; JSON has all."""


def run(arguments: Sequence[str]) -> None:
    """Shows how the runs differ: accuracies, paired differences, tests, videos and classes.

    Raises:
        ConfigError: The runs cannot be compared, or the CSV file exists.
    """
    options = _parse(arguments)
    for name, path in (("csv", options.csv), ("html", options.html)):
        _require_new(name, path)
    from vidbench.runs.compare import compare
    from vidbench.runs.finished import FinishedRun

    runs = [FinishedRun(path) for path in options.runs]
    comparison = compare(runs, options.k, options.min_common)
    if options.csv is not None:
        with replacing(options.csv) as temporary:
            temporary.write_text(_disagreements(comparison).render("csv") + "\n", "utf-8")
    if options.html is not None:
        from vidbench.report.comparison_page import write_comparison

        write_comparison(options.html, runs, comparison)
    if options.json:
        print(json.dumps(comparison.as_dict(), indent=2))
    else:
        print("\n".join(_lines(comparison)))


def _require_new(name: str, path: Path | None) -> None:
    if path is None:
        return
    require_target(name, path)
    if path.exists():
        raise ConfigError(f"--{name} {path} exists: name another file, or remove it")


def _parse(arguments: Sequence[str]) -> Any:
    parser = OneLineParser(
        prog="vidbench compare",
        description="Compare runs, two by two, on the videos that all of them scored.",
    )
    parser.add_argument("runs", type=local_path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--k", type=int, default=1, metavar="N", help="right is among the k first choices (1)"
    )
    parser.add_argument(
        "--min_common",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="refuse below this share of common videos in the largest run (0.5)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--csv",
        type=local_path,
        metavar="FILE",
        help="write the videos that only one run got right",
    )
    parser.add_argument(
        "--html", type=local_path, metavar="FILE", help="write a page with every video side by side"
    )
    return parser.parse_args(arguments)


def _disagreements(comparison: Comparison) -> Table:
    """A row for each pair of runs and each video that only one of them got right."""
    rows = [
        {"a": pair.a, "b": pair.b, "right": right} | _row(video)
        for pair in comparison.pairs
        for right, videos in ((pair.a, pair.only_a), (pair.b, pair.only_b))
        for video in videos
    ]
    return Table(_COLUMNS, rows)


def _row(video: Disagreement) -> dict[str, Any]:
    scores = {"score_a": video.score_a, "score_b": video.score_b}
    shown = {name: "" if score is None else f"{score:.6f}" for name, score in scores.items()}
    return asdict(video) | shown


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"videos     {comparison.videos} common to all runs" + _of_sources(comparison)
    for one in comparison.runs:
        yield f"{one.name}"
        yield (
            f"  {one.model} on {one.dataset}: {one.videos} scored videos with a known class, "
            f"{one.choices} choices"
        )
        yield f"  top-{comparison.k} on the common videos: {one.accuracy}"
    for pair in comparison.pairs:
        yield ""
        yield from _pair(pair, len(comparison.pairs))
    yield ""
    yield from _notes(comparison)


def _of_sources(comparison: Comparison) -> str:
    if comparison.sources == comparison.videos:
        return ""
    return f", cut from {comparison.sources} sources"


def _pair(pair: Pair, num_pairs: int) -> Iterator[str]:
    found, test = pair.difference, pair.mcnemar
    adjusted = f", {test.p_adjusted:.3g} after Holm's correction for {num_pairs} pairs"
    yield f"A = {pair.a}, B = {pair.b}"
    yield (
        f"A - B      {found.value * 100:+.1f} points (95 % interval {found.low * 100:+.1f} to "
        f"{found.high * 100:+.1f}; {found.method})"
    )
    yield f"McNemar    p = {test.p:.3g} (exact)" + (adjusted if num_pairs > 1 else "")
    yield f"to tell    {_to_tell(pair.videos_to_tell)}"
    yield f"only A     {_videos(pair.only_a)}"
    yield f"only B     {_videos(pair.only_b)}"
    yield from _classes(pair)


def _to_tell(videos: int | None) -> str:
    if videos is None:
        return "the accuracies are equal: there is no difference to tell"
    return f"a difference of this size: {videos} videos (80 % power at 5 %)"


def _videos(videos: Sequence[Disagreement]) -> str:
    shown = ", ".join(video.video_id for video in videos[:_SHOWN])
    more = ", ..." if len(videos) > _SHOWN else ""
    right = "1 video right" if len(videos) == 1 else f"{len(videos)} videos right"
    return right + (f": {shown}{more}" if videos else "")


def _classes(pair: Pair) -> Iterator[str]:
    significant = sum(found.p_adjusted < 0.05 for found in pair.classes)
    yield (
        f"classes    {significant} of {len(pair.classes)} differ significantly (5 %, after Holm's "
        "correction)"
    )
    differing = [found for found in pair.classes if found.difference][:_SHOWN]
    if differing:
        yield "the clearest:"
        yield _class_table(differing).shown()


def _class_table(classes: Sequence[ClassDifference]) -> Table:
    """A row for each class, under short names of columns."""
    rows = [
        asdict(each) | {"A": each.accuracy_a, "B": each.accuracy_b, "A - B": each.difference}
        for each in classes
    ]
    return Table(("label", "videos", "A", "B", "A - B", "p", "p_adjusted"), rows)


def _notes(comparison: Comparison) -> Iterator[str]:
    yield "A - B above 0: A is right more often. --json, --csv and --html have all videos."
    if comparison.sources < comparison.videos:
        yield (
            "Videos share sources: the intervals allow for it; McNemar's test and the videos to "
            "tell do not."
        )
