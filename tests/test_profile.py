"""What ``--profile`` says, and what a run does: nothing twice, and no more for each of many."""

from __future__ import annotations

import itertools
import multiprocessing
import re
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest

import vidbench
from tests.helpers.command import RunCli
from tests.helpers.evaluating import SAMPLE_RUN, only_run, outcome, read_json, sample_config
from vidbench.evaluate import evaluate

PACKAGE = str(Path(vidbench.__file__).parent)
BESIDE = ["hash", "decode", "write_cache", "read_cache"]
STAGE = re.compile(r"  (\w+) +(\d+\.\d\d) s  \S.*")


def test_profile_says_what_a_run_waited_for(
    run_process: RunCli, run_cli: RunCli, tmp_path: Path
) -> None:
    done = run_process("evaluate", *SAMPLE_RUN, "--num_videos", 6, "--num_workers", 2, "--profile")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (first,) = (n for n, line in enumerate(lines) if line.startswith("waited for "))
    (second,) = (n for n, line in enumerate(lines) if line.startswith("in parallel"))
    assert lines[first - 1].startswith("signature")
    stages = [STAGE.fullmatch(line) for line in lines[first + 1 : second]]
    seconds = {found[1]: float(found[2]) for found in stages if found}
    assert len(seconds) == len(stages)
    assert list(seconds) == [
        *("start", "check", "fetch", "open", "load_model"),
        *("wait_for_clips", "predict", "write", "score", "report"),
    ]
    headline = re.fullmatch(r"waited for (\w+), (\d+)% of (\d+\.\d) s:", lines[first])
    assert headline
    assert seconds[headline[1]] == max(seconds.values())
    assert float(headline[3]) == pytest.approx(sum(seconds.values()), abs=0.11)
    share = 100 * max(seconds.values()) / sum(seconds.values())
    assert float(headline[2]) == pytest.approx(share, abs=1.1)
    assert [line.split()[0] for line in lines[second + 1 :]] == BESIDE
    (session,) = read_json(only_run(tmp_path) / "run.json")["sessions"]
    assert list(session["beside"]) == BESIDE

    again = run_cli("evaluate", *SAMPLE_RUN, "--num_videos", 6)
    assert again.stdout.splitlines() == lines[:first]


def processes_made_before() -> int:
    """Processes that multiprocessing has made in this one so far; it numbers them."""
    return int(multiprocessing.Process().name.rpartition("-")[2])


def test_a_warm_run_decodes_nothing_and_starts_no_worker(tmp_path: Path) -> None:
    first = evaluate(sample_config(tmp_path))
    assert list(first.beside) == BESIDE
    before = processes_made_before()
    second = evaluate(sample_config(tmp_path, overwrite_output_dir=True))
    assert processes_made_before() == before + 1
    assert list(second.beside) == ["read_cache"]
    (session,) = read_json(second.folder / "run.json")["sessions"]
    assert list(session["beside"]) == ["read_cache"]
    finished = evaluate(sample_config(tmp_path))
    assert finished.beside == {}
    assert processes_made_before() == before + 2
    assert outcome(finished.folder) == outcome(second.folder)


class Costs:
    """What happens meanwhile: calls in and from vidbench, in all threads, and input and output."""

    def __init__(self) -> None:
        self._numbers = itertools.count()  # safe between threads
        self.costs: dict[str, int] = {}

    def __enter__(self) -> Costs:
        self._before = psutil.Process().io_counters()
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)
        after = psutil.Process().io_counters()
        self.costs = {
            name: getattr(after, name) - getattr(self._before, name)
            for name in ("read_count", "write_count", "write_chars")
        }
        self.costs["calls"] = next(self._numbers)

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(PACKAGE):
            next(self._numbers)


def test_four_times_as_many_videos_cost_no_more_than_four_times_as_much(tmp_path: Path) -> None:
    evaluate(sample_config(tmp_path, num_videos=112))
    costs = []
    for count in (28, 112):
        with Costs() as measured:
            evaluate(sample_config(tmp_path, num_videos=count, overwrite_output_dir=True))
        costs.append(measured.costs)
    few, many = costs
    assert few["calls"] > 28
    assert {name: many[name] for name in few if many[name] > 4.5 * few[name]} == {}
