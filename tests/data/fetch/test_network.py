"""Real servers that misbehave, real processes side by side, and real disks that are full."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.http_server import (
    Answer,
    Exchange,
    FileServer,
    chunked,
    dripping,
    dropping,
    elsewhere,
    endless,
    forgetful,
    garbled,
    promising,
    refusing,
    serve,
    stalling,
    visible,
    zipped,
)
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.data.fetch.download import fetch
from vidbench.data.fetch.headers import retry_after_seconds
from vidbench.data.fetch.tarballs import fetch_tarballs
from vidbench.errors import ArchiveError, ConfigError, DiskFullError, FetchError

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOW = datetime(2026, 1, 1, tzinfo=UTC)

FETCH = (
    "import sys, pathlib; from vidbench.data.fetch import fetch; "
    "fetch(sys.argv[1], pathlib.Path(sys.argv[2]))"
)
FETCH_TARBALL = (
    "import sys, pathlib, vidbench.data.fetch.tarballs as t; "
    "t.fetch_tarballs(sys.argv[1:2], pathlib.Path(sys.argv[2]))"
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "here" / "video.bin"


@pytest.fixture
def url(file_server: FileServer) -> str:
    (file_server.root / "video.bin").write_bytes(CONTENT)
    return f"{file_server.url}/video.bin"


@pytest.fixture
def tarball(file_server: FileServer) -> str:
    with tarfile.open(file_server.root / "a.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("a.mp4")
        member.size = len(CONTENT)
        tar.addfile(member, io.BytesIO(CONTENT))
    return f"{file_server.url}/a.tar.gz"


def answer(server: FileServer, *answers: Answer, path: str = "/video.bin") -> None:
    server.faults.answers[path] = list(answers)


def ranges(server: FileServer, path: str = "/video.bin") -> list[str]:
    return [request.split()[2] for request in server.fetched(path)]


@pytest.mark.parametrize("after", [-1, 0, 400_000])
def test_a_stalled_server_is_asked_anew(
    after: int,
    url: str,
    target: Path,
    file_server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDBENCH_TIMEOUT_SECONDS", "0.3")
    answer(file_server, stalling(after))
    assert fetch(url, target).read_bytes() == CONTENT
    first, second = ranges(file_server)
    assert first == "-"
    assert (second == "-") == (after <= 0)


def test_a_server_that_is_always_silent_is_given_up(
    url: str, target: Path, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBENCH_TIMEOUT_SECONDS", "0.2")
    answer(file_server, *[stalling(-1)] * 10)
    with pytest.raises(FetchError, match=f"{url}.*timed out"):
        fetch(url, target)
    assert visible(target.parent) == []


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "", "soon"])
def test_a_wrong_limit_of_patience_is_refused(
    seconds: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBENCH_TIMEOUT_SECONDS", seconds)
    with pytest.raises(ConfigError, match="VIDBENCH_TIMEOUT_SECONDS"):
        fetch("http://127.0.0.1:9/x", target)


def test_a_slow_server_is_borne_with(
    url: str, target: Path, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBENCH_TIMEOUT_SECONDS", "1")
    answer(file_server, dripping(piece=20_000, seconds=0.03))  # 1.5 s in all
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert len(file_server.requests) == 1
    assert len(came) >= 40


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(dropping(-1), id="no answer"),
        pytest.param(dropping(0), id="no body"),
        pytest.param(promising(1000), id="promises more"),
        pytest.param(chunked(break_after=500_000), id="broken chunks"),
        pytest.param(refusing(206, Content_Range="bytes 0-8/9"), id="a part that nobody wanted"),
    ],
)
def test_what_breaks_is_tried_again(
    bad: Answer, url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, bad)
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert sum(came) == len(CONTENT)
    assert visible(target.parent) == [target]


@pytest.mark.parametrize("second", [elsewhere, forgetful, chunked(), dropping(100_000)])
def test_what_comes_after_a_break_is_put_where_it_belongs(
    second: Answer, url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, dropping(400_000), second)
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert sum(came) == len(CONTENT)
    assert ranges(file_server)[1] != "-"


def test_a_rest_of_another_version_is_not_appended(
    url: str, target: Path, file_server: FileServer
) -> None:
    def changed(exchange: Exchange) -> None:
        exchange.begin(ETag='"another"')
        exchange.write(bytes(len(exchange.body)))

    answer(file_server, dropping(400_000), changed)
    assert fetch(url, target).read_bytes() == CONTENT


def test_a_chunked_file_of_unknown_length_arrives(
    url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, chunked())
    assert fetch(url, target).read_bytes() == CONTENT


def test_a_file_whose_end_nobody_marks_is_taken_by_its_hash_alone(
    url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, endless, endless)
    with pytest.raises(FetchError, match=f"{url}.*neither the file.s length"):
        fetch(url, target)
    assert visible(target.parent) == []
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("bad", [garbled, promising(-1000)])
def test_wrong_bytes_are_refused_by_their_hash(
    bad: Answer, url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, bad)
    with pytest.raises(FetchError, match=f"{url}.*{SHA256}"):
        fetch(url, target, sha256=SHA256)
    assert visible(target.parent) == []
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("bad", [garbled, promising(-1000)])
def test_wrong_bytes_of_a_tarball_are_refused_without_a_hash(
    bad: Answer, tarball: str, file_server: FileServer, tmp_path: Path
) -> None:
    answer(file_server, bad, path="/a.tar.gz")
    with pytest.raises(ArchiveError, match=tarball):
        fetch_tarballs([tarball], tmp_path / "val")
    assert visible(tmp_path / "val") == []
    (folder,) = fetch_tarballs([tarball], tmp_path / "val")
    assert (folder / "a.mp4").read_bytes() == CONTENT


@pytest.mark.parametrize("date", [False, True])
def test_a_server_that_wants_to_be_left_alone_is(
    date: bool, url: str, target: Path, file_server: FileServer
) -> None:
    """The server answers 503 until the time that it said itself, as a real one would."""
    until = datetime.now(UTC) + timedelta(seconds=1.5)
    header = format_datetime(until + timedelta(seconds=1), usegmt=True) if date else "2"

    def busy(exchange: Exchange) -> None:
        if datetime.now(UTC) < until:
            refusing(503, Retry_After=header)(exchange)
        else:
            dropping(len(CONTENT))(exchange)

    answer(file_server, *[busy] * 5)
    assert fetch(url, target).read_bytes() == CONTENT
    assert len(file_server.requests) == 2


@given(st.integers(0, 10**15))
def test_a_wait_is_as_long_as_the_server_wants_but_has_an_end(seconds: int) -> None:
    assert retry_after_seconds({"Retry-After": str(seconds)}, NOW) == min(seconds, 300)


@given(st.integers(-(10**6), 10**6))
def test_a_wait_until_a_date_is_as_long_as_the_date_is_off(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds({"Retry-After": date}, NOW) == min(max(seconds, 0), 300)


@given(st.text(max_size=40).filter(lambda text: not re.search("[0-9]", text)))
def test_a_wait_that_nobody_understands_is_none(text: str) -> None:
    assert retry_after_seconds({"Retry-After": text}, NOW) == 0


def test_a_pause_can_be_ended(url: str, target: Path, file_server: FileServer) -> None:
    answer(file_server, refusing(503, Retry_After="200"))
    calls: list[int] = []

    def stop(num_bytes: int) -> None:
        calls.append(num_bytes)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(url, target, on_bytes=stop)


@pytest.mark.parametrize("status", [204, 301, 304, 401, 404, 410])
def test_what_is_not_the_file_is_not_kept(
    status: int, url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, refusing(status))
    with pytest.raises(FetchError, match=f"{url}.*{status}"):
        fetch(url, target)
    assert visible(target.parent) == []
    assert len(file_server.requests) == 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/video.bin", ""])
def test_a_redirection_to_a_file_or_in_a_circle_is_refused(
    location: str, url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, *[refusing(302, Location=location)] * 100)
    with pytest.raises(FetchError, match=url):
        fetch(url, target)
    assert visible(target.parent) == []


def test_a_redirection_to_another_host_leads_to_the_file(
    url: str, target: Path, file_server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_bytes(b"the file")
    with serve(tmp_path / "other") as other:
        there = other.url.replace("127.0.0.1", "localhost")
        answer(file_server, refusing(302, Location=f"{there}/x"))
        assert fetch(url, target).read_bytes() == b"the file"


def test_a_file_that_comes_compressed_unasked_is_refused(
    url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, zipped)
    with pytest.raises(FetchError, match=f"{url}.*gzip"):
        fetch(url, target)
    assert visible(target.parent) == []


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_tarball_that_is_called_compressed_is_taken_as_it_is(
    encoding: str, tarball: str, file_server: FileServer, tmp_path: Path
) -> None:
    """As object stores and some web servers send a .gz: its own compression is the encoding."""

    def labelled(exchange: Exchange) -> None:
        exchange.begin(Content_Encoding=encoding)
        exchange.write(exchange.body)

    answer(file_server, labelled, path="/a.tar.gz")
    (folder,) = fetch_tarballs([tarball], tmp_path / "val")
    assert (folder / "a.mp4").read_bytes() == CONTENT


class _Secure(BaseHTTPRequestHandler):
    """Drops the first connection without TLS's goodbye, or redirects to http."""

    def __init__(self, counts: list[str], location: str | None, *arguments: object) -> None:
        self._counts = counts
        self._location = location
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._counts.append(self.headers.get("Range", "-"))
        self.send_response(302 if self._location else 200)
        if self._location:
            self.send_header("Location", self._location)
        self.send_header("Content-Length", "0" if self._location else str(len(CONTENT)))
        self.end_headers()
        if not self._location:
            self.wfile.write(CONTENT if len(self._counts) > 1 else CONTENT[:300_000])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def secure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str | None], tuple[str, list[str]]]]:
    """Starts HTTPS servers of an authority that is trusted here; gives url and requests."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(location: str | None) -> tuple[str, list[str]]:
        counts: list[str] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Secure, counts, location))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return f"https://127.0.0.1:{server.server_address[1]}/x", counts

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_dropped_encrypted_connection_is_no_refused_certificate(
    secure: Callable[[str | None], tuple[str, list[str]]], target: Path
) -> None:
    url, requests = secure(None)
    assert fetch(url, target).read_bytes() == CONTENT
    assert len(requests) == 2


def test_a_redirection_from_https_to_http_is_refused(
    secure: Callable[[str | None], tuple[str, list[str]]], url: str, target: Path
) -> None:
    start, _ = secure(url)
    with pytest.raises(FetchError, match="not encrypted"):
        fetch(start, target)
    assert visible(target.parent) == []


@contextmanager
def started(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs beside the test, and ends with it."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def gated(asked: threading.Event, released: threading.Event) -> Answer:
    """Sends a part of the file, and the rest when the test says so."""

    def answer(exchange: Exchange) -> None:
        asked.set()
        stalling(600_000, released)(exchange)

    return answer


@pytest.mark.parametrize("kill", [False, True], ids=["ends", "killed"])
@pytest.mark.parametrize("kind", ["file", "tarball"])
def test_of_two_processes_one_transfers_and_the_other_waits(
    kind: str, kill: bool, url: str, tarball: str, file_server: FileServer, tmp_path: Path
) -> None:
    program, source = (FETCH, url) if kind == "file" else (FETCH_TARBALL, tarball)
    goal = tmp_path / "here" / kind
    path = source.removeprefix(file_server.url)
    asked, released = threading.Event(), threading.Event()
    answer(file_server, gated(asked, released), path=path)
    with started(program, source, goal) as first:
        assert asked.wait(60)
        with started(program, source, goal) as second:
            assert "waiting for another process" in line_of(second)
            if kill:
                first.kill()
                first.wait()
            released.set()
            assert second.communicate(timeout=PATIENCE_SECONDS)[1] == ""
            assert second.returncode == 0
        first.communicate(timeout=PATIENCE_SECONDS)
        assert first.returncode == (-9 if kill else 0)
    first_wanted, *others = ranges(file_server, path)
    assert first_wanted == "-"
    assert len(others) == kill
    assert "-" not in others  # what the killed one had is not fetched again
    assert (goal if kind == "file" else goal / "a/a.mp4").read_bytes() == CONTENT
    assert visible(goal.parent) == [goal]


def test_processes_with_other_folders_do_not_wait_for_one_another(
    url: str, file_server: FileServer, tmp_path: Path
) -> None:
    asked, released = threading.Event(), threading.Event()
    answer(file_server, gated(asked, released))
    with started(FETCH, url, tmp_path / "one/video.bin") as first:
        assert asked.wait(60)
        with started(FETCH, url, tmp_path / "two/video.bin") as second:
            assert second.communicate(timeout=PATIENCE_SECONDS)[1] == ""
        assert (tmp_path / "two/video.bin").read_bytes() == CONTENT
        assert first.poll() is None
        released.set()
        assert first.communicate(timeout=PATIENCE_SECONDS)[1] == ""
    assert (tmp_path / "one/video.bin").read_bytes() == CONTENT


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)); "


def test_a_download_that_the_disk_does_not_take_is_resumed_later(
    url: str, target: Path, file_server: FileServer
) -> None:
    stopped = run(LIMITED + FETCH, url, target)
    assert "DiskFullError" in stopped.stderr.splitlines()[-1]
    (part, _) = visible(target.parent)
    held = part.stat().st_size
    assert held <= 500_000
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT
    assert ranges(file_server) == ["-", f"bytes={held}-"]


def test_a_tarball_whose_files_the_disk_does_not_take_is_not_fetched_again(
    file_server: FileServer, tmp_path: Path
) -> None:
    files = {"a.mp4": CONTENT[:1000], "b.mp4": bytes(2_000_000)}
    with tarfile.open(file_server.root / "a.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    url = f"{file_server.url}/a.tar.gz"
    stopped = run(LIMITED + FETCH_TARBALL, url, tmp_path / "val")
    assert "DiskFullError" in stopped.stderr.splitlines()[-1]
    assert [path.name for path in visible(tmp_path / "val")] == ["a.download"]
    (folder,) = fetch_tarballs([url], tmp_path / "val")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert ranges(file_server, "/a.tar.gz") == ["-"]
    assert visible(tmp_path / "val") == [folder]


def test_a_file_longer_than_the_disk_is_refused_at_once(
    url: str, target: Path, file_server: FileServer
) -> None:
    answer(file_server, promising(10**17))
    with pytest.raises(DiskFullError, match=f"{target.parent}.*{url}"):
        fetch(url, target)
    assert visible(target.parent) == [target.with_name("video.bin.part.etag")]
    assert fetch(url, target).read_bytes() == CONTENT
    assert visible(target.parent) == [target]


SMALL_DISK = """
set -e
mount -t tmpfs -o size=1m none "$1"
{python} -c '{program}' "$2" "$1/val" 2>&1 | tail -1
find "$1" -type f -not -path "*/.locks/*" -printf "%f %s\\n"
mount -o remount,size=9m "$1"
{python} -c '{program}' "$2" "$1/val"
sha256sum "$1/$3"
"""


def on_a_small_disk(program: str, url: str, mount: Path, found: str) -> list[str]:
    """Lines of a shell that fetches to a disk of 1 MiB, then to the same disk of 9 MiB."""
    mount.mkdir()
    space = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    probe = subprocess.run(
        [*space, "mount", "-t", "tmpfs", "none", mount], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip("no disk may be mounted here")
    script = SMALL_DISK.format(python=sys.executable, program=program)
    done = subprocess.run(
        [*space, "sh", "-c", script, "sh", mount, url, found],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_disk_that_fills_up_during_a_download_keeps_what_came(
    file_server: FileServer, tmp_path: Path
) -> None:
    content = CONTENT * 2
    (file_server.root / "video.bin").write_bytes(content)
    answer(file_server, chunked())  # of a length that is not known before
    url = f"{file_server.url}/video.bin"
    error, *files, last = on_a_small_disk(FETCH, url, tmp_path / "disk", "val")
    assert "DiskFullError" in error
    sizes = dict(line.split() for line in files)
    assert 500_000 < int(sizes["val.part"]) <= 1 << 20
    assert last.split()[0] == hashlib.sha256(content).hexdigest()
    assert ranges(file_server) == ["-", f"bytes={sizes['val.part']}-"]


def test_a_tarball_without_room_beside_its_files_is_refused_before_it_comes(
    tarball: str, file_server: FileServer, tmp_path: Path
) -> None:
    found = "val/a/a.mp4"
    error, last = on_a_small_disk(FETCH_TARBALL, tarball, tmp_path / "disk", found)
    assert "DiskFullError" in error
    assert tarball in error
    assert last.split()[0] == SHA256
    assert ranges(file_server, "/a.tar.gz") == ["-"]


def test_files_without_room_are_refused_before_they_are_written(
    file_server: FileServer, tmp_path: Path
) -> None:
    (file_server.root / "a.tar.gz").write_bytes(gzip.compress(_tar_of_zeros(5_000_000)))
    url = f"{file_server.url}/a.tar.gz"
    error, kept, last = on_a_small_disk(FETCH_TARBALL, url, tmp_path / "disk", "val/a/a.mp4")
    assert "DiskFullError" in error
    assert "5.0 MB" in error
    assert kept.split()[0] == "a.download"
    assert last.split()[0] == hashlib.sha256(bytes(5_000_000)).hexdigest()
    assert ranges(file_server, "/a.tar.gz") == ["-"]


def _tar_of_zeros(length: int) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("a.mp4")
        member.size = length
        tar.addfile(member, io.BytesIO(bytes(length)))
    return archive.getvalue()
