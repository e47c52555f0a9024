"""Stages of a run on a cluster, built on the same functions as on one machine.

Each object of these classes runs in a process of its own. The module is independent of Ray.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vidbench.data.clips.prepare import Workers
from vidbench.engines.cluster.shards import Shard, dump_outcomes
from vidbench.engines.open_scorer import WorkerSetup
from vidbench.engines.scoring import fill
from vidbench.errors import VidbenchError
from vidbench.runs.predictions import Predictions
from vidbench.system.machine import peak_memory
from vidbench.system.stopwatch import Stopwatch
from vidbench.terminal.logs import set_up_logging

logger = logging.getLogger(__name__)


class Decoder:
    """Prepares the input of a shard's videos one after another, e.g. decodes their clips."""

    def __init__(self, job: WorkerSetup) -> None:
        set_up_logging(verbose=job.config.verbose_logging)
        self._scorer = job.open_scorer()
        self._workers = Workers(1, job.config.decode_timeout)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with the prepared input of its videos in ``input``."""
        shard, start = Shard.load(row), time.perf_counter()
        before = dict(self._scorer.seconds_by_stage)
        prepared = self._scorer.prepare(shard.records, self._workers)
        seconds = time.perf_counter() - start
        logger.info("%s: %d videos prepared in %.1f s", row["name"], len(shard.records), seconds)
        return {
            **row,
            "input": prepared,
            "work": json.dumps(_since(before, self._scorer.seconds_by_stage)),
        }


class Predictor:
    """Scores the videos of shards with a model that is loaded once."""

    def __init__(self, job: WorkerSetup) -> None:
        set_up_logging(verbose=job.config.verbose_logging)
        self._classes = job.classes
        self._scorer = job.open_scorer()

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The outcomes of the shard's videos, and measurements."""
        shard, scorer = Shard.load(row), self._scorer
        scorer.load()  # once; not in the constructor, where Ray would hide the error
        begun = time.perf_counter()
        predictions = Predictions.pending(
            shard.records, self._classes, {}, scorer.fewer_views, scorer.evidence
        )
        before, bytes_before = dict(scorer.seconds_by_stage), scorer.cache_bytes
        slots, pace = _slots(shard.batches), []
        with scorer.stream(shard.records, slots, row["input"]) as batches:
            for batch in batches:
                start = time.perf_counter()
                outcomes = batch()
                fill(predictions, outcomes)
                pace.append((time.perf_counter() - start, outcomes.judged))
        seconds = time.perf_counter() - begun
        logger.info("%s: %d videos predicted in %.1f s", row["name"], len(predictions), seconds)
        work = Stopwatch()
        work.add(json.loads(row["work"]))
        work.add(_since(before, scorer.seconds_by_stage))
        work.add({"predict_shards": sum(seconds for seconds, _ in pace)})
        facts = {
            "pace": pace,
            "work": work.seconds,
            "cache_bytes": scorer.cache_bytes - bytes_before,
            "peak_memory_bytes": peak_memory(),
        }
        return {"name": row["name"], "facts": json.dumps(facts), **dump_outcomes(predictions)}


def _slots(batches: Sequence[range]) -> list[range]:
    """Indices of each batch's videos in the shard."""
    stops = [sum(map(len, batches[: index + 1])) for index in range(len(batches))]
    return [range(stop - len(rows), stop) for rows, stop in zip(batches, stops, strict=True)]


def _since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {stage: seconds - before.get(stage, 0.0) for stage, seconds in now.items()}


class Fetcher:
    """Fetches and extracts tarballs, one after another.

    Args:
        fetch: Fetches the tarball from its source.
    """

    def __init__(self, fetch: Callable[[str], object]) -> None:
        set_up_logging()
        self._fetch = fetch

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with any error in ``error``, not raised, so that other tarballs are kept."""
        source = row["source"]
        try:
            self._fetch(source)
        except VidbenchError as error:
            return {**row, "error": type(error).__name__, "text": str(error)}
        logger.info("fetched %s", source)
        return {**row, "error": "", "text": ""}
