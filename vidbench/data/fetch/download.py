"""Download a URL, or use a local path, as a verified file. Knows no dataset and no model."""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from urllib.parse import quote, unquote, urlsplit

import requests

from vidbench.data.fetch.headers import (
    continues,
    decimal,
    promised_length,
    retry_after_seconds,
    shows_its_end,
    timeouts,
)
from vidbench.data.fetch.partial import OnBytes, Partial, require_room
from vidbench.errors import ConfigError, FetchError
from vidbench.storage.hashes import sha256_of
from vidbench.storage.locks import locked

logger = logging.getLogger(__name__)

_IDENTITY = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
_CHUNK_BYTES = 1 << 14  # the most that a broken connection can lose
_ATTEMPTS_TO_CONNECT = 3
_ATTEMPTS_TO_TRANSFER = 8
_PROGRESS_BYTES = 1 << 20  # an attempt that transfers as much does not count as a failure
_PATIENCE_SECONDS = 1  # wait for another process before saying so


class _TransientError(Exception):
    """A failure that is worth another attempt.

    Args:
        reason: Message for the user after the last attempt.
        attempts: Maximum number of failed attempts in a row.
        pause: Seconds to wait at the server's request.
    """

    def __init__(self, reason: str, attempts: int = _ATTEMPTS_TO_TRANSFER, pause: float = 0):
        super().__init__(reason)
        self.attempts = attempts
        self.pause = pause


def is_url(source: str) -> bool:
    """Whether this is an http(s) URL; anything else is a local path."""
    return urlsplit(source).scheme in ("http", "https")


def silence_limit() -> float:
    """Seconds without a byte after which an attempt ends: 60 or ``VIDBENCH_TIMEOUT_SECONDS``.

    Raises:
        ConfigError: ``VIDBENCH_TIMEOUT_SECONDS`` is not a number above 0.
    """
    return timeouts()[1]


def join_source(root: str, relative: str) -> str:
    """Path or URL of a file below a root; in a URL it is quoted, whether it was before or not."""
    if is_url(root):
        return f"{root.rstrip('/')}/{quote(unquote(relative))}"
    return str(Path(root) / unquote(relative))


def require_source(root: str) -> None:
    """Raise ConfigError unless the root is an http(s) URL or an existing folder."""
    if not is_url(root) and not Path(root).is_dir():
        raise ConfigError(f"{root!r} is neither an http(s) URL nor an existing folder")


def size_of(source: str) -> int | None:
    """Length of a file in bytes, from its server or the file system; None if not stated."""
    if not is_url(source):
        path = Path(source)
        return path.stat().st_size if path.is_file() else None
    try:
        with requests.head(
            source, timeout=timeouts(), allow_redirects=True, headers=_IDENTITY
        ) as reply:
            return decimal(reply.headers.get("Content-Length")) if reply.ok else None
    except requests.RequestException:
        return None


