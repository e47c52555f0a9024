"""`vidbench report`: a finished run scored again, without its model and its videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import RunCli
from tests.helpers.evaluating import sample_config
from vidbench.cli.commands.report import run as report
from vidbench.evaluate import evaluate


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the sample with two views; nothing else is left of it."""
    home = tmp_path_factory.mktemp("home")
    config = sample_config(home, sampling="dense", num_clips=2, frame_stride=2)
    folder = shutil.copytree(evaluate(config).folder, tmp_path_factory.mktemp("moved") / "run")
    shutil.rmtree(home)
    return folder


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_everything_is_made_again_byte_by_byte(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report([str(finished)])  # the page says the folder's name, which is another by now
    capsys.readouterr()
    before = tables(finished)
    for name in before.keys() - {"run.json", "scores.npz", "metrics.json", "thumbnails.zip"}:
        (finished / name).unlink()
    report([str(finished)])
    assert tables(finished) == before
    shown = capsys.readouterr().out
    metrics = json.loads(before["metrics.json"])
    assert metrics["signature"] in shown
    assert "1x1 of 2x1" in shown
    assert metrics["views"] == "2x1"


def test_another_k_is_one_more_accuracy(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(finished, tmp_path / "run")
    report([str(copy), "--top_n", "3", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((copy / "metrics.json").read_text())
    assert [name for name in printed if name.startswith("top")] == ["top1", "top3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not a run folder"),
        (["run", "--top_n", "0"], "must be 1 or more"),
        (["run", "--top_n", "99"], "only 14 classes"),
        ([], "required"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    finished: Path, run_cli: RunCli, tmp_path: Path, arguments: list[str], message: str
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    before = tables(tmp_path / "run")
    done = run_cli("report", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert tables(tmp_path / "run") == before


def test_an_unfinished_run_is_refused(finished: Path, run_cli: RunCli, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "scores.npz").unlink()
    done = run_cli("report", "run")
    assert done.returncode == 2
    assert "unfinished" in done.stderr
