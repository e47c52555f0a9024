"""RayCluster: the engine that maps the stages of a run over a cluster with Ray Data."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vidbench.config.run_config import RunConfig
from vidbench.data.fetch.remote_lists import upload_lists
from vidbench.data.fetch.remote_tarballs import RemoteTarballs
from vidbench.data.fetch.tarballs import (
    Extracted,
    fetch_tarball,
    list_extracted,
    tarball_name,
    unfetched,
)
from vidbench.data.records import VideoRecord
from vidbench.engines.base import Measured, Workload
from vidbench.engines.cluster.pipeline import fetch_all, map_shards
from vidbench.engines.cluster.plan import Node, plan
from vidbench.engines.cluster.preflight import require_equal_nodes
from vidbench.engines.cluster.shards import cut_shards, take_outcomes
from vidbench.engines.open_scorer import WorkerSetup
from vidbench.engines.pace import Pace
from vidbench.engines.scoring import Done, Scorer
from vidbench.storage.store import at_once, open_store
from vidbench.system.stopwatch import Stopwatch
from vidbench.terminal.progress import progress
from vidbench.terminal.signals import finish_before_stopping

logger = logging.getLogger(__name__)

_FOLDERS = ("data_dir", "cache_dir", "results_dir")
_FILES = (  # values that may name files, but also e.g. class lists or models on a hub
    "annotations",
    "class_aliases",
    "classes",
    "classes_file",
    "dataset_path",
    "model_path",
    "prompts",
    "videos_path",
)


class RayCluster:
    """Engine of a Ray cluster; see :class:`~vidbench.engines.base.Engine`.

    Args:
        config: Options of the run.
        nodes: The machines.

    Raises:
        ConfigError: The machines do not see the same folders, or have another vidbench.
    """

    def __init__(self, config: RunConfig, nodes: Sequence[Node]) -> None:
        require_equal_nodes(nodes, config)
        self._config = config
        self._nodes = nodes

    def fetch_tarballs(self, sources: Sequence[str], folder: Path) -> list[Extracted]:
        if "data_dir" in self._config.remote:
            return self._fetch_to_store(sources, folder)
        fetch = partial(fetch_tarball, folder=folder.absolute())
        fetch_all(unfetched(sources, folder), fetch, self._nodes)
        return [list_extracted(folder / tarball_name(source)) for source in sources]

    def _fetch_to_store(self, sources: Sequence[str], folder: Path) -> list[Extracted]:
        store = open_store(self._config.data_dir)
        tarballs = RemoteTarballs(store, folder.relative_to(store.local).as_posix())
        upload_lists(store, tarballs.folder)
        before = zip(sources, at_once(tarballs.names, sources), strict=True)
        missing = [source for source, names in before if names is None]
        fetch_all(missing, tarballs.fetch, self._nodes)
        after = zip(sources, at_once(tarballs.names, sources), strict=True)
        return [Extracted(folder / tarball_name(source), names or []) for source, names in after]

    def skip_is_final(self, scorer: Scorer, record: VideoRecord, reason: str) -> bool:
        """True unless a retry was requested: videos may be visible to workers only."""
        return not self._config.retry_skipped

    def predict(self, work: Workload) -> Measured:
        chosen = plan(self._nodes, self._config)
        cut = cut_shards(work.batches, work.records, chosen.models)
        shards = {shard.name: shard for shard in cut}
        logger.info("%d shards; %s", len(shards), chosen.describe())
        rows = map_shards(cut, self._job(work, chosen.threads), chosen)
        totals, done = _Totals(), Done(work.predictions)
        with progress("predict", sum(map(len, work.batches))) as advance:
            for row in work.stopwatch.each("wait_for_shards", rows):
                shard = shards[row["name"]]
                with finish_before_stopping(), work.stopwatch("write"):
                    take_outcomes(work.predictions, shard.rows, row)
                    work.folder.add(work.predictions, shard.rows)
                    done.add(shard.rows)
                logger.debug("%s is written", shard.name)
                totals.add(json.loads(row["facts"]))
                advance(len(shard.records))
        work.scorer.sweep()
        cluster = {"nodes": len(self._nodes), **chosen._asdict()}
        return Measured(totals.beside.seconds, totals.summary() | {"cluster": cluster})

    def _job(self, work: Workload, threads: int) -> WorkerSetup:
        return WorkerSetup(
            config=_absolute(self._config),
            own_hashes=len(self._nodes) > 1,
            weights=work.checked.model.digest(),
            classes=work.predictions.classes,
            threads=threads,
            open=work.checked.open_worker,
        )


class _Totals:
    """Measurements of all shards together."""

    def __init__(self) -> None:
        self.beside = Stopwatch()
        self._pace = Pace()
        self._cache_bytes = 0
        self._peak_memory_bytes = 0

    def add(self, facts: Mapping[str, Any]) -> None:
        self.beside.add(facts["work"])
        for seconds, videos in facts["pace"]:
            if videos:  # else all features were cached, and the model did not run
                self._pace.add(seconds, videos)
        self._cache_bytes += facts["cache_bytes"]
        self._peak_memory_bytes = max(self._peak_memory_bytes, facts["peak_memory_bytes"])

    def summary(self) -> dict[str, Any]:
        """Measurements for ``run.json``; sizes and pace are those of processes with a model."""
        return self._pace.summary() | {
            "peak_memory_bytes": self._peak_memory_bytes,
            "cache_bytes": self._cache_bytes,
        }


def _absolute(config: RunConfig) -> RunConfig:
    """The options with absolute local paths: workers have other current folders."""
    absolute: dict[str, Any] = {}
    for name in (*_FOLDERS, *_FILES):
        value = getattr(config, name)
        is_path = value is not None and (name in _FOLDERS or Path(value).exists())
        if is_path and name not in config.remote:
            absolute[name] = type(value)(Path(value).absolute())
    return replace(config, **absolute)
