"""Names of a dataset that are not quite a model's: which are near, and which are accepted."""

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

_LIKE = 0.85  # of 1: names that differ in a letter or two
_DELIMITERS = ",;\t"
_SHOWN = 3


def near_misses(missing: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """The class that each of some names may mean; names that resemble none are left out.

    A name is near if only case, blanks, ``_``, ``-``, quotes and brackets differ, or else if it is
    more like one class than any other (difflib's ratio of 0.85 and more).

    Args:
        missing: Names that are no classes.
        classes: Of the model.
    """
    folded: dict[str, str] = {}
    for name in classes:
        folded.setdefault(fold_name(name), name)
    found = {}
    for name in missing:
        key = fold_name(name)
        like = [key] if key in folded else difflib.get_close_matches(key, folded, 1, _LIKE)
        if like:
            found[name] = folded[like[0]]
    return found


def tell_near_misses(missing: Sequence[str], classes: Sequence[str]) -> str:
    """What to say of names that are near to classes; empty where none is.

    Args:
        missing: Names that are no classes.
        classes: Of the model.
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
    """The model's class for each of a dataset's names: a JSON object, or CSV of two columns.

    Between the columns are commas, semicolons or tabs. A first line ``dataset,model`` is a header.

    Raises:
        ConfigError: It is neither, or gives a name, or a class, twice.
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
    """Check that each alias leads from a name of the dataset to a class of the model.

    Raises:
        ConfigError: One does not, or leads to a class that the dataset has by its own name.
    """
    for names, known, whose in (
        (list(aliases), labels, "a class of the dataset"),
        (list(aliases.values()), classes, "a class of the model"),
    ):
        if unknown := [name for name in names if name not in set(known)]:
            near = near_misses(unknown[:1], known)
            hint = f": did you mean {near[unknown[0]]!r}?" if near else ""
            raise ConfigError(f"--class_aliases {path}: {unknown[0]!r} is not {whose}{hint}")
    taken = set(labels) - aliases.keys()
    for name, target in aliases.items():
        if target in taken:
            raise ConfigError(
                f"--class_aliases {path}: {name!r} and {target!r} are classes of the dataset, and "
                "would mean one class: give both one label in the dataset"
            )


def _read_json(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        pairs: list[tuple[str, str]] = json.loads(text, object_pairs_hook=list)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"--class_aliases {path} is no JSON: {error}") from error
    if not all(isinstance(value, str) for _, value in pairs):
        raise ConfigError(f"--class_aliases {path} must map names to names, as text")
    return pairs


def _read_csv(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        tables = [_read_rows(text, delimiter) for delimiter in _DELIMITERS]
    except csv.Error as error:
        raise ConfigError(f"--class_aliases {path} is no CSV: {error}") from error
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
