"""A real HTTP server on loopback, with byte ranges, and with the faults that a test asks for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    """

    statuses: dict[str, list[int]] = field(default_factory=dict)
    break_after: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class FileServer:
    """A folder served over HTTP.

    Attributes:
        url: Without a slash at the end.
        root: The folder.
        requests: ``METHOD path range`` of every request so far.
    """

    url: str
    root: Path
    requests: list[str]
    faults: Faults

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
        self._send(path, file.read_bytes(), with_body=with_body)

    def _send_error(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, path: str, content: bytes, *, with_body: bool) -> None:
        tag = f'"{len(content)}-{hash(content) & 0xFFFFFFFF:08x}"'
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
