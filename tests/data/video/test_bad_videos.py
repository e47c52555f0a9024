"""Files from the wild: each is decoded right, or skipped with a reason, and the run goes on."""

from __future__ import annotations

import csv
import io
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.command import RunCli
from tests.helpers.evaluating import only_run, read_csv, read_json
from tests.helpers.frames import SPEC, evenly, every_frame
from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.videos import write_video
from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.scan import scan_video
from vidbench.errors import VideoError


def expected_views(path: Path, spec: PreprocessSpec = SPEC) -> Views:
    """What a uniform spec takes of all the frames that decode."""
    frames = [frame for _, frame in every_frame(path, spec)]
    return np.stack([frames[i] for i in evenly(len(frames), spec)])[None]


def outcome(path: Path, spec: PreprocessSpec = SPEC) -> Views | str:
    """The views, or the reason why there are none."""
    try:
        return decode_views(path, spec)
    except VideoError as error:
        return error.reason if error.detail.strip() else "no detail"


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ramp")
    return write_video(folder / "ramp.mp4", [6 * i for i in range(40)], faststart=True)


@pytest.fixture(scope="module")
def ramp_avi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ramp")
    return write_video(folder / "ramp.avi", [6 * i for i in range(40)], codec="mpeg4")


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


def flipped(seed: int) -> Callable[[bytes], bytes]:
    """The content with 20 bits flipped after its header."""

    def flip(content: bytes) -> bytes:
        draw, damaged = random.Random(seed), bytearray(content)  # noqa: S311 - nothing secret
        for _ in range(20):
            damaged[draw.randrange(len(damaged) // 2, len(damaged))] ^= 1 << draw.randrange(8)
        return bytes(damaged)

    return flip


def with_size(width: int, height: int) -> Callable[[bytes], bytes]:
    """The mp4 with these dimensions in its track header and its sample description."""

    def patch(content: bytes) -> bytes:
        damaged = bytearray(content)
        sample = content.index(b"avc1", content.index(b"stsd"))
        struct.pack_into(">HH", damaged, sample + 28, width, height)
        track = content.index(b"tkhd")
        struct.pack_into(">II", damaged, track + 80, width << 16, height << 16)
        return bytes(damaged)

    return patch


def with_avi_size(content: bytes, width: int, height: int) -> bytes:
    """The avi with these dimensions in its main header and its stream's format."""
    damaged = bytearray(content)
    struct.pack_into("<II", damaged, content.index(b"avih") + 40, width, height)
    struct.pack_into("<ii", damaged, content.index(b"strf") + 12, width, height)
    return bytes(damaged)


def noise(_: bytes) -> bytes:
    return random.Random(0).randbytes(20_000)  # noqa: S311 - nothing secret


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "zero length": lambda _: b"",
    "one byte": lambda content: content[:1],
    "random bytes": noise,
    "zeros": lambda content: bytes(len(content)),
    "text": lambda _: b"this is no video\n" * 100,
    "html": lambda _: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    **{f"cut at {part}/16": cut(part / 16) for part in range(1, 16)},
    **{f"bits flipped {seed}": flipped(seed) for seed in range(8)},
    "absurd size": with_size(65535, 65535),
    "no size": with_size(0, 0),
    "a line high": with_size(65535, 1),
    "twice": lambda content: content * 2,
    "zeros after": lambda content: content + bytes(4096),
    "noise before": lambda content: noise(content) + content,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_decoded_right_or_skipped(
    sample_clip: Path, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(DAMAGES[damage](sample_clip.read_bytes()))
    found = outcome(path)
    if isinstance(found, str):
        assert found in ("unreadable", "truncated")
    else:
        np.testing.assert_array_equal(found, expected_views(path))


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_bytes_are_no_video(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.mp4"
    path.write_bytes(content)
    assert outcome(path) == "unreadable"
    assert scan_video(path).status == "broken"


@pytest.mark.parametrize("share", [0.125, 0.13, 0.2, 0.25, 0.3])
def test_a_stream_without_a_decoder_is_unreadable(tmp_path: Path, ramp: Path, share: float) -> None:
    """Cut within the index, the file still has a video stream, of no codec that is known."""
    path = tmp_path / "cut.mp4"
    path.write_bytes(ramp.read_bytes()[: int(ramp.stat().st_size * share)])
    assert outcome(path) in ("unreadable", "truncated")
    assert scan_video(path).status != "ok"


def test_a_codec_that_nobody_knows_is_unreadable(
    tmp_path: Path, ramp: Path, ramp_avi: Path
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(ramp.read_bytes().replace(b"avc1", b"zzzz"))
    assert outcome(path) == "unreadable"
    path.write_bytes(ramp_avi.read_bytes().replace(b"FMP4", b"ZZZZ"))
    assert outcome(path) == "unreadable"


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 0)])
def test_absurd_sizes_in_an_avi(tmp_path: Path, ramp_avi: Path, width: int, height: int) -> None:
    path = tmp_path / "x.avi"
    path.write_bytes(with_avi_size(ramp_avi.read_bytes(), width, height))
    found = outcome(path)
    if isinstance(found, str):
        assert found == "unreadable"
    else:
        np.testing.assert_array_equal(found, expected_views(path))


def test_an_absurd_size_takes_no_memory(tmp_path: Path) -> None:
    """Frames of 60000 x 60000 are 10 GiB, and the program may have 1.

    Of raw frames, no other header tells the size.
    """
    path = write_video(tmp_path / "x.avi", [9] * 5, codec="rawvideo")
    path.write_bytes(with_avi_size(path.read_bytes(), 60_000, 60_000))
    program = (
        "import resource, sys, pathlib\n"
        "from vidbench.data.video.decode import decode_views\n"
        "from vidbench.data.spec import PreprocessSpec\n"
        "from vidbench.errors import VideoError\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))\n"
        "try:\n"
        "    decode_views(pathlib.Path(sys.argv[1]), PreprocessSpec())\n"
        "except VideoError as error:\n"
        "    print(error)\n"
    )
    assert said(program, path).startswith("unreadable: ")


def said(program: str, path: object) -> str:
    """What a program prints, which may take two minutes."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return done.stdout


def test_one_frame_is_shown_throughout(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", [99])
    np.testing.assert_array_equal(outcome(path), expected_views(path))


def test_audio_alone_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "audio.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        assert isinstance(stream, av.AudioStream)
        for start in range(0, 44100, 1024):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert outcome(path) == "unreadable"


def test_a_variable_frame_rate_gives_every_frame_its_place(tmp_path: Path) -> None:
    stamps = [0, 1, 2, 3, 10, 11, 12, 50, 51, 90, 91, 92]
    levels = [20 * i for i in range(12)]
    path = write_video(tmp_path / "gaps.mp4", levels, fps=100, stamps=stamps)
    np.testing.assert_array_equal(outcome(path), expected_views(path))


@pytest.mark.parametrize(
    "name",
    [
        "with spaces .mp4",
        "single'quote.mp4",
        'double"quote.mp4',
        "new\nline.mp4",
        "-leading.mp4",
        "--option=1.mp4",
        "🎬 emoji ✂️.mp4",
        "percent%03d.mp4",
        "12:30 o'clock.mp4",
        "http:x.mp4",
        "file:x.mp4",
        "pipe:0",
        "back\\slash.mp4",
        "star*?[x].mp4",
        "$HOME`ls`;&|.mp4",
        "é" * 120 + ".mp4",
        os.fsdecode(b"no \xff utf-8.mp4"),
    ],
    ids=ascii,
)
def test_any_name_that_a_file_may_have(
    tmp_path: Path, ramp: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(ramp.read_bytes())
    monkeypatch.chdir(tmp_path)
    expected = expected_views(ramp)
    for spelling in (path, Path(name)):
        np.testing.assert_array_equal(outcome(spelling), expected)
        assert scan_video(spelling).status == "ok"


def test_a_title_in_another_encoding_costs_no_video(tmp_path: Path, ramp: Path) -> None:
    path = tmp_path / "titled.mp4"
    with av.open(str(ramp)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "Fußball"
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    content = path.read_bytes()
    assert content.count("Fußball".encode()) == 1
    path.write_bytes(content.replace("Fußball".encode(), b"Fu\xdf\xdfball"))
    np.testing.assert_array_equal(outcome(path), expected_views(ramp))
    assert scan_video(path).status == "ok"


def test_a_text_that_names_other_files_brings_none_of_them_in(tmp_path: Path, ramp: Path) -> None:
    """FFmpeg follows such a list, whatever the file is called."""
    (tmp_path / "other.mp4").write_bytes(ramp.read_bytes())
    text = tmp_path / "text.mp4"
    text.write_text("ffconcat version 1.0\nfile other.mp4\n")
    assert scan_video(text).status == "broken"
    assert outcome(text) == "unreadable"


NO_FILES: dict[str, Callable[[Path], None]] = {
    "directory": Path.mkdir,
    "symlink loop": lambda path: path.symlink_to(path),
    "dangling link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "fifo": os.mkfifo,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.mp4"
    NO_FILES[kind](path)
    program = (
        "import sys, pathlib\n"
        "from vidbench.data.video.{module} import {function}\n"
        "from vidbench.errors import VideoError\n"
        "from vidbench.data.spec import PreprocessSpec\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "try:\n"
        "    print({call})\n"
        "except VideoError as error:\n"
        "    print(error.reason)\n"
    )
    scan = program.format(module="scan", function="scan_video", call="scan_video(path).status")
    assert said(scan, path) == "broken\n"
    call = "decode_views(path, PreprocessSpec())"
    decode = program.format(module="decode", function="decode_views", call=call)
    assert said(decode, path) == "unreadable\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(tmp_path: Path, ramp: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(ramp.read_bytes())
    path.chmod(0)
    assert outcome(path) == "unreadable"
    assert scan_video(path).status == "broken"
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)


ODD_IDS = (
    "-leading-id",
    "two  spaces",
    'it\'s "odd".',
    "🎬 emoji 🎬✂x",
    "%03d $HOME;",
    "a,b\\c*?[x]|",
)


def clip_name(video_id: str) -> str:
    assert len(video_id) == 11
    return f"{video_id}_000000_000010.mp4"


def build_root(root: Path, files: Mapping[str, bytes]) -> Path:
    """A root in the layout of the sample, with these files by id, all of one class."""
    shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("*.gz", "model"))
    label = (root / "classes.txt").read_text().splitlines()[0]
    with (root / "annotations/val.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        writer.writerows([label, video_id, 0, 10, "val"] for video_id in files)
    first = (root / "val/sample_val_path.txt").read_text().splitlines()[0]
    (root / "val/sample_val_path.txt").write_text(first + "\n")
    with tarfile.open(root / "val/part_0.tar.gz", "w:gz") as tar:
        for video_id, content in files.items():
            member = tarfile.TarInfo(clip_name(video_id))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return root


def test_a_run_over_bad_videos_ends_and_accounts_for_each(
    run_cli: RunCli, sample_clip: Path, tmp_path: Path
) -> None:
    content = sample_clip.read_bytes()
    damaged = {f"damage-{i:04d}": damage(content) for i, damage in enumerate(DAMAGES.values())}
    healthy = dict.fromkeys(ODD_IDS, content)
    no_files = {f"no-file{i:04d}": content for i in range(len(NO_FILES))}
    root = build_root(tmp_path / "root", {**damaged, **healthy, **no_files})
    arguments = (
        *("evaluate", "--model_type", "saved_model", "--model_path", SAMPLE / "model"),
        *("--dataset", "sample", "--kinetics_root_url", root, "--num_frames", 16),
        *("--results_dir", tmp_path / "results"),
    )
    assert run_cli(*arguments, "--num_videos", 1).returncode in (0, 1)  # fetches
    shutil.rmtree(tmp_path / "results")
    folder = next((tmp_path / "data/raw").rglob(clip_name(ODD_IDS[0]))).parent
    for video_id, make in zip(no_files, NO_FILES.values(), strict=True):
        (folder / clip_name(video_id)).unlink()
        make(folder / clip_name(video_id))
    done = run_cli(*arguments)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    metrics = read_json(run / "metrics.json")
    requested = len(damaged) + len(healthy) + len(no_files)
    assert metrics["requested"] == requested
    assert requested == metrics["evaluated"] + sum(metrics["skipped"].values())
    scored = {Path(row["path"]).name for row in read_csv(run / "predictions.csv")}
    skipped = read_csv(run / "skipped.csv")
    assert len(scored) + len(skipped) == requested
    assert all(row["reason"] and row["detail"] for row in skipped)
    assert {clip_name(video_id) for video_id in healthy} <= scored
    for video_id, bytes_ in damaged.items():
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(bytes_)
        is_decoded = not isinstance(outcome(copy, PreprocessSpec(num_frames=16)), str)
        assert (clip_name(video_id) in scored) == is_decoded
