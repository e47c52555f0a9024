"""How many models and decoders run on a cluster, and what share of it each takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from vidbench.config.run_config import RunConfig
from vidbench.errors import ConfigError

_THREADS = 4
"""Of a model without a GPU, where nobody says: more gain less and less, and take as much memory."""

_SHARE_OF_MODELS = 0.75
"""Of the cores on which a model computes. Decoders wait for models more often than not, so that
both may use the cores in turns; where they do not, the system divides them."""


class Node(NamedTuple):
    """A machine of the cluster.

    Attributes:
        address: Of the network.
        node_id: Ray's.
        cores: Processor cores that Ray may give away.
        gpus: Likewise.
    """

    address: str
    node_id: str
    cores: float
    gpus: float


class Plan(NamedTuple):
    """Who works at once, and what each claims of the cluster.

    Attributes:
        models: Processes with a model each.
        threads: Of each model.
        model_cores: What Ray reserves for each.
        model_gpus: Likewise.
        decoders: Processes that decode one video at a time.
        decoder_cores: What Ray reserves for each.
    """

    models: int
    threads: int
    model_cores: float
    model_gpus: float
    decoders: int
    decoder_cores: float

    def describe(self) -> str:
        """E.g. ``2 models of 4 threads and 4 decoders``, for the log."""
        of = "on a GPU each" if self.model_gpus else f"of {_count(self.threads, 'thread')}"
        return f"{_count(self.models, 'model')} {of} and {_count(self.decoders, 'decoder')}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number > 1)}"


def plan(nodes: Sequence[Node], config: RunConfig) -> Plan:
    """How the work is spread: a model on each GPU, or else on each group of cores.

    Decoders take what is left; a cluster without GPUs has half as many as cores.

    Args:
        nodes: The cluster.
        config: Its ``num_models``, ``num_threads``, ``num_workers`` and ``device`` decide where
            they are given.

    Raises:
        ConfigError: No node could hold a model.
    """
    gpus = sum(int(node.gpus) for node in nodes) if config.processor != "cpu" else 0
    if config.processor not in ("cpu", "auto") and not gpus:
        raise ConfigError(f"--device {config.device}: the cluster has no GPU that Ray knows of")
    return _on_gpus(nodes, config, gpus) if gpus else _on_cores(nodes, config)


def _on_gpus(nodes: Sequence[Node], config: RunConfig, gpus: int) -> Plan:
    models = config.num_models or gpus
    left = max(sum(node.cores for node in nodes) - models, 1)
    decoders = config.num_workers or int(left)
    threads = config.num_threads or _THREADS
    return Plan(models, threads, 1, 1, decoders, _claim(left, decoders))


def _on_cores(nodes: Sequence[Node], config: RunConfig) -> Plan:
    cores = [int(node.cores) for node in nodes]
    threads = config.num_threads or max(1, min([_THREADS, *filter(None, cores)]))
    room = sum(one // threads for one in cores)
    if not room:
        raise ConfigError(
            f"--num_threads is {threads}, but no node of the cluster has more than "
            f"{max(cores, default=0)} cores: lower it"
        )
    models = config.num_models or room
    decoders = config.num_workers or max(models, sum(cores) // 2)
    left = sum(cores) - _SHARE_OF_MODELS * threads * min(models, room)
    return Plan(models, threads, _SHARE_OF_MODELS * threads, 0, decoders, _claim(left, decoders))


def _claim(cores: float, decoders: int) -> float:
    """Of each decoder, so that all find room: rounded down, at most a core."""
    return max(0.01, min(1.0, math.floor(100 * cores / decoders) / 100))
