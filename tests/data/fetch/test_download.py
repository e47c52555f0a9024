from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer, serve, visible
from vidbench.data.fetch.download import fetch, join_source, require_source, size_of
from vidbench.data.fetch.tarballs import tarball_name
from vidbench.errors import ConfigError, FetchError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

FILE_NAMES = st.text(
    st.characters(exclude_categories=["C"], exclude_characters="/%"), min_size=1, max_size=40
).filter(lambda name: name not in (".", ".."))


class AbortedError(Exception):
    pass


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "here" / "video.bin"


@pytest.fixture
def url(file_server: FileServer) -> str:
    (file_server.root / "video.bin").write_bytes(CONTENT)
    return f"{file_server.url}/video.bin"


def closed_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    return f"http://127.0.0.1:{port}/video.bin"


def abort_after(num_bytes: int) -> Callable[[int], None]:
    came = 0

    def count(more: int) -> None:
        nonlocal came
        came += more
        if came >= num_bytes:
            raise AbortedError

    return count


def abort(url: str, target: Path) -> None:
    with pytest.raises(AbortedError):
        fetch(url, target, on_bytes=abort_after(1_000_000))
    assert not target.exists()


def test_a_file_arrives_whole_and_alone(url: str, target: Path) -> None:
    assert fetch(url, target) == target
    assert target.read_bytes() == CONTENT
    assert visible(target.parent) == [target]


def test_a_file_is_fetched_once(url: str, target: Path, file_server: FileServer) -> None:
    fetch(url, target)
    fetch(url, target)
    assert len(file_server.requests) == 1


@pytest.mark.parametrize("broken_at", [300_000, 2_500_000])
def test_a_broken_download_goes_on_where_it_broke(
    broken_at: int, url: str, target: Path, file_server: FileServer
) -> None:
    file_server.faults.break_after["/video.bin"] = [broken_at]
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert sum(came) == len(CONTENT)
    wanted = [request.split()[2] for request in file_server.requests]
    assert wanted[0] == "-"
    assert 0 < int(wanted[1].removeprefix("bytes=").rstrip("-")) <= broken_at


def test_an_aborted_download_is_resumed_by_the_next_call(
    url: str, target: Path, file_server: FileServer
) -> None:
    abort(url, target)
    held = target.with_name("video.bin.part").stat().st_size
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append, sha256=SHA256).read_bytes() == CONTENT
    assert file_server.requests[1:] == [f"GET /video.bin bytes={held}-"]
    assert sum(came) == len(CONTENT)
    assert visible(target.parent) == [target]


def test_a_download_that_was_complete_but_not_renamed_is_finished(url: str, target: Path) -> None:
    with pytest.raises(AbortedError):
        fetch(url, target, on_bytes=abort_after(len(CONTENT)))
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert sum(came) == len(CONTENT)


@pytest.mark.parametrize("length", [500_000, len(CONTENT), 4_000_000])
def test_a_file_that_changed_on_the_server_is_fetched_anew(
    length: int, url: str, target: Path, file_server: FileServer
) -> None:
    abort(url, target)
    changed = np.random.default_rng(1).bytes(length)
    (file_server.root / "video.bin").write_bytes(changed)
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == changed
    assert sum(came) == length


def test_a_part_of_unknown_origin_is_not_built_upon(
    url: str, target: Path, file_server: FileServer
) -> None:
    target.parent.mkdir()
    target.with_name("video.bin.part").write_bytes(b"of another file")
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert sum(came) == len(CONTENT)
    assert file_server.requests == ["GET /video.bin -"]


def test_a_server_that_cannot_resume_sends_the_file_anew(
    url: str, target: Path, file_server: FileServer
) -> None:
    abort(url, target)
    file_server.faults.statuses["/video.bin"] = [416]
    came: list[int] = []
    assert fetch(url, target, on_bytes=came.append).read_bytes() == CONTENT
    assert sum(came) == len(CONTENT)


@pytest.mark.parametrize("statuses", [[500, 503], [429]])
def test_a_server_in_trouble_is_asked_again(
    statuses: list[int], url: str, target: Path, file_server: FileServer
) -> None:
    file_server.faults.statuses["/video.bin"] = list(statuses)
    assert fetch(url, target).read_bytes() == CONTENT
    assert len(file_server.requests) == len(statuses) + 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final_and_names_the_url(
    status: int, url: str, target: Path, file_server: FileServer
) -> None:
    file_server.faults.statuses["/video.bin"] = [status]
    with pytest.raises(FetchError, match=f"{url}.*{status}"):
        fetch(url, target)
    assert len(file_server.requests) == 1
    assert visible(target.parent) == []


