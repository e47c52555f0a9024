"""What does the work of a run: this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from vidbench.data.datasets.base import Dataset
from vidbench.data.load import VideoLoader
from vidbench.data.records import VideoRecord
from vidbench.data.tarballs import fetch_tarballs
from vidbench.machine import peak_memory
from vidbench.models.base import Model
from vidbench.predict import predict
from vidbench.predictions import Predictions
from vidbench.run_config import RunConfig
from vidbench.run_folder import RunFolder
from vidbench.stopwatch import Stopwatch


class Work(NamedTuple):
    """What is left to predict of a run.

    Attributes:
        config: What the run was asked for.
        model: Not loaded yet.
        loader: Gives clips.
        records: All requested videos.
        predictions: Their table.
        batches: The places of the videos of each batch to predict.
        folder: Keeps what is predicted.
        stopwatch: Tells what the run waited for.
    """

    config: RunConfig
    model: Model
    loader: VideoLoader
    records: Sequence[VideoRecord]
    predictions: Predictions
    batches: Sequence[range]
    folder: RunFolder
    stopwatch: Stopwatch


class Measured(NamedTuple):
    """What the work took.

    Attributes:
        beside: Seconds by stage of what workers did meanwhile, in all of them together.
        facts: Latency, throughput, memory and bytes, by name with their units.
    """

    beside: Mapping[str, float]
    facts: Mapping[str, Any]


class Engine(Protocol):
    """Does the stages of a run; each gives the same bytes for the same work."""

    def bring_lists(self, dataset: Dataset) -> None:
        """Brings here what a dataset has to read before it can list its videos."""
        ...

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Path]:
        """As :func:`vidbench.data.tarballs.fetch_tarballs`."""
        ...

    def skip_stands(self, loader: VideoLoader, record: VideoRecord) -> bool:
        """Whether this skipped video need not be tried again."""
        ...

    def predict(self, work: Work) -> Measured:
        """What the work took; afterwards each of its videos is scored or skipped, and kept."""
        ...


class OneMachine:
    """The processes and threads of this machine."""

    def bring_lists(self, dataset: Dataset) -> None:
        pass  # it lies here, or is fetched from where it is published

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Path]:
        return fetch_tarballs(sources, folder)

    def skip_stands(self, loader: VideoLoader, record: VideoRecord) -> bool:
        return loader.skip_stands(record)

    def predict(self, work: Work) -> Measured:
        config, loader = work.config, work.loader
        loader.require_room([work.records[row] for rows in work.batches for row in rows])
        load = partial(
            work.model.load,
            precision=config.precision,
            device=config.processor,
            num_threads=config.num_threads,
            cache_dir=config.cache_dir,
        )
        pace = predict(
            load,
            loader,
            work.records,
            work.predictions,
            work.batches,
            work.folder,
            work.stopwatch,
        )
        sizes = {"peak_memory_bytes": peak_memory(), "cache_bytes": loader.cache_bytes}
        return Measured(loader.work, pace.summary() | sizes)
