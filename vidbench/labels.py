"""Ordered class lists, and which of a model's classes a dataset's labels mean."""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.class_list_forms import other_form
from vidbench.errors import ConfigError

_CLASSES = resources.files("vidbench").joinpath("classes")
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
    """Where each file of class names or renames is from, by file name."""
    sources: dict[str, dict[str, str]] = json.loads(_read_data("sources.json"))
    return sources


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names of a text file: one a line, the line number is the class index.

    Raises:
        ConfigError: The file is missing, empty, of another form, or names a class twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"class list {path} cannot be read: {error}") from error
    if (form := other_form(text)) is not None:
        raise ConfigError(
            f"class list {path} is {form}: write one name a line, in the order of the model's "
            "scores, and nothing else"
        )
    names = text.splitlines()
    if not names or not all(map(str.strip, names)):
        raise ConfigError(f"class list {path} must hold one class name a line, none of them empty")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"class list {path} names {twice!r} more than once")
    return tuple(names)


@lru_cache(maxsize=1 << 14)
def fold_name(name: str) -> str:
    """What is left of a class name where case, blanks, ``_``, ``-``, quotes and brackets differ."""
    return _BLANKS.sub(" ", _LEFT_OUT.sub("", name)).strip().casefold()


def index_of(label: str) -> int | None:
    """The number of a label such as ``7`` or, from a column with gaps, ``7.0``; ``007`` is none."""
    match = _INDEX.fullmatch(label)
    return None if match is None else int(match[1])


def are_indices(labels: Sequence[str]) -> bool:
    """Whether all labels are whole numbers, and there are some; empty ones do not count."""
    asked = {label for label in labels if label}
    return bool(asked) and all(index_of(label) is not None for label in asked)


