"""Class names that differ between a dataset and a model: near misses, and aliases from a file."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vidbench.errors import ConfigError
from vidbench.labels.class_lists import fold_name
from vidbench.storage.csv_cells import unescape_cell

_SIMILARITY = 0.85  # of 1: names that differ in a letter or two
_DELIMITERS = ",;\t"
_SHOWN = 3


def near_misses(missing: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Return the class that each name probably means; names without a similar class are left out.

    A class is similar if it differs only in case, blanks, ``_``, ``-``, quotes or brackets, or
    else if it is difflib's closest match with a ratio of at least 0.85.

    Args:
        missing: Names that are not classes of the model.
        classes: Class names of the model.
    """
    folded: dict[str, str] = {}
    for name in classes:
        folded.setdefault(fold_name(name), name)
    near = {}
    for name in missing:
        key = fold_name(name)
        similar = [key] if key in folded else difflib.get_close_matches(key, folded, 1, _SIMILARITY)
        if similar:
            near[name] = folded[similar[0]]
    return near


def tell_near_misses(missing: Sequence[str], classes: Sequence[str]) -> str:
    """Hint that suggests a class for each misspelt name; empty if no name has a similar class.

    Args:
        missing: Names that are not classes of the model.
        classes: Class names of the model.
    """
    near = near_misses(missing, classes)
    if not near:
        return ""
    shown = "; ".join(
        f"{name}: did you mean {target!r}?" for name, target in list(near.items())[:_SHOWN]
    )
    more = f"; and {len(near) - _SHOWN} more" if len(near) > _SHOWN else ""
    return f"{shown}{more}; --class_aliases FILE accepts such names"


def read_aliases(path: Path) -> dict[str, str]:
    """Read the model's class for each dataset name from a JSON object or a CSV with two columns.

    The columns are separated by commas, semicolons or tabs. A first line ``dataset,model`` is a
    header.

    Raises:
        ConfigError: The file is neither, or has a name or a class twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--class_aliases {path} cannot be read: {error}") from error
    pairs = _read_json(text, path) if text.lstrip().startswith("{") else _read_csv(text, path)
    if not pairs:
        raise ConfigError(f"--class_aliases {path} names no class")
    for what, names in zip(("name", "class"), zip(*pairs, strict=True), strict=True):
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError(f"--class_aliases {path} has the {what} {twice[0]!r} twice")
    return dict(pairs)


def check_aliases(
    aliases: Mapping[str, str], path: Path, labels: Sequence[str], classes: Sequence[str]
) -> None:
    """Check that each alias maps a class of the dataset to a class of the model.

    Raises:
        ConfigError: One does not, or its target is also the name of a class of the dataset.
    """
    for names, allowed, owner in (
        (list(aliases), labels, "a class of the dataset"),
        (list(aliases.values()), classes, "a class of the model"),
    ):
        if unknown := [name for name in names if name not in set(allowed)]:
            near = near_misses(unknown[:1], allowed)
            hint = f": did you mean {near[unknown[0]]!r}?" if near else ""
            raise ConfigError(f"--class_aliases {path}: {unknown[0]!r} is not {owner}{hint}")
    taken = set(labels) - aliases.keys()
    for name, target in aliases.items():
        if target in taken:
            raise ConfigError(
                f"--class_aliases {path}: {name!r} and {target!r} are both classes of the dataset "
                "and would mean the same class: merge them into one label in the dataset"
            )


def _read_json(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        pairs: list[tuple[str, str]] = json.loads(text, object_pairs_hook=list)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"--class_aliases {path} is not valid JSON: {error}") from error
    if not all(isinstance(value, str) for _, value in pairs):
        raise ConfigError(f"--class_aliases {path} must map names to names (strings to strings)")
    return pairs


def _read_csv(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        tables = [_read_rows(text, delimiter) for delimiter in _DELIMITERS]
    except csv.Error as error:
        raise ConfigError(f"--class_aliases {path} is not valid CSV: {error}") from error
    rows = next((rows for rows in tables if all(len(row) == 2 for row in rows)), None)
    if rows is None:
        wrong = next(row for row in tables[0] if len(row) != 2)
        raise ConfigError(
            f"--class_aliases {path} must have two columns, the dataset's name and the model's "
            f"class; one row is {','.join(wrong)[:80]!r}"
        )
    pairs = [(unescape_cell(name), unescape_cell(target)) for name, target in rows]
    return pairs[1:] if pairs and pairs[0] == ("dataset", "model") else pairs


def _read_rows(text: str, delimiter: str) -> list[list[str]]:
    file = io.StringIO(text, newline="")
    lines = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
    return [row for row in lines if row]
