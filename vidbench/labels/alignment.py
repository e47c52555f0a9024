"""Which of a model's classes the labels of a dataset mean."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from vidbench.labels.class_lists import read_data


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
    rows = csv.DictReader(read_data("renames.csv").splitlines())
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