def find_classes(name_or_path: str) -> tuple[str, ...]:
    """Class names of a list that ships with vidbench, or else of a text file.

    Args:
        name_or_path: E.g. ``example-60`` or ``./my_classes.txt``. The name of a list that ships
            is never taken for a file.

    Raises:
        ConfigError: It is neither, or the file is no class list.
    """
    if name_or_path in list_names():
        return load_classes(name_or_path)
    path = Path(name_or_path)
    if not _is_file(path):
        raise ConfigError(
            f"there is no class list {name_or_path!r}: give a file with one class name a line, "
            f"or one of {', '.join(list_names())}"
        )
    return read_classes(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def restrict(classes: Sequence[str], subset: Sequence[str]) -> tuple[str, ...]:
    """The classes that are in a subset, in the order of ``classes``; names must be exact.

    Raises:
        ConfigError: The subset is empty, or names what is none of the classes.
    """
    if not subset:
        raise ConfigError("the subset names no class: name at least one, or leave it out")
    known = set(classes)
    if unknown := [name for name in dict.fromkeys(subset) if name not in known]:
        hints = "; ".join(_nearest(name, classes) for name in unknown[:_NAMED_AT_MOST])
        more = len(unknown) - _NAMED_AT_MOST
        raise ConfigError(
            f"{len(unknown)} of the {len(subset)} names in the subset are none of the dataset's "
            f"{len(classes)} classes: {hints}{f'; and {more} more' if more > 0 else ''}"
        )
    wanted = set(subset)
    return tuple(name for name in classes if name in wanted)


class Rename(NamedTuple):
    """Two names of one class in different lists.

    Attributes:
        one: The name in one list.
        other: The name in the other.
        shared_videos: How many videos the ``evidence`` has under both names.
        evidence: The annotation lists that were compared.
    """

    one: str
    other: str
    shared_videos: int
    evidence: str


@cache
def load_renames() -> tuple[Rename, ...]:
    """The known renames between Kinetics releases; no name occurs in two of them.

    ``digging`` and ``archaeological excavation`` are left out: Kinetics-400 and 600 share only
    3 such videos, and Kinetics-700 tells the two apart.
    """
    rows = csv.DictReader(_read_data("renames.csv").splitlines())
    return tuple(
        Rename(row["one"], row["other"], int(row["shared_videos"]), row["evidence"]) for row in rows
    )


@dataclass(frozen=True)
class Alignment:
    """Which class of a model each label of a dataset means.

    Attributes:
        targets: The model's class for each dataset class that has one, in the dataset's order.
            No two have the same.
        missing: Dataset classes without counterpart.
        unused: Model classes that no dataset class means.
        aliases: The part of the targets that somebody said.
    """

    targets: Mapping[str, str]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def exact(self) -> tuple[str, ...]:
        """Names that both lists have."""
        pairs = self.targets.items()
        return tuple(p[0] for p in pairs if p[0] == p[1] and p[0] not in self.aliases)

    @property
    def renamed(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a dataset's class and the model's known other name for it."""
        pairs = self.targets.items()
        return tuple(p for p in pairs if p[0] != p[1] and p[0] not in self.aliases)

    def only(self, classes: Sequence[str]) -> Alignment:
        """The part of it that concerns these classes of the dataset."""
        targets = {label: self.targets[label] for label in classes if label in self.targets}
        missing = tuple(label for label in classes if label not in targets)
        used, gone = set(targets.values()), set(self.targets.values())
        aliases = {label: self.aliases[label] for label in classes if label in self.aliases}
        return Alignment(targets, missing, (*self.unused, *sorted(gone - used)), aliases)

    def as_dict(self) -> dict[str, Any]:
        """Counts and lists for JSON; exact names are counted only."""
        said = {"num_aliases": len(self.aliases), "aliases": dict(self.aliases)}
        return (said if self.aliases else {}) | {
            "num_classes": len(self.targets) + len(self.missing),
            "num_exact": len(self.exact),
            "num_renamed": len(self.renamed),
            "num_missing": len(self.missing),
            "num_unused": len(self.unused),
            "renamed": dict(self.renamed),
            "missing": list(self.missing),
            "unused": list(self.unused),
        }

    def describe(self) -> str:
        """One phrase, e.g. ``368 exact, 12 renamed, 20 missing of 400 classes``."""
        if not self.targets and not self.missing:
            return "no labels"
        if not self.renamed and not self.missing and not self.aliases:
            return f"{len(self.exact)} exact classes"
        counts = {
            "renamed": len(self.renamed),
            f"by aliases {self._digest_aliases()}": len(self.aliases),
            "missing": len(self.missing),
        }
        parts = [f"{len(self.exact)} exact", *(f"{n} {what}" for what, n in counts.items() if n)]
        return f"{', '.join(parts)} of {len(self.targets) + len(self.missing)} classes"

    def _digest_aliases(self) -> str:
        """8 hexadecimal digits of who means what, as others with as many may mean otherwise."""
        text = json.dumps(sorted(self.aliases.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def align(
    dataset_classes: Sequence[str],
    model_classes: Sequence[str],
    aliases: Mapping[str, str] | None = None,
) -> Alignment:
    """Which class of the model each class of the dataset means: the same name, or a known rename.

    Aliases that somebody says go over both.

    A rename holds, in either direction, only where each list has just one of its two names. A
    list that has both tells them apart: Kinetics-700 has ``waking up`` beside ``baby waking up``.
    So no two labels ever mean one class. Names are never matched loosely, not even by case; only
    the square brackets in templates such as ``Putting [something] onto [something]`` are no part
    of a name.

    Args:
        dataset_classes: All labels of the dataset, each once; a subset would hide that the
            dataset tells two names apart.
        model_classes: Classes of the model, each once.
        aliases: The model's class for some names of the dataset; no class twice.
    """
    said = aliases or {}
    labels, known = set(dataset_classes), set(model_classes) - set(said.values())
    targets = {}
    templates = _match_templates(dataset_classes, model_classes)
    for label in dataset_classes:
        other = _other_names().get(label) or templates.get(label)
        if label in said:
            targets[label] = said[label]
        elif label in known:
            targets[label] = label
        elif other in known and other not in labels:
            targets[label] = other
    missing = tuple(label for label in dataset_classes if label not in targets)
    used = set(targets.values())
    unused = tuple(name for name in model_classes if name not in used)
    return Alignment(targets, missing, unused, {k: v for k, v in said.items() if k in targets})


def without_brackets(name: str) -> str:
    """A template of Something-Something as the name of its class."""
    return name.replace("[", "").replace("]", "")


def _match_templates(labels: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """The class of each label that is the same but for square brackets, if both are alone in it."""
    by_name: dict[str, list[str]] = {}
    for name in classes:
        by_name.setdefault(without_brackets(name), []).append(name)
    asked = Counter(map(without_brackets, labels))
    bare = {label: without_brackets(label) for label in labels}
    return {
        label: by_name[name][0]
        for label, name in bare.items()
        if asked[name] == 1 and len(by_name.get(name, ())) == 1
    }


@cache
def _other_names() -> dict[str, str]:
    pairs = [(rename.one, rename.other) for rename in load_renames()]
    return dict(pairs) | {other: one for one, other in pairs}


def _nearest(name: str, classes: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, classes, n=1)
    return f"{name!r} (did you mean {near[0]!r}?)" if near else f"{name!r} (nothing is near it)"


def _read_data(name: str) -> str:
    return _CLASSES.joinpath(name).read_text("utf-8")
