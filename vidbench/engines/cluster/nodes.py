"""The connection to Ray, and what its cluster has."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vidbench.engines.cluster.plan import Node
from vidbench.errors import ConfigError
from vidbench.system.machine import available_cores
from vidbench.terminal.signals import handlers_kept

logger = logging.getLogger(__name__)

_LOCAL = "local"
_AUTO = "auto"
_MAX_PORT = 65535
_CONNECT_SECONDS = 10.0


@contextmanager
def connect(address: str, *, verbose: bool = False) -> Iterator[list[Node]]:
    """The nodes of the cluster, while this process is connected to it.

    A program that is connected already stays so, and so it does afterwards.

    Args:
        address: ``HOST:PORT`` of a cluster, ``auto`` for the one that this machine belongs to, or
            ``local`` for a new one of this machine alone, which ends with the connection.
        verbose: Show here what workers say.

    Raises:
        ConfigError: There is no such cluster, or it runs another version of Ray or Python.
    """
    require_address(address)
    import ray

    if ray.is_initialized():
        yield _nodes()
        return
    dashboard = _join(address, verbose=verbose)
    try:
        nodes = _nodes()
        logger.info("%s", _describe(nodes, dashboard))
        yield nodes
    finally:
        ray.shutdown()


def _join(address: str, *, verbose: bool) -> str | None:
    """Where the cluster's dashboard is, if it has one; connected to it afterwards."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked to tell Ray's makers
    try:
        with handlers_kept():  # Ray takes SIGTERM for itself
            context = ray.init(
                **_options(address), log_to_driver=verbose, logging_level=logging.ERROR
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--ray_address {address}: {' '.join(str(error).split())}") from error
    return context.dashboard_url or None


def require_address(address: str) -> None:
    """Check that this names a cluster, and somebody listens there; Ray itself would wait long.

    Raises:
        ConfigError: It does not, or nobody does.
    """
    if address in (_LOCAL, _AUTO):
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or int(port) > _MAX_PORT:
        raise ConfigError(
            f"--ray_address {address!r} must be HOST:PORT, auto or local; from outside of a "
            "cluster, `ray job submit` runs the command there"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"--ray_address {address}: no cluster answers there ({error.strerror or error}): "
            "`ray start --head` starts one, and local means this machine alone"
        ) from error


def _options(address: str) -> dict[str, Any]:
    if address != _LOCAL:
        return {"address": address}
    return {"address": _LOCAL, "num_cpus": available_cores(), "include_dashboard": True}


def _nodes() -> list[Node]:
    import ray

    return [
        Node(
            node["NodeManagerAddress"],
            node["NodeID"],
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def _describe(nodes: list[Node], dashboard: str | None) -> str:
    cores, gpus = sum(node.cores for node in nodes), sum(node.gpus for node in nodes)
    shown = f"dashboard http://{dashboard}" if dashboard else "no dashboard"
    machines = f"{len(nodes)} node{'s' * (len(nodes) > 1)}"
    return f"Ray: {machines}, {cores:g} cores, {gpus:g} GPUs; {shown}"
