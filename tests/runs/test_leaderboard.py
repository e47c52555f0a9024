from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.runs import change, write_run
from vidbench.cli.commands.leaderboard import run
from vidbench.errors import ConfigError
from vidbench.metrics.intervals import wilson
from vidbench.runs.leaderboard import COLUMNS, leaderboard, rank

scored = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def row(name: str, count: tuple[int, int] | None, **others: str) -> dict[str, Any]:
    estimate = wilson(*count) if count else None
    return {
        "run": name,
        "dataset": "kinetics-400/val",
        "requested_digest": "same",
        "scored_digest": "same",
        "labels": "3 exact classes",
        "choices_digest": "",
        "top1": estimate.value if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
    } | others


@given(st.lists(st.none() | scored, max_size=8))
def test_ranks_follow_accuracy_and_lie_within_their_range(
    counts: list[tuple[int, int] | None],
) -> None:
    ranked = rank(row(str(i), count) for i, count in enumerate(counts))
    assert sorted(one["run"] for one in ranked) == sorted(map(str, range(len(counts))))
    values = [one["top1"] for one in ranked]
    assert values == sorted(values, key=lambda value: (value is None, -(value or 0)))
    for one in ranked:
        if one["top1"] is None:
            assert one["rank"] is None
            continue
        first, last = map(int, one["rank_range"].split("-"))
        assert 1 <= first <= one["rank"] <= last <= len(counts)


def test_only_runs_whose_intervals_do_not_overlap_are_surely_apart() -> None:
    ranked = rank([row("low", (10, 100)), row("a", (80, 100)), row("b", (78, 100))])
    assert [(one["run"], one["rank"], one["rank_range"]) for one in ranked] == [
        ("a", 1, "1-2"),
        ("b", 2, "1-2"),
        ("low", 3, "3-3"),
    ]


@pytest.mark.parametrize(
    "name", ["dataset", "requested_digest", "scored_digest", "labels", "choices_digest"]
)
def test_equal_accuracies_have_equal_ranks_and_unlike_runs_ranks_of_their_own(name: str) -> None:
    alike = [row("a", (5, 9)), row("b", (5, 9)), row("c", (1, 9))]
    ranked = rank([*alike, row("d", (1, 9), **{name: "other"})])
    assert {one["run"]: one["rank"] for one in ranked} == {"a": 1, "b": 1, "c": 3, "d": 1}


def test_finished_runs_are_ranked_among_those_of_the_same_videos(tmp_path: Path) -> None:
    write_run(tmp_path / "poor", "cbcb")
    good = write_run(tmp_path / "good", "abab")
    write_run(tmp_path / "other", "ab")
    (tmp_path / "no run").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    rows = leaderboard(tmp_path).rows
    found = {one["run"]: one for one in rows}
    assert {name: one["rank"] for name, one in found.items()} == {"good": 1, "poor": 2, "other": 1}
    assert found["good"]["scored_digest"] == found["poor"]["scored_digest"]
    assert found["good"]["scored_digest"] != found["other"]["scored_digest"]
    assert found["good"]["requested_digest"] in good.metrics["signature"]
    assert (found["poor"]["top1"], found["poor"]["k"], found["poor"]["topk"]) == (0.5, 2, 1.0)
    assert (found["poor"]["latency_ms"], found["poor"]["views"]) == (None, "1x1")
    assert (found["poor"]["labels"], found["poor"]["choices"]) == ("2 exact classes", None)


def test_runs_that_scored_other_videos_are_ranked_apart_and_a_note_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, firsts in {"whole": "abcb", "also": "abab", "part": "aba "}.items():
        write_run(tmp_path / name, firsts)
    write_run(tmp_path / "other", "ab")
    run([str(tmp_path), "--json"])
    printed = capsys.readouterr()
    ranks = {one["run"]: one["rank"] for one in json.loads(printed.out)}
    assert ranks == {"also": 1, "whole": 2, "part": 1, "other": 1}
    (note,) = printed.err.splitlines()
    assert "not ranked together" in note
    assert note.endswith("also, whole; part")


