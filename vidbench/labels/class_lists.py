"""Ordered class lists: those that ship with vidbench, and users' files."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path

from vidbench.errors import ConfigError
from vidbench.labels.class_list_forms import other_form

_CLASSES = resources.files("vidbench.labels").joinpath("classes")
_NAMED_AT_MOST = 10
_LEFT_OUT = re.compile(r"[()'\"]")
_INDEX = re.compile(r"(-?(?:0|[1-9][0-9]{0,8}))(?:\.0)?")
_BLANKS = re.compile(r"[_\s-]+")


def load_classes(name: str) -> tuple[str, ...]:
    """Class names of a list that ships with vidbench, in the order of its source.

    Args:
        name: One of :func:`list_names`, e.g. ``kinetics-400`` or ``ucf101``.
    """
    return tuple(_CLASSES.joinpath(f"{name}.txt").read_text("utf-8").splitlines())


def list_names() -> tuple[str, ...]:
    """Names of the class lists that ship with vidbench, sorted."""
    names = [entry.name for entry in _CLASSES.iterdir()]
    return tuple(sorted(name.removesuffix(".txt") for name in names if name.endswith(".txt")))


def load_sources() -> dict[str, dict[str, str]]:
    """Origin of each shipped file of class names or renames, by file name."""
    sources: dict[str, dict[str, str]] = json.loads(read_data("sources.json"))
    return sources


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names of a text file with one name per line; the line number is the class index.

    Raises:
        ConfigError: The file is missing, empty or of another form, or has a class twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"class list {path} cannot be read: {error}") from error
    if (form := other_form(text)) is not None:
        raise ConfigError(
            f"class list {path} is {form}: write one name per line, in the order of the model's "
            "scores, and nothing else"
        )
    names = text.splitlines()
    if not names or not all(map(str.strip, names)):
        raise ConfigError(f"class list {path} must have one class name per line, and no empty line")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"class list {path} names {twice!r} more than once")
    return tuple(names)


@lru_cache(maxsize=1 << 14)
def fold_name(name: str) -> str:
    """Class name without differences in case, blanks, ``_``, ``-``, quotes and brackets."""
    return _BLANKS.sub(" ", _LEFT_OUT.sub("", name)).strip().casefold()


def index_of(label: str) -> int | None:
    """Class index of a label such as ``7`` or ``7.0`` (pandas with gaps); None for ``007``."""
    match = _INDEX.fullmatch(label)
    return None if match is None else int(match[1])


def are_indices(labels: Sequence[str]) -> bool:
    """Whether every non-empty label is a whole number, and there is at least one."""
    given = {label for label in labels if label}
    return bool(given) and all(index_of(label) is not None for label in given)


def find_classes(name_or_path: str) -> tuple[str, ...]:
    """Class names of a list that ships with vidbench, or else of a text file.

    Args:
        name_or_path: E.g. ``example-60`` or ``./my_classes.txt``. The name of a shipped list takes
            precedence over a file of that name.

    Raises:
        ConfigError: It is neither, or the file is not a class list.
    """
    if name_or_path in list_names():
        return load_classes(name_or_path)
    if not os.path.isfile(name_or_path):  # noqa: PTH113 - takes any name
        raise ConfigError(
            f"there is no class list {name_or_path!r}: give a file with one class name per line, "
            f"or one of {', '.join(list_names())}"
        )
    return read_classes(Path(name_or_path))


def restrict(classes: Sequence[str], subset: Sequence[str]) -> tuple[str, ...]:
    """The classes that are in a subset, in the order of ``classes``; names must match exactly.

    Raises:
        ConfigError: The subset is empty, or has a name that is not a class.
    """
    if not subset:
        raise ConfigError("the subset of classes is empty: name at least one class, or omit it")
    all_names = set(classes)
    if unknown := [name for name in dict.fromkeys(subset) if name not in all_names]:
        hints = "; ".join(_nearest(name, classes) for name in unknown[:_NAMED_AT_MOST])
        more = len(unknown) - _NAMED_AT_MOST
        raise ConfigError(
            f"{len(unknown)} of the {len(subset)} names in the subset are not among the dataset's "
            f"{len(classes)} classes: {hints}{f'; and {more} more' if more > 0 else ''}"
        )
    wanted = set(subset)
    return tuple(name for name in classes if name in wanted)


def _nearest(name: str, classes: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, classes, n=1)
    return f"{name!r} (did you mean {near[0]!r}?)" if near else f"{name!r} (no similar class)"


def read_data(name: str) -> str:
    """Text of a file in the folder of the class lists."""
    return _CLASSES.joinpath(name).read_text("utf-8")
