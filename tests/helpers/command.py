"""The command, in this process or in one of its own."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.cli.main import main

Finished = subprocess.CompletedProcess[str]
RunCli = Callable[..., Finished]


def run_here(folder: Path, *arguments: object, **environment: str) -> Finished:
    """What the command prints and returns in a folder, without the seconds of a new process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    words = [str(argument) for argument in arguments]
    with (
        chdir(folder),
        patch.dict(os.environ, environment),
        logging_not_set_up(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = main(words)
        except SystemExit as error:  # --help
            code = int(error.code or 0)
    return Finished(["vidbench", *words], code, written(out), written(err))


def run_apart(folder: Path, *arguments: object, **environment: str) -> Finished:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "vidbench", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextmanager
def logging_not_set_up() -> Iterator[None]:
    """Takes pytest's own handlers away, so that the command sets up its log as in a process."""
    root = logging.getLogger()
    handlers, root.handlers[:] = root.handlers[:], []
    try:
        yield
    finally:
        root.handlers[:] = handlers


def written(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
