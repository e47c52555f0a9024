from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.runs import finish_run, write_run
from tests.helpers.tables import random_table
from vidbench.cli.commands.fuse import run
from vidbench.data.records import Skip
from vidbench.errors import ConfigError
from vidbench.runs.compare import compare
from vidbench.runs.context import KnownLeakage
from vidbench.runs.coverage import digest_videos
from vidbench.runs.finished import FinishedRun
from vidbench.runs.fuse import fuse, write_fusion
from vidbench.runs.fusion_record import merge_leakage
from vidbench.runs.leaderboard import leaderboard
from vidbench.runs.outputs import write_outputs
from vidbench.runs.predictions import Predictions
from vidbench.storage.files import write_json

seeds = st.integers(0, 2**32 - 1)
COLUMNS = ("video_ids", "paths", "labels", "targets", "groups", "scores", "reasons", "details")
RESULTS = ("scores.npz", "metrics.json", "predictions.csv", "skipped.csv", "per_class.csv")


def shuffled(table: Predictions, seed: int) -> Predictions:
    order = np.random.default_rng(seed).permutation(len(table))
    return replace(table, **{name: getattr(table, name)[order] for name in COLUMNS})


def labelled_alike(seed: int, model: Predictions, skips: int = 0) -> Predictions:
    """Other scores for the same videos; the last ones are skipped."""
    others = random_table(seed, len(model), len(model.classes))
    table = replace(model, scores=others.scores, reasons=others.reasons, details=others.details)
    for row in range(len(table) - skips, len(table)):
        table.set_skip(row, Skip("truncated", "3 of 9 frames"))
    return table


def by_id(table: Predictions) -> dict[str, list[float]]:
    return dict(zip(table.video_ids.tolist(), table.scores.tolist(), strict=True))


def assert_same_predictions(one: Predictions, other: Predictions) -> None:
    np.testing.assert_equal(by_id(one), by_id(other))
    for name in ("labels", "targets", "reasons"):
        columns = [
            dict(zip(table.video_ids.tolist(), getattr(table, name).tolist(), strict=True))
            for table in (one, other)
        ]
        assert columns[0] == columns[1]


def two_runs(folder: Path, seed: int = 1) -> list[FinishedRun]:
    one = random_table(seed, 12, 6, skips=1)
    other = shuffled(labelled_alike(seed + 1, one, skips=2), seed)
    return [finish_run(folder / "one", one), finish_run(folder / "other", other)]


