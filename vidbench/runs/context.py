"""What is known of a run beside its predictions: its numbers need it, and ``run.json`` keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vidbench.data.leakage import Leakage
from vidbench.labels.alignment import Alignment
from vidbench.storage.typed_json import IF_ANY, Count, decode


@dataclass(frozen=True, kw_only=True)
class MatchedLabels:
    """Which of the model's classes the dataset's labels mean, as counts and lists.

    Attributes:
        num_aliases: Labels that were matched by aliases which the user named.
        aliases: The model's class by label, of these.
        num_classes: Classes of the dataset.
        num_exact: Labels that are one of the model's classes by the same name.
        num_renamed: Labels that are one by a known other name.
        num_missing: Labels that the model has no class for.
        num_unused: Classes of the model that no label means.
        renamed: The model's class by label, of the renamed ones.
        missing: The labels without a class.
        unused: The classes without a label.
    """

    num_aliases: Count = field(default=0, metadata=IF_ANY)
    aliases: Mapping[str, str] = field(default_factory=dict, metadata=IF_ANY)
    num_classes: Count
    num_exact: Count
    num_renamed: Count
    num_missing: Count
    num_unused: Count
    renamed: Mapping[str, str]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    @classmethod
    def of(cls, alignment: Alignment) -> MatchedLabels:
        """The counts and lists of an alignment."""
        return decode(cls, alignment.as_dict())


@dataclass(frozen=True, kw_only=True)
class KnownLeakage:
    """What is known of scored videos that the model was trained on.

    Attributes:
        trained_on: The release that the model was trained on; None where not stated.
        training_lists: Lists that were searched.
        leaked_videos: Scored videos that they hold; None where none was searched.
        examples: A few of the sources of these videos.
        published_overlap: What is published of the two releases.
        members: What is known of each run of a fusion, where that differs.
    """

    trained_on: str | None
    training_lists: tuple[str, ...]
    leaked_videos: Count | None
    examples: tuple[str, ...]
    published_overlap: str | None
    members: tuple[Mapping[str, Any], ...] = field(default=(), metadata=IF_ANY)

    @classmethod
    def of(cls, leakage: Leakage) -> KnownLeakage:
        """What was found out."""
        return decode(cls, leakage.as_dict())


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What is known of a run beside its predictions; kept in ``run.json``.

    Attributes:
        signature: What a number is of, with ``{evaluated}`` for the count of videos.
        views: Clips x crops, e.g. ``10x3``.
        num_listed: Videos on the split's official list.
        labels: Which of the model's classes the dataset's labels mean.
        choices: Classes that the model may choose from; empty for all of its own.
        leakage: What is known of scored videos that the model was trained on.
    """

    signature: str
    views: str = "1x1"
    num_listed: Count = 0
    labels: MatchedLabels
    choices: tuple[str, ...] = ()
    leakage: KnownLeakage
