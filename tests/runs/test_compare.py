from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.runs import finish_run, write_run
from vidbench.cli.commands.compare import run
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.metrics.intervals import share
from vidbench.metrics.paired import CLUSTERED, NEWCOMBE, adjust
from vidbench.runs.compare import compare
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions


def test_runs_are_compared_on_the_videos_that_both_scored(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", "ab bcbcb")  # labels: abababab
    b = write_run(tmp_path / "b", "cbcb cca")
    found = compare([a, b])
    assert (found.videos, [one.videos for one in found.runs]) == (6, [7, 7])
    (pair,) = found.pairs
    assert [video.video_id for video in pair.only_a] == ["v0", "v5", "v7"]
    assert pair.only_b == ()
    assert (pair.difference.value, pair.mcnemar.only_a, pair.mcnemar.p) == (0.5, 3, 0.25)
    assert pair.difference.method == NEWCOMBE
    first = pair.only_a[0]
    assert (first.label, first.first_a, first.first_b) == ("a", "a", "c")
    assert first.score_b == pytest.approx(0.6)
    assert compare([b, a]).pairs[0].difference.value == -0.5


def test_a_video_is_right_where_its_class_is_among_the_first_k(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", "cccc"), write_run(tmp_path / "b", "bbbb")]
    top1, top2 = compare(runs), compare(runs, k=2)
    assert [run.accuracy.value for run in top1.runs] == [0, 0.5]
    assert [run.accuracy.value for run in top2.runs] == [0.5, 1]


def test_three_runs_make_three_pairs_with_corrected_p(tmp_path: Path) -> None:
    choices = {"a": "ab" * 10, "b": "cc" * 10, "c": "ab" * 5 + "cc" * 5}
    found = compare([write_run(tmp_path / name, text) for name, text in choices.items()])
    assert [(pair.a, pair.b) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    p = [pair.mcnemar.p for pair in found.pairs]
    assert [pair.mcnemar.p_adjusted for pair in found.pairs] == adjust(p)
    assert found.pairs[0].mcnemar.p_adjusted == 3 * p[0]


def test_a_source_known_to_one_run_counts_for_both(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", "abab", groups=("x", "x", "y", ""))
    found = compare([write_run(tmp_path / "b", "abcc"), a])
    assert found.sources == 3
    assert found.pairs[0].difference.method == CLUSTERED


def test_accuracies_have_intervals_that_know_the_sources(tmp_path: Path) -> None:
    groups = ("x", "x", "x", "y", "y", "")
    runs = [write_run(tmp_path / name, "ababcc", groups=groups) for name in "ab"]
    alone = [write_run(tmp_path / name, "ababcc") for name in "cd"]
    hits = np.array([True, True, True, True, False, False])
    found, independent = compare(runs).runs[0].accuracy, compare(alone).runs[0].accuracy
    assert found == share(hits, np.array(groups))
    assert found.high - found.low > independent.high - independent.low


def test_a_run_is_judged_among_the_classes_that_it_may_choose(tmp_path: Path) -> None:
    free = write_run(tmp_path / "free", "acbc")  # labels: abab
    bound = write_run(tmp_path / "bound", "acbc", choices=("a", "b"))
    found = compare([free, bound])
    assert [one.choices for one in found.runs] == [3, 2]
    assert [one.accuracy.value for one in found.runs] == [0.25, 0.25]
    table = replace(free.predictions, scores=np.array([[0.1, 0.3, 0.6]] * 4, np.float32))
    found = compare(
        [finish_run(tmp_path / "1", table), finish_run(tmp_path / "2", table, choices=("a", "b"))]
    )
    assert [one.accuracy.value for one in found.runs] == [0, 0.5]
    (pair,) = found.pairs
    assert [video.video_id for video in pair.only_b] == ["v1", "v3"]
    assert (pair.only_b[0].first_a, pair.only_b[0].first_b) == ("c", "b")
    assert pair.only_b[0].score_b == pytest.approx(0.75)
    for one in found.runs:
        metrics = FinishedRun(tmp_path / one.name).metrics
        assert one.accuracy._asdict() == metrics["top1"]


def test_models_of_other_classes_are_compared_by_the_labels_of_the_dataset(tmp_path: Path) -> None:
    records = [VideoRecord(f"v{i}", Path(f"{i}.mp4"), "waking up") for i in range(4)]
    other = Predictions.pending(records, ("x", "baby waking up"), {"waking up": "baby waking up"})
    same = Predictions.pending(records, ("waking up", "y", "z"))
    for row in range(4):
        other.set_scores(row, np.array([0.1, 0.9], np.float32))
        same.set_scores(row, np.array([0.2, 0.7, 0.1], np.float32))
    runs = [finish_run(tmp_path / "a", other), finish_run(tmp_path / "b", same)]
    assert [one.accuracy.value for one in compare(runs).runs] == [1, 0]


def test_a_run_that_does_not_say_what_it_is_of_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        write_run(tmp_path / name, "abab")
    described = json.loads((tmp_path / "b" / "run.json").read_text("utf-8"))
    del described["facts"]
    (tmp_path / "b" / "run.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(ConfigError, match=r"b: run\.json has no facts"):
        compare([FinishedRun(tmp_path / name) for name in "ab"])


def test_labels_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", "abab"), write_run(tmp_path / "b", "abab", labels="abcb")]
    with pytest.raises(ConfigError, match="v2 is 'a' in a and 'c' in b"):
        compare(runs)


def test_too_few_common_videos_are_refused_unless_allowed(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", "abababab"), write_run(tmp_path / "b", "abc     ")]
    with pytest.raises(ConfigError, match=r"only 3 .*37\.5%.*--min_common 0\.5"):
        compare(runs)
    assert compare(runs, min_common=0.3).videos == 3


def test_runs_of_different_datasets_without_a_common_video_are_refused(tmp_path: Path) -> None:
    other = write_run(tmp_path / "b", "abab", prefix="w", dataset="ucf101")
    with pytest.raises(ConfigError, match="no scored and labelled video is common"):
        compare([write_run(tmp_path / "a", "abab"), other], min_common=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a"], "two runs or more"),
        (["a", "a"], "given twice"),
        (["a", "b", "--k", "0"], "--k 0"),
        (["a", "b", "--k", "4"], "from 1 to 3, the classes that a may"),
        (["a", "few", "--k", "3"], "from 1 to 2, the classes that few may"),
        (["a", "b", "--min_common", "2"], "--min_common 2"),
        (["a", "b", "--min_common", "nan"], "--min_common nan"),
        (["a", "missing"], "not a run folder"),
        (["a", "b", "--csv", "there.csv"], "there.csv exists"),
    ],
)
def test_a_wrong_request_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write_run(tmp_path / name, "abab")
    write_run(tmp_path / "few", "abab", choices=("a", "b"))
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(ConfigError, match=message):
        run(options)
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_the_command_prints_one_object_and_writes_a_line_for_each_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "one" / "run", tmp_path / "two" / "run"]
    for path, choices in zip(paths, ["ababab", "ccabaa"], strict=True):
        write_run(path, choices)
    run([*map(str, paths), "--json", "--csv", str(tmp_path / "videos.csv")])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["videos"], printed["difference_is"]) == (6, "a - b")
    assert [one["accuracy"]["num_videos"] for one in printed["runs"]] == [6, 6]
    (pair,) = printed["pairs"]
    assert (pair["a"], pair["b"]) == tuple(map(str, paths))
    assert {"value", "low", "high"} <= pair["difference"].keys()
    assert pair["mcnemar"]["p"] == 0.25
    assert sum(one["videos"] for one in pair["classes"]) == 6
    lines = list(csv.DictReader((tmp_path / "videos.csv").read_text("utf-8").splitlines()))
    assert [line["video_id"] for line in lines] == [one["video_id"] for one in pair["only_a"]]
    assert {line["right"] for line in lines} == {str(paths[0])}
    assert math.isclose(float(lines[0]["score_b"]), pair["only_a"][0]["score_b"], abs_tol=1e-6)


def test_the_text_says_which_way_the_difference_goes_and_what_it_assumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ("x", "x", "y", "y", "", "")
    for name, choices in {"good": "ababab", "poor": "ccabaa"}.items():
        write_run(tmp_path / name, choices, groups=groups)
    run([str(tmp_path / "good"), str(tmp_path / "poor")])
    text = capsys.readouterr().out
    assert "6 common to all runs, cut from 4 sources" in text
    assert "A = good, B = poor" in text
    assert "A - B      +50.0 points" in text
    assert CLUSTERED in text
    assert "only A     3 videos right: v0, v1, v5" in text
    assert "Videos share sources" in text
