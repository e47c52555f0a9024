"""A run as a process of its own, to be stopped, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS

NUM_VIDEOS = 40
OPTIONS = (
    *("--model_type", "saved_model", "--model_path", str(SAMPLE / "model")),
    *("--dataset", "sample", "--num_frames", "16", "--num_workers", "2"),
    *("--num_videos", str(NUM_VIDEOS), "--batch_size", "4"),
)
_LEFT_BEHIND = ("*.tmp", "*.part", "*.etag", "*.download")
_TABLES = ("predictions.csv", "skipped.csv", "per_class.csv", "confusion.csv", "metrics.json")
Contents = dict[str, bytes]


def contents(root: Path) -> Contents:
    """All of the only run's results that must not depend on how often it was stopped."""
    (folder,) = (root / "results").iterdir()
    tables = {name: (folder / name).read_bytes() for name in _TABLES}
    with np.load(folder / "scores.npz", allow_pickle=False) as file:
        return tables | {name: file[name].tobytes() for name in file.files}


def left_behind(root: Path) -> list[Path]:
    return [path for pattern in _LEFT_BEHIND for path in root.rglob(pattern)]


class Run:
    """A real run in a process group of its own, as a terminal would start it."""

    def __init__(self, root: Path, *options: str, program: tuple[str, ...] = ()) -> None:
        self.root = root
        self.command = [*(program or (sys.executable, "-m", "vidbench", "evaluate")), *options]
        self._process = subprocess.Popen(
            self.command,
            cwd=root,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_listen,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, reached: Callable[[Path], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached(self.root):
            assert self._process.poll() is None, "the run ended too early"
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def send(self, number: int, *, group: bool) -> None:
        (os.killpg if group else os.kill)(self.pid, number)

    def ends_within(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def end(self) -> tuple[int, list[str]]:
        """The exit code, and the lines on standard error, without what a run always says.

        Nor that a worker ended early, which SIGTERM to all may make it say.
        """
        _, errors = self._process.communicate(timeout=PATIENCE_SECONDS)
        usual = re.compile(r"videos to predict$|^[-0-9]+ [0-9:+]+ (fetch|predict)\b")
        lines = [line for line in errors.splitlines() if not usual.search(line)]
        return self._process.returncode, lines


def _listen() -> None:
    """Undoes what a shell or nohup does to jobs in the background, maybe these tests."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
