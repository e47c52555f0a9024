"""What a whole run says beside its accuracy: views, classes, coverage, leakage, pace."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import RunCli
from tests.helpers.evaluating import SAMPLE_RUN, sample_config
from tests.helpers.paths import SAMPLE
from vidbench.evaluate import Evaluation, evaluate

CLASSES = ("moving down", "shrinking", "turning clockwise")


@pytest.fixture
def some_classes(tmp_path: Path) -> Path:
    path = tmp_path / "some.txt"
    path.write_text("\n".join(reversed(CLASSES)))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_views_are_pooled_and_fewer_are_scored_from_the_same_pass(
    tmp_path: Path, kept_clips: dict[str, Path]
) -> None:
    def run(num_clips: int, num_crops: int, **others: Any) -> Mapping[str, Any]:
        config = sample_config(
            tmp_path,
            num_videos=4,
            sampling="dense" if num_clips > 1 else "center",
            num_clips=num_clips,
            num_crops=num_crops,
            **kept_clips,
            **others,
        )
        return evaluate(config).metrics

    several = run(2, 3)
    assert several["views"] == "2x3"
    assert "| 2x3 views |" in several["signature"]
    assert set(several["fewer_views"]) == {"1x1 of 2x3", "1x3 of 2x3", "2x1 of 2x3"}
    assert several["fewer_views"]["2x1 of 2x3"]["top5"] == run(2, 1)["top5"]
    assert run(1, 1)["fewer_views"] == {}


def test_only_videos_of_some_classes_are_requested(
    tmp_path: Path, some_classes: Path, kept_clips: dict[str, Path]
) -> None:
    asked = {"num_videos": None, "classes": str(some_classes), **kept_clips}
    folder, metrics = evaluate(sample_config(tmp_path, **asked))[:2]
    assert {row["label"] for row in rows_of(folder / "predictions.csv")} == set(CLASSES)
    assert metrics["coverage"]["listed"] == metrics["requested"] == 24
    assert metrics["labels"]["num_classes"] == 3
    predicted = {row["pred_5"] for row in rows_of(folder / "predictions.csv")}
    assert not predicted <= set(CLASSES)
    restricted = evaluate(sample_config(tmp_path, restrict_choices=True, top_n=3, **asked))
    assert restricted.folder != folder
    for row in rows_of(restricted.folder / "predictions.csv"):
        assert {row["pred_1"], row["pred_2"], row["pred_3"]} == set(CLASSES)
        assert sum(float(row[f"score_{k}"]) for k in (1, 2, 3)) == pytest.approx(1, abs=1e-5)
    assert restricted.metrics["top3"]["value"] == 1
    assert restricted.metrics["top1"]["value"] >= metrics["top1"]["value"]
    assert "3 to choose from" in restricted.metrics["signature"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("moving dwon", [], "did you mean 'moving down'?"),
        ("moving down", ["--restrict_choices", "--top_n", "2"], "only 1 classes to choose from"),
        ("", [], "must have one class name per line"),
    ],
)
def test_classes_that_do_not_fit_are_refused_before_any_work(
    run_cli: RunCli, tmp_path: Path, content: str, options: list[str], message: str
) -> None:
    (tmp_path / "classes.txt").write_text(content)
    done = run_cli("evaluate", *SAMPLE_RUN, "--classes", "classes.txt", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "results").exists()
    assert not list(tmp_path.glob("data/raw/**/*.mp4"))


def test_a_model_of_other_classes_is_scored_where_it_has_them(
    tmp_path: Path, kept_clips: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    model = shutil.copytree(SAMPLE / "model", tmp_path / "model")
    classes = (model / "classes.txt").read_text().splitlines()
    lost = "shrinking"
    (model / "classes.txt").write_text(
        "\n".join("getting smaller" if name == lost else name for name in classes)
    )
    config = sample_config(tmp_path, num_videos=None, model_path=str(model), **kept_clips)
    with caplog.at_level(logging.WARNING):
        metrics = evaluate(config).metrics
    assert "no class for 1 of the 14" in caplog.text
    assert metrics["labels"]["missing"] == [lost]
    assert metrics["labels"]["unused"] == ["getting smaller"]
    assert "13 exact, 1 missing of 14 classes" in metrics["signature"]
    assert metrics["evaluated"] == 112
    assert metrics["top1"]["num_videos"] == 104
    assert metrics["over_all"]["top1"]["num_videos"] == 112
    expected = metrics["top1"]["value"] * 104 / 112
    assert metrics["over_all"]["top1"]["value"] == pytest.approx(expected)


def test_a_model_without_any_of_the_classes_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli(
        "evaluate", *SAMPLE_RUN, "--dataset", "kinetics", "--kinetics_root_url", tmp_path
    )
    assert done.returncode == 2
    assert "none of the 400 classes of kinetics-400" in done.stderr


def test_videos_on_the_training_list_are_counted_and_warned_of(
    tmp_path: Path,
    finished_run: Evaluation,
    kept_clips: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ids = [row["video_id"][:11] for row in rows_of(finished_run.folder / "predictions.csv")]
    training = tmp_path / "train.csv"
    lines = [f"moving down,{each},0,10,train" for each in [*ids[:3], "AAAAAAAAAAA"]]
    training.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *lines]))
    with caplog.at_level(logging.WARNING):
        config = sample_config(tmp_path, training_list=training, **kept_clips)
        metrics = evaluate(config).metrics
    assert metrics["leakage"]["leaked_videos"] == 3
    assert "3 of 12 videos" in caplog.text
    assert finished_run.metrics["leakage"]["leaked_videos"] is None


def test_pace_and_sizes_are_in_the_description_and_not_in_the_metrics(
    finished_run: Evaluation,
) -> None:
    folder, metrics = finished_run[:2]
    (session,) = json.loads((folder / "run.json").read_text())["sessions"]
    assert 0 < session["latency_ms"]["median"] <= session["latency_ms"]["p95"]
    assert session["videos_per_second"] > 0
    assert session["peak_memory_bytes"] > 100e6
    assert session["cache_bytes"] > 12 * 16 * 224 * 224 * 3
    assert not metrics.keys() & session.keys()


def test_metrics_as_json_are_those_in_the_folder(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("evaluate", *SAMPLE_RUN, "--num_videos", 3, "--json")
    printed = json.loads(done.stdout)
    folder = tmp_path / printed.pop("folder")
    assert printed == json.loads((folder / "metrics.json").read_text())
