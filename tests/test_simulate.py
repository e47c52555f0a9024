"""The simulation of a cluster: what must hold of any pipeline, whatever its parts take."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.events import Clock, Resource
from benchmarks.simulate import Cluster, Cost, Job, cut, simulate
from vidbench.data.loader import batched as cut_batches
from vidbench.data.records import VideoRecord
from vidbench.engines.cluster.shards import SHARD_VIDEOS, cut_shards

seconds = st.floats(0.001, 10)
costs = st.builds(Cost, seconds, st.sampled_from([0.0, 0.5, 2.0]))
jobs = st.builds(
    Job,
    videos=st.integers(1, 3000),
    tarballs=st.integers(0, 5),
    video_bytes=st.floats(0, 1e7),
    clip_bytes=st.floats(0, 1e7),
    extract=st.floats(0, 0.1),
    decode=costs,
    predict=costs,
)
bandwidths = st.floats(1e7, 1e10) | st.just(math.inf)
clusters = st.builds(
    Cluster,
    nodes=st.integers(1, 4),
    cores=st.integers(1, 8),
    models=st.integers(1, 4),
    threads=st.integers(1, 4),
    decoders=st.integers(1, 4),
    gpus=st.integers(0, 2),
    node_bandwidth=bandwidths,
    server_bandwidth=bandwidths,
    storage_bandwidth=bandwidths,
    start_decoders=seconds,
    start_models=seconds,
    driver=st.floats(0, 1),
    end=seconds,
)


@given(jobs, clusters)
def test_every_video_arrives_once(job: Job, cluster: Cluster) -> None:
    assert simulate(job, cluster).videos == job.videos


@given(jobs, clusters, st.integers(0, 2**32))
def test_equal_seeds_give_equal_outcomes(job: Job, cluster: Cluster, seed: int) -> None:
    assert simulate(job, cluster, seed) == simulate(job, cluster, seed)


@given(jobs, clusters)
def test_nothing_is_faster_than_its_busiest_stage(job: Job, cluster: Cluster) -> None:
    """Work over all that may do it: no schedule is below any of these bounds."""
    job = replace(job, decode=Cost(job.decode.mean), predict=Cost(job.predict.mean))
    decode, predict = job.videos * job.decode.mean, job.videos * job.predict.mean
    cores = cluster.nodes * cluster.cores
    on_cores = decode + (0 if cluster.gpus else predict)
    width = cluster.gpus if cluster.gpus else min(cluster.models * cluster.threads, cluster.cores)
    shards = len(list(cut(job.videos, cluster.nodes * cluster.models)))
    clips = job.videos * (job.video_bytes + 2 * job.clip_bytes)
    bounds = [
        on_cores / cores,
        decode / min(cores, cluster.nodes * cluster.decoders),
        predict / (cluster.nodes * width),
        clips / cluster.storage_bandwidth,
        clips / (cluster.nodes * cluster.node_bandwidth),
        shards * cluster.driver,
    ]
    found = simulate(job, cluster)
    assert found.seconds >= max(bounds) * (1 - 1e-9)
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in found.busy.values())
    if job.tarballs:
        size = job.videos * job.video_bytes
        assert found.fetch_seconds >= size / cluster.server_bandwidth * (1 - 1e-9)
    assert found.seconds >= found.fetch_seconds + found.work_seconds


@given(st.integers(1, 2000), costs, costs, st.integers(0, 9))
def test_one_core_takes_the_sum(videos: int, decode: Cost, predict: Cost, seed: int) -> None:
    job = Job(videos=videos, decode=decode, predict=predict)
    cluster = Cluster(nodes=1, cores=1, models=1, decoders=1, end=2.0)
    shards = list(cut(videos, 1))
    found = simulate(job, cluster, seed)
    assert found.busy["cores"] == pytest.approx(1)
    if not decode.spread and not predict.spread:
        assert found.seconds == pytest.approx(videos * (decode.mean + predict.mean) + 2)
    assert len(shards) == math.ceil(videos / shards[0])


@given(st.integers(1, 2000), seconds, st.integers(1, 8))
def test_a_model_alone_starts_late_and_takes_its_own_time(
    videos: int, predict: float, threads: int
) -> None:
    job = Job(videos=videos, decode=Cost(0.0), predict=Cost(predict))
    cluster = Cluster(nodes=1, cores=8, models=1, threads=threads, decoders=1, start_models=7.0)
    found = simulate(job, cluster)
    assert found.seconds == pytest.approx(7 + videos * predict / threads)
    assert found.work_seconds == pytest.approx(videos * predict / threads)


@given(jobs, clusters, st.integers(2, 4))
def test_more_of_everything_is_never_slower_than_by_a_shard(
    job: Job, cluster: Cluster, times: int
) -> None:
    """Graham's anomalies of list scheduling (1966) are below the longest piece of work."""
    job = replace(job, tarballs=0, decode=Cost(job.decode.mean), predict=Cost(job.predict.mean))
    cluster = replace(cluster, driver=0.0)
    more = replace(cluster, nodes=times * cluster.nodes)
    few, many = simulate(job, cluster), simulate(job, more)
    alone = replace(cluster, nodes=1, models=1, decoders=1)
    shard = max(cut(job.videos, cluster.nodes * cluster.models))
    longest = simulate(replace(job, videos=shard), alone).seconds
    assert many.seconds <= few.seconds + longest


def test_many_equal_shards_scale_with_the_workers() -> None:
    job = Job(videos=64 * 64, decode=Cost(0.0), predict=Cost(1.0))
    one, two, four = (
        simulate(job, Cluster(nodes=n, cores=1, models=1, decoders=1)).seconds for n in (1, 2, 4)
    )
    assert one == pytest.approx(2 * two) == pytest.approx(4 * four) == pytest.approx(4096)


def test_who_shares_gets_what_is_asked_for_or_less_in_proportion() -> None:
    """Two cores, of which three ask for 1, 1 and 2: each gets half of it."""
    clock, ends = Clock(), {}
    cores = Resource(clock, 2.0)
    for name, amount, width in (("a", 1.0, 1.0), ("b", 2.0, 1.0), ("c", 4.0, 2.0)):
        cores.serve(amount, width, lambda name=name: ends.update({name: clock.now}))  # type: ignore[misc]
    clock.run()
    # Until 2 s each gets half; then b and c share: 2/3 of 1 and of 2.
    assert ends == {"a": 2.0, "b": pytest.approx(3.5), "c": pytest.approx(3.5)}
    assert cores.used == pytest.approx(7.0)


@given(st.integers(1, 5000), st.integers(1, 40))
def test_shards_are_as_large_as_those_of_a_run(videos: int, models: int) -> None:
    records = [VideoRecord(str(number), None, None) for number in range(videos)]
    real = cut_shards(cut_batches(videos, 1), records, models)
    assert [len(shard.records) for shard in real] == list(cut(videos, models))
    assert max(cut(videos, models)) <= SHARD_VIDEOS
