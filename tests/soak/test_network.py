"""Downloads from a server that misbehaves at random: each ends as the original, or refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.helpers.http_server import (
    Answer,
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
from vidbench.data.fetch.download import fetch
from vidbench.data.fetch.tar import MAX_MEMBERS, extract_archive
from vidbench.data.fetch.tarballs import fetch_tarballs
from vidbench.errors import ArchiveError, VidbenchError

from .conftest import Faults

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

DOWNLOADS = 600
KILLS = 40
AT_ONCE = 24

KINDS: dict[str, Callable[[Random], Answer]] = {
    "server closes without an answer": lambda _: dropping(-1),
    "connection dropped": lambda random: dropping(random.randrange(1_000_000)),
    "server stalls": lambda random: stalling(random.randrange(-1, 1_000_000)),
    "server drips": lambda _: dripping(20_000, 0.02),
    "fewer bytes than promised": lambda random: promising(random.randrange(1, 5000)),
    "500": lambda _: refusing(500),
    "503 with Retry-After": lambda _: refusing(503, Retry_After="1"),
    "429": lambda _: refusing(429),
    "404": lambda _: refusing(404),
    "416": lambda _: refusing(416),
    "304": lambda _: refusing(304),
    "redirected to a file": lambda _: refusing(302, Location="file:///etc/passwd"),
    "redirected nowhere": lambda _: refusing(302, Location="http://127.0.0.1:9/x"),
    "broken chunks": lambda random: chunked(random.randrange(1, 1_000_000)),
    "chunks without a length": lambda _: chunked(),
    "no mark of the end": lambda _: endless,
    "compressed unasked": lambda _: zipped,
    "rest from another byte": lambda _: elsewhere,
    "rest asked for, all sent": lambda _: forgetful,
    "longer than any disk": lambda _: promising(10**17),
}
UNSEEN_BY_HTTP: dict[str, Callable[[Random], Answer]] = {
    "wrong bytes": lambda _: garbled,
    "more bytes than promised": lambda random: promising(-random.randrange(1, 5000)),
}


@dataclass
class Download:
    """One file, what goes wrong with it, and what came of it."""

    number: int
    tarball: bool
    content: bytes
    hash_known: bool
    kinds: list[str]
    outcome: str = "lost"

    @property
    def name(self) -> str:
        return f"{self.number}{'.tar.gz' if self.tarball else '.bin'}"


def planned(random: Random, number: int) -> Download:
    """A tarball, a file of known hash, or a file of which nothing is known."""
    flavour = number % 3
    content = random.randbytes(random.randrange(1, 1_500_000))
    known = KINDS if flavour == 2 else KINDS | UNSEEN_BY_HTTP
    kinds = random.choices(list(known), k=random.choice([1, 1, 2, 3]))
    return Download(number, flavour == 0, content, flavour == 1, kinds)


def packed(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("a.mp4")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def attempt(download: Download, server: FileServer, folder: Path) -> bytes | VidbenchError:
    """What stands on disk after a call that did not raise, or what it raised."""
    url = f"{server.url}/{download.name}"
    sha256 = hashlib.sha256(download.content).hexdigest() if download.hash_known else None
    try:
        if not download.tarball:
            return fetch(url, folder / download.name, sha256=sha256).read_bytes()
        (videos,) = fetch_tarballs([url], folder)
    except VidbenchError as error:
        return error
    return (videos / "a.mp4").read_bytes()


def carry_out(download: Download, server: FileServer, parent: Path) -> None:
    """Fetches until it works, which must be right then; notes whether it was refused before."""
    folder = parent / str(download.number)
    url = f"{server.url}/{download.name}"
    whole = folder / (str(download.number) if download.tarball else download.name)
    for number in range(len(download.kinds) + 1):
        found = attempt(download, server, folder)
        if isinstance(found, bytes):
            if found == download.content and visible(folder) == [whole]:
                download.outcome = "refused first" if number else "arrived"
            return
        if whole.exists() or url not in str(found) or "\n" in str(found):
            return


def test_downloads_from_a_server_that_misbehaves_at_random(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBENCH_TIMEOUT_SECONDS", "1")
    random = Random(0)  # noqa: S311
    downloads = [planned(random, number) for number in range(DOWNLOADS)]
    (tmp_path / "served").mkdir()
    everything = KINDS | UNSEEN_BY_HTTP
    with serve(tmp_path / "served") as server:
        for each in downloads:
            sent = packed(each.content) if each.tarball else each.content
            (server.root / each.name).write_bytes(sent)
            answers = [everything[kind](random) for kind in each.kinds]
            server.faults.answers[f"/{each.name}"] = answers
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: carry_out(each, server, tmp_path), downloads))
    for each in downloads:
        for kind in each.kinds:
            faults.note(kind, 1, int(each.outcome != "lost"), int(each.outcome == "lost"))
    assert [each for each in downloads if each.outcome == "lost"] == []
    assert {each.outcome for each in downloads} == {"arrived", "refused first"}


def test_downloads_that_are_killed_at_random(tmp_path: Path, faults: Faults) -> None:
    random = Random(1)  # noqa: S311
    (tmp_path / "served").mkdir()
    program = (
        "import sys, pathlib, vidbench.data.fetch.tarballs as t; print('.', flush=True); "
        "t.fetch_tarballs(sys.argv[1:2], pathlib.Path(sys.argv[2]))"
    )
    with serve(tmp_path / "served") as server:
        for number in range(KILLS):
            content = random.randbytes(3_000_000)
            (server.root / f"{number}.tar.gz").write_bytes(packed(content))
            server.faults.answers[f"/{number}.tar.gz"] = [dripping(30_000, 0.001)]
            url, folder = f"{server.url}/{number}.tar.gz", tmp_path / "val"
            command = [sys.executable, "-c", program, url, str(folder)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(random.uniform(0, 0.5))
                process.send_signal(signal.SIGKILL)
            (videos,) = fetch_tarballs([url], folder)
            good = (videos / "a.mp4").read_bytes() == content
            good = good and not any(path.is_file() for path in visible(folder))
            faults.note("killed while fetching", 1, int(good), int(not good))
            assert good


def test_breaks_do_not_add_up_while_there_is_progress(tmp_path: Path, faults: Faults) -> None:
    content = Random(2).randbytes(50_000_000)  # noqa: S311
    (tmp_path / "video.bin").write_bytes(content)
    with serve(tmp_path) as server:
        server.faults.answers["/video.bin"] = [dropping(1_200_000)] * 40
        found = fetch(f"{server.url}/video.bin", tmp_path / "to" / "video.bin").read_bytes()
        breaks = len(server.requests) - 1
    faults.note("connection dropped", breaks, breaks, 0)
    assert found == content
    assert breaks == 40


def test_a_server_that_always_breaks_off_is_given_up(tmp_path: Path, faults: Faults) -> None:
    (tmp_path / "video.bin").write_bytes(bytes(10_000))
    with serve(tmp_path) as server:
        url = f"{server.url}/video.bin"
        server.faults.answers["/video.bin"] = [promising(500)] * 1000
        with pytest.raises(VidbenchError, match=url):
            fetch(url, tmp_path / "to" / "video.bin")
        assert len(server.requests) == 8
    assert not (tmp_path / "to" / "video.bin").exists()
    faults.note("fewer bytes than promised", 8, 8, 0)


def test_an_archive_of_too_many_folders_is_refused(tmp_path: Path, faults: Faults) -> None:
    member = tarfile.TarInfo("a")
    member.type = tarfile.DIRTYPE
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(member.tobuf() * (MAX_MEMBERS + 1) + bytes(1024), 1))
    with pytest.raises(ArchiveError, match=f"more than {MAX_MEMBERS}"):
        extract_archive(archive, tmp_path / "videos", flatten=True)
    assert list(tmp_path.iterdir()) == [archive]
    faults.note("archive of too many members", 1, 1, 0)
