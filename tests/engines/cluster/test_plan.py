"""How work is spread over a cluster: pure arithmetic, without Ray."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vidbench.config.run_config import RunConfig
from vidbench.engines.cluster.plan import Node, Plan, plan
from vidbench.errors import ConfigError

nodes = st.lists(
    st.builds(Node, st.just("10.0.0.1"), st.just("n"), st.integers(1, 96), st.integers(0, 8)),
    min_size=1,
    max_size=6,
)
counts = st.none() | st.integers(1, 64)


def config(**options: object) -> RunConfig:
    given_options = {name: value for name, value in options.items() if value is not None}
    return RunConfig(ray_address="auto", **given_options)  # type: ignore[arg-type]


def fits(found: Plan, cluster: list[Node]) -> bool:
    """Whether all of it fits where a node's cores are not looked at one by one."""
    cores = found.models * found.model_cores + found.decoders * found.decoder_cores
    gpus = found.models * found.model_gpus
    return cores <= sum(n.cores for n in cluster) and gpus <= sum(n.gpus for n in cluster)


@given(nodes, counts)
def test_what_is_not_asked_for_otherwise_fits(cluster: list[Node], decoders: int | None) -> None:
    found = plan(cluster, config(num_workers=decoders))
    assert found.models >= 1
    assert found.decoders == (decoders or found.decoders) >= 1
    assume(found.decoder_cores > 0.01 and sum(n.cores for n in cluster) > found.models)
    assert fits(found, cluster)


@given(nodes, counts, counts, st.none() | st.integers(1, 4))
def test_what_is_asked_for_is_what_there_is(
    cluster: list[Node], models: int | None, decoders: int | None, threads: int | None
) -> None:
    assume(max(node.cores for node in cluster) >= (threads or 1))
    found = plan(cluster, config(num_models=models, num_workers=decoders, num_threads=threads))
    assert found.models == (models or found.models)
    assert found.decoders == (decoders or found.decoders)
    assert found.threads == (threads or found.threads)


@given(nodes)
def test_a_gpu_takes_one_model_and_cores_alone_take_one_for_four(cluster: list[Node]) -> None:
    gpus = sum(node.gpus for node in cluster)
    found = plan(cluster, config())
    if gpus:
        assert (found.models, found.model_gpus) == (gpus, 1)
    on_cores = plan(cluster, config(device="cpu"))
    assert on_cores.model_gpus == 0
    assert on_cores == plan([node._replace(gpus=0) for node in cluster], config())
    threads = min(4, *(node.cores for node in cluster))
    assert on_cores.models == sum(node.cores // threads for node in cluster)


def test_the_log_says_it() -> None:
    two = [Node("10.0.0.1", "a", 8, 0), Node("10.0.0.2", "b", 8, 0)]
    assert plan(two, config()).describe() == "4 models of 4 threads and 8 decoders"
    one_gpu = [Node("10.0.0.1", "a", 8, 1)]
    assert plan(one_gpu, config()).describe() == "1 model on a GPU each and 7 decoders"


def test_a_cluster_that_cannot_hold_a_model_is_refused() -> None:
    small = [Node("10.0.0.1", "a", 2, 0)]
    with pytest.raises(ConfigError, match="no node of the cluster has more than 2 cores"):
        plan(small, config(num_threads=3))
    with pytest.raises(ConfigError, match="no GPU that Ray knows of"):
        plan(small, config(device="cuda"))
