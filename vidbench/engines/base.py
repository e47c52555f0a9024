"""Engine: the protocol for running an evaluation on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from vidbench.data.fetch.tarballs import Extracted
from vidbench.data.records import VideoRecord
from vidbench.engines.open_scorer import CheckedModel
from vidbench.engines.scoring import Scorer
from vidbench.runs.folder import RunFolder
from vidbench.runs.predictions import Predictions
from vidbench.system.stopwatch import Stopwatch


class Workload(NamedTuple):
    """The videos of a run that are still to be predicted, and all that is needed for it.

    Attributes:
        checked: The model, and how other processes open its scorer.
        scorer: Scorer of this machine; its model is not loaded yet.
        records: All requested videos.
        predictions: Table of their predictions.
        batches: Indices of the videos of each batch to predict.
        folder: Folder that predictions are written to.
        stopwatch: Measures what the run waited for.
    """

    checked: CheckedModel
    scorer: Scorer
    records: Sequence[VideoRecord]
    predictions: Predictions
    batches: Sequence[range]
    folder: RunFolder
    stopwatch: Stopwatch


class Measured(NamedTuple):
    """Measurements of a session.

    Attributes:
        beside: Seconds by stage in other threads and processes, summed over all of them.
        numbers: Latency, throughput, memory and bytes, by names that end in their units.
    """

    beside: Mapping[str, float]
    numbers: Mapping[str, Any]


class Engine(Protocol):
    """Runs the stages of an evaluation; all engines give equal bytes for equal work."""

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Extracted]:
        """Fetch tarballs like :func:`vidbench.data.fetch.tarballs.fetch_and_list`."""
        ...

    def skip_is_final(self, scorer: Scorer, record: VideoRecord, reason: str) -> bool:
        """Whether a video that was skipped for this reason need not be tried again."""
        ...

    def predict(self, work: Workload) -> Measured:
        """Score or skip each video, write the outcomes, and return the measurements."""
        ...
