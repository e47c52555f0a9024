from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer, serve, visible
from vidbench.data.fetch.download import join_source
from vidbench.data.fetch.tarballs import (
    fetch_tarballs,
    format_size,
    tarball_name,
    total_bytes,
    unfetched,
)
from vidbench.errors import ArchiveError, FetchError


def pack(path: Path, names: Iterable[str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "val"


@given(
    name=st.text(st.characters(exclude_categories=["C"], exclude_characters="/%"), min_size=1),
    suffix=st.sampled_from([".tar.gz", ".tgz", ".tar"]),
    root=st.sampled_from(["https://host/600/train/", "/a/folder"]),
)
def test_a_tarball_is_called_as_its_file_without_the_suffix(
    name: str, suffix: str, root: str
) -> None:
    assert tarball_name(join_source(root, name + suffix)) == name


@pytest.mark.parametrize("source", ["", "/a/video.mp4", "/a/.tar.gz", "https://host/a/"])
def test_what_is_no_tarball_is_refused(source: str) -> None:
    with pytest.raises(FetchError, match=r"\.tar\.gz"):
        tarball_name(source)


def test_all_tarballs_arrive_in_the_order_asked_for(file_server: FileServer, folder: Path) -> None:
    names = [f"part_{number}" for number in (10, 2, 1, 9, 30, 3, 7)]
    sources = []
    for name in names:
        pack(file_server.root / f"{name}.tar.gz", [f"{name}.mp4"])
        sources.append(f"{file_server.url}/{name}.tar.gz")
    folders = fetch_tarballs(sources, folder)
    assert folders == [folder / name for name in names]
    assert [path.name for f in folders for path in f.iterdir()] == [f"{n}.mp4" for n in names]
    assert visible(folder) == sorted(folders)


def test_what_was_extracted_before_is_not_asked_for_again(
    file_server: FileServer, folder: Path
) -> None:
    sources = [f"{file_server.url}/{name}.tar.gz" for name in "ab"]
    for name in "ab":
        pack(file_server.root / f"{name}.tar.gz", ["x.mp4"])
    fetch_tarballs(sources[:1], folder)
    assert unfetched(sources, folder) == sources[1:]
    file_server.requests.clear()
    fetch_tarballs(sources, folder)
    assert {request.split()[1] for request in file_server.requests} == {"/b.tar.gz"}
    file_server.requests.clear()
    fetch_tarballs(sources, folder)
    assert file_server.requests == []


def test_a_local_tarball_is_read_where_it_lies(tmp_path: Path, folder: Path) -> None:
    tarball = pack(tmp_path / "part_0.tar.gz", ["x.mp4"])
    fetch_tarballs([str(tarball)], folder)
    assert [path.name for path in visible(folder)] == ["part_0"]
    assert tarball.exists()


@pytest.mark.parametrize("missing", [0, 3, 6])
def test_when_one_fails_the_error_names_it_and_the_next_call_fetches_the_rest(
    missing: int, file_server: FileServer, folder: Path
) -> None:
    sources = [f"{file_server.url}/part_{number}.tar.gz" for number in range(7)]
    for number in range(7):
        if number != missing:
            pack(file_server.root / f"part_{number}.tar.gz", ["x.mp4"])
    with pytest.raises(FetchError, match=f"{sources[missing]}.*404"):
        fetch_tarballs(sources, folder)
    kept = {path.name for path in visible(folder) if path.is_dir()}
    assert f"part_{missing}" not in kept
    file_server.requests.clear()
    pack(file_server.root / f"part_{missing}.tar.gz", ["x.mp4"])
    fetch_tarballs(sources, folder)
    assert [path.name for path in visible(folder)] == [f"part_{n}" for n in range(7)]
    assert not any(file_server.fetched(f"/{name}.tar.gz") for name in kept)


def test_a_damaged_tarball_is_named_and_not_kept(file_server: FileServer, folder: Path) -> None:
    (file_server.root / "a.tar.gz").write_bytes(b"no tarball")
    source = f"{file_server.url}/a.tar.gz"
    with pytest.raises(ArchiveError, match=source):
        fetch_tarballs([source], folder)
    assert visible(folder) == []


def test_a_damaged_local_tarball_is_named_and_left_alone(tmp_path: Path, folder: Path) -> None:
    tarball = tmp_path / "a.tar.gz"
    tarball.write_bytes(b"no tarball")
    with pytest.raises(ArchiveError, match=str(tarball)):
        fetch_tarballs([str(tarball)], folder)
    assert tarball.read_bytes() == b"no tarball"
    assert visible(folder) == []


def test_the_length_of_several_is_known_only_where_each_is(tmp_path: Path) -> None:
    first = pack(tmp_path / "a.tar.gz", ["x.mp4"])
    second = pack(tmp_path / "b.tar.gz", ["x.mp4", "y.mp4"])
    expected = first.stat().st_size + second.stat().st_size
    with serve(tmp_path) as server:
        assert total_bytes([str(first), f"{server.url}/b.tar.gz"]) == expected
        assert total_bytes([str(first), f"{server.url}/c.tar.gz"]) is None
    assert total_bytes([]) == 0


def test_lengths_are_written_for_people() -> None:
    assert format_size(1_500_000_000) == "1.50 GB"
    assert format_size(None) == "of unknown size"
