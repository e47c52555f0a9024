from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.command import RunCli
from tests.helpers.evaluating import (
    SAMPLE_RUN,
    only_run,
    outcome,
    read_csv,
    read_json,
    sample_config,
)
from tests.helpers.http_server import FileServer
from tests.helpers.loading import garble, stamps
from tests.helpers.paths import REPOSITORY, SAMPLE
from vidbench import compute_accuracy
from vidbench.evaluate import Evaluation, evaluate


def saved(folder: Path) -> dict[str, Any]:
    with np.load(folder / "scores.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_i3d_is_evaluated_on_a_mirror_over_http(
    run_cli: RunCli, mirror_server: FileServer, i3d_path: Path, tmp_path: Path
) -> None:
    done = run_cli(
        "evaluate",
        f"@{REPOSITORY / 'scripts/kinetics400_i3d.txt'}",
        *("--kinetics_root_url", mirror_server.url, "--model_path", i3d_path),
        *("--num_videos", 30, "--num_frames", 16),
    )
    assert done.returncode == 0, done.stderr
    folder = only_run(tmp_path)
    metrics = read_json(folder / "metrics.json")
    assert metrics["requested"] == 30
    assert metrics["evaluated"] == 28
    assert metrics["requested"] == metrics["evaluated"] + sum(metrics["skipped"].values())
    assert metrics["skipped"]["missing"] == 1
    assert len(read_csv(folder / "predictions.csv")) == 28
    reasons = [row["reason"] for row in read_csv(folder / "skipped.csv")]
    assert sorted(reasons) == sorted(["missing", *(set(metrics["skipped"]) - {"missing"})])
    assert len(read_json(folder / "run.json")["unlisted"]) == 1
    assert "not in the annotations" in done.stderr
    _, _, _, top1, top5, *_, signature = done.stdout.splitlines()
    assert top1.startswith("top-1")
    assert top5.startswith("top-5")
    assert signature.endswith(metrics["signature"])


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project in which one run has fetched and decoded what it needed."""
    root = tmp_path_factory.mktemp("cold")
    evaluate(sample_config(root))
    return root


def test_what_a_run_leaves(cold: Path) -> None:
    folder = only_run(cold)
    metrics = read_json(folder / "metrics.json")
    assert folder.name.startswith("saved_model_sample-val_12_")
    names = {path.name for path in folder.iterdir()}
    tables = {"predictions.csv", "skipped.csv", "per_class.csv", "confusion.csv"}
    pages = {"report.html", "thumbnails.zip"}
    assert names == {"run.json", "metrics.json", "scores.npz", *tables, *pages}
    table = pd.read_csv(folder / "predictions.csv")
    ranks = range(1, 6)
    header = ["video_id", "path", "label", "target"]
    assert list(table) == [
        *header,
        *(f"pred_{k}" for k in ranks),
        *(f"score_{k}" for k in ranks),
        "note",
    ]
    assert all((cold / "data/raw" / path).is_file() for path in table["path"])
    for k in (1, 5):
        assert compute_accuracy(table, num_top_classes=k)._asdict() == metrics[f"top{k}"]
    run = read_json(folder / "run.json")
    assert {"config", "identity", "versions", "git_revision", "machine"} <= run.keys()
    (session,) = run["sessions"]
    assert {"fetch", "load_model", "wait_for_clips", "predict"} <= session["seconds"].keys()
    assert session["beside"].keys() == {"hash", "decode", "write_cache", "read_cache"}


def test_all_scores_are_kept_in_requested_order(finished_run: Evaluation) -> None:
    folder = finished_run.folder
    assert finished_run.metrics == read_json(folder / "metrics.json")
    columns = saved(folder)
    table = pd.read_csv(folder / "predictions.csv")
    assert columns["video_id"].tolist() == table["video_id"].tolist()
    assert columns["scores"].shape == (12, len(columns["classes"]))
    best = [columns["classes"][place] for place in columns["scores"].argmax(axis=1)]
    assert best == table["pred_1"].tolist()
    np.testing.assert_allclose(columns["scores"].max(axis=1), table["score_1"], atol=1e-6)


def test_results_hold_nothing_of_time_or_place(cold: Path, tmp_path: Path) -> None:
    one, other = only_run(cold), evaluate(sample_config(tmp_path, num_workers=0)).folder
    assert one.name == other.name
    assert outcome(one) == outcome(other)
    assert str(tmp_path).encode() not in b"".join(outcome(other))


def test_batch_size_does_not_change_the_predictions(
    tmp_path: Path, finished_run: Evaluation, kept_clips: dict[str, Path]
) -> None:
    one = finished_run.folder
    other = evaluate(sample_config(tmp_path, batch_size=5, **kept_clips)).folder
    np.testing.assert_allclose(saved(one)["scores"], saved(other)["scores"], atol=1e-6)
    first, second = (pd.read_csv(folder / "predictions.csv") for folder in (one, other))
    assert first["pred_1"].tolist() == second["pred_1"].tolist()


def test_a_second_run_decodes_nothing(tmp_path: Path) -> None:
    first = evaluate(sample_config(tmp_path, num_videos=4)).folder
    before, expected = stamps(tmp_path), outcome(first)
    for video in (tmp_path / "data/raw").rglob("*.mp4"):
        garble(video)
    again = evaluate(sample_config(tmp_path, num_videos=4, overwrite_output_dir=True)).folder
    assert outcome(again) == expected
    assert stamps(tmp_path) == before


def test_a_finished_run_says_so_and_makes_its_files_again(run_cli: RunCli, tmp_path: Path) -> None:
    arguments = ("evaluate", *SAMPLE_RUN, "--num_videos", 4)
    first = run_cli(*arguments)
    folder = only_run(tmp_path)
    expected = outcome(folder)
    (folder / "predictions.csv").unlink()
    (folder / "metrics.json").write_text("{}")
    second = run_cli(*arguments)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "finished" in second.stderr
    assert second.stdout == first.stdout
    assert outcome(folder) == expected
    assert len(read_json(folder / "run.json")["sessions"]) == 1


def test_another_top_n_needs_no_other_run(tmp_path: Path, kept_clips: dict[str, Path]) -> None:
    first = evaluate(sample_config(tmp_path, **kept_clips))
    second = evaluate(sample_config(tmp_path, top_n=3, **kept_clips))
    assert second.folder == first.folder
    assert second.metrics["top1"] == first.metrics["top1"]
    assert {"top1", "top3"} == {name for name in second.metrics if name.startswith("top")}
    assert "pred_3" in pd.read_csv(second.folder / "predictions.csv")


@pytest.mark.parametrize(
    "change", [{"num_videos": 11}, {"seed": 1}, {"resize_type": "pad"}], ids=str
)
def test_what_decides_predictions_names_another_folder(
    tmp_path: Path,
    finished_run: Evaluation,
    kept_clips: dict[str, Path],
    change: dict[str, Any],
) -> None:
    other = evaluate(sample_config(tmp_path, **kept_clips, **change))
    assert other.folder.name != finished_run.folder.name


def test_a_folder_of_another_run_is_not_overwritten(
    tmp_path: Path, kept_clips: dict[str, Path]
) -> None:
    folder = evaluate(sample_config(tmp_path, run_name="mine", num_videos=4, **kept_clips)).folder
    expected = outcome(folder)
    with pytest.raises(Exception, match="--run_name") as error:
        evaluate(sample_config(tmp_path, run_name="mine", num_videos=5, **kept_clips))
    assert error.value.exit_code == 2  # type: ignore[attr-defined]
    assert outcome(folder) == expected


def test_a_damaged_video_stays_requested_and_is_retried_when_repaired(
    tmp_path: Path, finished_run: Evaluation
) -> None:
    config = sample_config(tmp_path)
    evaluate(sample_config(tmp_path, num_videos=1))  # fetches
    video = sorted((tmp_path / "data/raw").rglob("*.mp4"))[3]
    content = video.read_bytes()
    video.write_bytes(content[:1500])
    damaged = evaluate(config)
    assert damaged.metrics["requested"] == 12
    assert damaged.metrics["evaluated"] == 11
    assert sum(damaged.metrics["skipped"].values()) == 1
    video.write_bytes(content)
    repaired = evaluate(config)
    assert repaired.folder == damaged.folder
    assert outcome(repaired.folder) == outcome(finished_run.folder)


def test_a_score_is_not_lost_with_its_video_when_its_batch_is_tried_again(tmp_path: Path) -> None:
    config = sample_config(tmp_path, seed=1, num_videos=4)
    paths = pd.read_csv(evaluate(config).folder / "predictions.csv")["path"]
    damaged, removed = (tmp_path / "data/raw" / path for path in paths[:2])
    content = damaged.read_bytes()
    damaged.write_bytes(content[:1500])
    first = evaluate(sample_config(tmp_path, seed=1, num_videos=4, overwrite_output_dir=True))
    assert first.metrics["evaluated"] == 3
    damaged.write_bytes(content)
    removed.unlink()
    again = evaluate(config)
    assert again.folder == first.folder
    assert again.metrics["evaluated"] == 4
    assert again.metrics["skipped"] == {}


def test_a_split_without_labels_is_predicted_and_not_scored(
    run_cli: RunCli, tmp_path: Path
) -> None:
    root = tmp_path / "unlabelled"
    shutil.copytree(SAMPLE, root)
    annotations = root / "annotations/val.csv"
    rows = read_csv(annotations)
    with annotations.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["youtube_id", "time_start", "time_end", "split"])
        writer.writerows(
            [row["youtube_id"], row["time_start"], row["time_end"], "val"] for row in rows
        )
    done = run_cli("evaluate", *SAMPLE_RUN, "--num_videos", 9, "--kinetics_root_url", root)
    assert done.returncode == 0, done.stderr
    metrics = read_json(only_run(tmp_path) / "metrics.json")
    assert metrics["top1"] is None
    assert "no labels" in metrics["not_scored"]
    assert metrics["evaluated"] == 9 == len(read_csv(only_run(tmp_path) / "predictions.csv"))
    assert "not scored" in done.stdout


def test_a_run_that_can_evaluate_no_video_fails_and_says_where_to_look(
    run_cli: RunCli, tmp_path: Path
) -> None:
    run_cli("evaluate", *SAMPLE_RUN, "--num_videos", 1)
    for video in (tmp_path / "data/raw").rglob("*.mp4"):
        video.write_bytes(b"no video")
    done = run_cli("evaluate", *SAMPLE_RUN, "--num_videos", 3)
    assert done.returncode == 1
    assert "skipped.csv" in done.stderr.splitlines()[-1]
    (folder,) = (tmp_path / "results").glob("*_3_*")
    metrics = read_json(folder / "metrics.json")
    assert (metrics["top1"], metrics["evaluated"], metrics["skipped"]) == (
        None,
        0,
        {"unreadable": 3},
    )


def test_few_classes_are_warned_of(run_cli: RunCli) -> None:
    done = run_cli("evaluate", *SAMPLE_RUN, "--num_videos", 3)
    assert "cover" in done.stderr
    assert "classes" in done.stderr


def test_classes_that_the_model_lacks_are_refused_before_work(
    run_cli: RunCli, mirror: Path, tmp_path: Path
) -> None:
    done = run_cli(
        *("evaluate", "--model_type", "saved_model", "--model_path", SAMPLE / "model"),
        *("--num_frames", 16, "--kinetics_root_url", mirror),
    )
    assert done.returncode == 2
    assert "classes" in done.stderr
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "data").exists()


def test_the_script_is_the_command(run_cli: RunCli, tmp_path: Path) -> None:
    arguments = [*SAMPLE_RUN, "--num_videos", "4"]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts/evaluate.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run_cli("evaluate", *arguments).stdout == done.stdout


Moment = Callable[[Path], bool]


def has(pattern: str, count: int = 1) -> Moment:
    return lambda root: sum(1 for _ in root.glob(pattern)) >= count


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(has("data/raw/sample/val/*"), marks=pytest.mark.slow, id="while fetching"),
        pytest.param(has("data/processed/*/*/*.h5"), id="while decoding"),
        pytest.param(has("results/*/run.json"), marks=pytest.mark.slow, id="before a batch"),
        pytest.param(has("results/*/batches/*.npz"), id="after a batch"),
        pytest.param(has("results/*/batches/*.npz", 4), marks=pytest.mark.slow, id="in the midst"),
    ],
)
def test_a_killed_run_resumes_to_the_same_bytes(
    run_cli: RunCli, tmp_path: Path, uninterrupted: tuple[bytes, bytes], moment: Moment
) -> None:
    arguments = ["evaluate", *SAMPLE_RUN, "--num_videos", "40", "--batch_size", "4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vidbench", *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not moment(tmp_path) and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = run_cli(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    folder = only_run(tmp_path)
    assert outcome(folder) == uninterrupted
    assert not list(folder.rglob("*.tmp"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    config = sample_config(tmp_path_factory.mktemp("whole"), num_videos=40, batch_size=4)
    return outcome(evaluate(config).folder)
