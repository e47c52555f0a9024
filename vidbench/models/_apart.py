"""Run downloads by libraries that may hang in separate processes, which can be killed.

A thread could not be killed, and the library's thread pool would keep the program from exiting.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidbench.data.fetch.download import silence_limit
from vidbench.errors import ModelError
from vidbench.terminal.sanitize import one_line

logger = logging.getLogger(__name__)

_PATIENCE = 1 / 6  # share of the limit (10 s of 60) before the first report of progress
_REPORT_SECONDS = 60  # between further reports
_LOOK_SECONDS = 0.2
_ENDING_SECONDS = 5  # for a library to release its lock


def run_apart(
    function: Callable[..., str], *arguments: str | None, watched: Path, place: str
) -> str:
    """Call a function in another process and return its result.

    The process is terminated if no byte arrives, i.e. the watched folder does not grow, for 60 s
    or ``VIDBENCH_TIMEOUT_SECONDS``.

    Args:
        function: A function of a module.
        *arguments: Its arguments.
        watched: A folder that grows while it downloads.
        place: Name of the source, for messages.

    Raises:
        ModelError: The function raised an error, whose message is kept, or no byte arrived.
    """
    named = [function.__module__, function.__name__, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import main; main()", json.dumps(named)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if logger.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as process:
        try:
            _watch(process, watched, place)
            text = process.communicate()[0]
        finally:
            _end(process)
    try:
        outcome = json.loads(text)
    except ValueError:
        raise ModelError(f"its download ended with code {process.returncode}") from None
    if "error" in outcome:
        raise ModelError(str(outcome["error"]))
    return str(outcome["found"])


def no_byte_came(limit: float) -> str:
    """The message for a source that was silent for this many seconds."""
    return f"no byte came for {limit:g} s (VIDBENCH_TIMEOUT_SECONDS)"


def main() -> None:
    """Call the function that the command line names, and print its result or error as JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that libraries clean up
    answer = os.dup(1)
    os.dup2(2, 1)  # keeps the output of libraries out of the answer
    module, name, *arguments = json.loads(sys.argv[1])
    try:
        outcome: Any = {"found": getattr(importlib.import_module(module), name)(*arguments)}
    except Exception as error:  # noqa: BLE001 - any library's; raised again in the parent process
        outcome = {"error": one_line(error)}
    os.write(answer, json.dumps(outcome).encode())
    os.close(answer)
    os._exit(0)  # a library may have left threads that would block a normal exit


def _watch(process: subprocess.Popen[str], folder: Path, place: str) -> None:
    """Wait until the process ends.

    Raises:
        ModelError: No byte arrived for too long.
    """
    limit, start = silence_limit(), time.monotonic()
    first = last_size = _size(folder)
    changed, report = start, start + _PATIENCE * limit
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
            return
        now, size = time.monotonic(), _size(folder)
        if size != last_size:
            last_size, changed = size, now
        if now - changed > limit:
            raise ModelError(no_byte_came(limit))
        if now > report:
            report = now + _REPORT_SECONDS
            received = f"{max(0, last_size - first) / 1e6:.1f} MB came in {now - start:.0f} s"
            logger.info("looking for weights at %s: %s", place, received)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)
        process.kill()


def _size(folder: Path) -> int:
    """Total bytes of all readable files in a folder."""
    size, left = 0, [str(folder)]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
    return size
