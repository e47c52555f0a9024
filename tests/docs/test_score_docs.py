"""The code of docs/score.md, run on files made as the other programs make them."""

from __future__ import annotations

import contextlib
import pickle
import re
import shlex
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.checkpoints import save_checkpoint
from tests.helpers.paths import REPOSITORY, SAMPLE
from vidbench.cli.commands.score import run as run_score
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions

PAGE = (REPOSITORY / "docs" / "score.md").read_text()


def blocks(heading: str) -> tuple[str, list[str]]:
    """The Python code below a heading, and the options of the command below it."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"```sh\nvidbench score (.*?)\n```", text, re.DOTALL)
    return code, shlex.split(command)


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Four videos of two classes of the sample in ``videos/CLASS``, in the current folder."""
    monkeypatch.chdir(tmp_path)
    lines = (SAMPLE / "annotations" / "val.csv").read_text().splitlines()[1:]
    labels = {line.split(",")[1]: line.split(",")[0] for line in lines}
    found: dict[str, list[Path]] = {"moving up": [], "moving down": []}
    with tarfile.open(SAMPLE / "val" / "part_0.tar.gz") as tar:
        for member in sorted(tar.getmembers(), key=lambda each: each.name):
            label = labels[Path(member.name).name[:11]]
            if label in found and len(found[label]) < 2:
                path = Path("videos", label, Path(member.name).name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.closing(tar.extractfile(member)) as file, path.open("wb") as copy:  # type: ignore[type-var]
                    shutil.copyfileobj(file, copy)  # type: ignore[arg-type]
                found[label].append(path)
    return [path for paths in found.values() for path in paths]


def run_code(code: str, names: dict[str, Any]) -> None:
    exec(code, names)  # noqa: S102 - the page's own


def scored(*options: str) -> FinishedRun:
    run_score([*options, "--run_name", "found", "--no_report", "--top_n", "1"])
    return FinishedRun(Path("results", "found"))


def by_path(table: Predictions) -> dict[str, np.ndarray]:
    return dict(zip(table.paths.tolist(), table.scores, strict=True))


def check(options: list[str], paths: list[str], scores: np.ndarray) -> None:
    """The command of the page, but of the videos here, finds these probabilities."""
    Path("classes.txt").write_text("moving down\nmoving up\n")
    name = options[options.index("--model_name") + 1]
    where = ["--dataset", "folder", "--dataset_path", "videos", "--classes_file", "classes.txt"]
    found = scored(options[0], "--model_name", name, *where)
    assert found.metrics["evidence"] == "probabilities"
    assert found.metrics["signature"].startswith(f"{name}, not run by vidbench: {options[0]} ")
    known = by_path(found.predictions)
    for path, row in zip(paths, scores, strict=True):
        np.testing.assert_allclose(known[path.removeprefix("videos/")], row, rtol=1e-5)


def test_mmaction2(videos: list[Path]) -> None:
    torch = pytest.importorskip("torch")
    code, options = blocks("mmaction2")
    scores = torch.rand(4, 2).softmax(dim=1)
    results: list[dict[str, Any]] = [  # as DumpResults has them of ActionDataSample.to_dict()
        {
            "pred_score": row,
            "pred_label": row.argmax()[None],
            "gt_label": torch.tensor([0]),
            "num_classes": 2,
            "img_shape": (224, 224),
        }
        for row in scores
    ]
    Path("results.pkl").write_bytes(pickle.dumps(results))
    Path("val_list.txt").write_text("".join(f"val/{path.name} 0\n" for path in videos))
    run_code(code, {})
    check(options, [path.as_posix() for path in videos], scores.numpy())


def test_slowfast(videos: list[Path]) -> None:
    torch = pytest.importorskip("torch")
    code, options = blocks("SlowFast")
    views = torch.rand(30, 4, 2).softmax(dim=2)
    Path("results.pkl").write_bytes(pickle.dumps([views.sum(dim=0), torch.zeros(4).long()]))
    Path("test.csv").write_text("".join(f"/data/{path.name} 0\n" for path in videos))
    run_code(code, {})
    check(options, [path.as_posix() for path in videos], views.mean(dim=0).numpy())


def test_transformers(videos: list[Path]) -> None:
    pytest.importorskip("transformers")
    code, options = blocks("A pipeline of transformers")
    model = save_checkpoint(Path("model"), "VideoMAE", ("moving down", "moving up"))
    named = re.sub(r'model="[^"]*"', f'model="{model.as_posix()}"', code)
    assert named != code
    run_code(named, {})
    found = scored(*options)
    assert found.metrics["evaluated"] == len(videos)
    assert found.metrics["evidence"] == "probabilities"
    assert found.predictions.classes == ("moving down", "moving up")


def test_pytorch(videos: list[Path]) -> None:
    torch = pytest.importorskip("torch")
    code, options = blocks("PyTorch")
    model = torch.nn.Linear(3, 2)
    ids = [path.as_posix().removeprefix("videos/") for path in videos]
    clips = torch.rand(2, 4, 3)  # two clips of each video
    loader = [(of_all, list(ids)) for of_all in clips]
    run_code(code, {"model": model, "loader": loader, "classes": ["moving down", "moving up"]})
    found = scored(*options)
    expected = model(clips).softmax(dim=2).mean(dim=0).detach().numpy()
    known = dict(zip(found.predictions.video_ids.tolist(), found.predictions.scores, strict=True))
    np.testing.assert_allclose([known[video] for video in ids], expected, rtol=1e-5)
    assert "mean of 2 rows a video" in found.metrics["signature"]


@pytest.mark.parametrize(
    "heading", ["mmaction2", "SlowFast", "A pipeline of transformers", "PyTorch"]
)
def test_each_takes_about_ten_lines(heading: str) -> None:
    code, _ = blocks(heading)
    assert len([line for line in code.splitlines() if line]) <= 11
