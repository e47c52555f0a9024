"""Read a file of predictions, in the format of its suffix."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vidbench.errors import ConfigError
from vidbench.external.answers import Answers
from vidbench.external.csv_file import read_csv
from vidbench.external.json_lines import read_json
from vidbench.external.npz_file import read_npz

_CSV = (".csv", ".tsv", ".txt")
_JSON = (".jsonl", ".ndjson", ".json")
_PICKLES = (".pkl", ".pickle", ".pth", ".pt", ".npy", ".bin", ".ckpt")


def require_predictions(path: Path) -> None:
    """Raise ConfigError unless the path is a file that :func:`read_answers` may be able to read."""
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ConfigError(f"{path} {what}: name a file of predictions")
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        raise ConfigError(
            f"{path} is not read, because unpickling runs code in the file: convert it to CSV, "
            ".npz or JSON lines where it was made (docs/score.md shows how)"
        )
    if suffix not in (*_CSV, *_JSON, ".npz"):
        raise ConfigError(f"{path} ends in {suffix!r}: predictions are .csv, .npz or .jsonl")


def read_answers(path: Path, expected: Collection[str]) -> Answers:
    """Read a file of predictions.

    Args:
        path: A file that passed :func:`require_predictions`.
        expected: The classes that a file with scores of all classes would have.

    Raises:
        ConfigError: The file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        answers = read_npz(path)
    else:
        answers = read_csv(path, expected) if suffix in _CSV else read_json(path, expected)
    if not answers.keys:
        raise ConfigError(f"{path} has no predictions: it is empty")
    return answers
