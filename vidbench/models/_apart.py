"""Downloads by libraries that wait for ever, each in a process of its own that may be ended.

A thread could not be ended, and its library's pool of threads would hold up the program's end.
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

_PATIENCE = 1 / 6  # of the limit, 10 s of 60: without a word about where weights are looked for
_REPORT_SECONDS = 60  # between two words after that
_LOOK_SECONDS = 0.2
_ENDING_SECONDS = 5  # for a library to take its lock away


def run_apart(
    function: Callable[..., str], *arguments: str | None, watched: Path, place: str
) -> str:
    """What the function gives, called in another process.

    The process is ended where no byte comes for 60 s, or ``VIDBENCH_TIMEOUT_SECONDS``: nothing is
    added to the files in the folder that is watched.

    Args:
        function: Of a module.
        *arguments: Its own.
        watched: A folder that grows while it downloads.
        place: Where it looks, for messages.

    Raises:
        ModelError: It raised an error, which the message tells, or no byte came.
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
    """What to say of a place that was silent for so many seconds."""
    return f"no byte came for {limit:g} s (VIDBENCH_TIMEOUT_SECONDS)"


def main() -> None:
    """Calls the function that the command line names, and prints as JSON what came of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that libraries clean up
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    module, name, *arguments = json.loads(sys.argv[1])
    try:
        found: Any = {"found": getattr(importlib.import_module(module), name)(*arguments)}
    except Exception as error:  # noqa: BLE001 - of any library; it is told where it was asked
        found = {"error": one_line(error)}
    os.write(answer, json.dumps(found).encode())
    os.close(answer)
    os._exit(0)  # a library may have left threads that wait


def _watch(process: subprocess.Popen[str], folder: Path, place: str) -> None:
    """Returns when the process has ended.

    Raises:
        ModelError: No byte came for too long.
    """
    limit, begun = silence_limit(), time.monotonic()
    first = size = _size(folder)
    changed, report = begun, begun + _PATIENCE * limit
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
            return
        now, found = time.monotonic(), _size(folder)
        if found != size:
            size, changed = found, now
        if now - changed > limit:
            raise ModelError(no_byte_came(limit))
        if now > report:
            report = now + _REPORT_SECONDS
            came = f"{max(0, size - first) / 1e6:.1f} MB came in {now - begun:.0f} s"
            logger.info("looking for weights at %s: %s", place, came)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)
        process.kill()


def _size(folder: Path) -> int:
    """Bytes in all files of a folder, as far as they can be seen."""
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
