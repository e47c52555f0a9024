"""Ray beside other Ray on one machine: a folder, a token and ports for each cluster of a test."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def own_ray(token: bool = True) -> Iterator[dict[str, str]]:
    """Environment variables of processes that start Ray; those left afterwards are killed.

    Args:
        token: Give them a token; else Ray looks for one in the home folder.
    """
    folder = tempfile.mkdtemp(prefix="ray_", dir="/tmp")  # names of sockets have 107 characters
    environment = {"RAY_TMPDIR": folder}
    if token:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(20)}
    try:
        yield environment
    finally:
        left = _processes(environment)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def ray_processes(environment: Mapping[str, str]) -> list[list[str]]:
    """The command lines of Ray's own processes that run with these variables."""
    found = [" ".join(_words(process)) for process in _processes(environment)]
    return [line.split(" ") for line in found if "/ray/" in line or line.startswith("ray::")]


def _words(process: psutil.Process) -> list[str]:
    """The command line; nothing of a process that has ended meanwhile."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _processes(environment: Mapping[str, str]) -> list[psutil.Process]:
    return [found for found in psutil.process_iter() if _folder(found) == environment["RAY_TMPDIR"]]


def _folder(process: psutil.Process) -> str | None:
    try:
        running = process.status() != psutil.STATUS_ZOMBIE
        return process.environ().get("RAY_TMPDIR") if running else None
    except psutil.Error:
        return None


def free_ports(count: int) -> list[int]:
    """Ports of this machine on which nobody listens."""
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports
