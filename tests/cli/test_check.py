from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.evaluating import read_csv
from tests.helpers.frames import opencv_frames
from tests.helpers.loading import decoders, sample
from tests.helpers.videos import write_video
from vidbench.cli.commands.check import run
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.check import check_videos
from vidbench.data.video.decode import decode_views
from vidbench.data.video.scan import Scan, scan_video
from vidbench.errors import ConfigError, VidbenchError, VideoError
from vidbench.storage.video_files import MEDIA_SUFFIXES, find_videos

SPEC = PreprocessSpec(num_frames=5, crop_size=32)

AWKWARD = {
    "audio_only_gs-16b-2c-44100hz.mp4": "broken",
    "decord_corrupted.mp4": "truncated",
    "invalid_vp9_bitstream-bug_1416.webm": "broken",
    "lfs_pointer_archery.mp4": "broken",
    "rockingrok_48byte_output.mp4": "broken",
}


SEVERAL_STREAMS = {"torchcodec_nasa_13013.mp4"}


def check(*arguments: object) -> int:
    """The exit code."""
    try:
        run([str(argument) for argument in arguments])
    except VidbenchError as error:
        return error.exit_code
    return 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mp4 with its index in front, so that what is left of it when it is cut still opens."""
    folder = tmp_path_factory.mktemp("whole")
    return write_video(folder / "whole.mp4", [4 * i for i in range(60)], faststart=True)


def test_awkward_files_are_told_apart(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What each file holds was found with ffprobe, OpenCV, PyAV and decord (facts.md)."""
    assert check(awkward, "--json") == 1
    found = {Path(row["path"]).name: row for row in json.loads(capsys.readouterr().out)}
    assert len(found) == 15
    for name, row in found.items():
        assert row["status"] == AWKWARD.get(name, "ok"), row
        assert bool(row["reason"]) == (row["status"] != "ok"), row
        assert ("video streams: #" in row["note"]) == (name in SEVERAL_STREAMS), row


def test_real_clips_are_whole(real_clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(real_clips) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        "49 videos: 49 ok, 0 broken, 0 truncated; "
        "1 file left out: no known video ending, such as manifest.csv"
    )


@pytest.mark.parametrize(
    "name", ["v_Kayaking_g12_c03.avi", "mmaction2_demo.mp4", "bolei_juggling.mp4"]
)
def test_a_real_clip_cut_anywhere_is_not_whole(real_clips: Path, tmp_path: Path, name: str) -> None:
    content = (real_clips / name).read_bytes()
    cut = tmp_path / name
    for part in range(1, 16):
        cut.write_bytes(content[: len(content) * part // 16])
        assert scan_video(cut).status != "ok"


@given(st.floats(0, 1))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_cut_file_is_whole_only_with_all_but_one_frame_by_opencv(
    whole: Path, tmp_path: Path, share: float
) -> None:
    content = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: int(len(content) * share)])
    frames = len(opencv_frames(cut))
    status = scan_video(cut).status
    if status == "ok":
        assert frames >= 59
    elif status == "truncated":
        assert frames < 60
    else:
        assert frames <= 1  # OpenCV may show the one frame that the decoder has when it fails


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_whole_is_what_a_run_decodes(
    whole: Path, tmp_path: Path, flips: list[tuple[float, int]]
) -> None:
    """Not the other way round: a run leaves out frames that it does not need."""
    content = bytearray(whole.read_bytes())
    for place, mask in flips:
        content[int(place * len(content))] ^= mask
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    if scan_video(damaged).status == "ok":
        assert decode_views(damaged, SPEC).shape == SPEC.views_shape
    else:
        with pytest.raises(VideoError):
            decode_views(damaged, PreprocessSpec(num_frames=60, crop_size=32))


def test_files_that_are_no_media_by_name_are_counted_and_left(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    for name in ("a.mp4", "deep/B.MP4", "deep/er/c.m4v"):
        (tmp_path / name).write_bytes(whole.read_bytes())
    for name in ("manifest.csv", "deep/notes.txt", "deep/er/mp4", "deep/._a.mp4", ".a.mp4.1.tmp"):
        (tmp_path / name).write_text("no video")
    table = tmp_path / "found.csv"
    assert check(tmp_path, "--num_workers", 0, "--csv", table) == 0
    assert capsys.readouterr().out == (
        "3 videos: 3 ok, 0 broken, 0 truncated; "
        "3 files left out: no known video ending, such as deep/er/mp4; "
        "2 files left out: hidden, or made by the system, such as .a.mp4.1.tmp\n"
    )
    rows = read_csv(table)
    assert [row["path"] for row in rows] == [
        str(tmp_path / name) for name in ("a.mp4", "deep/B.MP4", "deep/er/c.m4v")
    ]
    assert {row["status"] for row in rows} == {"ok"}
    assert check(tmp_path, "--csv", table) == 2
    assert read_csv(table) == rows


def test_one_file_is_checked_whatever_its_name(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "video"
    video.write_bytes(whole.read_bytes())
    assert check(video, "--num_workers", 0) == 0
    video.write_bytes(whole.read_bytes()[:3000])
    assert check(video, "--num_workers", 0) == 1
    assert "1 video: 0 ok, 0 broken, 1 truncated" in capsys.readouterr().out


def test_what_is_not_whole_is_said_in_one_line_each(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = whole.read_bytes()
    (tmp_path / "a good one.mp4").write_bytes(content)
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 3 // 4])
    (tmp_path / "new\nline.mp4").write_bytes(b"")
    (tmp_path / os.fsdecode(b"no \xff utf-8.mp4")).write_bytes(b"text")
    assert check(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["truncated", "broken", "broken", "4"]
    assert lines[0].startswith(f"truncated  {tmp_path / 'cut.mp4'}: decoding failed after ")
    assert "new\\nline.mp4" in lines[1]
    assert lines[-1] == "4 videos: 1 ok, 2 broken, 1 truncated"
    table = tmp_path / "found.csv"
    assert check(tmp_path, "--json", "--csv", table) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == read_csv(table)
    assert Counter(row["status"] for row in found) == {"ok": 1, "broken": 2, "truncated": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing"],
        ["."],
        [],
        [".", "--dataset", "sample"],
        [".", "--num_workers", "-1"],
        ["--dataset", "sample", "--data_dir", "nothing"],
        ["--dataset", "nonsense"],
        ["--dataset", "kinetics", "--kinetics_split", "nonsense"],
    ],
    ids=str,
)
def test_wrong_requests_are_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no media")
    with pytest.raises(ConfigError) as error:
        run(arguments)
    assert len(str(error.value).splitlines()) == 1


def test_links_are_followed_and_each_folder_is_visited_once(tmp_path: Path, whole: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "a.mp4").write_bytes(whole.read_bytes())
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(real)
    (real / "back").symlink_to(root)
    (root / "again.mp4").symlink_to(real / "a.mp4")
    (root / "circle.mp4").symlink_to(root / "circle.mp4")
    (root / "dangling.mp4").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe.mp4")
    found = find_videos(root)
    names = [str(path.relative_to(root)) for path in found.videos]
    assert names == ["again.mp4", "circle.mp4", "dangling.mp4", "linked/a.mp4", "pipe.mp4"]
    statuses = [scan.status for scan in check_videos(found.videos, 2)]
    assert statuses == ["ok", "broken", "broken", "ok", "broken"]


@given(st.lists(st.sampled_from(["a", "b.txt", "c.mp4", "d.AVI", "._e.mkv"]), unique=True))
@settings(deadline=None)
def test_every_file_is_either_found_or_counted(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        (folder / name).touch()
    videos = {name for name in names if Path(name).suffix.lower() in MEDIA_SUFFIXES} - {"._e.mkv"}
    if videos:
        found = find_videos(folder)
        assert {path.name for path in found.videos} == videos
        assert len(found.others) + len(found.hidden) == len(names) - len(videos)
    else:
        with pytest.raises(ConfigError):
            find_videos(folder)


def test_a_split_is_checked_where_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = sample(tmp_path).select(24).records
    split = ("--dataset", "sample", "--data_dir", tmp_path / "raw", "--num_workers", 2)
    assert check(*split, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["path"] for row in rows} >= {str(tmp_path / "raw" / str(r.path)) for r in records}
    victim = tmp_path / "raw" / str(records[3].path)
    victim.write_bytes(victim.read_bytes()[:1500])
    assert check(*split) == 1
    assert str(victim) in capsys.readouterr().out


def has_open(worker: psutil.Process, video: Path) -> bool:
    try:
        return any(file.path == str(video) for file in worker.open_files())
    except psutil.Error:  # it has ended meanwhile
        return False


def strike(video: Path, signal_number: int, until: Callable[[], bool]) -> int:
    """Sends the signal to every worker that has the video open; how many there were."""
    struck = set()
    while not until():
        for worker in decoders():
            if worker.pid not in struck and has_open(worker, video):
                worker.send_signal(signal_number)
                struck.add(worker.pid)
        time.sleep(0.0005)
    return len(struck)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It takes about a second to decode, so that a signal finds its decoder at work."""
    folder = tmp_path_factory.mktemp("long")
    levels = [i % 256 for i in range(500)]
    return write_video(folder / "long.mp4", levels, size=(1280, 720), codec="mpeg4")


def check_struck(
    videos: Sequence[Path], victim: Path, signal_number: int, timeout_seconds: float
) -> tuple[list[Scan], int]:
    with ThreadPoolExecutor(1) as pool:
        scans = pool.submit(lambda: list(check_videos(videos, 2, timeout_seconds)))
        count = strike(victim, signal_number, scans.done)
        return scans.result(), count


@pytest.mark.parametrize(
    ("signal_number", "tries", "reason"),
    [
        (signal.SIGKILL, 2, "ended with exit code -9, twice"),
        (signal.SIGSEGV, 2, "ended with exit code -11, twice"),
        (signal.SIGSTOP, 1, "takes longer than 4 s"),
    ],
)
def test_a_decoder_that_crashes_or_hangs_costs_its_one_video(
    whole: Path, long_video: Path, signal_number: int, tries: int, reason: str
) -> None:
    videos = [whole, long_video, *[whole] * 12]
    scans, count = check_struck(videos, long_video, signal_number, 4)
    assert [scan.status for scan in scans] == ["ok", "broken", *["ok"] * 12]
    assert reason in scans[1].reason
    assert count == tries
    assert not decoders()
