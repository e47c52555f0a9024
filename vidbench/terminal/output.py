"""Standard output and error, made fit for any text and for any end that they may have.

A terminal may not have the letters of a name, whoever reads a pipe may be gone, and a stream may
be closed from the start. None of that is a reason for a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from vidbench.terminal.sanitize import escape_controls


class OutputClosedError(Exception):
    """Whoever read the standard output is gone, so nothing more needs to be said."""


@contextmanager
def visible_output() -> Iterator[None]:
    """Escape control characters in all that is printed meanwhile.

    Ends of lines stay. What the encoding of a stream cannot hold is written with escapes. Standard
    error is silent once its reader is gone.

    Raises:
        OutputClosedError: The reader of standard output is gone.
        OSError: What was printed could not be written, e.g. because a disk is full.
    """
    _open_closed_streams()
    out, err = _VisibleStream(sys.stdout), _VisibleStream(sys.stderr, may_be_lost=True)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, err)):
        try:
            yield
        finally:
            out.flush()
            err.flush()


def _open_closed_streams() -> None:
    """Lets closed standard streams lead nowhere.

    Else the next files that are opened would get their numbers, and with them whatever libraries
    write to standard output and error.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for good


class _VisibleStream:
    """A text stream that writes what is visible, and is the stream beneath in all else."""

    def __init__(self, stream: TextIO, *, may_be_lost: bool = False) -> None:
        self._stream = stream
        self._may_be_lost = may_be_lost
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        # A bar of tqdm begins with a carriage return, which does no harm where a line begins.
        start = "\r" if text.startswith("\r") else ""
        shown = start + escape_controls(text.removeprefix(start), keep="\n\t")
        with self._guarded():
            self._stream.write(self._encodable(shown))
        return len(text)

    def _encodable(self, text: str) -> str:
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def flush(self) -> None:
        with self._guarded():
            self._stream.flush()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._lead_nowhere()
            if isinstance(error, BrokenPipeError) and not self._may_be_lost:
                raise OutputClosedError from error
            if not self._may_be_lost:
                raise

    def _lead_nowhere(self) -> None:
        """What is still buffered would be an error once more when Python ends."""
        with suppress(OSError, ValueError):  # of a stream that is no file
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
