"""The benchmark command: that it measures what it says, not how fast anything is."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import STAGES
from benchmarks.clips import made_clips
from benchmarks.decode import opencv_clip
from benchmarks.mirror import copy_distinct
from benchmarks.programs import run_module
from benchmarks.rows import Row, interleaved, write_rows
from benchmarks.workspace import SPEC, Workspace
from vidbench.data.decode import decode_views
from vidbench.data.hashes import sha256_of

REPOSITORY = Path(__file__).parents[1]


def run_benchmarks(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=False
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
        (["--clips", "benchmarks"], "no videos"),
        (["--rounds", "0"], "1 or more"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = run_benchmarks("--out", tmp_path / "out", *arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


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
    finished = run_module("program", watch_memory=True)
    assert 300e6 < finished.peak_bytes < 400e6
    assert finished.seconds > 1


def test_a_failed_program_shows_what_it_said() -> None:
    with pytest.raises(SystemExit, match=r"(?s)ended with 1:.*no_such_module"):
        run_module("no_such_module")


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
