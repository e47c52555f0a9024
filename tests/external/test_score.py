"""Predictions that another program made, scored like those of an evaluated run."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import top_k_accuracy_score

from tests.helpers.command import RunCli
from tests.helpers.evaluating import sample_config
from vidbench.cli.commands.compare import run as run_compare
from vidbench.cli.commands.figures import run as run_figures
from vidbench.cli.commands.fuse import run as run_fuse
from vidbench.cli.commands.leaderboard import run as run_leaderboard
from vidbench.cli.commands.report import run as run_report
from vidbench.cli.commands.score import run as run_score
from vidbench.config.opening import open_dataset
from vidbench.data.datasets.base import list_videos
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.evaluate import evaluate
from vidbench.external.answers import Answers
from vidbench.external.matching import match_rows
from vidbench.report.mlflow_values import metrics_of, params_of, tags_of
from vidbench.runs.compare import compare
from vidbench.runs.finished import FinishedRun
from vidbench.runs.outputs import write_predictions
from vidbench.runs.predictions import Predictions

Export = Callable[[Predictions, Path], Path]

SAME = (
    *("top1", "top5", "mean_class_accuracy", "macro", "over_all", "bounds", "most_confused"),
    *("requested", "evaluated", "skipped", "coverage", "labels", "leakage"),
)
TABLES = ("per_class.csv", "confusion.csv", "skipped.csv")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, kept_clips: dict[str, Path]) -> FinishedRun:
    """The sample, evaluated by its model."""
    options = {"num_videos": None, "no_report": True, **kept_clips}
    config = sample_config(tmp_path_factory.mktemp("evaluated"), **options)
    return FinishedRun(evaluate(config).folder)


@pytest.fixture
def score(tmp_path: Path) -> Callable[..., FinishedRun]:
    """Scores a file of predictions of the sample."""
    places = ("--data_dir", tmp_path / "raw", "--results_dir", tmp_path / "results")

    def scored(path: Path, *options: object) -> FinishedRun:
        name = f"run_{len(list(tmp_path.glob('results/*')))}"
        given = ("--dataset", "sample", *places, "--run_name", name, "--no_report", *options)
        run_score([str(path), *map(str, given)])
        return FinishedRun(tmp_path / "results" / name)

    return scored


def write_npz(table: Predictions, path: Path, **arrays: Any) -> Path:
    named: dict[str, Any] = {
        "ids": table.video_ids,
        "scores": table.scores,
        "classes": list(table.classes),
    }
    np.savez(path, **{k: v for k, v in (named | arrays).items() if v is not None})
    return path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_table(path: Path, header: list[str], rows: list[list[object]], divider: str) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=divider).writerows([header, *rows])
    return path


def as_npz(table: Predictions, folder: Path) -> Path:
    return write_npz(table, folder / "scores.npz")


def as_npz_by_path_of_half_precision_views(table: Predictions, folder: Path) -> Path:
    """Three equal views of each video, in the order of Fortran, compressed."""
    views = np.asfortranarray(np.repeat(table.scores[:, None], 3, axis=1))
    paths = np.array([f"C:\\videos\\{video}.mp4" for video in table.video_ids])
    np.savez_compressed(folder / "p.npz", paths=paths, scores=views, classes=table.classes)
    return folder / "p.npz"


def as_columns(table: Predictions, folder: Path, divider: str = ",") -> Path:
    rows = zip(table.video_ids, table.labels, table.scores.tolist(), strict=True)
    cells = [[video, label, *scores] for video, label, scores in rows]
    header = ["video_id", "label", *table.classes]
    return write_table(folder / "columns.csv", header, cells, divider)


def as_columns_by_semicolons(table: Predictions, folder: Path) -> Path:
    return as_columns(table, folder, ";")


def as_objects_by_class(table: Predictions, folder: Path) -> Path:
    rows = zip(table.video_ids.tolist(), table.scores.tolist(), strict=True)
    named = [
        {"video_id": video, "scores": dict(zip(table.classes, scores, strict=True))}
        for video, scores in rows
    ]
    return write_lines(folder / "scores.jsonl", named)


def as_lists_beside_classes(table: Predictions, folder: Path) -> Path:
    rows = zip(table.video_ids.tolist(), table.scores.tolist(), strict=True)
    path = folder / "scores.json"
    named = [
        {"video_id": video, "classes": table.classes, "scores": scores} for video, scores in rows
    ]
    path.write_text(json.dumps(named))
    return path


SCORES: list[Export] = [
    as_npz,
    as_npz_by_path_of_half_precision_views,
    as_columns,
    as_columns_by_semicolons,
    as_objects_by_class,
    as_lists_beside_classes,
]


def rankings(table: Predictions) -> list[tuple[str, list[str]]]:
    best = table.best(len(table.classes)).tolist()
    ids = table.video_ids.tolist()
    return [(v, [table.classes[c] for c in row]) for v, row in zip(ids, best, strict=True)]


def as_ranks_in_columns(table: Predictions, folder: Path) -> Path:
    header = ["path", *(f"pred_{k}" for k in range(1, 8))]
    rows: list[list[object]] = [[f"val/{v}.mp4", *row[:7]] for v, row in rankings(table)]
    return write_table(folder / "ranks.tsv", header, rows, "\t")


def as_predictions_of_vidbench(table: Predictions, folder: Path) -> Path:
    write_predictions(folder / "predictions.csv", table, 7)
    return folder / "predictions.csv"


def as_lists_of_classes(table: Predictions, folder: Path) -> Path:
    rows = [{"video_id": v, "classes": row[:7]} for v, row in rankings(table)]
    return write_lines(folder / "ranks.jsonl", rows)


def as_best_scores_alone(table: Predictions, folder: Path) -> Path:
    rows = []
    for place, (video, best) in enumerate(rankings(table)):
        scores = {name: float(table.scores[place, table.classes.index(name)]) for name in best[:7]}
        rows.append({"video_id": video, "scores": dict(sorted(scores.items()))})
    return write_lines(folder / "best.jsonl", rows)


RANKS: list[Export] = [
    as_ranks_in_columns,
    as_predictions_of_vidbench,
    as_lists_of_classes,
    as_best_scores_alone,
]


@pytest.mark.parametrize("export", [*SCORES, *RANKS])
def test_predictions_of_a_run_score_as_the_run(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path, export: Export
) -> None:
    found = score(export(evaluated.predictions, tmp_path))
    for name in SAME:
        assert found.metrics[name] == evaluated.metrics[name], name
    for name in TABLES:
        assert (found.path / name).read_bytes() == (evaluated.path / name).read_bytes()
    (pair,) = compare([evaluated, found]).pairs
    assert (pair.difference.value, pair.only_a, pair.only_b, pair.mcnemar.p) == (0, (), (), 1)
    if export in SCORES:
        assert found.metrics["evidence"] == "probabilities"
        assert found.metrics["calibration"] == evaluated.metrics["calibration"]
        assert told_classes(found) == told_classes(evaluated)
    else:
        assert found.metrics["evidence"] == "ranking"
        assert found.metrics["calibration"]["error"] is None


def told_classes(run: FinishedRun) -> dict[str, list[str]]:
    """What predictions.csv says of each video, but for its path."""
    with (run.path / "predictions.csv").open() as file:
        return {row.pop("video_id"): list(row.values())[1:] for row in csv.DictReader(file)}


def test_accuracies_are_those_of_scikit_learn(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    table = evaluated.predictions
    logits = np.random.default_rng(7).normal(size=table.scores.shape)
    targets = [table.classes.index(label) for label in table.labels]
    places = {video: place for place, video in enumerate(table.video_ids.tolist())}
    path = write_npz(table, tmp_path / "logits.npz", scores=logits)
    for options in ([], ["--scores_are", "similarity"], ["--scores_are", "logits"]):
        found = score(path, "--top_n", 4, *options)
        for k in (1, 4):
            expected = top_k_accuracy_score(targets, logits, k=k, labels=range(14))
            assert found.metrics[f"top{k}"]["value"] == pytest.approx(expected)
        kind = "probabilities" if "logits" in options else "similarity"
        assert found.metrics["evidence"] == kind
        assert (found.metrics["calibration"]["error"] is None) == (kind == "similarity")
    powers = np.exp(logits[[places[video] for video in found.predictions.video_ids.tolist()]])
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.predictions.scores, expected, rtol=1e-5)
    assert "softmax of logits" in found.metrics["signature"]


def test_rows_of_one_video_are_views_whose_scores_are_averaged(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    table, rng = evaluated.predictions, np.random.default_rng(1)
    views = rng.dirichlet(np.ones(14), size=(3, len(table)))
    ids = np.tile(table.video_ids, 3)
    order = rng.permutation(len(ids))
    path = write_npz(
        table, tmp_path / "views.npz", ids=ids[order], scores=views.reshape(-1, 14)[order]
    )
    found = score(path)
    places = {video: place for place, video in enumerate(table.video_ids.tolist())}
    views = views[:, [places[video] for video in found.predictions.video_ids.tolist()]]
    np.testing.assert_allclose(found.predictions.scores, views.mean(axis=0), rtol=1e-5)
    assert "mean of 3 rows a video" in found.metrics["signature"]
    highest = score(path, "--pool", "max")
    np.testing.assert_allclose(highest.predictions.scores, views.max(axis=0), rtol=1e-6)
    assert highest.metrics["evidence"] == "similarity"


def test_indices_are_those_of_the_list_of_classes(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    table = evaluated.predictions
    order = np.random.default_rng(3).permutation(14)
    names = [table.classes[place] for place in order]
    (tmp_path / "classes.txt").write_text("\n".join(names) + "\n")
    listed = ("--classes_file", tmp_path / "classes.txt")
    places = {name: place for place, name in enumerate(names)}
    rows = [{"video_id": v, "classes": [places[c] for c in b[:5]]} for v, b in rankings(table)]
    scores = table.scores[:, order]
    header = ["video_id", *map(str, range(14))]
    columns = [[v, *row] for v, row in zip(table.video_ids, scores.tolist(), strict=True)]
    for path in (
        write_lines(tmp_path / "indices.jsonl", rows),
        write_npz(table, tmp_path / "unnamed.npz", scores=scores, classes=None),
        write_npz(table, tmp_path / "numbered.npz", scores=scores, classes=np.arange(14)),
        write_table(tmp_path / "numbered.csv", header, columns, ","),
    ):
        with pytest.raises(ConfigError, match="--classes_file"):
            score(path)
        found = score(path, *listed)
        assert found.metrics["top5"] == evaluated.metrics["top5"]
        assert found.metrics["most_confused"][0] == evaluated.metrics["most_confused"][0]


def test_one_class_a_video_has_no_accuracy_beyond_the_first(
    evaluated: FinishedRun,
    score: Callable[..., FinishedRun],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = evaluated.predictions
    first = table.best(1)[:, 0]
    rows = [[v, table.classes[c]] for v, c in zip(table.video_ids, first, strict=True)]
    path = write_table(tmp_path / "labels.csv", ["video_id", "pred_1"], rows, ",")
    one_hot = write_npz(table, tmp_path / "one_hot.npz", scores=np.eye(14, dtype=np.uint8)[first])
    for file in (path, one_hot):
        found = score(file)
        assert found.metrics["evidence"] == "label"
        assert found.metrics["top1"] == evaluated.metrics["top1"]
        assert "top-5      not scored: " in capsys.readouterr().out
        why = "112 of 112 videos have only 1 class with a rank"
        assert found.metrics["top5"] == {"value": None, "reason": why}
    check_every_reader(evaluated, found, tmp_path, capsys)


def check_every_reader(
    evaluated: FinishedRun, labels: FinishedRun, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever reads runs reads one that has labels alone, or refuses it in one line."""
    results = labels.path.parent
    run_report([str(labels.path)])
    assert "calibration the predictions are one class a video" in capsys.readouterr().out
    page = (labels.path / "report.html").read_text()
    assert "vidbench did not run this model" in page
    assert str(labels.record.identity.sha256) in page
    run_leaderboard([str(results), "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert {row["topk"] for row in rows} == {None}
    run_figures([str(labels.path), "--out", str(folder / "figures")])
    drawn = capsys.readouterr()
    assert "no reliability: the predictions are one class a video" in drawn.err
    assert (folder / "figures" / "confusion.png").exists()
    for place, order in enumerate([(evaluated, labels), (labels, evaluated)]):
        compared = folder / f"compared_{place}.html"
        run_compare([*(str(run.path) for run in order), "--html", str(compared)])
        assert "A - B      +0.0 points" in capsys.readouterr().out
        assert compared.read_text().count("data:image/jpeg") == 112  # of whichever run has frames
    with pytest.raises(ConfigError, match="no accuracy at --k 2"):
        run_compare([str(evaluated.path), str(labels.path), "--k", "2"])
    with pytest.raises(ConfigError, match="cannot be fused: it has one class a video"):
        run_fuse([str(evaluated.path), str(labels.path), "--results_dir", str(results)])
    assert metrics_of(labels)["top1"] == labels.metrics["top1"]["value"]
    assert "top5" not in metrics_of(labels)
    assert params_of(labels)["sha256"] == labels.record.identity.sha256
    assert tags_of(labels)["vidbench.signature"] == labels.metrics["signature"]


def test_scored_probabilities_are_fused_with_those_of_a_run(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    table = evaluated.predictions
    order = np.random.default_rng(5).permutation(14)
    names = [table.classes[place] for place in order]
    flat = np.full(table.scores.shape, 1 / 14)
    found = score(write_npz(table, tmp_path / "flat.npz", scores=flat, classes=names))
    assert found.metrics["not_scored"] == "no video has a class that ranks above others"
    out = ["--results_dir", str(tmp_path / "fused"), "--run_name", "both", "--weights", "3", "1"]
    run_fuse([str(evaluated.path), str(found.path), *out])
    fused = FinishedRun(tmp_path / "fused" / "both")
    places = {video: place for place, video in enumerate(table.video_ids.tolist())}
    videos = [places[video] for video in fused.predictions.video_ids.tolist()]
    expected = 0.75 * table.scores[videos] + 0.25 / 14
    np.testing.assert_allclose(fused.predictions.scores, expected, rtol=1e-5)
    assert fused.metrics["top1"] == evaluated.metrics["top1"]
    run_figures([str(fused.path), "--out", str(tmp_path / "figures")])
    assert (tmp_path / "figures" / "accuracy.svg").exists()


def test_names_that_somebody_accepts_are_classes(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    table = evaluated.predictions
    rows = [
        {"video_id": video, "classes": [name.replace(" ", "_") for name in best[:5]]}
        for video, best in rankings(table)
    ]
    path = write_lines(tmp_path / "p.jsonl", rows)
    with pytest.raises(ConfigError, match="--class_aliases FILE accepts other names"):
        score(path)
    aliases = {name: name.replace(" ", "_") for name in table.classes if " " in name}
    (tmp_path / "aliases.json").write_text(json.dumps(aliases))
    found = score(path, "--class_aliases", tmp_path / "aliases.json")
    assert found.metrics["top5"] == evaluated.metrics["top5"]


def test_columns_beside_the_scores_are_left_out(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    table = evaluated.predictions
    frame = pd.DataFrame(table.scores, columns=list(table.classes)).round(4)
    frame.insert(0, "video_id", table.video_ids)
    frame["split"] = "val"
    frame.to_csv(tmp_path / "p.csv", encoding="utf-8-sig")  # with the index of the rows
    found = score(tmp_path / "p.csv")
    assert found.metrics["evidence"] == "probabilities"
    assert found.metrics["top1"] == evaluated.metrics["top1"]
    frame["fold"] = "a"
    frame.to_csv(tmp_path / "p.csv")
    with pytest.raises(ConfigError, match="column 'fold': 'a' is not a number"):
        score(tmp_path / "p.csv")


def test_a_video_written_twice_is_told(
    evaluated: FinishedRun,
    score: Callable[..., FinishedRun],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = evaluated.predictions
    ids, scores = np.append(table.video_ids, "x"), np.append(table.scores, table.scores[:1], 0)
    ids[-1] = ids[0]
    found = score(write_npz(table, tmp_path / "p.npz", ids=ids, scores=scores))
    assert "mean of 1 to 2 rows a video" in found.metrics["signature"]
    assert "does one occur twice?" in caplog.text


def test_answers_without_a_class_are_wrong(
    evaluated: FinishedRun,
    score: Callable[..., FinishedRun],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows: list[dict[str, Any]] = [
        {"video_id": video, "classes": best[:5]} for video, best in rankings(evaluated.predictions)
    ]
    right = evaluated.metrics["top1"]["value"] * 112
    table = evaluated.predictions
    place = int(np.flatnonzero(table.targets == np.array([r["classes"][0] for r in rows]))[0])
    rows[place]["classes"] = []
    metrics = score(write_lines(tmp_path / "p.jsonl", rows)).metrics
    assert metrics["top1"]["value"] == pytest.approx((right - 1) / 112)
    assert metrics["top5"]["value"] is not None
    assert "names no class for 1 videos: they count as wrong" in caplog.text


def test_videos_without_a_row_are_skipped_and_bound_the_accuracy(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    kept = evaluated.predictions.only(range(100))
    found = score(write_npz(kept, tmp_path / "some.npz"))
    metrics = found.metrics
    assert (metrics["requested"], metrics["evaluated"]) == (112, 100)
    assert metrics["skipped"] == {"no_prediction": 12}
    right = round(metrics["top1"]["value"] * 100)
    assert metrics["bounds"]["requested"] == {"low": right / 112, "high": (right + 12) / 112}
    with (found.path / "skipped.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["reason"] for row in rows} == {"no_prediction"}
    assert {row["detail"] for row in rows} == {"some.npz has no row of it"}


def test_a_part_of_the_split_is_asked_for_as_of_a_model(
    evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    path = write_npz(evaluated.predictions, tmp_path / "all.npz")
    found = score(path, "--num_videos", 20, "--seed", 3)
    again = sample_config(tmp_path, num_videos=20, seed=3, no_report=True)
    assert found.metrics["coverage"]["listed"] == 112
    requested = open_dataset(again).fetch(20).records
    assert found.predictions.video_ids.tolist() == [record.video_id for record in requested]
    listed = list_videos(open_dataset(again), 20).records
    assert [r.video_id for r in listed] == [r.video_id for r in requested]
    (tmp_path / "three.txt").write_text("moving up\nmoving down\nbouncing\n")
    found = score(path, "--classes", tmp_path / "three.txt", "--restrict_choices", "--top_n", 2)
    assert found.metrics["requested"] == 24
    assert "3 to choose from" in found.metrics["signature"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["x", "moving up"]], "1 of 1 ids match no video of the dataset, e.g. 'x'"),
        ([["{0}", "moving_up"]], "e.g. 'moving_up' (did you mean 'moving up'?)"),
        ([["{0}", "moving up"], ["{0}", "moving up"]], "1 videos have several rows, e.g. '{0}'"),
        ([["{0}", ""], ["{1}", ""]], "the file names no class for any video"),
        ([["{0}", "3"]], "--classes_file FILE"),
        ([["{0}"]], "line 2 has 1 cells, and the header 2"),
        ([], "there is no row below the header"),
    ],
)
def test_rankings_that_do_not_fit_are_refused(
    evaluated: FinishedRun,
    score: Callable[..., FinishedRun],
    tmp_path: Path,
    rows: list[list[str]],
    message: str,
) -> None:
    ids = evaluated.predictions.video_ids.tolist()
    cells: list[list[object]] = [[cell.format(*ids) for cell in row] for row in rows]
    path = write_table(tmp_path / "p.csv", ["video_id", "pred_1"], cells, ",")
    with pytest.raises(ConfigError) as caught:
        score(path)
    assert message.format(*ids) in str(caught.value)
    assert not (tmp_path / "results").exists()


def change(scores: NDArray[np.float32], place: tuple[int, int], value: float) -> NDArray[Any]:
    changed = scores.astype(np.float64)
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (lambda s: {"scores": change(s, (3, 1), np.nan)}, [], "1 of 112 rows have scores that are"),
        (lambda s: {"scores": change(s, (3, 1), np.inf)}, [], "not finite, e.g. that of"),
        (lambda s: {"scores": s * 3}, ["--scores_are", "probabilities"], "sums up to 3,"),
        (lambda s: {"scores": s}, ["--scores_are", "logits"], "are probabilities already"),
        (lambda s: {"scores": s[:5]}, [], "scores are (5, 14), for 112 ids"),
        (lambda s: {"scores": s[:, :5]}, [], "scores are (112, 5), but there are 14 classes"),
        (lambda s: {"scores": s.astype(str)}, [], "scores must be numbers"),
        (lambda s: {"ids": np.array(["x"] * len(s), object)}, [], "np.array(names, dtype=str)"),
        (lambda s: {"classes": ["a"] * 14}, [], "'a' twice"),
        (lambda s: {"ids": None}, [], "must have the arrays ids (or paths) and scores"),
        (lambda _: {}, ["--scores_are", "odds"], "--scores_are 'odds' is unknown"),
        (lambda _: {}, ["--pool", "sum"], "--pool 'sum' is unknown"),
        (lambda _: {}, ["--model_type", "i3d"], "option '--model_type' is unknown"),
        (lambda _: {}, ["--split", "train"], "has no split 'train'"),
        (lambda _: {}, ["--top_n", "15"], "--top_n is 15, but there are only 14 classes"),
    ],
)
def test_scores_that_do_not_fit_are_refused(
    evaluated: FinishedRun,
    score: Callable[..., FinishedRun],
    tmp_path: Path,
    arrays: Callable[[NDArray[np.float32]], dict[str, Any]],
    options: list[str],
    message: str,
) -> None:
    table = evaluated.predictions
    path = write_npz(table, tmp_path / "p.npz", **arrays(table.scores))
    with pytest.raises(ConfigError) as caught:
        score(path, *options)
    assert message in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_the_command_says_what_it_read_and_that_vidbench_did_not_run_the_model(
    evaluated: FinishedRun, run_cli: RunCli, tmp_path: Path
) -> None:
    write_npz(evaluated.predictions, tmp_path / "p.npz")
    (tmp_path / "p.pkl").write_bytes(b"")
    refused = run_cli("score", "p.pkl", "--dataset", "sample")
    assert refused.returncode == 2
    assert "p.pkl is not read, because unpickling runs code in the file" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    given = ("score", "p.npz", "--dataset", "sample", "--model_name", "my net", "--json")
    done = run_cli(*given)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["signature"].startswith("my net, not run by vidbench: p.npz ")
    assert "p.npz: predictions of 112 of 112 videos among 14 classes, read as" in done.stderr
    assert metrics["folder"].startswith("results/my-net_sample-val_112_")
    assert json.loads(run_cli(*given).stdout) == metrics
    assert not list((tmp_path / "data").glob("**/*.mp4"))


def test_kinetics_needs_its_annotations_alone(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (mirror / "400" / "annotations" / "val.csv").open() as file:
        listed = list(csv.DictReader(file))
    rows: list[list[object]] = [
        [f"{r['youtube_id']}_{int(r['time_start']):06}_{int(r['time_end']):06}.mp4", r["label"]]
        for r in listed[1:]
    ]
    path = write_table(tmp_path / "p.csv", ["path", "pred_1"], rows, ",")
    place = ["--dataset_path", str(mirror), "--run_name", "k", "--no_report"]
    run_score([str(path), "--dataset", "kinetics/400", *place])
    metrics = FinishedRun(tmp_path / "results" / "k").metrics
    assert metrics["coverage"]["listed"] == metrics["requested"] == len(listed)
    assert (metrics["top1"]["value"], metrics["evaluated"]) == (1, len(listed) - 1)
    assert not list(tmp_path.glob("data/**/*.mp4"))


def test_a_list_that_is_named_claims_no_folder(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_table(
        tmp_path / "p.csv", ["path", "pred_1"], [["/x/Tw2yXa6CzWE.mp4", "spinning poi"]], ","
    )
    annotations = tmp_path / "val.csv"
    annotations.write_text(
        "label,youtube_id,time_start,time_end,split\nspinning poi,Tw2yXa6CzWE,3,13,val\n"
    )
    given = [str(path), "--dataset", "kinetics/400", "--annotations", str(annotations)]
    run_score([*given, "--run_name", "one", "--no_report"])
    metrics = FinishedRun(tmp_path / "results" / "one").metrics
    assert (metrics["top1"]["value"], metrics["requested"]) == (1, 1)
    run_score([*given, "--run_name", "two", "--no_report", "--dataset_path", str(mirror)])


FOLDERS = ["a/x.mp4", "b/x.mp4", "b/y.mp4", "c/d/x.mp4"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/elsewhere/a/x.mp4", "a/x.mp4"),
        ("b/x.mkv", "b/x.mp4"),
        ("C:\\data\\b\\x.mp4", "b/x.mp4"),
        ("/z/y.mp4", "b/y.mp4"),
        ("/z/d/x", "c/d/x.mp4"),
        ("/z/x.mp4", "1 of 1 paths match several videos, e.g. '/z/x.mp4'"),
        ("/z/w.mp4", "1 of 1 paths match no video of the dataset, e.g. '/z/w.mp4'"),
    ],
)
def test_of_videos_of_one_name_the_folders_tell_which_is_meant(path: str, found: str) -> None:
    records = [VideoRecord(name, Path(name), "yoga") for name in FOLDERS]
    answers = Answers([path], by_path=True, rankings=[("yoga",)])
    if found in FOLDERS:
        assert match_rows(answers, records, Path("videos")).tolist() == [FOLDERS.index(found)]
    else:
        with pytest.raises(ConfigError, match=re.escape(found)):
            match_rows(answers, records, Path("videos"))


def test_a_path_may_name_the_source_of_one_video_alone() -> None:
    records = [VideoRecord(name, None, None, name[:3]) for name in ("abc_1", "abc_2", "def_1")]
    for path, places in (("x/def.mp4", [2]), ("x/abc_2.mp4", [1]), ("x/abc.mp4", None)):
        answers = Answers([path], by_path=True, rankings=[("yoga",)])
        if places is not None:
            assert match_rows(answers, records, Path()).tolist() == places
            continue
        with pytest.raises(ConfigError, match="match several videos"):
            match_rows(answers, records, Path())


@pytest.mark.parametrize("text", ["{}", "{}.0"])
def test_indices_may_come_from_a_column_with_gaps(
    text: str, evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    """pandas 2.3.3 writes whole numbers as 3.0 where a cell of the column is empty."""
    table = evaluated.predictions
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in table.classes))
    best = [[table.classes.index(name) for name in row[:5]] for _, row in rankings(table)]
    named = zip(table.video_ids.tolist(), best, strict=True)
    header = ["video_id", *(f"pred_{k}" for k in range(1, 6))]
    rows: list[list[object]] = [[video, *map(text.format, row)] for video, row in named]
    files = [
        write_table(tmp_path / "p.csv", header, rows, ","),
        write_lines(
            tmp_path / "p.jsonl",
            [
                {"video_id": row[0], "classes": [json.loads(str(n)) for n in row[1:]]}
                for row in rows
            ],
        ),
    ]
    for path in files:
        found = score(path, "--classes_file", tmp_path / "classes.txt").metrics
        assert found["top5"]["value"] == evaluated.metrics["top5"]["value"]


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("p.csv", "video_id,pred_0,pred_1\na,x,y\n", (), "has a column pred_0: the best class"),
        ("p.csv", "video_id,prediction\na,yoga\n", (), "a ranking is in pred_1, pred_2 and so on"),
        ("p.csv", "video_id,pred_1\na,-1\n", (), "'a'"),
        ("p.jsonl", '{"video_id": 1.0, "classes": ["x"]}', (), "video_id is 1.0, neither a string"),
        ("p.jsonl", '{"video_id": "{0}", "classes": [0.5]}', (), "0.5 is neither a class nor its"),
        ("p.jsonl", '{"video_id": "{0}", "classes": [NaN]}', (), "nan is neither a class nor its"),
        ("p.csv", "video_id,pred_1\n{0},yoga\n", ("--scores_are", "logits"), "has no scores: omit"),
    ],
)
def test_files_of_other_forms_are_told(
    name: str,
    content: str,
    options: tuple[str, ...],
    message: str,
    evaluated: FinishedRun,
    score: Callable[..., FinishedRun],
    tmp_path: Path,
) -> None:
    path = tmp_path / name
    path.write_text(content.replace("{0}", str(evaluated.predictions.video_ids[0])))
    with pytest.raises(ConfigError, match=re.escape(message)):
        score(path, *options)


@pytest.mark.parametrize("listed", [13, 15])
def test_a_class_list_has_as_many_names_as_there_are_scores(
    listed: int, evaluated: FinishedRun, score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    path = write_npz(evaluated.predictions, tmp_path / "p.npz", classes=None)
    names = [*evaluated.predictions.classes, "other"][:listed]
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    said = f"14 scores per video without class names, and --classes_file lists {listed} classes"
    with pytest.raises(ConfigError, match=said):
        score(path, "--classes_file", tmp_path / "classes.txt")


def test_an_archive_without_the_arrays_is_told_with_all_that_it_has(
    score: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    np.savez(tmp_path / "p.npz", video_ids=["a"], predictions=np.ones((1, 2)))
    with pytest.raises(ConfigError, match="it has predictions, video_ids"):
        score(tmp_path / "p.npz")


def test_videos_of_a_list_need_not_be_there(tmp_path: Path) -> None:
    rows: list[list[object]] = [[f"a/{i}.mp4", "ab"[i % 2]] for i in range(6)]
    manifest = write_table(tmp_path / "list.csv", ["path", "label"], rows, ",")
    lines = [{"path": path, "classes": ["a", "b"]} for path, _ in rows]
    path = write_lines(tmp_path / "p.jsonl", lines)
    given = ["--dataset", "manifest", "--dataset_path", str(manifest), "--run_name", "m"]
    run_score([str(path), *given, "--results_dir", str(tmp_path), "--top_n", "2"])
    metrics = FinishedRun(tmp_path / "m").metrics
    assert (metrics["top1"]["value"], metrics["top2"]["value"]) == (0.5, 1)
