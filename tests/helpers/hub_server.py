"""A hub of Hugging Face on loopback: its API for one model, and the files of a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What is served.

    Attributes:
        url: For ``HF_ENDPOINT``.
        name: Of the model, ``owner/name``.
        folder: Its files.
        requests: ``METHOD path`` of all so far.
        silent: Accepts requests whose path holds this, and never answers.
        closing: Set when the server ends.
    """

    url: str
    name: str
    folder: Path
    requests: list[str] = field(default_factory=list)
    silent: str | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        return {r.rsplit("/", 1)[-1] for r in self.requests if r.startswith("GET /owner")}


@contextmanager
def serve_hub(folder: Path, name: str = "owner/model", silent: str | None = None) -> Iterator[Hub]:
    hub = Hub("", name, folder, silent=silent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *arguments: object) -> None:
        self._hub = hub
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub, path = self._hub, urlsplit(self.path).path
        hub.requests.append(f"{self.command} {path}")
        if hub.silent is not None and hub.silent in path:
            hub.closing.wait()
            return
        api = f"/api/models/{hub.name}"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            self._send_json({"id": hub.name, "sha": COMMIT, "siblings": self._siblings()})
        elif path.startswith(f"{api}/tree/"):
            self._send_json([self._entry(file) for file in sorted(hub.folder.iterdir())])
        else:
            self._send_file(path, with_body=with_body)

    def _siblings(self) -> list[dict[str, str]]:
        return [{"rfilename": file.name} for file in sorted(self._hub.folder.iterdir())]

    def _entry(self, file: Path) -> dict[str, Any]:
        return {
            "type": "file",
            "path": file.name,
            "size": file.stat().st_size,
            "oid": hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest(),
        }

    def _send_json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, path: str, *, with_body: bool) -> None:
        prefix = f"/{self._hub.name}/resolve/{COMMIT}/"
        file = self._hub.folder / path.removeprefix(prefix)
        if not path.startswith(prefix) or not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if prefix in path else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = file.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{self._entry(file)["oid"]}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)
