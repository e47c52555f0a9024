"""The benchmark command: that it measures what it says, not how fast anything is."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import STAGES, main
from benchmarks.clips import made_clips
from benchmarks.decode import opencv_clip
from benchmarks.mirror import build_sample_mirror, copy_distinct
from benchmarks.on_ray import Shard, evaluate_on_ray, read_shards, steady_rate
from benchmarks.programs import memory, run_module
from benchmarks.rows import Row, interleaved, write_rows
from benchmarks.sizing import all_plans
from benchmarks.sizing import main as size
from benchmarks.workspace import SPEC, Workspace
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.data.video.decode import decode_views
from vidbench.storage.hashes import sha256_of


def run_benchmarks(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_clips(tmp_path_factory.mktemp("made"), 340, 256, count=1, seconds=1)[0]


def row(value: float, goal: str) -> Row:
    return Row("decode", "340x256", "clips per second, against others", value, 2.0, goal)


@pytest.mark.parametrize(
    ("value", "goal", "holds"),
    [
        (2.0, ">= 1", True),
        (1.9, ">= 1", False),
        (2.0, "<= 1", True),
        (2.1, "<= 1", False),
        (0.18, "<= 0.0909", True),
        (0.19, "<= 0.0909", False),
        (2.0, "", None),
    ],
)
def test_a_goal_bounds_the_ratio(value: float, goal: str, holds: bool | None) -> None:
    assert row(value, goal).holds is holds


def test_every_round_has_every_case_and_turns_the_order() -> None:
    calls: list[str] = []
    numbers = iter(range(100))

    def case(name: str) -> float:
        calls.append(name)
        return float(next(numbers))

    medians = interleaved({name: lambda name=name: case(name) for name in "abc"}, 3)  # type: ignore[misc]
    assert "".join(calls) == "abccbaabc"
    assert medians == {"a": 5.0, "b": 4.0, "c": 3.0}


def test_the_table_says_whether_goals_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(2.0, ">= 1"), row(1.0, ">= 1"), row(1.0, "")]
    assert write_rows(iter(rows), tmp_path / "table.csv") == rows
    with (tmp_path / "table.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [line["holds"] for line in found] == ["true", "false", ""]
    assert [line["ratio"] for line in found] == ["1", "0.5", "0.5"]
    printed = capsys.readouterr().out.splitlines()
    assert len({line.index(end) for line, end in zip(printed[1:], ["clips"] * 3, strict=True)}) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "decode,caches"], "'caches'"),
        (["--only", ""], STAGES[0]),
        (["--clips", "no/such/folder"], "no/such/folder"),
        (["--clips", str(REPOSITORY / "benchmarks")], "no videos"),
        (["--rounds", "0"], "1 or more"),
    ],
)
def test_a_wrong_option_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "out"), *arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_measures_and_writes_its_table(tmp_path: Path) -> None:
    result = run_benchmarks("--smoke", "--rounds", 1, "--only", "cache,decode", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    header, *lines = (tmp_path / "benchmarks.csv").read_text().splitlines()
    assert header == "stage,case,measure,value,against,ratio,goal,holds"
    rows = list(csv.DictReader([header, *lines]))
    assert [r["stage"] for r in rows] == ["decode"] * 6 + ["cache"] * 4
    assert all(
        math.isfinite(float(r[name])) for r in rows for name in ("value", "against", "ratio")
    )
    assert {r["goal"] + r["holds"] for r in rows} == {""}
    equal = [r["ratio"] for r in rows if r["measure"] == "clips whose pixels equal OpenCV's"]
    assert equal == ["1", "1"]
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"benchmarks.csv", "machine.json", "clips", "i3d", "graphs"}


def test_goals_count_on_full_runs_only(tmp_path: Path) -> None:
    full = Workspace(tmp_path, tmp_path, None, rounds=3, smoke=False)
    smoke = Workspace(tmp_path, tmp_path, None, rounds=3, smoke=True)
    assert full.goal(">= 1") == ">= 1"
    assert full.goal(">= 1", when=False) == smoke.goal(">= 1") == ""


def test_made_clips_are_kept(made: Path) -> None:
    before = made.stat().st_mtime_ns
    assert made_clips(made.parent, 340, 256, count=1, seconds=1) == [made]
    assert made.stat().st_mtime_ns == before


def test_opencv_is_timed_on_the_same_clip(made: Path) -> None:
    np.testing.assert_array_equal(opencv_clip(made, 30), decode_views(made, SPEC)[0])


def test_repeated_videos_are_other_files_with_the_same_pixels(made: Path, tmp_path: Path) -> None:
    copies = copy_distinct([made], tmp_path / "copies", 3)
    assert len({sha256_of(path) for path in copies}) == 3
    np.testing.assert_array_equal(decode_views(copies[2], SPEC)[0], decode_views(made, SPEC)[0])


def test_memory_is_that_of_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text(
        "import subprocess, sys\n"
        "code = 'import time; block = bytes(range(250)) * 800_000; time.sleep(1)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code])\n"
        "block = bytes(range(250)) * 400_000\n"
        "child.wait()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finished = run_module("program", watch=memory)
    assert 300e6 < finished.peaks["bytes"] < 400e6
    assert finished.seconds > 1


def test_a_failed_program_shows_what_it_said() -> None:
    with pytest.raises(SystemExit, match=r"(?s)ended with 1:.*no_such_module"):
        run_module("no_such_module")


@pytest.mark.slow
def test_gflop_of_i3d_is_what_tensorflow_counts() -> None:
    """TensorFlow's profiler has its own count; it has additions of biases and the like in it."""
    import tensorflow as tf

    from benchmarks.i3d import I3DNetwork
    from benchmarks.model import gflop_of_clip

    clip = tf.TensorSpec((1, 100, 224, 224, 3))
    graph = tf.function(I3DNetwork()).get_concrete_function(clip).graph
    profiler = tf.compat.v1.profiler
    builder = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    counted = profiler.profile(graph, options=builder.with_empty_output().build())
    assert gflop_of_clip(100) == pytest.approx(347.6, abs=0.1)
    assert gflop_of_clip(100) == pytest.approx(counted.total_float_ops / 1e9, rel=0.002)