def test_where_no_server_answers_the_error_names_the_url(target: Path) -> None:
    url = closed_url()
    with pytest.raises(FetchError, match=f"{url}.*refused"):
        fetch(url, target)


def test_a_file_with_another_hash_is_refused_and_not_kept(
    url: str, target: Path, file_server: FileServer
) -> None:
    (file_server.root / "video.bin").write_bytes(CONTENT[::-1])
    with pytest.raises(FetchError, match=f"{url}.*{SHA256}"):
        fetch(url, target, sha256=SHA256)
    assert visible(target.parent) == []
    (file_server.root / "video.bin").write_bytes(CONTENT)
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


def test_a_file_that_is_there_already_is_verified_too(url: str, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT[::-1])
    with pytest.raises(FetchError, match=SHA256):
        fetch(url, target, sha256=SHA256)


def test_a_local_file_is_used_where_it_lies(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "local.bin"
    source.write_bytes(CONTENT)
    assert fetch(str(source), target, sha256=SHA256) == source
    assert not target.parent.exists()


def test_a_local_file_with_another_hash_is_refused_and_left_alone(
    tmp_path: Path, target: Path
) -> None:
    source = tmp_path / "local.bin"
    source.write_bytes(b"mine")
    with pytest.raises(FetchError, match=SHA256):
        fetch(str(source), target, sha256=SHA256)
    assert source.read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["nowhere.bin", "."])
def test_what_is_no_local_file_is_named(name: str, tmp_path: Path, target: Path) -> None:
    source = os.path.join(tmp_path, name)  # noqa: PTH118
    with pytest.raises(FetchError, match=source):
        fetch(source, target)


def test_the_name_appears_only_once_the_file_is_complete(
    url: str, target: Path, file_server: FileServer
) -> None:
    file_server.faults.break_after["/video.bin"] = [2_000_000]
    seen: list[bool] = []
    fetch(url, target, on_bytes=lambda _: seen.append(target.exists()))
    assert len(seen) > 3
    assert not any(seen)


def test_a_tarball_named_after_its_class_is_found_by_its_plain_name(
    file_server: FileServer, target: Path
) -> None:
    name = "600/train/passing American football (in game).tar.gz"
    (file_server.root / name).parent.mkdir(parents=True)
    (file_server.root / name).write_bytes(CONTENT)
    source = join_source(f"{file_server.url}/", name)
    assert " " not in source
    assert tarball_name(source) == "passing American football (in game)"
    assert fetch(source, target).read_bytes() == CONTENT


@settings(max_examples=25, deadline=None)
@given(name=FILE_NAMES)
def test_any_file_name_is_found_below_a_url_and_a_folder(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / name).write_text(name)
    with serve(root) as server:
        downloaded = fetch(join_source(server.url, name), tmp_path_factory.mktemp("to") / "file")
    assert downloaded.read_text() == name
    assert fetch(join_source(str(root), name), root / "unused").read_text() == name


@given(name=FILE_NAMES, root=st.sampled_from(["http://host/root", "/a/folder"]))
def test_a_quoted_and_a_plain_name_lead_to_the_same_file(name: str, root: str) -> None:
    assert join_source(root, quote(name)) == join_source(root, name)


def test_the_size_is_what_the_server_or_the_folder_says(
    url: str, tmp_path: Path, file_server: FileServer
) -> None:
    assert size_of(url) == len(CONTENT)
    assert file_server.fetched("/video.bin") == []
    assert size_of(str(file_server.root / "video.bin")) == len(CONTENT)
    for nowhere in (f"{file_server.url}/x", closed_url(), str(tmp_path / "x"), str(tmp_path)):
        assert size_of(nowhere) is None


def test_a_root_is_a_url_or_a_folder(tmp_path: Path) -> None:
    require_source("https://example.org/kinetics")
    require_source(str(tmp_path))
    for wrong in (str(tmp_path / "nowhere"), "ftp://example.org/kinetics"):
        with pytest.raises(ConfigError, match="neither"):
            require_source(wrong)
