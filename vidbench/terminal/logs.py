"""Logging to standard error: above the progress bar on a terminal, else with the time."""

from __future__ import annotations

import logging
import os
import sys
from datetime import datetime
from typing import TextIO

from vidbench.terminal.progress import above_bar, on_terminal
from vidbench.terminal.sanitize import VisibleFormatter

_PLAIN = "%(message)s"
_DATED = "%(asctime)s %(message)s"
_VERBOSE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CHATTY = frozenset(["absl", "h5py", "matplotlib", "tensorflow", "tensorflow_hub", "urllib3"])


def set_up_logging(*, verbose: bool = False) -> None:
    """Log vidbench's messages to standard error, unless logging is set up already.

    Args:
        verbose: Log everything, with time, level and logger, including messages of TensorFlow and
            other libraries, of which only errors are logged otherwise.
    """
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(handlers=[log_handler(verbose=verbose)], level=logging.WARNING)
    logging.getLogger("vidbench").setLevel(logging.DEBUG if verbose else logging.INFO)


def log_handler(stream: TextIO | None = None, *, verbose: bool = False) -> logging.Handler:
    """Handler that writes each record on one line, with the time unless this is a terminal.

    Args:
        stream: Output stream; None for standard error.
        verbose: As in :func:`set_up_logging`.
    """
    stream = stream or sys.stderr
    handler = _Handler(stream)
    if verbose:
        handler.setFormatter(_Formatter(_VERBOSE, "milliseconds"))
    else:
        handler.setFormatter(_Formatter(_PLAIN if on_terminal(stream) else _DATED, "seconds"))
        handler.addFilter(_is_worth_a_line)
    return handler


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or record.name.partition(".")[0] not in _CHATTY


class _Handler(logging.StreamHandler[TextIO]):
    """Writes each line above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        with above_bar(self.stream):
            super().emit(record)


class _Formatter(VisibleFormatter):
    """Formats local time with its UTC offset in ISO 8601; ``datefmt`` is the precision."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        time = datetime.fromtimestamp(record.created).astimezone()
        return time.isoformat(" ", datefmt or "seconds")
