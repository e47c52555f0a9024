"""A url or a local path becomes a verified file on disk. Knows no dataset and no model."""

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
_CHUNK_BYTES = 1 << 14  # all that a break can lose
_ATTEMPTS_TO_CONNECT = 3
_ATTEMPTS_TO_TRANSFER = 8
_PROGRESS_BYTES = 1 << 20  # what an attempt must bring in order not to count
_PATIENCE_SECONDS = 1  # to wait for another process without a word


class _TransientError(Exception):
    """Worth another attempt.

    Args:
        reason: For the user, if it is the last one.
        attempts: How many in a row may fail.
        pause: Seconds that the server wants to be left alone.
    """

    def __init__(self, reason: str, attempts: int = _ATTEMPTS_TO_TRANSFER, pause: float = 0):
        super().__init__(reason)
        self.attempts = attempts
        self.pause = pause


def is_url(source: str) -> bool:
    """Whether this is an http(s) address; anything else is a local path."""
    return urlsplit(source).scheme in ("http", "https")


def silence_limit() -> float:
    """Seconds without a byte after which a server is given up: 60, or what the user says.

    Raises:
        ConfigError: ``VIDBENCH_TIMEOUT_SECONDS`` is no number above 0.
    """
    return timeouts()[1]


def join_source(root: str, relative: str) -> str:
    """The address of a file below a root folder or url, quoted for a url whether it was or not."""
    if is_url(root):
        return f"{root.rstrip('/')}/{quote(unquote(relative))}"
    return str(Path(root) / unquote(relative))


def require_source(root: str) -> None:
    """Check that the root is an http(s) url or an existing folder.

    Raises:
        ConfigError: It is neither.
    """
    if not is_url(root) and not Path(root).is_dir():
        raise ConfigError(f"{root!r} is neither an http(s) url nor an existing folder")


def size_of(source: str) -> int | None:
    """Length of a file in bytes, from its server or its folder; None where not stated."""
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
    """The path of the whole, verified file: ``target``, or the source itself if it is local.

    A half-finished download is resumed where the server still has the same file. The target
    appears under its name only once it is complete. Of several processes that fetch one target,
    one transfers it. A server that is silent for a minute, or for
    ``VIDBENCH_TIMEOUT_SECONDS``, is asked anew; a slow one is borne with.

    Args:
        source: http(s) url or local path.
        target: Where a download goes; its folder is made.
        sha256: The file's hash in hexadecimal, where it is known.
        on_bytes: Called with the number of bytes that came, after each piece, and with 0 each
            second of a pause. What it raises ends the download, which can be resumed.

    Raises:
        FetchError: There is no such file, the server cannot be reached, or the file is not
            what was promised.
        DiskFullError: There is no room for the file; what came of it is kept.
    """
    if is_url(source) and not target.exists():
        with alone(target.parent, target.name):
            return fetch_alone(source, target, sha256=sha256, on_bytes=on_bytes)
    return fetch_alone(source, target, sha256=sha256, on_bytes=on_bytes)


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Nobody else fetches this into the folder meanwhile; says so once if that means to wait."""
    notice = Timer(
        _PATIENCE_SECONDS,
        logger.warning,
        ("waiting: another process is fetching to %s what is wanted here too (%s)", folder, name),
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
    """As :func:`fetch`, for whoever sees to it that nobody else fetches the target."""
    if not is_url(source):
        if not Path(source).is_file():
            raise FetchError(f"{source} does not exist")
        _verify(Path(source), source, sha256)
        return Path(source)
    if target.exists():
        _verify(target, f"{target}, fetched before and free to be removed,", sha256)
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
    found = sha256_of(path)
    if found != sha256:
        raise FetchError(f"{name} has SHA-256 {found}, expected {sha256}: not the promised file")


def _download(url: str, partial: Partial, on_bytes: OnBytes, *, hash_known: bool) -> None:
    """Attempts until the file is whole; only those that bring next to nothing are numbered."""
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
    """None if the file is whole now, or why it is not."""
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
    """One attempt: adds to the partial file what is missing of it."""
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
    """Asks for the rest of the file, provided that it is still the file of which we have a part."""
    if validator := partial.validator():
        return _IDENTITY | {"Range": f"bytes={partial.size()}-", "If-Range": validator}
    return _IDENTITY


def _refuse_redirects(url: str, reply: requests.Response) -> None:
    """Another host may serve the file, as many mirrors arrange it, but never less safely."""
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
            f"{url}: the server does not say where the file ends: refused, as half of "
            "it would look like all of it"
        )
    if reply.status_code == 206:
        if not continues(reply.headers, partial.size(), partial.validator()):
            partial.discard()
            raise _TransientError("the server sent another part of the file than asked for")
    else:
        partial.restart(reply.headers.get("ETag") or reply.headers.get("Last-Modified"))
    total = promised_length(reply.status_code, reply.headers, partial.size())
    if total is not None:
        require_room(partial.path.parent, total - partial.size(), url)
    partial.append(reply.iter_content(_CHUNK_BYTES))
    found = partial.size()
    if total is not None and found != total:
        if found > total:
            partial.discard()
        raise _TransientError(f"{found} of {total} bytes came")


def _refuse_encoding(url: str, reply: requests.Response) -> None:
    """Takes the bytes as they are, where the server only says what kind of file a .gz is."""
    encoding = reply.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return
    if encoding not in ("gzip", "x-gzip") or not urlsplit(url).path.endswith((".gz", ".tgz")):
        raise FetchError(f"{url}: the server sends it encoded as {encoding}, unasked: refused")
    del reply.raw.headers["Content-Encoding"]  # or requests would decode it


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then what lies behind it, beneath the layers of libraries around it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__context__