@given(seeds, st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_a_run_fused_with_itself_is_itself(seed: int, videos: int, times: int) -> None:
    with TemporaryDirectory() as folder:
        own = finish_run(Path(folder) / "run", random_table(seed, videos, 4, skips=videos // 3))
        found = fuse([own] * (times + 1)).predictions
        assert_same_predictions(found, own.predictions)


@given(seeds, st.lists(st.floats(0.01, 10), min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_the_fusion_is_the_weighted_mean_and_the_order_of_runs_changes_nothing(
    seed: int, weights: list[float]
) -> None:
    with TemporaryDirectory() as folder:
        first = random_table(seed, 9, 5)
        tables = [first, *(shuffled(labelled_alike(seed + i, first), seed + i) for i in (1, 2))]
        runs = [finish_run(Path(folder) / str(i), table) for i, table in enumerate(tables)]
        found = fuse(runs, weights)
        turned = fuse(runs[::-1], weights[::-1])
        equal = fuse(runs)
        tenfold = fuse(runs, [10.0] * 3)
    scores = [by_id(table) for table in tables]
    for video, fused in by_id(found.predictions).items():
        oracle = np.average(np.array([own[video] for own in scores]), axis=0, weights=weights)
        np.testing.assert_allclose(fused, oracle, rtol=1e-6)
    for video, fused in by_id(equal.predictions).items():
        oracle = np.mean(np.array([own[video] for own in scores]), axis=0).astype(np.float32)
        np.testing.assert_array_max_ulp(np.array(fused, np.float32), oracle, maxulp=1)
    assert_same_predictions(found.predictions, turned.predictions)
    assert (turned.digest, turned.identity, turned.context) == (
        found.digest,
        found.identity,
        found.context,
    )
    assert (tenfold.digest, tenfold.name) == (equal.digest, equal.name)
    assert (found.digest != equal.digest) or len(set(weights)) == 1


@pytest.mark.parametrize("weights", [(1, 0), (0, 1)])
def test_the_only_run_with_a_weight_is_the_fusion(tmp_path: Path, weights: Sequence[float]) -> None:
    first = random_table(3, 10, 5)
    tables = [first, labelled_alike(4, first)]
    runs = [finish_run(tmp_path / str(i), table) for i, table in enumerate(tables)]
    found = fuse(runs, weights)
    assert_same_predictions(found.predictions, tables[weights.index(1)])


def test_a_video_that_any_run_skipped_is_skipped_for_its_reason(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "whole", "abab"), write_run(tmp_path / "part", "ab b")]
    found = fuse(runs).predictions
    assert found.reasons.tolist() == ["", "", "truncated", ""]
    assert found.details[2] == "part: 3 of 9 frames"
    assert np.isnan(found.scores[2]).all()
    assert np.isnan(runs[0].predictions.scores).sum() == 0


def test_each_run_has_its_say_among_the_choices_only(tmp_path: Path) -> None:
    table = write_run(tmp_path / "free", "a").predictions
    rows = [[0.02, 0.08, 0.9], [0.6, 0.3, 0.1]]
    runs = [
        finish_run(
            tmp_path / str(i),
            replace(table, scores=np.array([row], np.float32)),
            choices=("a", "b"),
        )
        for i, row in enumerate(rows)
    ]
    fusion = fuse(runs)
    np.testing.assert_allclose(
        fusion.predictions.scores, [[(0.2 + 2 / 3) / 2, (0.8 + 1 / 3) / 2, 0]], rtol=1e-5
    )
    assert fusion.identity.choices == ("a", "b")
    with pytest.raises(ConfigError, match=r"--top_n 3 must be from 1 to 2"):
        write_fusion(fusion, tmp_path / "fused", 3)
    assert not (tmp_path / "fused").exists()
    metrics = write_fusion(fusion, tmp_path / "fused", 2)
    assert (metrics["top1"]["value"], metrics["top2"]["value"]) == (0, 1)
    assert ", 2 to choose from" in metrics["signature"]


def test_the_folder_is_that_of_a_finished_run(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    fusion = fuse(runs)
    folder = tmp_path / fusion.name
    metrics = write_fusion(fusion, folder, 2)
    found = FinishedRun(folder)
    assert found.metrics == metrics
    assert_same_predictions(found.predictions, fusion.predictions)
    assert (metrics["requested"], metrics["evaluated"]) == (12, 9)
    assert sum(metrics["skipped"].values()) == 3
    described = found.record.identity
    assert described.model == "fusion of i3d/kinetics-400 + i3d/kinetics-400"
    assert {member.run: member.digest for member in described.members} == {
        own.name: own.record.digest for own in runs
    }
    assert {member.signature for member in described.members} == {
        own.metrics["signature"] for own in runs
    }
    assert found.record.versions["numpy"] == np.__version__
    assert found.record.sessions == ()
    parts = metrics["signature"].split(" | ")
    digests = sorted(own.record.digest for own in runs)
    assert parts[0] == f"fusion of 2 runs ({', '.join(digests)})"
    requested = digest_videos(runs[0].predictions.video_ids.tolist())
    assert parts[1:3] == ["kinetics-400/val", f"9 of 12 videos {requested}"]
    assert folder.name == f"fusion_kinetics-400-val_12_{found.record.digest}"


def test_other_commands_work_on_a_fusion(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    write_fusion(fuse(runs), tmp_path / "fused", 2)
    fused = FinishedRun(tmp_path / "fused")
    assert compare([fused, *runs]).videos == 9
    (shown,) = [row for row in leaderboard(tmp_path).rows if row["run"] == "fused"]
    assert (shown["top1"], shown["precision"]) == (fused.metrics["top1"]["value"], "fp32")
    before = (tmp_path / "fused" / "metrics.json").read_bytes()
    write_outputs(tmp_path / "fused", fused.predictions, fused.context, 2)
    assert (tmp_path / "fused" / "metrics.json").read_bytes() == before
    again = fuse([fused, runs[0]])
    assert again.identity.model.startswith("fusion of ")
    assert "(fusion of i3d/kinetics-400 + i3d/kinetics-400)" in again.identity.model
    assert write_fusion(again, tmp_path / "again", 2)["evaluated"] == 9


def test_the_same_fusion_is_made_again_with_the_same_results(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    write_fusion(fuse(runs), tmp_path / "fused", 2)
    before = {name: (tmp_path / "fused" / name).read_bytes() for name in RESULTS}
    write_fusion(fuse(runs[::-1]), tmp_path / "fused", 2)
    assert {name: (tmp_path / "fused" / name).read_bytes() for name in RESULTS} == before
    assert str(tmp_path).encode() not in b"".join(before.values())


def test_another_run_is_overwritten_only_where_asked(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    write_run(tmp_path / "there", "abab")
    (tmp_path / "there" / "more.txt").write_text("of that run")
    before = (tmp_path / "there" / "run.json").read_bytes()
    fusion = fuse(runs)
    with pytest.raises(ConfigError, match=r"there has another run.*--overwrite"):
        write_fusion(fusion, tmp_path / "there", 2)
    assert (tmp_path / "there" / "run.json").read_bytes() == before
    write_fusion(fusion, tmp_path / "there", 2, overwrite=True)
    assert FinishedRun(tmp_path / "there").record.digest == fusion.digest
    assert not (tmp_path / "there" / "more.txt").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_neither_a_member_nor_a_foreign_folder_is_overwritten(
    tmp_path: Path, overwrite: bool
) -> None:
    fusion = fuse(two_runs(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name, why in {
        "one": "one of the runs",
        "mine": "not a run folder",
        "file": "not a run folder",
        ".": "one of the runs",
    }.items():
        with pytest.raises(ConfigError, match=why):
            write_fusion(fusion, tmp_path / name, 2, overwrite=overwrite)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def unlike(table: Predictions, what: str) -> Predictions:
    changes: dict[str, Any] = {
        "more videos": {name: getattr(table, name)[:-1] for name in COLUMNS},
        "other classes": {"classes": ("a", "b", "d")},
        "classes in another order": {"classes": ("b", "a", "c")},
        "other labels": {"labels": np.array(["a", "c", "a", "b"])},
        "other targets": {"targets": np.array(["a", "", "a", "b"])},
    }
    return replace(table, **changes[what])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("more videos", "requested videos: [34] in .* and [34] in .*, of which 1 .* 'v3'"),
        ("other classes", "classes: 3 in .* and 3 in .*, of which 2 in one only, e.g. 'c'"),
        ("classes in another order", r"the order of classes is \('[ab]'"),
        ("other labels", "the label of video v1 is [bc] in .* and [bc] in "),
        ("other targets", "the target of video v1 is b? in .* and b? in "),
    ],
)
def test_runs_of_other_tables_are_refused(tmp_path: Path, what: str, message: str) -> None:
    one = write_run(tmp_path / "a", "abab")
    other = write_run(tmp_path / "b", "abab")
    unlike(other.predictions, what).save(other.path / "scores.npz")
    with pytest.raises(ConfigError, match=f"cannot be fused: .*{message}"):
        fuse([one, FinishedRun(other.path)])


def test_runs_of_other_datasets_or_choices_are_refused(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", "abab")
    with pytest.raises(ConfigError, match=r"the dataset is (ucf101|kinetics-400) in "):
        fuse([one, write_run(tmp_path / "b", "abab", dataset="ucf101")])
    with pytest.raises(ConfigError, match=r"classes to choose from: [02] in .* and [02] in "):
        fuse([one, write_run(tmp_path / "c", "abab", choices=("a", "b"))])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a"], "two runs or more"),
        (["a", "b", "--weights", "1"], "--weights has 1 numbers for 2 runs"),
        (["a", "b", "--weights", "0", "0"], "one above 0"),
        (["a", "b", "--weights", "1", "-1"], "0 or more"),
        (["a", "b", "--weights", "1", "nan"], "0 or more"),
        (["a", "b", "--weights", "1", "inf"], "0 or more"),
        (["a", "b", "--top_n", "0"], "--top_n 0"),
        (["a", "b", "--top_n", "4"], "--top_n 4"),
        (["a", "b", "--run_name", "x/y"], "plain folder name"),
        (["a", "b", "--run_name", ".."], "plain folder name"),
        (["a", "nowhere"], "not a run folder"),
        (["a", "unfinished"], "unfinished"),
        (["a", "old"], "old: run.json has no facts"),
    ],
)
def test_a_wrong_request_is_refused_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "unfinished", "old"):
        write_run(tmp_path / name, "abab")
    (tmp_path / "unfinished" / "metrics.json").unlink()
    described = FinishedRun(tmp_path / "old").record.as_json()
    del described["facts"]
    write_json(tmp_path / "old" / "run.json", described)
    with pytest.raises(ConfigError, match=message):
        run([*options, "--results_dir", "fused"])
    assert not (tmp_path / "fused").exists()


def test_the_command_writes_the_run_and_prints_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(own.path) for own in two_runs(tmp_path)]
    results = tmp_path / "results"
    run([*paths, "--results_dir", str(results), "--weights", "3", "1", "--top_n", "2", "--json"])
    printed = json.loads(capsys.readouterr().out)
    folder = Path(printed["folder"])
    assert folder.parent == results
    assert printed["top2"] == FinishedRun(folder).metrics["top2"]
    assert {member["run"]: member["weight"] for member in printed["members"]} == {
        "one": 0.75,
        "other": 0.25,
    }
    assert "x 0.75" in printed["signature"]


def test_the_text_ends_with_what_the_numbers_are_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(own.path) for own in two_runs(tmp_path)]
    run([*paths, "--results_dir", str(tmp_path), "--run_name", "fused", "--top_n", "2"])
    text = capsys.readouterr().out
    assert f"results    {tmp_path / 'fused'}" in text
    assert "videos     9 evaluated of 12 requested" in text
    for part in ("top-1 ", "top-2 ", "95 % interval", "signature  fusion of 2 runs ("):
        assert part in text


def known(leaked: int | None, *examples: str, trained_on: str | None = "k600") -> KnownLeakage:
    return KnownLeakage(
        trained_on=trained_on,
        training_lists=() if leaked is None else ("600/train.csv",),
        leaked_videos=leaked,
        examples=examples,
        published_overlap="shared videos" if leaked is None else None,
    )


def test_leakage_that_all_share_is_that_of_the_fusion() -> None:
    assert merge_leakage([("a", known(3, "x")), ("b", known(3, "x"))]) == known(3, "x")


@pytest.mark.parametrize(
    ("one", "other", "leaked"),
    [(3, 5, 5), (3, None, 3), (0, None, None), (0, 2, 2), (None, 0, None)],
)
def test_leakage_of_a_fusion_is_no_less_than_that_of_any_run(
    one: int | None, other: int | None, leaked: int | None
) -> None:
    members = known(one, "x", "y"), known(other, "y", "z", trained_on=None)
    found = merge_leakage([("a", members[0]), ("b", members[1])])
    assert found.leaked_videos == leaked
    assert found.trained_on == "k600 + unknown"
    assert found.examples == ("x", "y", "z")
    assert found.published_overlap == ("shared videos" if None in (one, other) else None)
    assert [member["run"] for member in found.members] == ["a", "b"]


def test_views_and_precisions_that_differ_are_both_named(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, "abab") for name in "ab"]
    described = runs[1].record.as_json()
    described["facts"] = described["facts"] | {"views": "10x3"}
    described["identity"] = described["identity"] | {"precision": "bf16", "model": "x/y"}
    write_json(tmp_path / "b" / "run.json", described)
    found = fuse([runs[0], FinishedRun(tmp_path / "b")])
    assert sorted(found.context.views.split(" + ")) == ["10x3", "1x1"]
    assert sorted(found.identity.precision.split(" + ")) == ["bf16", "fp32"]
