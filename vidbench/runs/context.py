"""Context of a run that its metrics need besides the predictions; kept in ``run.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vidbench.data.leakage import Leakage
from vidbench.labels.alignment import Alignment
from vidbench.storage.typed_json import IF_ANY, Count, decode


@dataclass(frozen=True, kw_only=True)
class MatchedLabels:
    """How the dataset's labels were matched with the model's classes.

    Attributes:
        num_aliases: Number of labels matched by the user's aliases.
        aliases: The model's class by label, for these.
        num_classes: Number of classes of the dataset.
        num_exact: Number of labels that are the name of one of the model's classes.
        num_renamed: Number of labels matched by another known name of a class.
        num_missing: Number of labels for which the model has no class.
        num_unused: Number of the model's classes that match no label.
        renamed: The model's class by label, for labels matched by another known name.
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
        """The matched labels of an alignment."""
        return decode(cls, alignment.as_dict())


@dataclass(frozen=True, kw_only=True)
class KnownLeakage:
    """Scored videos that the model was trained on, as far as known.

    Attributes:
        trained_on: The release that the model was trained on; None if not stated.
        training_lists: Training lists that were searched.
        leaked_videos: Number of scored videos on these lists; None if none was searched.
        examples: Some of the sources of these videos.
        published_overlap: Published overlap of the two releases.
        members: Leakage of each run of a fusion, if they differ.
    """

    trained_on: str | None
    training_lists: tuple[str, ...]
    leaked_videos: Count | None
    examples: tuple[str, ...]
    published_overlap: str | None
    members: tuple[Mapping[str, Any], ...] = field(default=(), metadata=IF_ANY)

    @classmethod
    def of(cls, leakage: Leakage) -> KnownLeakage:
        """The record of a leakage check."""
        return decode(cls, leakage.as_dict())


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Context of a run that its metrics need besides the predictions; kept in ``run.json``.

    Attributes:
        signature: Signature of the metrics, with ``{evaluated}`` for the number of videos.
        views: Clips x crops, e.g. ``10x3``.
        num_listed: Number of videos on the split's official list.
        labels: How the dataset's labels were matched with the model's classes.
        choices: Classes that the model may choose from; empty for all.
        leakage: Scored videos that the model was trained on, as far as known.
    """

    signature: str
    views: str = "1x1"
    num_listed: Count = 0
    labels: MatchedLabels
    choices: tuple[str, ...] = ()
    leakage: KnownLeakage
