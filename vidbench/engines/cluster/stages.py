"""The stages of a run as Ray maps them over shards; each calls what one machine calls.

An object of these classes is one process of the cluster. Nothing here knows Ray.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from vidbench.config.opening import find_model, open_worker_loader
from vidbench.config.run_config import RunConfig
from vidbench.data.clips.prepare import Workers
from vidbench.data.fetch.remote_tarballs import RemoteTarballs
from vidbench.data.fetch.tarballs import LocalTarballs
from vidbench.data.loader import VideoLoader
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.data.views import fewer_views
from vidbench.engines.cluster.shards import (
    Shard,
    dump_outcomes,
    dump_results,
    load_results,
)
from vidbench.engines.scoring import fill, rehearsed
from vidbench.errors import ConfigError, VidbenchError
from vidbench.models.base import Classifier
from vidbench.runs.predictions import Predictions
from vidbench.storage.locations import working_folder
from vidbench.system.machine import peak_memory
from vidbench.system.stopwatch import Stopwatch
from vidbench.terminal.logs import set_up_logging

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker has to know of a run.

    Attributes:
        config: What was asked for, with absolute paths.
        spec: What is done to pixels.
        own_hashes: Whether each node keeps hashes of video files for itself, because SQLite is not
            made for folders that machines share.
        weights: Digest of the model on the driver.
        classes: The model's.
        features: Digest of what decides the features of clips; None for a model without.
        threads: Of the model; None for one a core.
    """

    config: RunConfig
    spec: PreprocessSpec
    own_hashes: bool
    weights: str
    classes: tuple[str, ...]
    features: str | None
    threads: int | None

    def open_loader(self) -> VideoLoader:
        """The loader of one process of the cluster."""
        return open_worker_loader(self.config, self.spec, self.features, own_hashes=self.own_hashes)


class Decoder:
    """Puts the clips of a shard's videos into the cache, one video after another."""

    def __init__(self, job: WorkerSetup) -> None:
        set_up_logging(verbose=job.config.verbose_logging)
        self._loader = job.open_loader()
        self._workers = Workers(1, job.config.decode_timeout)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row, and in ``clips`` where its clips are or why there are none."""
        shard, begun = Shard.load(row), time.perf_counter()
        before = dict(self._loader.seconds_by_stage)
        results = list(self._loader.results(shard.records, self._workers))
        skips = sum(isinstance(result, Skip) for result in results)
        logger.info(
            "%s: %d videos decoded or found in %.1f s, %d skipped",
            row["name"],
            len(results),
            time.perf_counter() - begun,
            skips,
        )
        return {
            **row,
            "clips": dump_results(results),
            "work": json.dumps(_since(before, self._loader.seconds_by_stage)),
        }


class Predictor:
    """Scores the clips of shards with a model that is loaded once."""

    def __init__(self, job: WorkerSetup) -> None:
        set_up_logging(verbose=job.config.verbose_logging)
        self._job = job
        self._loader = job.open_loader()

    @cached_property
    def _classifier(self) -> Classifier:
        """Loaded at the first shard: an error there is told as what it is."""
        config = self._job.config
        model = find_model(config)
        model.check(self._job.spec)
        if model.digest() != self._job.weights:
            raise ConfigError(
                f"--model_path: {os.uname().nodename} has other weights ({model.digest()}) than "
                f"the driver ({self._job.weights}): name a folder that all nodes share"
            )
        load = partial(
            model.load,
            precision=config.precision,
            device=config.processor,
            num_threads=self._job.threads,
            cache_dir=working_folder(config.cache_dir),
        )
        return rehearsed(load, self._job.spec, self._job.classes)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The outcomes of the shard's videos, and what they took."""
        shard, classifier = Shard.load(row), self._classifier
        begun, fewer = time.perf_counter(), fewer_views(self._job.spec)
        predictions = Predictions.pending(shard.records, self._job.classes, {}, fewer)
        results = load_results(row["clips"], self._job.spec)
        before, bytes_before = dict(self._loader.seconds_by_stage), self._loader.cache_bytes
        slots, pace = _slots(shard.batches), []
        with self._loader.stream(shard.records, slots, results) as batches:
            for batch in batches:
                start = time.perf_counter()
                fill(predictions, batch, classifier, self._loader.features, fewer)
                pace.append((time.perf_counter() - start, len(batch.rows)))
        seconds = time.perf_counter() - begun
        logger.info("%s: %d videos predicted in %.1f s", row["name"], len(predictions), seconds)
        work = Stopwatch()
        work.add(json.loads(row["work"]))
        work.add(_since(before, self._loader.seconds_by_stage))
        work.add({"predict_shards": sum(seconds for seconds, _ in pace)})
        facts = {
            "pace": pace,
            "work": work.seconds,
            "cache_bytes": self._loader.cache_bytes - bytes_before,
            "peak_memory_bytes": peak_memory(),
        }
        return {"name": row["name"], "facts": json.dumps(facts), **dump_outcomes(predictions)}


def _slots(batches: Sequence[range]) -> list[range]:
    """The places of each batch's videos in the shard."""
    stops = [sum(map(len, batches[: place + 1])) for place in range(len(batches))]
    return [range(stop - len(rows), stop) for rows, stop in zip(batches, stops, strict=True)]


def _since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {stage: seconds - before.get(stage, 0.0) for stage, seconds in now.items()}


class Fetcher:
    """Fetches and extracts tarballs, one after another.

    Args:
        tarballs: Where their files are kept.
    """

    def __init__(self, tarballs: LocalTarballs | RemoteTarballs) -> None:
        set_up_logging()
        self._tarballs = tarballs

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row, and in ``files`` the names of the tarball's files.

        What goes wrong with a tarball stands in ``error``, so that the others are kept.
        """
        source = row["source"]
        try:
            files = self._tarballs.fetch(source)
        except VidbenchError as error:
            return {**row, "files": "[]", "error": type(error).__name__, "text": str(error)}
        logger.info("fetched %s", source)
        return {**row, "files": json.dumps(files), "error": "", "text": ""}
