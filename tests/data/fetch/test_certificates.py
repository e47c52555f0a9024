from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from vidbench.data.fetch.download import fetch
from vidbench.errors import FetchError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def https_url(tmp_path: Path, authority: trustme.CA) -> Iterator[str]:
    """A real HTTPS server, with a certificate of an authority that nobody knows."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file.txt").write_text("content")
    handler = partial(_Quiet, directory=str(tmp_path / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/file.txt"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_unknown_certificate_is_refused(https_url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="certificate"):
        fetch(https_url, tmp_path / "got.txt")
    assert not (tmp_path / "got.txt").exists()


def test_a_trusted_certificate_is_accepted(
    https_url: str, tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert fetch(https_url, tmp_path / "got.txt").read_text() == "content"
