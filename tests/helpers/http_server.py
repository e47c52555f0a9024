"""A real HTTP server on loopback, with byte ranges, and with the faults that a test asks for."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Faults:
    """What goes wrong, by path; each entry is used up by one request.

    Attributes:
        statuses: Answers with these status codes instead.
        break_after: Closes the connection after so many bytes of the body.
        answers: Answers with these functions instead.
    """

    statuses: dict[str, list[int]] = field(default_factory=dict)
    break_after: dict[str, list[int]] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)


@dataclass
class FileServer:
    """A folder served over HTTP.

    Attributes:
        url: Without a slash at the end.
        root: The folder.
        requests: ``METHOD path range`` of every request so far.
        closing: Set when the server ends; what hangs must end then.
    """

    url: str
    root: Path
    requests: list[str]
    faults: Faults
    closing: threading.Event = field(default_factory=threading.Event)

    def fetched(self, path: str) -> list[str]:
        """The GET requests of one path."""
        return [r for r in self.requests if r.startswith(f"GET {path} ")]


@contextmanager
def serve(root: Path) -> Iterator[FileServer]:
    """Serves a folder on a free port of 127.0.0.1 until the block ends."""
    state = FileServer("", root, [], Faults())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, state))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, state: FileServer, *arguments: object) -> None:
        self._state = state
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        wanted = self.headers.get("Range", "-")
        self._state.requests.append(f"{self.command} {path} {wanted}")
        if with_body and (statuses := self._state.faults.statuses.get(path)):
            self._send_error(statuses.pop(0))
            return
        file = self._state.root / path.lstrip("/")
        if not file.is_file():
            self._send_error(404)
            return
        content = file.read_bytes()
        if with_body and (answers := self._state.faults.answers.get(path)):
            self.close_connection = True
            start = min(self._start(_tag(content)), len(content))
            answers.pop(0)(Exchange(self, self._state, content, start))
            return
        self._send(path, content, with_body=with_body)

    def _send_error(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, path: str, content: bytes, *, with_body: bool) -> None:
        tag = _tag(content)
        start = self._start(tag)
        if start > len(content):
            self._send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            total = len(content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if with_body:
            self._write(path, content[start:])

    def _start(self, tag: str) -> int:
        wanted = self.headers.get("Range")
        if wanted is None or self.headers.get("If-Range", tag) != tag:
            return 0
        return int(wanted.removeprefix("bytes=").split("-")[0])

    def _write(self, path: str, body: bytes) -> None:
        breaks = self._state.faults.break_after.get(path)
        if breaks:
            body = body[: breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(body)
        self.wfile.flush()


def visible(folder: Path) -> list[Path]:
    """What a fetch left in its folder, without the locks, which stay."""
    return sorted(path for path in folder.iterdir() if path.name != ".locks")


def _tag(content: bytes) -> str:
    return f'"{len(content)}-{hash(content) & 0xFFFFFFFF:08x}"'


@dataclass
class Exchange:
    """One request for a file, to be answered badly.

    Attributes:
        handler: Writes the answer.
        server: Whose request it is.
        content: The file.
        start: The first byte that is wanted.
    """

    handler: _Handler
    server: FileServer
    content: bytes
    start: int

    @property
    def body(self) -> bytes:
        """What a good server would send."""
        return self.content[self.start :]

    def begin(self, status: int | None = None, **headers: str | None) -> None:
        """Sends the headers of a good answer, changed as asked; None leaves one out."""
        total = len(self.content)
        good: dict[str, str | None] = {"ETag": _tag(self.content)}
        good["Content-Length"] = str(total - self.start)
        if self.start:
            good["Content-Range"] = f"bytes {self.start}-{total - 1}/{total}"
        good |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.handler.send_response(status or (206 if self.start else 200))
        for name, value in good.items():
            if value is not None:
                self.handler.send_header(name, value)
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        """Sends a piece of the body, if anybody still listens."""
        with suppress(ConnectionError):
            self.handler.wfile.write(data)
            self.handler.wfile.flush()


Answer = Callable[[Exchange], None]


def dropping(after: int) -> Answer:
    """Closes the connection after so many bytes, 0 for none, less than 0 for no answer at all."""

    def answer(exchange: Exchange) -> None:
        if after >= 0:
            exchange.begin()
            exchange.write(exchange.body[:after])

    return answer


def stalling(after: int, released: threading.Event | None = None) -> Answer:
    """Sends so many bytes, and the others only once it is released; less than 0: no answer."""

    def answer(exchange: Exchange) -> None:
        if after >= 0:
            exchange.begin()
            exchange.write(exchange.body[:after])
        if released is None:
            exchange.server.closing.wait()
        else:
            released.wait()
            exchange.write(exchange.body[max(after, 0) :])

    return answer


def dripping(piece: int, seconds: float) -> Answer:
    """Sends small pieces with pauses."""

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        for at in range(0, len(exchange.body), piece):
            exchange.write(exchange.body[at : at + piece])
            time.sleep(seconds)

    return answer


def promising(more: int) -> Answer:
    """Promises so many bytes more than it sends; less than 0: sends more than it promises."""

    def answer(exchange: Exchange) -> None:
        exchange.begin(Content_Length=str(len(exchange.body) + more))
        exchange.write(exchange.body)

    return answer


def garbled(exchange: Exchange) -> None:
    """Sends as many bytes as it should, but others, under the right name."""
    exchange.begin()
    exchange.write(bytes(byte ^ 0x55 for byte in exchange.body))


def refusing(status: int, **headers: str) -> Answer:
    """Answers with a status and a body that is not the file."""

    def answer(exchange: Exchange) -> None:
        exchange.begin(status, Content_Length="9", ETag=None, Content_Range=None, **headers)
        exchange.write(b"not found")

    return answer


def chunked(break_after: int | None = None) -> Answer:
    """Sends the file in chunks, without its length; breaks off in the midst of one if asked."""

    def answer(exchange: Exchange) -> None:
        exchange.begin(
            Content_Length=None, Content_Range=_open_range(exchange), Transfer_Encoding="chunked"
        )
        body = exchange.body[:break_after]
        for at in range(0, len(body), 10_000):
            piece = body[at : at + 10_000]
            exchange.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if break_after is None:
            exchange.write(b"0\r\n\r\n")

    return answer


def _open_range(exchange: Exchange) -> str | None:
    last = len(exchange.content) - 1
    return f"bytes {exchange.start}-{last}/*" if exchange.start else None


def endless(exchange: Exchange) -> None:
    """Sends the file without its length; it ends where the connection ends."""
    exchange.begin(Content_Length=None, Content_Range=_open_range(exchange))
    exchange.write(exchange.body)


def zipped(exchange: Exchange) -> None:
    """Sends the file compressed, unasked."""
    exchange.start = 0
    body = gzip.compress(exchange.content, 1)
    exchange.begin(Content_Length=str(len(body)), Content_Encoding="gzip")
    exchange.write(body)


def elsewhere(exchange: Exchange) -> None:
    """Sends the rest of the file from another byte than the one asked for."""
    exchange.start //= 2
    exchange.begin()
    exchange.write(exchange.body)


def forgetful(exchange: Exchange) -> None:
    """Sends the file from its beginning, whatever was asked for."""
    exchange.start = 0
    exchange.begin()
    exchange.write(exchange.body)
