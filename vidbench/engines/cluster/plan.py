"""Plan how many models and decoders run on a cluster, and the resources of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from vidbench.config.run_config import RunConfig
from vidbench.errors import ConfigError

_THREADS = 4
"""Default threads of a model without a GPU; with more threads the gain per thread decreases."""

_SHARE_OF_MODELS = 0.75
"""Share of a model's cores that Ray reserves for it. Decoders mostly wait for models, so both can
use the cores in turns; otherwise the operating system divides them."""


class Node(NamedTuple):
    """A machine of the cluster.

    Attributes:
        address: Network address.
        node_id: Id of the node in Ray.
        cores: Processor cores that Ray can assign.
        gpus: GPUs that Ray can assign.
    """

    address: str
    node_id: str
    cores: float
    gpus: float


class Plan(NamedTuple):
    """Number of concurrent processes, and the resources of each.

    Attributes:
        models: Number of processes with a model each.
        threads: Threads of each model.
        model_cores: Cores that Ray reserves for each model.
        model_gpus: GPUs that Ray reserves for each model.
        decoders: Number of processes that decode one video at a time.
        decoder_cores: Cores that Ray reserves for each decoder.
    """

    models: int
    threads: int
    model_cores: float
    model_gpus: float
    decoders: int
    decoder_cores: float

    def describe(self) -> str:
        """Summary for the log, e.g. ``2 models of 4 threads and 4 decoders``."""
        of = "on a GPU each" if self.model_gpus else f"of {_count(self.threads, 'thread')}"
        return f"{_count(self.models, 'model')} {of} and {_count(self.decoders, 'decoder')}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number > 1)}"


def plan(nodes: Sequence[Node], config: RunConfig) -> Plan:
    """Distribute the work: a model on each GPU, or else on each group of cores.

    Decoders use the remaining cores; without GPUs there are half as many decoders as cores.

    Args:
        nodes: The nodes of the cluster.
        config: Its ``num_models``, ``num_threads``, ``num_workers`` and ``device`` take precedence
            if set.

    Raises:
        ConfigError: No node has enough cores for a model, or no GPU if one is requested.
    """
    gpus = sum(int(node.gpus) for node in nodes) if config.processor != "cpu" else 0
    if config.processor not in ("cpu", "auto") and not gpus:
        raise ConfigError(f"--device {config.device}: the cluster has no GPU that Ray knows of")
    return _on_gpus(nodes, config, gpus) if gpus else _on_cores(nodes, config)


def _on_gpus(nodes: Sequence[Node], config: RunConfig, gpus: int) -> Plan:
    models = config.num_models or gpus
    free = max(sum(node.cores for node in nodes) - models, 1)
    decoders = config.num_workers or int(free)
    threads = config.num_threads or _THREADS
    return Plan(models, threads, 1, 1, decoders, _claim(free, decoders))


def _on_cores(nodes: Sequence[Node], config: RunConfig) -> Plan:
    cores = [int(node.cores) for node in nodes]
    threads = config.num_threads or max(1, min([_THREADS, *filter(None, cores)]))
    room = sum(count // threads for count in cores)
    if not room:
        raise ConfigError(
            f"--num_threads is {threads}, but no node of the cluster has more than "
            f"{max(cores, default=0)} cores: lower it"
        )
    models = config.num_models or room
    decoders = config.num_workers or max(models, sum(cores) // 2)
    free = sum(cores) - _SHARE_OF_MODELS * threads * min(models, room)
    return Plan(models, threads, _SHARE_OF_MODELS * threads, 0, decoders, _claim(free, decoders))


def _claim(cores: float, decoders: int) -> float:
    """Cores of each decoder so that all of them fit: rounded down, at most one."""
    return max(0.01, min(1.0, math.floor(100 * cores / decoders) / 100))
