"""Connect to a Ray cluster and list its nodes."""

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
    """Connect to a cluster, and yield its nodes.

    An existing connection of this process is used and kept.

    Args:
        address: ``HOST:PORT`` of a cluster, ``auto`` for the one that this machine belongs to, or
            ``local`` for a new one on this machine alone, which ends with the connection.
        verbose: Show the output of workers here.

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
    """Connect to the cluster; return the address of its dashboard, if it has one."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry unless the user wants it
    try:
        with handlers_kept():  # Ray installs its own handler of SIGTERM
            context = ray.init(
                **_options(address), log_to_driver=verbose, logging_level=logging.ERROR
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--ray_address {address}: {' '.join(str(error).split())}") from error
    return context.dashboard_url or None


def require_address(address: str) -> None:
    """Raise ConfigError unless the address names a cluster and its port accepts connections.

    Ray itself would wait for a long time.
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
    url = f"dashboard http://{dashboard}" if dashboard else "no dashboard"
    machines = f"{len(nodes)} node{'s' * (len(nodes) > 1)}"
    return f"Ray: {machines}, {cores:g} cores, {gpus:g} GPUs; {url}"
