from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbench.data.archives import extract_archive
from vidbench.errors import ArchiveError

Mode = Literal["w", "w:gz", "w:bz2", "w:xz"]

SEGMENTS = st.text("abcXYZ019 _-()é", min_size=1, max_size=12)
FILES = st.dictionaries(
    st.tuples(st.lists(SEGMENTS, max_size=3), SEGMENTS).map(
        lambda parts: "/".join([*parts[0], f"{parts[1]}.mp4"])
    ),
    st.binary(max_size=2000),
    max_size=6,
)
MODES: st.SearchStrategy[Mode] = st.sampled_from(["w", "w:gz", "w:bz2", "w:xz"])

VIDEOS = {f"{name}.mp4": np.random.default_rng(ord(name)).bytes(2000) for name in "abc"}


def add(tar: tarfile.TarFile, name: str, content: bytes = b"") -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def pack(path: Path, files: Mapping[str, bytes], mode: Mode = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            add(tar, name, content)
    return path


def unpacked(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def assert_refused(archive: Path, *, flatten: bool = True) -> None:
    before = unpacked(archive.parents[1])
    with pytest.raises(ArchiveError, match=str(archive)):
        extract_archive(archive, archive.parent / "videos", flatten=flatten)
    assert list(archive.parent.iterdir()) == [archive]
    assert unpacked(archive.parents[1]) == before


def assert_refused_or_whole(archive: Path) -> None:
    folder = archive.parent / "videos"
    try:
        extract_archive(archive, folder, flatten=True)
    except ArchiveError:
        assert list(archive.parent.iterdir()) == [archive]
    else:
        assert unpacked(folder) == VIDEOS


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "videos.tar.gz"


@settings(max_examples=50, deadline=None)
@given(files=FILES, mode=MODES, prefix=st.sampled_from(["", "./"]))
def test_the_files_come_out_that_were_put_in(
    files: dict[str, bytes], mode: Mode, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("x")
    packed = {f"{prefix}{name}": content for name, content in files.items()}
    archive = pack(folder / "archive", packed, mode)
    assert unpacked(extract_archive(archive, folder / "out")) == files


@settings(max_examples=50, deadline=None)
@given(files=FILES, mode=MODES)
def test_flattened_files_lie_side_by_side_or_are_refused_as_doubles(
    files: dict[str, bytes], mode: Mode, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("x")
    archive = pack(folder / "archive", files, mode)
    flat = {Path(name).name: content for name, content in files.items()}
    if len(flat) < len(files):
        with pytest.raises(ArchiveError, match="twice"):
            extract_archive(archive, folder / "out", flatten=True)
    else:
        assert unpacked(extract_archive(archive, folder / "out", flatten=True)) == flat


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("name", ["../x.mp4", "a/../../x.mp4", "/x.mp4", "//a/x.mp4", ".."])
def test_a_path_that_leads_out_is_refused(name: str, flatten: bool, archive: Path) -> None:
    assert_refused(pack(archive, {**VIDEOS, name: b"x"}), flatten=flatten)


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(tarfile.SYMTYPE, id="symlink"),
        pytest.param(tarfile.LNKTYPE, id="hard link"),
        pytest.param(tarfile.CHRTYPE, id="character device"),
        pytest.param(tarfile.BLKTYPE, id="block device"),
        pytest.param(tarfile.FIFOTYPE, id="fifo"),
    ],
)
def test_what_is_neither_file_nor_folder_is_refused(
    kind: bytes, flatten: bool, archive: Path
) -> None:
    member = tarfile.TarInfo("x.mp4")
    member.type = kind
    member.linkname = "a.mp4"
    with tarfile.open(archive, "w:gz") as tar:
        add(tar, "a.mp4", VIDEOS["a.mp4"])
        tar.addfile(member)
    assert_refused(archive, flatten=flatten)


@pytest.mark.parametrize("second", ["a.mp4", "./a.mp4"])
def test_one_path_twice_is_refused(second: str, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        add(tar, "a.mp4", b"first")
        add(tar, second, b"second")
    assert_refused(archive, flatten=False)


def test_one_name_in_two_folders_is_refused_when_flattened(archive: Path) -> None:
    assert_refused(pack(archive, {"one/a.mp4": b"1", "two/a.mp4": b"2"}))


def test_a_nested_folder_is_flattened_without_what_macos_adds(
    archive: Path, tmp_path: Path
) -> None:
    nested = tmp_path / "replacement" / "deeper"
    nested.mkdir(parents=True)
    for name in ("a.mp4", "._a.mp4", ".DS_Store"):
        (nested / name).write_bytes(name.encode())
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(nested.parent, arcname=".")
    videos = extract_archive(archive, archive.parent / "flat", flatten=True)
    assert unpacked(videos) == {"a.mp4": b"a.mp4"}
    model = extract_archive(archive, archive.parent / "nested")
    assert unpacked(model) == {"deeper/a.mp4": b"a.mp4"}


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no archive"), gzip.compress(b""), b"\x1f\x8b\x08"],
)
def test_what_is_no_archive_is_refused(content: bytes, archive: Path) -> None:
    archive.write_bytes(content)
    assert_refused(archive)


def test_an_archive_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"nowhere\.tar\.gz"):
        extract_archive(tmp_path / "nowhere.tar.gz", tmp_path / "videos")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(mode=MODES, where=st.floats(0, 1, exclude_max=True))
def test_a_cut_archive_gives_all_files_or_none(
    mode: Mode, where: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = pack(tmp_path_factory.mktemp("x") / "archive", VIDEOS, mode)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(where * len(whole))])
    assert_refused_or_whole(archive)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("num_whole", [0, 1, 2])
