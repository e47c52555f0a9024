"""Run a program of somebody else within bounds: of time, and of what it may print."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import psutil

_POLL_SECONDS = 0.1
_CHUNK = 1 << 16
_TAIL = 4096  # bytes of what it prints for persons: the end says what is wrong


class Ended(NamedTuple):
    """How a program ended.

    Attributes:
        output: What it printed on its standard output, at most one byte more than it may.
        tail: The end of what it printed on its standard error.
        code: Its exit code, negative for the signal that ended it; None where it was ended for its
            time, or because it printed too much.
    """

    output: bytes
    tail: str
    code: int | None


def run_program(command: Sequence[str], seconds: float, most_bytes: int) -> Ended:
    """How the program ended; whatever it has started is ended with it.

    No shell reads the command. The program has no input, and a session of its own, so that a
    signal from the terminal does not reach it.

    Args:
        command: The program, and its arguments.
        seconds: How long it may run.
        most_bytes: What it may print on its standard output.

    Raises:
        OSError: It cannot be started.
    """
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, tail, ended = _read(process, deadline, most_bytes)
        finally:  # while it is not waited for, its number is no other group's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    text = tail.decode("utf-8", "replace")
    return Ended(output, text, process.returncode if ended else None)


def _read(
    process: subprocess.Popen[bytes], deadline: float, most_bytes: int
) -> tuple[bytes, bytes, bool]:
    """What the program prints, and whether it ended by itself within the bounds."""
    output, tail = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
        while len(output) <= most_bytes and time.monotonic() < deadline:
            ended = _has_ended(process)
            for key, _ in selector.select(0 if ended else _POLL_SECONDS):
                read = os.read(key.fd, _CHUNK)
                if not read:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    output += read
                else:
                    tail = (tail + read)[-_TAIL:]
            if ended and not selector.select(0):  # a child of it may keep its pipes open
                return bytes(output[: most_bytes + 1]), bytes(tail), len(output) <= most_bytes
    return bytes(output[: most_bytes + 1]), bytes(tail), False


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the program ended, without waiting for it, which would set its number free."""
    try:
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
