"""What came of comparing runs: each run, each pair, and the videos on which they disagree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vidbench.metrics.intervals import Estimate
from vidbench.metrics.paired import ClassDifference, Difference, McNemar


@dataclass(frozen=True)
class Disagreement:
    """A video that one run alone got right, and what each run thought first, with its score.

    The first choice is empty where a run ranks no class, and the score None where it has none.
    """

    video_id: str
    label: str
    first_a: str
    score_a: float | None
    first_b: str
    score_b: float | None


@dataclass(frozen=True)
class Pair:
    """Two runs on the common videos.

    Attributes:
        a: Name of the first.
        b: Name of the second.
        difference: Of their accuracies.
        mcnemar: The test.
        videos_to_tell: As of :func:`vidbench.metrics.paired.videos_to_tell`.
        only_a: Videos that A alone got right.
        only_b: Videos that B alone got right.
        classes: The clearest difference first.
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
    """One run: its accuracy on the common videos, its own videos, its classes to choose from."""

    name: str
    model: str
    dataset: str
    choices: int
    videos: int
    accuracy: Estimate

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return vars(self) | {"accuracy": self.accuracy._asdict()}


@dataclass(frozen=True)
class Comparison:
    """All runs, and all pairs of them, on the videos that are common to all.

    Attributes:
        k: A video is right where its class is among the k highest scores.
        videos: How many are common.
        sources: How many sources these were cut from.
        runs: In the order given.
        pairs: Every run with every later one.
    """

    k: int
    videos: int
    sources: int
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        runs, pairs = [run.as_dict() for run in self.runs], [asdict(pair) for pair in self.pairs]
        return vars(self) | {"difference_is": "a - b", "runs": runs, "pairs": pairs}
