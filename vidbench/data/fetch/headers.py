"""HTTP headers of a transfer: length, range, version and pause (RFC 9110); and timeouts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from vidbench.errors import ConfigError

_LONGEST_PAUSE_SECONDS = 300  # even if the server asks for more


def decimal(text: str | None) -> int | None:
    """Return the number if the text consists of 1 to 18 digits, else None."""
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else None


def promised_length(status: int, headers: Mapping[str, str], held: int) -> int | None:
    """Length of the whole file in bytes, from Content-Range or Content-Length.

    Args:
        status: HTTP status; 206 for the rest of a file.
        headers: Headers of the reply.
        held: Number of bytes received before.
    """
    length = decimal(headers.get("Content-Length"))
    if status != 206:
        return length
    total = decimal(headers.get("Content-Range", "").rpartition("/")[2])
    return held + length if total is None and length is not None else total


def shows_its_end(headers: Mapping[str, str]) -> bool:
    """Whether a truncated body can be told from a complete one."""
    chunked = headers.get("Transfer-Encoding", "").lower() == "chunked"
    return chunked or decimal(headers.get("Content-Length")) is not None


def continues(headers: Mapping[str, str], held: int, validator: str | None) -> bool:
    """Whether a 206 reply continues after the bytes held, in the same version of the file.

    Args:
        headers: Headers of the reply.
        held: Number of bytes received before.
        validator: ETag or Last-Modified received with them.
    """
    start = re.match("bytes ([0-9]{1,18})-", headers.get("Content-Range", ""))
    named = {headers[name] for name in ("ETag", "Last-Modified") if name in headers}
    same_version = validator is not None and (validator in named or "ETag" not in headers)
    return same_version and start is not None and int(start[1]) == held


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float:
    """Pause that the server asks for in Retry-After (RFC 9110, section 10.2.3), in seconds.

    0 if the header is missing or invalid, and at most 300.
    """
    value = headers.get("Retry-After", "")
    seconds: float | None = decimal(value)
    if seconds is None:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
            return 0
    return min(max(seconds, 0), _LONGEST_PAUSE_SECONDS)


def timeouts() -> tuple[float, float]:
    """Timeouts in seconds: to connect (at most 10), and between packets (60 by default).

    ``VIDBENCH_TIMEOUT_SECONDS`` changes the default.

    Raises:
        ConfigError: ``VIDBENCH_TIMEOUT_SECONDS`` is not a number above 0.
    """
    text = os.environ.get("VIDBENCH_TIMEOUT_SECONDS", "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e6:
        raise ConfigError(f"VIDBENCH_TIMEOUT_SECONDS is {text!r}, not a number of seconds above 0")
    return min(10, seconds), seconds