def test_an_archive_cut_between_two_files_is_refused(
    num_whole: int, mode: Mode, archive: Path
) -> None:
    block = 512 + 2048
    content = pack(archive, VIDEOS, "w").read_bytes()[: num_whole * block]
    archive.write_bytes(content if mode == "w" else gzip.compress(content))
    assert_refused(archive)


@settings(max_examples=100, deadline=None)
@given(
    mode=MODES.filter(lambda mode: mode != "w"),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_gives_the_same_files_or_none(
    mode: Mode, where: float, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = pack(tmp_path_factory.mktemp("x") / "archive", VIDEOS, mode)
    content = bytearray(archive.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    archive.write_bytes(content)
    assert_refused_or_whole(archive)


@pytest.mark.parametrize("file_number", [0, 1, 2])
def test_a_damaged_header_in_an_uncompressed_archive_is_refused(
    file_number: int, archive: Path
) -> None:
    content = bytearray(pack(archive, VIDEOS, "w").read_bytes())
    content[file_number * (512 + 2048)] ^= 1
    archive.write_bytes(content)
    assert_refused(archive)


def test_a_folder_that_is_there_is_left_as_it_is(archive: Path) -> None:
    folder = archive.parent / "videos"
    folder.mkdir()
    (folder / "mine").write_bytes(b"mine")
    assert extract_archive(pack(archive, VIDEOS), folder, flatten=True) == folder
    assert unpacked(folder) == {"mine": b"mine"}


def test_a_folder_appears_only_once_it_is_whole(archive: Path) -> None:
    pack(archive, {f"{number}.mp4": b"" for number in range(500)})
    folder = archive.parent / "videos"
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(extract_archive, archive, folder, flatten=True)
        while not folder.exists() and not job.done():
            pass
        assert len(list(folder.iterdir())) == 500


def test_several_that_extract_at_once_all_find_it_whole(archive: Path) -> None:
    pack(archive, VIDEOS)
    folder = archive.parent / "videos"
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(extract_archive, archive, folder, flatten=True) for _ in range(8)]
    for job in jobs:
        assert unpacked(job.result()) == VIDEOS
    assert sorted(archive.parent.iterdir()) == sorted([archive, folder])


def test_what_was_extracted_can_be_read_whatever_the_archive_says(archive: Path) -> None:
    member = tarfile.TarInfo("a.mp4")
    member.mode = 0
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(member)
    folder = extract_archive(archive, archive.parent / "videos", flatten=True)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "a.mp4").stat().st_mode & 0o600 == 0o600
