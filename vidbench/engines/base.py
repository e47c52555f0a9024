"""What does the work of a run: this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from vidbench.config.run_config import RunConfig
from vidbench.data.fetch.tarballs import Extracted
from vidbench.data.records import VideoRecord
from vidbench.engines.open_scorer import CheckedModel
from vidbench.engines.scoring import Scorer
from vidbench.runs.folder import RunFolder
from vidbench.runs.predictions import Predictions
from vidbench.system.stopwatch import Stopwatch


class Workload(NamedTuple):
    """What is left to predict of a run.

    Attributes:
        config: What the run was asked for.
        checked: The model, and how its scorer is opened elsewhere.
        scorer: Scores videos on this machine; its model is not loaded yet.
        records: All requested videos.
        predictions: Their table.
        batches: The places of the videos of each batch to predict.
        folder: Keeps what is predicted.
        stopwatch: Tells what the run waited for.
    """

    config: RunConfig
    checked: CheckedModel
    scorer: Scorer
    records: Sequence[VideoRecord]
    predictions: Predictions
    batches: Sequence[range]
    folder: RunFolder
    stopwatch: Stopwatch


class Measured(NamedTuple):
    """What the work took.

    Attributes:
        beside: Seconds by stage of what workers did meanwhile, in all of them together.
        numbers: Latency, throughput, memory and bytes, by name with their units.
    """

    beside: Mapping[str, float]
    numbers: Mapping[str, Any]


class Engine(Protocol):
    """Does the stages of a run; each gives the same bytes for the same work."""

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Extracted]:
        """As :func:`vidbench.data.fetch.tarballs.fetch_and_list`."""
        ...

    def skip_is_final(self, scorer: Scorer, record: VideoRecord, reason: str) -> bool:
        """Whether this video, skipped for this reason, need not be tried again."""
        ...

    def predict(self, work: Workload) -> Measured:
        """What the work took; afterwards each of its videos is scored or skipped, and kept."""
        ...
