"""Programs started anew, as anybody would start them: their seconds and their memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile
from typing import NamedTuple

import psutil

_REPOSITORY = Path(__file__).parents[1]
_SAMPLE_SECONDS = 0.1


Watch = Callable[[psutil.Process], Iterable[tuple[str, float]]]
"""Looks at a program that runs: what it takes now, by name."""


class Finished(NamedTuple):
    """A program that ended well.

    Attributes:
        began: When it was started, in seconds since 1970.
        seconds: From its start to its end.
        peaks: The most that was seen of each thing that was watched.
        output: What it printed.
    """

    began: float
    seconds: float
    peaks: Mapping[str, float]
    output: str


def run_module(*arguments: object, watch: Watch | None = None, **variables: str) -> Finished:
    """What became of ``python -m ARGUMENTS``.

    Args:
        *arguments: The module's name and its arguments; paths must be absolute.
        watch: Costs time: what is timed should not be watched.
        **variables: For its environment.

    Raises:
        SystemExit: It failed; the message has all that it said.
    """
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **variables}
    os.sync()  # what another program left to be written would slow this one down
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        began, begun = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, cwd=_REPOSITORY, env=environment
        )
        peaks = _peaks(process, watch) if watch else {}
        code = process.wait()
        seconds = time.perf_counter() - begun
        for file in (output, errors):
            file.seek(0)
        if code:
            raise SystemExit(f"{' '.join(command)} ended with {code}:\n{errors.read()}")
        return Finished(began, seconds, peaks, output.read())


def evaluate(
    home: Path,
    num_videos: int,
    *options: object,
    keep: bool,
    watch: Watch | None = None,
    **variables: str,
) -> Finished:
    """What became of ``vidbench evaluate`` on the CPU.

    Args:
        home: Folder of all it writes.
        num_videos: It fails if another number is evaluated.
        *options: Dataset and model.
        keep: Leave it the videos and clips of an earlier run; otherwise it starts from nothing.
        watch: See :func:`run_module`.
        **variables: Likewise.
    """
    rmtree(home / "results" if keep else home, ignore_errors=True)
    folders = [f"--{name}_dir={home / name}" for name in ("data", "cache", "results")]
    arguments = ("vidbench", "evaluate", *options, *folders, "--no_cuda")
    finished = run_module(*arguments, watch=watch, **variables)
    if f"{num_videos} evaluated of {num_videos} requested" not in finished.output:
        raise SystemExit(f"not all of {num_videos} videos were evaluated:\n{finished.output}")
    return finished


def memory(root: psutil.Process) -> Iterator[tuple[str, float]]:
    """Bytes of a program with all its children.

    PSS counts a page that several processes share once, a part for each of them.
    """
    total = 0
    with suppress(psutil.NoSuchProcess):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has just ended
                total += process.memory_full_info().pss
    yield "bytes", total


def _peaks(process: subprocess.Popen[bytes], watch: Watch) -> dict[str, float]:
    """The largest values until the program ends."""
    root, peaks = psutil.Process(process.pid), dict[str, float]()
    while process.poll() is None:
        for name, value in watch(root):
            peaks[name] = max(peaks.get(name, 0), value)
        time.sleep(_SAMPLE_SECONDS)
    return peaks