def test_the_logs_of_a_run_tell_who_did_what_when(tmp_path: Path) -> None:
    logs = tmp_path / "ray" / "session_2026-11-21_22-24-00_000000_1" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "ray" / "session_latest").symlink_to(logs.parent)
    said = "INFO vidbench.engines.cluster.stages: shard"
    (logs / "worker-a1b2-01000000-28366.err").write_text(
        f"2026-11-21 22:24:03.126+00:00 {said} 0-1: 2 videos prepared in 1.5 s\n"
    )
    (logs / "worker-c3d4-01000000-77.err").write_text(
        "2026-11-21 22:24:03.000+00:00 DEBUG vidbench.data.loader: 2 videos\n"
        f"2026-11-21 23:24:09.500+01:00 {said} 64-127: 64 videos predicted in 5.4 s\n"
    )
    second = 1795299843.0  # 2026-11-21 22:24:03 UTC, by `date -d`
    (decoded,), (predicted,) = read_shards(tmp_path)
    assert decoded._replace(end=0) == (28366, 0, 2, 1.5)
    assert predicted._replace(end=0) == (77, 0, 64, 5.4)
    assert [one.end - second for one in (decoded, predicted)] == pytest.approx([0.126, 6.5])


def test_the_steady_rate_is_that_of_all_workers_without_their_first_shards() -> None:
    slow = [Shard(1, 30.0 + 8 * number, 4, 7.0) for number in range(4)]  # 4 videos in 8 s
    fast = [Shard(2, 11.0 + 2 * number, 4, 1.0) for number in range(9)]  # 4 videos in 2 s
    assert steady_rate([*slow, *fast]) == pytest.approx(0.5 + 2.0)
    with pytest.raises(SystemExit, match="too little work"):
        steady_rate([*slow, fast[0]])


@pytest.mark.slow
def test_a_run_on_ray_is_watched(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    run = evaluate_on_ray(
        tmp_path,
        12,
        1,
        "--dataset=sample",
        f"--kinetics_root_url={build_sample_mirror(tmp_path / 'mirror', 12)}",
        "--model_type=saved_model",
        f"--model_path={SAMPLE / 'model'}",
        "--num_frames=16",
        "--batch_size=3",
    )
    assert [shard.videos for shard in run.predicted] == [3, 3, 3, 3]
    assert sum(shard.videos for shard in run.decoded) == 12
    assert len({shard.pid for shard in run.predicted}) == 1
    assert min(run.rate, run.whole_rate, run.start_seconds, run.driver_seconds) > 0
    assert min(run.driver_bytes, run.model_bytes) > 50e6
    assert run.start_seconds + run.end_seconds < run.seconds


def test_a_plan_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten seconds of a core for each of 3,600 videos on ten cores are an hour, with its price."""
    few = ("--videos", "3600", "--cores", "10", "--threads", "5", "--decode_seconds", "1e-6")
    assert size([*few, "--predict_seconds", "10", "--price_hour", "100"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["machines"] == "1 of 10 cores"
    assert lines["each"] == "with  2 models and 5 decoders"
    assert lines["hours"] == "1.01, of which fetching 0.00"  # 35 s of starting and ending
    assert lines["money"].startswith("101,")
    assert lines["bottleneck"].startswith("cores; in use while predicting: decoders 0%, models 100")


@pytest.mark.parametrize(
    ("options", "bottleneck"),
    [
        ("--decode_seconds 100 --gpus 1", "decoders"),
        ("--cores 6 --decode_seconds 1e-6", "models"),  # a model of 4 threads leaves 2 cores
        ("--gpus 1 --gpu_share 0.01", "GPUs"),
        ("--node_mb 1", "nodes' network"),
        ("--storage_mb 1", "shared storage"),
        ("--decode_seconds 1e-6 --predict_seconds 1e-6 --node_mb 1e6 --storage_mb 1e6", "driver"),
    ],
)
def test_a_plan_names_the_resource_that_is_busy_longest(
    options: str, bottleneck: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert size(options.split()) == 0
    assert f"bottleneck {bottleneck};" in capsys.readouterr().out


def test_tarballs_are_fetched_as_fast_as_the_server_gives_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """3,600,000 videos of 1.563 MB at 1,563 MB/s are an hour."""
    videos = ("--videos", "3600000", "--tarballs", "3600", "--server_mb", "1562.79")
    assert size([*videos, "--nodes", "100"]) == 0
    assert "of which fetching 1.00" in capsys.readouterr().out


@pytest.mark.docs
def test_the_documented_plans_are_those_that_are_printed() -> None:
    documented = (REPOSITORY / "docs" / "scale.md").read_text("utf-8")
    assert "\n".join(all_plans()) in documented
