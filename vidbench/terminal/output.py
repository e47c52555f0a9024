"""Standard output and error that accept any text and cope with a closed end.

A terminal's encoding may lack a name's letters, the reader of a pipe may be gone, and a stream may
be closed from the start. None of these should give a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from vidbench.terminal.sanitize import escape_controls


class OutputClosedError(Exception):
    """The reader of standard output is gone."""


@contextmanager
def visible_output() -> Iterator[None]:
    """Escape control characters in everything that is printed within the block.

    Line ends are kept. Characters that a stream cannot encode are written as escapes. Standard
    error is silent once its reader is gone.

    Raises:
        OutputClosedError: The reader of standard output is gone.
        OSError: Output could not be written, e.g. because a disk is full.
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
    """Open closed standard streams on the null device.

    Otherwise the next opened files would get their numbers, and the output of libraries that write
    to standard output and error.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for good


class _VisibleStream:
    """Wraps a text stream to escape control characters in what is written."""

    def __init__(self, stream: TextIO, *, may_be_lost: bool = False) -> None:
        self._stream = stream
        self._may_be_lost = may_be_lost
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        # A tqdm bar begins with a carriage return, which is harmless at the start of a line.
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
            self._discard_rest()
            if isinstance(error, BrokenPipeError) and not self._may_be_lost:
                raise OutputClosedError from error
            if not self._may_be_lost:
                raise

    def _discard_rest(self) -> None:
        """Redirect to the null device, or buffered text would raise again when Python ends."""
        with suppress(OSError, ValueError):  # if the stream is not a file
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
