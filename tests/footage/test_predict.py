from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.sample_videos import extract_sample
from tests.helpers.videos import write_video
from vidbench.cli.commands.predict import run
from vidbench.errors import VidbenchError

MODEL = ("--model_type", "saved_model", "--model_path", SAMPLE / "model", "--num_frames", 16)
CLASSES = ("moving right", "bouncing", "turning clockwise", "moving up", "blinking")
COMMAND = (
    "import signal, sys; from vidbench.cli.commands.predict import run; "
    # which the background jobs of a shell ignore
    "signal.signal(signal.SIGINT, signal.default_int_handler); run(sys.argv[1:])"
)


def predict(*arguments: object) -> int:
    """The exit code."""
    try:
        run([str(argument) for argument in arguments])
    except VidbenchError as error:
        return error.exit_code
    return 0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The sample's videos, 2 s each, by class."""
    folder = tmp_path_factory.mktemp("clips")
    paths = {path.stem: path for path in extract_sample(folder)}
    found: dict[str, list[Path]] = {}
    with (SAMPLE / "annotations" / "val.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for stem, path in paths.items():
                if stem.startswith(row["youtube_id"]):
                    found.setdefault(row["label"], []).append(path)
    return {label: sorted(videos) for label, videos in found.items()}


@pytest.fixture(scope="module")
def long_video(clips: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of each of five classes, one after another: 30 s; packets are copied."""
    folder = tmp_path_factory.mktemp("long")
    chosen = [path for name in CLASSES for path in clips[name][:3]]
    return concatenate(chosen, folder / "long.mp4")


def concatenate(videos: Sequence[Path], target: Path) -> Path:
    listed = target.with_suffix(".txt")
    listed.write_text("".join(f"file '{path}'\n" for path in videos))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "concat", "-safe", "0"]
    subprocess.run([*command, "-i", listed, "-c", "copy", target], check=True)
    return target


def test_segments_of_a_long_video(
    long_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, table = tmp_path / "found.json", tmp_path / "found.csv"
    options = ("--window_seconds", 2, "--step_seconds", 2, "--threshold", 50, "--share", 15)
    files = ("--output", output, "--csv", table)
    assert predict(long_video, *MODEL, *options, "--include_clips", "--json", *files) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(output.read_text())
    assert found["model"] == "saved_model"
    assert found["spec"]["num_frames"] == 16
    (video,) = found["videos"]
    assert video["video"] == str(long_video)
    assert video["seconds"] == pytest.approx(30, abs=0.1)
    assert video["windows"] == 15
    segments = video["segments"]
    assert all(before["end"] <= after["start"] for before, after in pairwise(segments))
    agreement = sum(
        max(0, min(s["end"], 6 * i + 6) - max(s["start"], 6 * i))
        for i, name in enumerate(CLASSES)
        for s in segments
        if s["class"] == name
    )
    assert agreement >= 0.7 * 30  # the model is right in 92.9 % of the sample
    borders = [
        abs(found - exact) <= 2  # a step
        for i, name in enumerate(CLASSES)
        for own in [[s for s in segments if s["class"] == name]]
        for found, exact in ((own[0]["start"], 6 * i), (own[-1]["end"], 6 * i + 6))
    ]
    assert sum(borders) >= 0.8 * len(borders)
    shares = {row["class"]: row["share"] for row in video["classes"]}
    for name, share in shares.items():
        seconds = sum(s["end"] - s["start"] for s in segments if s["class"] == name)
        assert share == pytest.approx(100 * seconds / video["seconds"], abs=0.1)
    assert {row["class"] for row in video["labels"]} == {n for n, s in shares.items() if s >= 15}
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = [row["kind"] for row in rows]
    assert (kinds.count("class"), kinds.count("segment")) == (5, len(segments))
    assert [float(row["start"]) for row in rows if row["kind"] == "segment"] == [
        segment["start"] for segment in segments
    ]


def test_broken_videos_have_their_row_and_the_others_go_on(
    clips: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output, table = tmp_path / "in", tmp_path / "out" / "o.json", tmp_path / "o.csv"
    folder.mkdir()
    shutil.copy(clips["moving right"][0], folder / "a.mp4")
    (folder / "b.mp4").write_bytes(b"no video")
    whole = write_video(tmp_path / "whole.mp4", [4 * i for i in range(50)], faststart=True)
    (folder / "c.mp4").write_bytes(whole.read_bytes()[:-400])
    shutil.copy(clips["moving right"][1], folder / "=d.mp4")
    (folder / "notes.txt").write_text("no video")
    options = (folder, *MODEL, "--output", output, "--csv", table)
    assert predict(*options) == 1
    printed = capsys.readouterr().out
    assert "a.mp4  2.0 s, 1 window\n  label moving right: 100.0 % of it" in printed
    videos = {
        Path(video["video"]).name: video for video in json.loads(output.read_text())["videos"]
    }
    assert list(videos) == ["=d.mp4", "a.mp4", "b.mp4", "c.mp4"]
    assert videos["b.mp4"]["failed"].startswith("unreadable: ")
    assert videos["c.mp4"]["failed"].startswith("truncated: ")
    with table.open(newline="") as file:
        reasons = {row["video"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons[str(folder / "c.mp4")] == videos["c.mp4"]["failed"]
    assert predict(*options) == 2  # both are there already
    assert predict(*options, "--overwrite", "--truncated", "score") == 1
    videos = {
        Path(video["video"]).name: video for video in json.loads(output.read_text())["videos"]
    }
    assert videos["c.mp4"]["damage"].startswith("truncated: ")
    assert "failed" in videos["b.mp4"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give a video or folder, or --source (not both)"),
        (("a.mp4", "--source", "0"), "give a video or folder, or --source (not both)"),
        (("nowhere",), "nowhere does not exist"),
        (("{video}", "--threshold", "101"), "--threshold is 101.0, must be from 0 to 100"),
        (("{video}", "--share", "nan"), "--share is nan, must be from 0 to 100"),
        (("{video}", "--window_seconds", "0"), "--window_seconds is 0.0, must be from 0.01"),
        (
            ("{video}", "--window_seconds", "2", "--step_seconds", "3"),
            "--step_seconds 3 leaves gaps between windows of 2 s",
        ),
        (("{video}", "--output", "{video}"), "exists: name another file, or use --overwrite"),
        (("{video}", "--output", "new", "--csv", "new"), "--output and --csv are both new"),
        (("{video}", "--num_videos", "3"), "option '--num_videos' is unknown: the nearest"),
        (("--source", "gopher://camera"), "the scheme must be one of file, http, "),
        (("--source", "nowhere.sdp"), "is not a camera number, URL, pipe, device or file"),
        (("--source", ""), "--source is empty"),
        (("{video}", "--model_type", "saved_model", "--prompts", "{video}"), "takes no --prompts"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(
    arguments: Sequence[str], told: str, sample_clip: Path
) -> None:
    given = [argument.format(video=sample_clip) for argument in arguments]
    with pytest.raises(VidbenchError) as refused:
        run([*given, *map(str, MODEL)])
    assert refused.value.exit_code == 2
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_options_may_stand_in_a_file(
    sample_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = tmp_path / "options.txt"
    options.write_text("\n".join(map(str, MODEL)) + "\n--threshold 0 # all counts\n--json\n")
    assert predict(sample_clip, f"@{options}", "--share", "0") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["threshold"], found["share"]) == (0, 0)
    assert len(found["videos"][0]["labels"]) == 1


# A source that goes on ------------------------------------------------------------------------


def test_no_camera_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    if Path("/dev/video0").exists():
        pytest.skip("there is a camera")
    with pytest.raises(VidbenchError, match="--source 0: unreadable: there is no camera 0"):
        run(["--source", "0", *map(str, MODEL)])
    assert capfd.readouterr() == ("", "")  # OpenCV would complain


def test_a_live_source_has_a_line_for_each_window_and_a_summary(
    clips: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = concatenate(clips["moving right"][:2], tmp_path / "live.mp4")
    windows = ("--window_seconds", 2, "--step_seconds", 1)
    output = tmp_path / "found.json"
    source = ("--source", video.as_uri())
    assert predict(*source, *MODEL, *windows, "--json", "--output", output) == 0
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert 1 <= len(lines) <= 3  # a busy machine leaves some out
    assert lines[0]["class"] == "moving right"
    assert all(line["latency_ms"] > 0 for line in lines)
    latencies = sorted(line["latency_ms"] for line in lines)
    assert latencies[0] <= summary["latency_ms"]["median"] <= summary["latency_ms"]["p95"]
    assert summary["latency_ms"]["p95"] <= latencies[-1] + 0.1
    assert (summary["frames"], summary["windows"]) == (100, len(lines))
    assert json.loads(output.read_text())["videos"] == [summary]


def test_an_interrupt_ends_a_live_source_with_its_summary(long_video: Path, tmp_path: Path) -> None:
    pipe, output = tmp_path / "pipe", tmp_path / "found.json"
    os.mkfifo(pipe)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "quiet", "-y", "-re", "-i", long_video]
    options = ("--window_seconds", 1, "--output", output)
    arguments = [str(part) for part in ("--source", pipe, *MODEL, *options)]
    with (
        subprocess.Popen([*command, "-c", "copy", "-f", "mpegts", pipe]) as camera,
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        first = program.stdout.readline()
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=PATIENCE_SECONDS)
        camera.terminate()
    assert "latency" in first
    assert "frames dropped" in rest.splitlines()[-1]
    assert (program.returncode, errors) == (0, "")
    (video,) = json.loads(output.read_text())["videos"]
    assert video["windows"] >= 1


def test_an_interrupt_keeps_what_is_done_of_files(
    clips: dict[str, list[Path]], tmp_path: Path
) -> None:
    folder, output, table = tmp_path / "in", tmp_path / "o.json", tmp_path / "o.csv"
    folder.mkdir()
    for index in range(300):
        (folder / f"{index:03}.mp4").symlink_to(clips["moving right"][index % 3])
    arguments = [str(part) for part in (folder, *MODEL, "--output", output, "--csv", table)]
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        for _ in range(6):
            program.stdout.readline()
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=PATIENCE_SECONDS)
    assert "stopped by SIGINT" in errors
    videos: list[dict[str, Any]] = json.loads(output.read_text())["videos"]
    assert 3 <= len(videos) < 300
    with table.open(newline="") as file:
        assert {row["video"] for row in csv.DictReader(file)} == {v["video"] for v in videos}