def test_runs_of_other_choices_or_labels_are_ranked_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "free", "abab")
    write_run(tmp_path / "bound", "abab", choices=("a", "b"))
    write_run(tmp_path / "bound too", "abcb", choices=("b", "a"))
    write_run(tmp_path / "bound else", "abab", choices=("a", "b", "c"))
    found = {one["run"]: one for one in leaderboard(tmp_path).rows}
    assert {name: one["rank"] for name, one in found.items()} == {
        "free": 1,
        "bound": 1,
        "bound too": 1,
        "bound else": 1,
    }
    write_run(tmp_path / "worse", "cccc", choices=("b", "a"))
    board = leaderboard(tmp_path)
    found = {one["run"]: one for one in board.rows}
    assert (found["worse"]["rank"], found["worse"]["choices"]) == (3, 2)
    assert board.notes == ()


def test_what_a_run_says_of_speed_cost_and_views_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "abab")
    sessions = [
        {"videos": 3, "latency_ms": {"median": 20.0, "p95": 30.0}},
        {"videos": 1, "latency_ms": {"median": 90.0, "p95": 90.0}},
        {"videos": 0},
    ]
    change(tmp_path / "run", "run.json", sessions=sessions, cost_usd=0.25)
    coverage = json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8"))["coverage"]
    coverage |= {"requested_digest": "abcd", "scored_digest": "1234"}
    change(tmp_path / "run", "metrics.json", views="5x3", coverage=coverage)
    (found,) = leaderboard(tmp_path).rows
    assert (found["latency_ms"], found["cost_usd"], found["views"]) == (20, 0.25, "5x3")
    assert (found["requested_digest"], found["scored_digest"]) == ("abcd", "1234")


def test_a_run_without_labels_comes_last_without_a_rank(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "    ")
    write_run(tmp_path / "b", "cccc")
    rows = leaderboard(tmp_path).rows
    assert [(one["run"], one["rank"], one["videos"]) for one in rows] == [
        ("b", 1, 4),
        ("a", None, 0),
    ]


def test_unfinished_and_damaged_runs_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "unfinished", "damaged", "empty", "list", "lost"):
        write_run(tmp_path / name, "abab")
    (tmp_path / "unfinished" / "metrics.json").unlink()
    (tmp_path / "damaged" / "metrics.json").write_text("{")
    (tmp_path / "empty" / "run.json").write_text("{}")
    (tmp_path / "list" / "run.json").write_text("[]")
    (tmp_path / "lost" / "run.json").unlink()
    run([str(tmp_path)])
    out, err = capsys.readouterr()
    assert "good" in out
    assert "left out 5 unfinished or damaged runs" in err
    for name in ("unfinished", "damaged", "empty", "list", "lost"):
        assert str(tmp_path / name) in err


def test_a_dataset_is_chosen_with_or_without_its_split(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "abab")
    write_run(tmp_path / "b", "abab", dataset="ucf101")
    for name in ("ucf101", "ucf101/val"):
        assert [one["run"] for one in leaderboard(tmp_path, name).rows] == ["b"]
    with pytest.raises(ConfigError, match="only on kinetics-400/val, ucf101/val"):
        leaderboard(tmp_path, "hmdb51")


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run"):
        leaderboard(tmp_path)
    with pytest.raises(ConfigError, match="is not a folder"):
        leaderboard(tmp_path / "missing")


def test_all_formats_have_the_same_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", "abab")
    write_run(tmp_path / "b", "cccc")
    run([str(tmp_path), "--json"])
    rows = json.loads(capsys.readouterr().out)
    run([str(tmp_path), "--format", "csv"])
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["run"] for line in lines] == [one["run"] for one in rows] == ["a", "b"]
    assert tuple(lines[0]) == COLUMNS
    run([str(tmp_path), "--format", "markdown"])
    assert len(capsys.readouterr().out.splitlines()) == 4
