"""The pipeline of a run on a cluster as a discrete-event simulation, to size one before renting it.

Tarballs are fetched first; then decoders and models take shards as Ray gives them out, up to two
at a time, and the driver writes what comes back. Whoever shares cores, a network or a server gets
what it asks for, or less in proportion. docs/scale.md says how far that is from what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.events import Clock, Done, Pool, Resource, Worker, when_all
from vidbench.data.fetch.tarballs import PARALLEL_TARBALLS
from vidbench.engines.cluster.shards import SHARD_VIDEOS

_SHARDS_PER_MODEL = 4  # at least, as in vidbench.engines.cluster.shards


class Cost(NamedTuple):
    """Seconds of one core for one video: a gamma distribution.

    Attributes:
        mean: Of all videos.
        spread: Standard deviation over the mean; 0 where all videos take the same.
    """

    mean: float
    spread: float = 0.0

    def of_shards(self, videos: list[int], rng: np.random.Generator) -> list[float]:
        """A draw for each shard: sums of equal gammas are gammas."""
        if not self.spread or not self.mean:
            return [self.mean * number for number in videos]
        variance = self.spread**2
        return [float(x) for x in rng.gamma(np.array(videos) / variance, self.mean * variance)]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        videos: All of them.
        tarballs: In which they lie; 0 where they are there already.
        video_bytes: Of one video.
        clip_bytes: Of one video's clips in the cache.
        extract: Core seconds to extract one video.
        decode: Core seconds to decode one video, or to find its clips.
        predict: Core seconds of a model for one video; seconds of a GPU where nodes have some.
    """

    videos: int
    tarballs: int = 0
    video_bytes: float = 0.0
    clip_bytes: float = 0.0
    extract: float = 0.0
    decode: Cost
    predict: Cost


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Who does it.

    Attributes:
        nodes: Equal machines.
        cores: Of each.
        models: Of each: processes with a model.
        threads: Of each model.
        decoders: Of each node.
        gpus: Of each node; 0 for models that compute on cores.
        node_bandwidth: Bytes a second that a node reads and writes together.
        server_bandwidth: Bytes a second of the server that tarballs come from.
        storage_bandwidth: Bytes a second of the storage that all nodes share.
        start_decoders: Seconds from the command, or from the last tarball, to the first shard.
        start_models: Likewise.
        driver: Seconds of the driver for a shard.
        end: Seconds behind the last shard: metrics and tables.
    """

    nodes: int
    cores: int
    models: int
    threads: int = 1
    decoders: int
    gpus: int = 0
    node_bandwidth: float = np.inf
    server_bandwidth: float = np.inf
    storage_bandwidth: float = np.inf
    start_decoders: float = 0.0
    start_models: float = 0.0
    driver: float = 0.0
    end: float = 0.0


@dataclass
class Outcome:
    """What became of it.

    Attributes:
        seconds: From the command's start to its end.
        fetch_seconds: Of them, until the last tarball was extracted.
        work_seconds: From the first model's first shard to the last model's last.
        videos: That the driver has been told of.
        busy: By resource, its share that was in use while videos were decoded and predicted.
    """

    seconds: float
    fetch_seconds: float
    work_seconds: float
    videos: int
    busy: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The resource that is most in use."""
        return max(self.busy, key=lambda name: self.busy[name])


class _Node:
    def __init__(self, clock: Clock, cluster: Cluster) -> None:
        self.cores = Resource(clock, cluster.cores)
        self.gpus = Resource(clock, cluster.gpus)
        self.network = Resource(clock, cluster.node_bandwidth)


