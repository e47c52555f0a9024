from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.filled_folders import (
    CLASSES,
    CONTEXT,
    IDENTITY,
    RECORDS,
    assert_equal_tables,
    filled,
    tree,
)
from vidbench.data.records import Skip
from vidbench.errors import ConfigError, VidbenchError
from vidbench.runs.folder import RunFolder
from vidbench.runs.identity import RunIdentity
from vidbench.runs.predictions import PENDING, Predictions


def opened(path: Path, identity: RunIdentity = IDENTITY, *, overwrite: bool = False) -> RunFolder:
    folder = RunFolder(path, identity)
    folder.open({"batch_size": 2}, CONTEXT, overwrite=overwrite)
    return folder


def finished(path: Path) -> Mapping[str, Any]:
    folder = opened(path)
    folder.add(filled(), range(6))
    return folder.finish(filled(), top_n=2)


def test_constructing_touches_no_disk(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", IDENTITY)
    assert tree(tmp_path) == {}


def test_a_new_folder_says_what_it_is_of(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", IDENTITY)
    folder.open({"batch_size": 2}, CONTEXT, [Path("val/part_0/x.mp4")])
    run = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert run["digest"] == IDENTITY.digest()
    assert run["identity"] == IDENTITY.as_dict()
    assert run["config"] == {"batch_size": 2}
    assert run["unlisted"] == ["val/part_0/x.mp4"]
    assert run["versions"]["numpy"] == np.__version__
    assert folder.load(Predictions.pending(RECORDS, CLASSES)).reasons.tolist() == [PENDING] * 6


def test_added_rows_are_loaded_and_the_others_are_pending(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    folder.add(filled(), [4, 5])
    folder.add(filled(), [0, 1])
    again = opened(tmp_path / "run").load(Predictions.pending(RECORDS, CLASSES))
    assert again.reasons.tolist() == ["", "", PENDING, PENDING, "", "missing"]
    np.testing.assert_array_equal(again.scores[[0, 1, 4]], filled().scores[[0, 1, 4]])


def test_a_finished_run_is_loaded_whole(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    assert_equal_tables(
        opened(tmp_path / "run").load(Predictions.pending(RECORDS, CLASSES)), filled()
    )
    assert sorted(tree(tmp_path / "run")) == [
        "confusion.csv",
        "metrics.json",
        "per_class.csv",
        "predictions.csv",
        "run.json",
        "scores.npz",
        "skipped.csv",
    ]


def test_the_metrics_on_disk_are_those_returned(tmp_path: Path) -> None:
    metrics = finished(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8")) == metrics
    assert (metrics["requested"], metrics["evaluated"]) == (6, 5)
    assert metrics["signature"] == IDENTITY.signature().replace("{evaluated}", "5")


def test_a_finished_run_can_be_scored_again_for_another_k(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    before = tree(tmp_path / "run")
    folder = opened(tmp_path / "run")
    metrics = folder.finish(folder.load(Predictions.pending(RECORDS, CLASSES)), top_n=3)
    after = tree(tmp_path / "run")
    assert metrics["top3"]["value"] == 1
    assert after["scores.npz"] == before["scores.npz"]
    assert after["predictions.csv"] != before["predictions.csv"]


def test_a_later_outcome_goes_over_an_earlier_one_whatever_the_batches(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    table = filled()
    table.set_skip(0, Skip("unreadable", "at first"))
    folder.add(table, [0, 1, 2, 3])
    folder.add(filled(), [0, 1])
    loaded = folder.load(Predictions.pending(RECORDS[:4], CLASSES))
    assert loaded.scored.all()
    np.testing.assert_array_equal(loaded.scores, filled().scores[:4])


def test_a_retried_video_goes_over_the_finished_table(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    folder = opened(tmp_path / "run")
    table = folder.load(Predictions.pending(RECORDS, CLASSES))
    table.set_scores(5, np.array([0, 0, 1], np.float32))
    folder.add(table, [4, 5])
    assert folder.load(Predictions.pending(RECORDS, CLASSES)).scored.all()
    assert folder.finish(table, 1)["evaluated"] == 6
    assert opened(tmp_path / "run").load(Predictions.pending(RECORDS, CLASSES)).scored.all()


@pytest.mark.parametrize("name", ["batches/000000000-000000001.npz", "scores.npz"])
def test_damaged_scores_are_refused(tmp_path: Path, name: str) -> None:
    folder = opened(tmp_path / "run")
    path = tmp_path / "run" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"garbage")
    with pytest.raises(VidbenchError, match="remove it and run again"):
        folder.load(Predictions.pending(RECORDS, CLASSES))


def test_a_folder_of_another_identity_is_refused_and_untouched(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="--overwrite_output_dir"):
        opened(tmp_path / "run", replace(IDENTITY, weights="another"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "metrics.json", ".hidden", "sub/file"])
def test_a_foreign_folder_is_refused_and_untouched(
    tmp_path: Path, name: str, overwrite: bool
) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    path.write_text("somebody's")
    with pytest.raises(ConfigError, match="not a run folder"):
        opened(tmp_path / "run", overwrite=overwrite)
    assert tree(tmp_path) == {f"run/{name}": b"somebody's"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ConfigError, match="not a run folder"):
        opened(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_description_of_a_run_is_refused(tmp_path: Path, content: str) -> None:
    finished(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run"):
        opened(tmp_path / "run")


@pytest.mark.parametrize("leave", ["nothing", "a temporary file"])
def test_an_empty_folder_is_taken(tmp_path: Path, leave: str) -> None:
    (tmp_path / "run").mkdir()
    if leave == "a temporary file":
        (tmp_path / "run" / ".run.json.1.tmp").write_text("{")
    assert opened(tmp_path / "run").path == tmp_path / "run"
    assert (tmp_path / "run" / "run.json").exists()


def test_overwriting_removes_only_that_folder(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    finished(tmp_path / "run2")
    (tmp_path / "notes.txt").write_text("mine")
    kept = {k: v for k, v in tree(tmp_path).items() if not k.startswith("run/")}
    opened(tmp_path / "run", replace(IDENTITY, weights="another"), overwrite=True)
    left = tree(tmp_path)
    assert {k: v for k, v in left.items() if not k.startswith("run/")} == kept
    assert [k for k in left if k.startswith("run/")] == ["run/run.json"]


def test_finishing_removes_what_killed_sessions_left(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    folder.add(filled(), range(6))
    for left in (".scores.npz.1.tmp", ".run.json.77.tmp", "batches/.0-1.npz.9.tmp"):
        (tmp_path / "run" / left).write_bytes(b"half")
        os.utime(tmp_path / "run" / left, (0, 0))
    folder.finish(filled(), 2)
    assert not [name for name in tree(tmp_path / "run") if name.endswith(".tmp")]
    assert not (tmp_path / "run" / "batches").exists()


def test_results_hold_nothing_of_time_or_place(tmp_path: Path) -> None:
    finished(tmp_path / "here" / "run")
    finished(tmp_path / "there" / "other")
    here, there = tree(tmp_path / "here" / "run"), tree(tmp_path / "there" / "other")
    for name in ("metrics.json", "predictions.csv", "skipped.csv", "scores.npz", "per_class.csv"):
        assert here[name] == there[name]
        assert str(tmp_path).encode() not in here[name]
    results = here["metrics.json"] + here["predictions.csv"]
    assert socket.gethostname().encode() not in results
    started = json.loads(here["run.json"])["started"]
    assert started[:10].encode() not in results


def test_sessions_are_noted_one_after_another(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    folder.add_session(4, {"predict": 1.23456}, {"decode": 7.0001}, {"cache_bytes": 9})
    opened(tmp_path / "run").add_session(2, {"predict": 2.0}, {}, {})
    run = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert [(s["videos"], s["seconds"], s["beside"]) for s in run["sessions"]] == [
        (4, {"predict": 1.235}, {"decode": 7.0}),
        (2, {"predict": 2.0}, {}),
    ]
    assert run["digest"] == IDENTITY.digest()
