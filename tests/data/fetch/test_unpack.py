from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer
from tests.helpers.rar_files import (
    NORMAL,
    RarFile,
    write_rar,
    write_rar3,
    write_rar3_of_secret_names,
    write_rar_of_secret_names,
)
from vidbench.data.fetch.unpack import fetch_archive, names_archive, unpack
from vidbench.errors import ArchiveError, ConfigError, VidbenchError

Files = Mapping[str, bytes]

SEGMENTS = st.text("abcXYZ019 _-()&#é", min_size=1, max_size=9).filter(str.strip)
FILES = st.dictionaries(
    st.tuples(st.lists(SEGMENTS, max_size=2), SEGMENTS).map(
        lambda parts: "/".join([*parts[0], f"{parts[1]}.avi"])
    ),
    st.binary(max_size=1500),
    min_size=1,
    max_size=5,
)
VIDEOS = {f"UCF/{name}.avi": np.random.default_rng(ord(name)).bytes(1500) for name in "abc"}


def pack_rar(path: Path, files: Files) -> Path:
    return write_rar(path, [RarFile(name, content) for name, content in files.items()])


def pack_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pack_tar(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


PACKERS = pytest.mark.parametrize("pack", [pack_rar, pack_zip, pack_tar])
Pack = Callable[[Path, Files], Path]


def unpacked(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_refused(archive: Path, match: str, kind: type[VidbenchError] = ArchiveError) -> None:
    before = unpacked(archive.parents[1])
    with pytest.raises(kind, match=match):
        unpack(archive, archive.parent / "videos")
    assert list(archive.parent.iterdir()) == [archive]
    assert unpacked(archive.parents[1]) == before


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a program that stands in for a rar tool; no other is found."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(name: str, command: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)

    return install


@settings(max_examples=40, deadline=None)
@given(files=FILES, kind=st.sampled_from([pack_rar, pack_zip, pack_tar]))
def test_files_come_out_as_they_went_in(
    files: Files, kind: Pack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("archive")
    folder = unpack(kind(place / "no-suffix-tells", files), place / "videos")
    assert unpacked(folder) == files
    assert unpack(place / "gone", folder) == folder


@pytest.mark.parametrize(
    "command", [["bsdtar", "-xOf"], ["unar", "-quiet", "-output-directory", "-"], ["unrar", "p"]]
)
def test_other_programs_read_what_the_test_writes(command: list[str], place: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    archive = pack_rar(place / "videos.rar", VIDEOS)
    found = subprocess.run([*command, str(archive)], capture_output=True, check=True).stdout
    assert b"".join(VIDEOS.values()) in found


@PACKERS
@pytest.mark.parametrize(
    "name", ["../a.avi", "a/../../b.avi", "/etc/a.avi", "a\nb.avi", "a\x1b[2J.avi", "x" * 256]
)
def test_names_that_lead_out_or_cannot_be_shown_are_refused(
    pack: Pack, name: str, place: Path
) -> None:
    assert_refused(pack(place / "packed", {"good.avi": b"video", name: b"bad"}), "refused")


@pytest.mark.parametrize("pack", [pack_rar, pack_zip])
@pytest.mark.parametrize("name", ["..\\a.avi", "C:\\a.avi", "C:a.avi", "\\a.avi", "."])
def test_names_that_lead_out_on_windows_are_refused(pack: Pack, name: str, place: Path) -> None:
    assert_refused(
        pack(place / "packed", {"good.avi": b"video", name: b"bad"}), "outside the folder"
    )


def test_links_are_refused(place: Path) -> None:
    links = [RarFile("a.avi", b"video"), RarFile("b.avi", link="/etc/passwd")]
    assert_refused(write_rar(place / "videos.rar", links), "a link")


def test_links_in_a_zip_are_refused(place: Path) -> None:
    link = zipfile.ZipInfo("b.avi")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(place / "videos.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert_refused(place / "videos.zip", "a link")


def test_an_encrypted_zip_is_refused(place: Path) -> None:
    content = bytearray(pack_zip(place / "videos.zip", {"a.avi": b"video"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flags in the directory
    (place / "videos.zip").write_bytes(content)
    assert_refused(place / "videos.zip", "encrypted")


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(write_rar_of_secret_names, id="names of rar 5"),
        pytest.param(write_rar3_of_secret_names, id="names of rar 3"),
        pytest.param(
            lambda path: write_rar(path, [RarFile("a.avi", b"video", is_secret=True)]),
            id="files of rar 5",
        ),
        pytest.param(lambda path: write_rar3(path, b"video", is_secret=True), id="files of rar 3"),
    ],
)
def test_an_encrypted_rar_is_refused(write: Callable[[Path], Path], place: Path) -> None:
    assert_refused(write(place / "videos.rar"), r"videos\.rar is encrypted: extract it yourself")


def test_the_compressed_comment_of_a_rar_is_passed_over(place: Path) -> None:
    archive = write_rar3(place / "videos.rar", b"video", comment=b"needs a program to be read")
    assert unpacked(unpack(archive, place / "videos")) == {"a.avi": b"video"}


def test_a_name_twice_is_refused(place: Path) -> None:
    twice = [RarFile("a.avi", b"one"), RarFile("./a.avi", b"other")]
    assert_refused(write_rar(place / "videos.rar", twice), "twice")


def test_a_file_where_a_folder_is_is_refused(place: Path) -> None:
    both = [RarFile("a", b"one"), RarFile("a/b.avi", b"other")]
    assert_refused(write_rar(place / "videos.rar", both), "cannot be extracted")


def test_bombs_are_refused_before_anything_is_written(place: Path) -> None:
    bomb = [RarFile("a.avi", b"small", NORMAL, size=1 << 50)]
    assert_refused(write_rar(place / "videos.rar", bomb), "would extract to more")
    (place / "videos.rar").unlink()
    zeros = pack_zip(place / "videos.zip", {"a.avi": bytes(1 << 20)})
    assert unpacked(unpack(zeros, place / "zeros")) == {"a.avi": bytes(1 << 20)}


def test_folders_and_what_macos_adds_are_no_files(place: Path) -> None:
    members = [
        RarFile("empty", folder=True),
        RarFile("videos", folder=True),
        RarFile("videos/._a.avi", b"fork"),
        RarFile("videos/a.avi", b"video"),
    ]
    folder = unpack(write_rar(place / "videos.rar", members), place / "videos")
    assert unpacked(folder) == {"videos/a.avi": b"video"}


@PACKERS
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_whole(
    pack: Pack, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("damaged")
    content = bytearray(pack(place / "videos", VIDEOS).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    (place / "videos").write_bytes(content)
    folder = place / "folder"
    try:
        unpack(place / "videos", folder)
    except (ArchiveError, ConfigError):  # a bit of the header says that it is compressed
        assert list(place.iterdir()) == [place / "videos"]
    else:
        # Neither format protects names or kinds of members in all of its headers.
        assert sorted(unpacked(folder).values()) == sorted(VIDEOS.values())


COMPRESSED = [RarFile(name, content, NORMAL) for name, content in VIDEOS.items()]


def test_without_a_tool_one_line_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    archive = write_rar(place / "UCF101.rar", COMPRESSED)
    assert_refused(
        archive, "^UCF101.rar is a rar .*install one of unrar, .*--dataset_path$", ConfigError
    )
    assert unpacked(unpack(pack_rar(place / "stored", VIDEOS), place / "stored-needs-none"))


def test_a_tool_extracts_what_is_compressed(
    place: Path, tools: Callable[[str, str], None], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"".join(VIDEOS.values()))
    tools("unrar", "echo this one reads no rar")
    tools("bsdtar", f"exec /bin/cat {output}")
    archive = write_rar(place / "videos.rar", COMPRESSED)
    assert unpacked(unpack(archive, place / "videos")) == VIDEOS


@pytest.mark.parametrize(
    "command",
    [
        "exit 1",
        "/bin/cat {output} {output}",
        "exec head -c 4000 {output}",
        "exec head -c 1000 {output}",
        "/bin/cat {output}; exec yes",
        "exec tr a b < {output}",
    ],
)
def test_a_tool_that_gives_anything_else_is_refused(
    command: str, place: Path, tools: Callable[[str, str], None], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"".join(VIDEOS.values()))
    archive = write_rar(place / "videos.rar", COMPRESSED)
    tools("unrar", f"PATH=/usr/bin:/bin\n{command.format(output=output)}")
    assert_refused(archive, "videos.rar")


def test_archives_in_an_archive_are_extracted_where_asked_for(place: Path, tmp_path: Path) -> None:
    inner = {
        f"{name}.rar": pack_rar(tmp_path / name, {f"{name}/1.avi": name.encode()}).read_bytes()
        for name in ("climb", "dive")
    }
    outer = pack_rar(place / "hmdb51_org.rar", inner)
    assert unpacked(unpack(outer, place / "as it is")) == inner
    found = unpacked(unpack(outer, place / "videos", nested=True))
    assert found == {"climb/climb/1.avi": b"climb", "dive/dive/1.avi": b"dive"}


def test_a_bad_archive_in_an_archive_is_refused(place: Path) -> None:
    outer = pack_rar(place / "outer.rar", {"a.rar": b"Rar!\x1a\x07\x01\x00nothing"})
    with pytest.raises(ArchiveError, match=r"outer\.rar"):
        unpack(outer, place / "videos", nested=True)
    outer = pack_rar(place / "outer.rar", {"a.rar": b"", "a/b.avi": b"video"})
    with pytest.raises(ArchiveError, match="both"):
        unpack(outer, place / "videos", nested=True)
    assert list(place.iterdir()) == [outer]


def test_what_names_an_archive() -> None:
    for source in ("UCF101.rar", "/a/b.ZIP", "https://example.org/x/videos.tar.gz?key=1"):
        assert names_archive(source)
    for source in ("UCF-101", "/a/rar", "https://x.org/UCF101.rar/", "https://x.org/tar"):
        assert not names_archive(source)


def test_a_download_is_extracted_once_and_removed(file_server: FileServer, place: Path) -> None:
    pack_zip(file_server.root / "UCF101.zip", VIDEOS)
    for _ in range(2):
        folder = fetch_archive(f"{file_server.url}/UCF101.zip", place / "videos")
        assert unpacked(folder) == VIDEOS
    assert len(file_server.fetched("/UCF101.zip")) == 1
    assert [path.name for path in place.iterdir() if path.name != ".locks"] == ["videos"]


def test_a_damaged_download_is_fetched_anew(file_server: FileServer, place: Path) -> None:
    served = pack_tar(file_server.root / "UCF101.tar.gz", VIDEOS)
    whole = served.read_bytes()
    served.write_bytes(whole[:1000])
    with pytest.raises(ArchiveError, match="UCF101"):
        fetch_archive(f"{file_server.url}/UCF101.tar.gz", place / "videos")
    served.write_bytes(whole)
    folder = fetch_archive(f"{file_server.url}/UCF101.tar.gz", place / "videos")
    assert unpacked(folder) == VIDEOS


def test_a_rar_is_not_fetched_for_nothing(
    file_server: FileServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack_rar(file_server.root / "UCF101.rar", VIDEOS)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        with pytest.raises(ConfigError, match="install"):
            fetch_archive(f"{file_server.url}/UCF101.rar", place / "videos")
    assert file_server.requests == []


def test_a_local_archive_stays_where_it_is(place: Path) -> None:
    archive = pack_rar(place / "videos.rar", VIDEOS)
    assert unpacked(fetch_archive(str(archive), place / "videos")) == VIDEOS
    assert archive.exists()
    assert os.listdir(place / "videos") == ["UCF"]  # noqa: PTH208 - nothing hidden either