class _Simulation:
    def __init__(self, job: Job, cluster: Cluster, seed: int) -> None:
        self._job, self._cluster, self._clock = job, cluster, Clock()
        self._shards = list(cut(job.videos, cluster.nodes * cluster.models))
        rng = np.random.default_rng(seed)
        self._decode = job.decode.of_shards(self._shards, rng)
        self._predict = job.predict.of_shards(self._shards, rng)
        self._nodes = [_Node(self._clock, cluster) for _ in range(cluster.nodes)]
        self._server = Resource(self._clock, cluster.server_bandwidth)
        self._storage = Resource(self._clock, cluster.storage_bandwidth)
        self._driver = Resource(self._clock, 1.0)
        self._fetched = 0.0
        self._capacities = {
            "cores": cluster.nodes * cluster.cores,
            "GPUs": cluster.nodes * cluster.gpus,
            "nodes' network": cluster.nodes * cluster.node_bandwidth,
            "shared storage": cluster.storage_bandwidth,
            "driver": 1.0,
        }
        self._videos = 0
        self._first_predicted, self._predicted = np.inf, 0.0
        self._decoders = self._pool(cluster.decoders, self._decode_shard, self._to_models)
        self._models = self._pool(cluster.models, self._predict_shard, self._to_driver)

    def run(self) -> Outcome:
        self._fetch()
        self._clock.run()
        end = self._clock.now + self._cluster.end
        work = self._predicted - self._first_predicted
        return Outcome(end, self._fetched, work, self._videos, self._busy())

    def _pool(
        self,
        each: int,
        work: Callable[[Worker[_Node], int, Done], None],
        then: Callable[[int], None],
    ) -> Pool[_Node]:
        """Workers of all nodes in turns, so that the first ones are spread."""
        return Pool([Worker(node) for _ in range(each) for node in self._nodes], work, then)

    def _fetch(self) -> None:
        fetchers = self._pool(PARALLEL_TARBALLS, self._fetch_tarball, self._count_tarball)
        self._tarballs_left = self._job.tarballs
        for number in range(self._job.tarballs):
            fetchers.add(number)
        fetchers.start()
        if not self._job.tarballs:
            self._begin()

    def _fetch_tarball(self, worker: Worker[_Node], number: int, done: Done) -> None:
        videos = self._job.videos / self._job.tarballs
        size, extract = videos * self._job.video_bytes, videos * self._job.extract
        extracted = when_all(2, done)

        def extract_and_share() -> None:
            worker.node.cores.serve(extract, 1, extracted)
            self._transfer(worker, size, extracted)

        fetched = when_all(2, extract_and_share)
        worker.node.network.serve(size, np.inf, fetched)
        self._server.serve(size, np.inf, fetched)

    def _count_tarball(self, number: int) -> None:
        self._tarballs_left -= 1
        if not self._tarballs_left:
            self._begin()

    def _begin(self) -> None:
        self._fetched = self._clock.now
        self._used_before = self._used()
        for number in range(len(self._shards)):
            self._decoders.add(number)
        self._clock.at(self._fetched + self._cluster.start_decoders, self._decoders.start)
        self._clock.at(self._fetched + self._cluster.start_models, self._models.start)

    def _decode_shard(self, worker: Worker[_Node], number: int, done: Done) -> None:
        """Reads videos, decodes and writes clips, one after another."""
        size = self._shards[number] * (self._job.video_bytes + self._job.clip_bytes)

        def decode() -> None:
            worker.node.cores.serve(self._decode[number], 1, done)

        self._transfer(worker, size, decode)

    def _predict_shard(self, worker: Worker[_Node], number: int, done: Done) -> None:
        """Clips are read while others are predicted."""
        self._first_predicted = min(self._first_predicted, self._clock.now)
        both = when_all(2, done)
        self._transfer(worker, self._shards[number] * self._job.clip_bytes, both)
        if self._cluster.gpus:
            worker.node.gpus.serve(self._predict[number], 1, both)
        else:
            worker.node.cores.serve(self._predict[number], self._cluster.threads, both)

    def _transfer(self, worker: Worker[_Node], size: float, done: Done) -> None:
        """Between a node and the shared storage."""
        both = when_all(2, done)
        worker.node.network.serve(size, np.inf, both)
        self._storage.serve(size, np.inf, both)

    def _to_models(self, number: int) -> None:
        self._models.add(number)

    def _to_driver(self, number: int) -> None:
        self._predicted = self._clock.now

        def count_videos() -> None:
            self._videos += self._shards[number]

        self._driver.serve(self._cluster.driver, 1, count_videos)

    def _busy(self) -> dict[str, float]:
        seconds = self._clock.now - self._fetched
        return {
            name: (used - self._used_before[name]) / self._capacities[name] / seconds
            for name, used in self._used().items()
        }

    def _used(self) -> dict[str, float]:
        """Core seconds, bytes and so on, until now."""
        found = {
            "cores": sum(node.cores.used for node in self._nodes),
            "GPUs": sum(node.gpus.used for node in self._nodes),
            "nodes' network": sum(node.network.used for node in self._nodes),
            "shared storage": self._storage.used,
            "driver": self._driver.used,
        }
        return {name: used for name, used in found.items() if self._capacities[name]}


def simulate(job: Job, cluster: Cluster, seed: int = 0) -> Outcome:
    """What this cluster would take for this job; equal seeds give equal outcomes."""
    return _Simulation(job, cluster, seed).run()


def cut(videos: int, models: int) -> Iterator[int]:
    """The videos of each shard, as :func:`vidbench.engines.cluster.shards.cut_shards` cuts them."""
    most = max(1, min(SHARD_VIDEOS, videos // (_SHARDS_PER_MODEL * models)))
    for first in range(0, videos, most):
        yield min(most, videos - first)
