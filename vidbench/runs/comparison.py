"""Results of a comparison: each run, each pair, and the videos on which they disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidbench.metrics.intervals import Estimate
from vidbench.metrics.paired import ClassDifference, Difference, McNemar
from vidbench.storage.typed_json import encode


@dataclass(frozen=True)
class Disagreement:
    """A video that only one run got right, with the first choice and score of each run.

    The first choice is empty if a run ranks no class, and the score is None if it has none.
    """

    video_id: str
    label: str
    first_a: str
    score_a: float | None
    first_b: str
    score_b: float | None


@dataclass(frozen=True)
class Pair:
    """Two runs compared on the common videos.

    Attributes:
        a: Name of the first run.
        b: Name of the second run.
        difference: Difference of their accuracies, A minus B.
        mcnemar: Result of McNemar's test.
        videos_to_tell: Result of :func:`vidbench.metrics.paired.videos_to_tell`.
        only_a: Videos that only A got right.
        only_b: Videos that only B got right.
        classes: Difference on each class, the clearest first.
    """

    a: str
    b: str
    difference: Difference
    mcnemar: McNemar
    videos_to_tell: int | None
    only_a: tuple[Disagreement, ...]
    only_b: tuple[Disagreement, ...]
    classes: tuple[ClassDifference, ...]


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        name: Name of the run, or its path if names are not unique.
        model: Name of the model.
        dataset: Dataset and split.
        choices: Number of classes that the model may choose from.
        videos: Number of scored and labelled videos of this run.
        accuracy: Accuracy on the common videos.
    """

    name: str
    model: str
    dataset: str
    choices: int
    videos: int
    accuracy: Estimate


@dataclass(frozen=True)
class Comparison:
    """All runs and all pairs of runs, compared on their common videos.

    Attributes:
        k: A video is right if its class is among the k highest scores.
        videos: Number of common videos.
        sources: Number of sources that these were cut from.
        runs: The runs in the order given.
        pairs: Every run with every later one.
    """

    k: int
    videos: int
    sources: int
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return {**encode(self), "difference_is": "a - b"}
