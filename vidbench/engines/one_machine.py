"""OneMachine: the engine that uses the processes and threads of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidbench.data.fetch.tarballs import Extracted, fetch_and_list
from vidbench.data.records import VideoRecord
from vidbench.engines.base import Measured, Workload
from vidbench.engines.scoring import Scorer, predict
from vidbench.system.machine import peak_memory


class OneMachine:
    """Engine of this machine; see :class:`~vidbench.engines.base.Engine`."""

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Extracted]:
        return fetch_and_list(sources, folder)

    def skip_is_final(self, scorer: Scorer, record: VideoRecord, reason: str) -> bool:
        return scorer.skip_is_final(record, reason)

    def predict(self, work: Workload) -> Measured:
        scorer = work.scorer
        scorer.require_room([work.records[row] for rows in work.batches for row in rows])
        pace = predict(
            scorer, work.records, work.predictions, work.batches, work.folder, work.stopwatch
        )
        sizes = {"peak_memory_bytes": peak_memory(), "cache_bytes": scorer.cache_bytes}
        return Measured(scorer.seconds_by_stage, pace.summary() | sizes)
