from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbench.data.fetch.tar import MAX_RATIO, extract_archive
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
    [
        b"",
        b"no archive",
        gzip.compress(b"no archive", mtime=0),
        gzip.compress(b"", mtime=0),
        b"\x1f\x8b\x08",
    ],
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


def gnu_tar(archive: Path, folder: Path, *options: str) -> Path:
    """An archive by GNU tar, as people make them."""
    subprocess.run(
        ["tar", *options, "-czf", archive, "-C", folder, "."], check=True, capture_output=True
    )
    return archive


def raw_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.type = kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("form", ["--format=gnu", "--format=posix"])
@pytest.mark.parametrize("flatten", [True, False])
def test_a_sparse_file_is_refused(form: str, flatten: bool, archive: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "a.mp4").open("wb") as file:
        file.truncate(1 << 26)
        file.write(b"x")
    gnu_tar(archive, source, "--sparse", form)
    assert archive.stat().st_size < 10_000
    assert_refused(archive, flatten=flatten)


def test_a_folder_that_gnu_tar_packed_comes_out(archive: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    name = "long " * 40 + ".mp4"
    (source / "deeper").mkdir(parents=True)
    (source / "deeper" / name).write_bytes(VIDEOS["a.mp4"])
    for number, form in enumerate(["--format=gnu", "--format=posix"]):
        gnu_tar(archive, source, form)
        videos = extract_archive(archive, archive.parent / str(number), flatten=True)
        assert unpacked(videos) == {name: VIDEOS["a.mp4"]}


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("name", ["a\nb.mp4", "\x1b[2Ja.mp4", "a\x7f.mp4", "a\u2028b.mp4", "\r"])
def test_a_name_that_would_garble_a_log_is_refused(name: str, flatten: bool, archive: Path) -> None:
    assert_refused(pack(archive, {**VIDEOS, name: b"x"}), flatten=flatten)


def test_a_name_in_no_known_letters_is_refused(archive: Path) -> None:
    archive.write_bytes(raw_header("a\udcff.mp4", 0) + bytes(1024))
    assert_refused(archive)


@pytest.mark.parametrize("length", [256, 5_000, 2_000_000])
def test_a_name_that_no_disk_takes_is_refused_in_one_short_line(length: int, archive: Path) -> None:
    pack(archive, {"x" * length: b"x"})
    with pytest.raises(ArchiveError) as error:
        extract_archive(archive, archive.parent / "videos")
    assert len(str(error.value)) < 500 + len(str(archive))
    assert "\n" not in str(error.value)
    assert list(archive.parent.iterdir()) == [archive]


def test_the_longest_name_that_a_disk_takes_is_taken(archive: Path) -> None:
    files = {"é" * 125 + ".mp4": b"x"}
    videos = extract_archive(pack(archive, files), archive.parent / "videos", flatten=True)
    assert unpacked(videos) == files


@pytest.mark.parametrize("claimed", [(MAX_RATIO << 30) + 1, 1 << 40, (1 << 63) - 1])
def test_a_bomb_is_refused_by_what_its_header_claims(claimed: int, archive: Path) -> None:
    header = raw_header("a.mp4", claimed)
    archive.write_bytes(gzip.compress(header + bytes(1 << 20)))
    assert_refused(archive)


def test_a_bomb_of_many_files_is_refused_by_their_sum(archive: Path) -> None:
    part = 300 << 20
    with gzip.open(archive, "wb", compresslevel=1) as file:
        for number in range(4):
            file.write(raw_header(f"._{number}", part))
            for _ in range(part >> 20):
                file.write(bytes(1 << 20))
        file.write(bytes(1024))
    with pytest.raises(ArchiveError, match="times its own size"):
        extract_archive(archive, archive.parent / "videos", flatten=True)
    assert list(archive.parent.iterdir()) == [archive]


def test_what_is_long_but_no_bomb_is_extracted(archive: Path) -> None:
    files = {"saved_model.pb": bytes(30_000_000)}
    pack(archive, files)
    assert archive.stat().st_size * MAX_RATIO < 30_000_000
    assert unpacked(extract_archive(archive, archive.parent / "model")) == files


@pytest.mark.parametrize(
    "kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE]
)
@pytest.mark.parametrize("length", [2 << 20, 1 << 40, -512])
def test_a_header_that_would_fill_memory_or_lead_backwards_is_refused(
    kind: bytes, length: int, archive: Path
) -> None:
    archive.write_bytes(raw_header("x", length, kind) + bytes(4096))
    assert_refused(archive)


def test_a_file_of_negative_length_is_refused(archive: Path) -> None:
    archive.write_bytes(raw_header("a.mp4", -512) + bytes(4096))
    assert_refused(archive)


def test_a_length_that_an_extended_header_makes_negative_is_refused(archive: Path) -> None:
    member = tarfile.TarInfo("._a.mp4")  # of those that are passed over
    member.pax_headers = {"size": "-2048"}
    content = member.tobuf(tarfile.PAX_FORMAT)
    archive.write_bytes(content + bytes(4096))
    assert b"size=-2048" in content
    assert_refused(archive)


def test_headers_of_headers_without_end_are_refused(archive: Path) -> None:
    link = raw_header("x", 5, tarfile.GNUTYPE_LONGNAME) + b"name\0".ljust(512, b"\0")
    archive.write_bytes(link * 5000 + raw_header("a.mp4", 0) + bytes(1024))
    assert_refused(archive)


def test_rights_that_a_file_must_not_have_are_taken_from_it(archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        for number, mode in enumerate([0o4777, 0o2777, 0o1777, 0o7777]):
            member = tarfile.TarInfo(f"{number}.mp4")
            member.mode = mode
            member.uid = member.gid = 12345
            tar.addfile(member)
    for path in extract_archive(archive, archive.parent / "videos", flatten=True).iterdir():
        assert path.stat().st_mode & 0o7022 == 0
        assert path.stat().st_uid == os.geteuid()


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_headers_changed_at_random_give_files_or_one_clear_error(
    changes: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Checksums are made right again, so that the changes reach what reads them."""
    folder = tmp_path_factory.mktemp("x")
    archive = pack(folder / "archive", VIDEOS, "w")
    content = bytearray(archive.read_bytes())
    for number, (where, value) in enumerate(changes):
        header = (number % 3) * (512 + 2048)
        content[header + int(where * 344)] = value
        content[header + 148 : header + 156] = b" " * 8
        total = sum(content[header : header + 512])
        content[header + 148 : header + 156] = f"{total:06o}\0 ".encode()
    archive.write_bytes(content)
    refusal = ""
    try:
        extract_archive(archive, folder / "videos")
    except ArchiveError as error:
        refusal = str(error)
    left = [archive] if refusal else [archive, folder / "videos"]
    assert sorted(folder.iterdir()) == left
    assert "\n" not in refusal


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="Python has it since 3.11.4")
@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(st.sampled_from(["..", ".", "", "a", "b"]), min_size=1, max_size=5),
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE]),
)
def test_whatever_the_filter_of_python_refuses_is_refused(
    parts: list[str], kind: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("x")
    archive, videos = folder / "archive", folder / "videos"
    archive.write_bytes(raw_header("/".join(parts), 0, kind) + bytes(1024))
    with tarfile.open(archive) as tar:
        member = tar.getmembers()[0]
    try:
        tarfile.data_filter(member, str(videos))
        is_allowed = True
    except tarfile.FilterError:
        is_allowed = False
    try:
        extract_archive(archive, videos)
    except ArchiveError:
        assert list(folder.iterdir()) == [archive]
    else:
        assert is_allowed
        assert all(path.resolve().is_relative_to(videos) for path in videos.rglob("*"))