def fetch(
    source: str, target: Path, *, sha256: str | None = None, on_bytes: OnBytes | None = None
) -> Path:
    """Return the path of the complete, verified file: ``target``, or the source if it is local.

    A partial download is resumed if the server still has the same file. The target gets its name
    only when it is complete. If several processes fetch one target, one of them transfers it. A
    server silent for 60 s, or ``VIDBENCH_TIMEOUT_SECONDS``, is retried; a slow transfer is allowed
    to continue.

    Args:
        source: http(s) URL or local path.
        target: Path of the download; its folder is created.
        sha256: SHA-256 of the file in hexadecimal, if known.
        on_bytes: Called with the number of bytes received, after each piece, and with 0 every
            second of a pause. An exception from it ends the download, which can be resumed.

    Raises:
        FetchError: The file does not exist, the server cannot be reached, or the file does not
            match its hash or announced length.
        DiskFullError: The disk is full; the partial download is kept.
    """
    if is_url(source) and not target.exists():
        with alone(target.parent, target.name):
            return fetch_alone(source, target, sha256=sha256, on_bytes=on_bytes)
    return fetch_alone(source, target, sha256=sha256, on_bytes=on_bytes)


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock for fetching ``name`` into the folder; log a message if it has to wait."""
    notice = Timer(
        _PATIENCE_SECONDS,
        logger.warning,
        ("waiting for another process that is fetching %s into %s", name, folder),
    )
    notice.daemon = True
    notice.start()
    try:
        with locked(folder / ".locks", name):
            notice.cancel()
            yield
    finally:
        notice.cancel()


def fetch_alone(
    source: str, target: Path, *, sha256: str | None = None, on_bytes: OnBytes | None = None
) -> Path:
    """Like :func:`fetch`, for callers that hold the lock of the target."""
    if not is_url(source):
        if not Path(source).is_file():
            raise FetchError(f"{source} does not exist")
        _verify(Path(source), source, sha256)
        return Path(source)
    if target.exists():
        _verify(target, f"{target} (from an earlier fetch; you may delete it)", sha256)
        return target
    partial = Partial(target, on_bytes or (lambda _: None))
    _download(source, partial, on_bytes or (lambda _: None), hash_known=sha256 is not None)
    try:
        _verify(partial.path, source, sha256)
    except FetchError:
        partial.discard()
        raise
    return partial.finish(target)


def _verify(path: Path, name: str, sha256: str | None) -> None:
    if sha256 is None:
        return
    actual = sha256_of(path)
    if actual != sha256:
        raise FetchError(f"{name} has SHA-256 {actual}, expected {sha256}: it is another file")


def _download(url: str, partial: Partial, on_bytes: OnBytes, *, hash_known: bool) -> None:
    """Retry until the file is complete; only attempts without progress count as failures."""
    failures, furthest = 0, partial.size()
    logger.debug("fetching %s", url)
    while error := _attempt(url, partial, hash_known=hash_known):
        failures += 1
        if partial.size() >= furthest + _PROGRESS_BYTES:
            failures, furthest = 1, partial.size()
        if failures >= error.attempts:
            raise FetchError(f"{url} could not be fetched: {error}") from error
        logger.debug("%s: %s; trying again", url, error)
        jitter = random.uniform(0, 0.5)  # noqa: S311 - keeps no secret
        _pause(max(error.pause, jitter + min(30, 2 ** (failures - 2))), on_bytes)


def _attempt(url: str, partial: Partial, *, hash_known: bool) -> _TransientError | None:
    """Return None if the file is complete now, else the reason why it is not."""
    try:
        _transfer(url, partial, hash_known=hash_known)
    except _TransientError as error:
        return error
    return None


def _pause(seconds: float, on_bytes: OnBytes) -> None:
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        on_bytes(0)
        time.sleep(min(1, rest))


def _transfer(url: str, partial: Partial, *, hash_known: bool) -> None:
    """Make one attempt to append the missing bytes to the partial file."""
    try:
        with requests.get(
            url, stream=True, timeout=timeouts(), headers=_resume_headers(partial)
        ) as reply:
            _refuse_redirects(url, reply)
            _refuse_status(url, reply, partial)
            _receive(url, reply, partial, hash_known=hash_known)
    except requests.RequestException as error:
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            raise FetchError(f"{url}: the server's certificate was refused: {error}") from error
        reason = str(causes[-1]) or type(causes[-1]).__name__
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            raise _TransientError(f"the connection broke ({reason})") from error
        if isinstance(error, requests.ConnectionError | requests.Timeout):
            limit = _ATTEMPTS_TO_TRANSFER if partial.size() else _ATTEMPTS_TO_CONNECT
            raise _TransientError(f"no connection ({reason})", limit) from error
        raise FetchError(f"{url} could not be fetched: {error}") from error


def _resume_headers(partial: Partial) -> dict[str, str]:
    """Headers that request the rest of the file, if the server still has the same version."""
    if validator := partial.validator():
        return _IDENTITY | {"Range": f"bytes={partial.size()}-", "If-Range": validator}
    return _IDENTITY


def _refuse_redirects(url: str, reply: requests.Response) -> None:
    """Refuse a redirect from https to http; redirects to other hosts are common and allowed."""
    schemes = [urlsplit(hop.url).scheme for hop in (*reply.history, reply)]
    if schemes != sorted(schemes):  # http may become https
        raise FetchError(f"{url} is redirected to {reply.url}, which is not encrypted: refused")


def _refuse_status(url: str, reply: requests.Response, partial: Partial) -> None:
    status = reply.status_code
    if status >= 500 or status in (408, 429):
        pause = retry_after_seconds(reply.headers, datetime.now(UTC))
        raise _TransientError(f"the server answered {status}", pause=pause)
    if status == 416:
        partial.discard()
        raise _TransientError("the server cannot resume the file")
    if status not in (200, 206):
        raise FetchError(f"{url}: the server answered {status} {reply.reason}")


def _receive(url: str, reply: requests.Response, partial: Partial, *, hash_known: bool) -> None:
    _refuse_encoding(url, reply)
    if not (hash_known or shows_its_end(reply.headers)):
        raise FetchError(
            f"{url}: refused, because the server sends neither the file's length nor chunks: a "
            "partial file would look complete"
        )
    if reply.status_code == 206:
        if not continues(reply.headers, partial.size(), partial.validator()):
            partial.discard()
            raise _TransientError("the server sent another part of the file than requested")
    else:
        partial.restart(reply.headers.get("ETag") or reply.headers.get("Last-Modified"))
    total = promised_length(reply.status_code, reply.headers, partial.size())
    if total is not None:
        require_room(partial.path.parent, total - partial.size(), url)
    partial.append(reply.iter_content(_CHUNK_BYTES))
    received = partial.size()
    if total is not None and received != total:
        if received > total:
            partial.discard()
        raise _TransientError(f"received {received} of {total} bytes")


def _refuse_encoding(url: str, reply: requests.Response) -> None:
    """Refuse encoded content, except a .gz file whose own compression is sent as its encoding."""
    encoding = reply.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return
    if encoding not in ("gzip", "x-gzip") or not urlsplit(url).path.endswith((".gz", ".tgz")):
        raise FetchError(f"{url}: refused, because the server sent it in the encoding {encoding}")
    del reply.raw.headers["Content-Encoding"]  # or requests would decode it


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and then each underlying error, down to the original one."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__context__
