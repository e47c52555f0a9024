"""Compares a model's logits with those that its authors published of one clip."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.data.loader import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR
from vidbench.errors import ConfigError, FetchError, ModelError, VidbenchError
from vidbench.models._golden.record import FloatClip, Golden, find_clip
from vidbench.models._golden.verify import Verification, show_range, verify
from vidbench.models.base import load_model
from vidbench.models.saved_model import SavedModelLoader
from vidbench.terminal.tables import Table


def run(arguments: Sequence[str]) -> None:
    """Compares a model's logits with the published ones, and says which range of pixels it wants.

    Raises:
        ConfigError: The model is unknown, or none of its logits was published.
        VidbenchError: They differ, or the weights or the clip could not be had.
    """
    options = _parser().parse_args(arguments)
    model = load_model(options.model, model_path=options.model_path)
    if not isinstance(model, SavedModelLoader) or model.golden is None:
        raise ConfigError(f"{model.name} has no golden record: no logits of it were published")
    golden = model.golden
    clip, path = _find_both(model, golden, options)
    found = verify(model, clip, golden, cache_dir=options.cache_dir)
    if options.json:
        places = {"weights": str(model.weights.folder), "file": str(path)}
        print(Table((), [places | found.as_dict()]).render("json"))
    else:
        print(f"weights    {model.weights.folder}\n" + "\n".join(_clip_lines(golden, path)))
        print("\n".join(_result_lines(found)))
    if not found.agrees:
        raise ModelError(f"{model.name} is not verified: {found.verdict}")


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="vidbench verify",
        description="Compare a model's logits with those that its authors published of one clip.",
    )
    parser.add_argument("model", metavar="MODEL", help="e.g. i3d/kinetics-400")
    parser.add_argument(
        "--model_path", metavar="PATH", help="weights: a SavedModel folder, an archive, or a handle"
    )
    parser.add_argument(
        "--golden_clip",
        metavar="FILE_OR_URL",
        help="the published clip's .npy file (default: fetched from where it was published)",
    )
    parser.add_argument("--data_dir", type=local_path, default=DEFAULT_DATA_DIR, metavar="DIR")
    parser.add_argument("--cache_dir", type=local_path, default=DEFAULT_CACHE_DIR, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    return parser


def _find_both(
    model: SavedModelLoader, golden: Golden, options: Namespace
) -> tuple[FloatClip, Path]:
    """The clip and its file, once the weights are there as well.

    Raises:
        VidbenchError: One or both could not be had; the message says all that was tried.
    """
    clip, missing = None, []
    try:
        clip = find_clip(golden, options.data_dir, options.golden_clip)
    except FetchError as error:
        hint = "--golden_clip takes its .npy file"
        missing.append(f"the clip {golden.clip} was not found; {hint}. Tried:\n  {error}")
    try:
        _ = model.weights
    except ModelError as error:
        missing.append(str(error))
    if clip is None or missing:
        raise VidbenchError("\n".join(["nothing was verified:", *missing]))
    return clip


def _clip_lines(golden: Golden, path: Path) -> list[str]:
    checked = "hash" if golden.sha256 else "shape and range: no hash of it is known"
    return [f"clip       {path}, checked by its {checked}", f"published  {golden.source}"]


def _result_lines(found: Verification) -> list[str]:
    winner = found.golden.top[0]
    return [
        f"\nlogits, with input in {show_range(found.best.pixel_range)}:",
        _class_table(found).shown(),
        "",
        _trial_table(found).shown(),
        "",
        f"predict    {found.winner} {found.probability:.5f}, "
        f"published {winner.label} {winner.probability:.5f}",
        f"verdict    {found.verdict}",
    ]


def _class_table(found: Verification) -> Table:
    """The published classes, in the range that is closest to them."""
    best = found.best
    rows = [
        {
            "class": score.label,
            "published": f"{score.logit:.4f}",
            "found": f"{logit:.4f}",
            "difference": f"{difference:+.4f}",
        }
        for score, logit, difference in zip(
            found.golden.top, best.logits, best.differences, strict=True
        )
    ]
    return Table(tuple(rows[0]), rows)


def _trial_table(found: Verification) -> Table:
    """One line for each range of the input."""
    rows = [
        {
            "input": show_range(trial.pixel_range),
            "norm": f"{trial.norm:.4f}",
            "published norm": f"{trial.golden.norm:.4f}",
            "largest difference": f"{trial.largest_difference:.4f}",
            "first five": "in order" if trial.in_order else "differ",
            "verdict": "agrees" if trial.agrees else "differs",
        }
        for trial in found.trials
    ]
    return Table(tuple(rows[0]), rows)
