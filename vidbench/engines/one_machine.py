"""An engine: the processes and threads of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vidbench.data.fetch.tarballs import Extracted, fetch_and_list
from vidbench.data.loader import VideoLoader
from vidbench.data.records import VideoRecord
from vidbench.engines.base import Measured, Workload
from vidbench.engines.scoring import predict
from vidbench.storage.locations import working_folder
from vidbench.system.machine import peak_memory


class OneMachine:
    """The processes and threads of this machine."""

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Extracted]:
        return fetch_and_list(sources, folder)

    def skip_is_final(self, loader: VideoLoader, record: VideoRecord) -> bool:
        return loader.skip_is_final(record)

    def predict(self, work: Workload) -> Measured:
        config, loader = work.config, work.loader
        loader.require_room([work.records[row] for rows in work.batches for row in rows])
        load = partial(
            work.model.load,
            precision=config.precision,
            device=config.processor,
            num_threads=config.num_threads,
            cache_dir=working_folder(config.cache_dir),
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
        return Measured(loader.seconds_by_stage, pace.summary() | sizes)
