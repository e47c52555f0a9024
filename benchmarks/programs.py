"""Programs started anew, as anybody would start them: their seconds and their memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile
from typing import NamedTuple

import psutil

_REPOSITORY = Path(__file__).parents[1]
_SAMPLE_SECONDS = 0.1


class Finished(NamedTuple):
    """A program that ended well.

    Attributes:
        seconds: From its start to its end.
        peak_bytes: Most memory it had at once with all its children; 0 where nobody looked.
        output: What it printed.
    """

    seconds: float
    peak_bytes: int
    output: str


def run_module(*arguments: object, watch_memory: bool = False) -> Finished:
    """What became of ``python -m ARGUMENTS``.

    Args:
        *arguments: The module's name and its arguments; paths must be absolute.
        watch_memory: Costs time: what is timed should not be watched.

    Raises:
        SystemExit: It failed; the message has all that it said.
    """
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    os.sync()  # what another program left to be written would slow this one down
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, cwd=_REPOSITORY, env=environment
        )
        peak = _peak_pss(process) if watch_memory else 0
        code = process.wait()
        seconds = time.perf_counter() - begun
        for file in (output, errors):
            file.seek(0)
        if code:
            raise SystemExit(f"{' '.join(command)} ended with {code}:\n{errors.read()}")
        return Finished(seconds, peak, output.read())


def evaluate(
    home: Path, num_videos: int, *options: object, keep: bool, watch_memory: bool = False
) -> Finished:
    """What became of ``vidbench evaluate`` on the CPU.

    Args:
        home: Folder of all it writes.
        num_videos: It fails if another number is evaluated.
        *options: Dataset and model.
        keep: Leave it the videos and clips of an earlier run; otherwise it starts from nothing.
        watch_memory: See :func:`run_module`.
    """
    rmtree(home / "results" if keep else home, ignore_errors=True)
    folders = [f"--{name}_dir={home / name}" for name in ("data", "cache", "results")]
    arguments = ("vidbench", "evaluate", *options, *folders, "--no_cuda")
    finished = run_module(*arguments, watch_memory=watch_memory)
    if f"{num_videos} evaluated of {num_videos} requested" not in finished.output:
        raise SystemExit(f"not all of {num_videos} videos were evaluated:\n{finished.output}")
    return finished


def _peak_pss(process: subprocess.Popen[bytes]) -> int:
    """Most memory at once of the program with its children, until it ends.

    PSS counts a page that several processes share once, a part for each of them.
    """
    root, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        peak = max(peak, _pss(root))
        time.sleep(_SAMPLE_SECONDS)
    return peak


def _pss(root: psutil.Process) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has ended meanwhile
                total += process.memory_full_info().pss
    return total
