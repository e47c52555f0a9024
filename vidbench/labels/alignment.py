"""Match the labels of a dataset with the classes of a model."""

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
        shared_videos: Number of videos that the ``evidence`` lists under both names.
        evidence: The annotation lists that were compared.
    """

    one: str
    other: str
    shared_videos: int
    evidence: str


@cache
def load_renames() -> tuple[Rename, ...]:
    """Known renames between Kinetics releases; no name occurs in two of them.

    ``digging`` and ``archaeological excavation`` are left out: Kinetics-400 and 600 share only
    3 such videos, and Kinetics-700 tells the two apart.
    """
    rows = csv.DictReader(read_data("renames.csv").splitlines())
    return tuple(
        Rename(row["one"], row["other"], int(row["shared_videos"]), row["evidence"]) for row in rows
    )


@dataclass(frozen=True)
class Alignment:
    """The model class that each label of a dataset means.

    Attributes:
        targets: The model's class for each dataset class that has one, in the dataset's order.
            No two dataset classes share a model class.
        missing: Dataset classes without a counterpart.
        unused: Model classes without a counterpart.
        aliases: The targets that come from the user's aliases.
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
        """Pairs of a dataset class and the other name that the model has for it."""
        pairs = self.targets.items()
        return tuple(p for p in pairs if p[0] != p[1] and p[0] not in self.aliases)

    def only(self, classes: Sequence[str]) -> Alignment:
        """Return the alignment restricted to these classes of the dataset."""
        targets = {label: self.targets[label] for label in classes if label in self.targets}
        missing = tuple(label for label in classes if label not in targets)
        used, gone = set(targets.values()), set(self.targets.values())
        aliases = {label: self.aliases[label] for label in classes if label in self.aliases}
        return Alignment(targets, missing, (*self.unused, *sorted(gone - used)), aliases)

    def as_dict(self) -> dict[str, Any]:
        """Counts and lists for JSON; exact matches are only counted."""
        from_aliases = {"num_aliases": len(self.aliases), "aliases": dict(self.aliases)}
        return (from_aliases if self.aliases else {}) | {
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
        """First 8 hexadecimal digits of a hash that tells different aliases of one count apart."""
        text = json.dumps(sorted(self.aliases.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def align(
    dataset_classes: Sequence[str],
    model_classes: Sequence[str],
    aliases: Mapping[str, str] | None = None,
) -> Alignment:
    """Match each class of the dataset with the model's class of the same name or a known rename.

    Aliases take precedence over both.

    A rename applies, in either direction, only if each list has exactly one of its two names. A
    list that has both distinguishes them: Kinetics-700 has ``waking up`` and ``baby waking up``.
    So two labels never mean the same class. Names are never matched loosely, not even by case;
    only the square brackets in templates such as ``Putting [something] onto [something]`` are
    ignored.

    Args:
        dataset_classes: All labels of the dataset, each once. Do not pass a subset: it would hide
            that the dataset distinguishes two names.
        model_classes: Classes of the model, each once.
        aliases: The model's class for some names of the dataset; each class at most once.
    """
    aliases = aliases or {}
    labels, available = set(dataset_classes), set(model_classes) - set(aliases.values())
    targets = {}
    templates = _match_templates(dataset_classes, model_classes)
    for label in dataset_classes:
        other = _other_names().get(label) or templates.get(label)
        if label in aliases:
            targets[label] = aliases[label]
        elif label in available:
            targets[label] = label
        elif other in available and other not in labels:
            targets[label] = other
    missing = tuple(label for label in dataset_classes if label not in targets)
    used = set(targets.values())
    unused = tuple(name for name in model_classes if name not in used)
    return Alignment(targets, missing, unused, {k: v for k, v in aliases.items() if k in targets})


def without_brackets(name: str) -> str:
    """Class name of a Something-Something template: the template without its brackets."""
    return name.replace("[", "").replace("]", "")


def _match_templates(labels: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Return the class that equals each label except for brackets, if the match is unique."""
    by_name: dict[str, list[str]] = {}
    for name in classes:
        by_name.setdefault(without_brackets(name), []).append(name)
    label_counts = Counter(map(without_brackets, labels))
    bare = {label: without_brackets(label) for label in labels}
    return {
        label: by_name[name][0]
        for label, name in bare.items()
        if label_counts[name] == 1 and len(by_name.get(name, ())) == 1
    }


@cache
def _other_names() -> dict[str, str]:
    pairs = [(rename.one, rename.other) for rename in load_renames()]
    return dict(pairs) | {other: one for one, other in pairs}
