"""A url or a local path becomes a verified file on disk. Knows no dataset and no model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from vidbench.data.hashes import sha256_of
from vidbench.errors import ConfigError, FetchError

_IDENTITY = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = (10, 60)  # to connect, and between two packets
_ATTEMPTS_TO_CONNECT = 3
_ATTEMPTS_TO_TRANSFER = 8

OnBytes = Callable[[int], None]


class _TransientError(Exception):
    """Worth another attempt; ``attempts`` says how many in all."""

    def __init__(self, reason: str, attempts: int) -> None:
        super().__init__(reason)
        self.attempts = attempts


def is_url(source: str) -> bool:
    """Whether this is an http(s) address; anything else is a local path."""
    return urlsplit(source).scheme in ("http", "https")


def join_source(root: str, relative: str) -> str:
    """The address of a file below a root folder or url, quoted for a url whether it was or not."""
    if is_url(root):
        return f"{root.rstrip('/')}/{quote(unquote(relative))}"
    return str(Path(root) / unquote(relative))


def size_of(source: str) -> int | None:
    """Length of a file in bytes, from its server or its folder; None where nobody says."""
    if not is_url(source):
        path = Path(source)
        return path.stat().st_size if path.is_file() else None
    try:
        with requests.head(
            source, timeout=_TIMEOUT_SECONDS, allow_redirects=True, headers=_IDENTITY
        ) as reply:
            length = reply.headers.get("Content-Length") if reply.ok else None
    except requests.RequestException:
        return None
    return int(length) if length and length.isdigit() else None


def fetch(
    source: str, target: Path, *, sha256: str | None = None, on_bytes: OnBytes | None = None
) -> Path:
    """The path of the whole, verified file: ``target``, or the source itself if it is local.

    A half-finished download is resumed where the server still has the same file. The target
    appears under its name only once it is complete.

    Args:
        source: http(s) url or local path.
        target: Where a download goes; its folder is made.
        sha256: The file's hash in hexadecimal, where it is known.
        on_bytes: Called with the number of bytes that came, after each piece.

    Raises:
        FetchError: There is no such file, the server cannot be reached, or the file is not
            what was promised.
    """
    if not is_url(source):
        if not Path(source).is_file():
            raise FetchError(f"{source} does not exist")
        _verify(Path(source), source, sha256)
        return Path(source)
    if target.exists():
        _verify(target, source, sha256)
        return target
    partial = target.with_name(target.name + ".part")
    partial.parent.mkdir(parents=True, exist_ok=True)
    _download(source, partial, on_bytes or (lambda _: None))
    _validator_path(partial).unlink(missing_ok=True)
    try:
        _verify(partial, source, sha256)
        return partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _verify(path: Path, source: str, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = sha256_of(path)
    if found != sha256:
        raise FetchError(f"{source} has SHA-256 {found}, expected {sha256}: not the promised file")


def _download(url: str, partial: Path, on_bytes: OnBytes) -> None:
    attempts = Retrying(
        retry=retry_if_exception_type(_TransientError),
        stop=_out_of_attempts,
        wait=wait_exponential(multiplier=0.5, max=30) + wait_random(0, 0.5),
        reraise=True,
    )
    on_bytes(_size(partial))
    try:
        attempts(_transfer, url, partial, on_bytes)
    except _TransientError as error:
        raise FetchError(f"{url} could not be fetched: {error}") from error


def _out_of_attempts(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return isinstance(error, _TransientError) and state.attempt_number >= error.attempts


def _transfer(url: str, partial: Path, on_bytes: OnBytes) -> None:
    """One attempt: adds to the partial file what is missing of it."""
    try:
        with requests.get(
            url, stream=True, timeout=_TIMEOUT_SECONDS, headers=_resume_headers(partial)
        ) as reply:
            _refuse_error(url, reply, partial, on_bytes)
            _receive(reply, partial, on_bytes)
    except requests.exceptions.SSLError as error:
        raise FetchError(f"{url}: the server's certificate was refused: {error}") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        limit = _ATTEMPTS_TO_TRANSFER if _size(partial) else _ATTEMPTS_TO_CONNECT
        raise _TransientError(f"no connection ({_root_cause(error)})", limit) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _TransientError(
            f"the connection broke ({_root_cause(error)})", _ATTEMPTS_TO_TRANSFER
        ) from error
    except requests.RequestException as error:
        raise FetchError(f"{url} could not be fetched: {error}") from error


def _resume_headers(partial: Path) -> dict[str, str]:
    """Asks for the rest of the file, provided that it is still the file of which we have a part."""
    validator = _validator_path(partial)
    if _size(partial) and validator.exists():
        rest = {"Range": f"bytes={_size(partial)}-", "If-Range": validator.read_text()}
        return _IDENTITY | rest
    return _IDENTITY


def _refuse_error(url: str, reply: requests.Response, partial: Path, on_bytes: OnBytes) -> None:
    if reply.status_code >= 500 or reply.status_code == 429:
        raise _TransientError(f"the server answered {reply.status_code}", _ATTEMPTS_TO_TRANSFER)
    if reply.status_code == 416:
        on_bytes(-_size(partial))
        partial.unlink(missing_ok=True)
        raise _TransientError("the server cannot resume the file", _ATTEMPTS_TO_TRANSFER)
    if not reply.ok:
        raise FetchError(f"{url}: the server answered {reply.status_code} {reply.reason}")


def _receive(reply: requests.Response, partial: Path, on_bytes: OnBytes) -> None:
    resumed = reply.status_code == 206
    if not resumed:
        on_bytes(-_size(partial))
        partial.unlink(missing_ok=True)
        validator = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
        _remember_validator(partial, validator)
    total = _promised_length(reply)
    with partial.open("ab" if resumed else "wb") as file:
        for chunk in reply.iter_content(_CHUNK_BYTES):
            file.write(chunk)
            on_bytes(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    found = _size(partial)
    if total is not None and found != total:
        if found > total:
            partial.unlink()
        raise _TransientError(f"{found} of {total} bytes came", _ATTEMPTS_TO_TRANSFER)


def _promised_length(reply: requests.Response) -> int | None:
    """Length of the whole file in bytes, from Content-Range or Content-Length."""
    if reply.status_code == 206:
        total = reply.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = reply.headers.get("Content-Length", "")
    return int(total) if total.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _validator_path(partial: Path) -> Path:
    return partial.with_name(partial.name + ".etag")


def _remember_validator(partial: Path, validator: str | None) -> None:
    path = _validator_path(partial)
    if validator and not validator.startswith("W/"):  # a weak tag does not promise equal bytes
        path.write_text(validator)
    else:
        path.unlink(missing_ok=True)


def _root_cause(error: BaseException) -> str:
    """The innermost reason, without the layers of library names around it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def require_source(root: str) -> None:
    """Nothing, if the root is an http(s) url or an existing folder.

    Raises:
        ConfigError: It is neither.
    """
    if not is_url(root) and not Path(root).is_dir():
        raise ConfigError(f"{root!r} is neither an http(s) url nor an existing folder")
