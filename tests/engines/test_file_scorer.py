"""A module of yours that reads video files itself, through the whole of an evaluation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.evaluating import read_csv
from tests.helpers.paths import SAMPLE
from vidbench.config.run_config import RunConfig
from vidbench.errors import ConfigError, ModelError
from vidbench.evaluate import evaluate

CLASSES = tuple((SAMPLE / "classes.txt").read_text().split("\n")[:-1])

MODULE = """
from collections.abc import Sequence
from pathlib import Path

from vidbench.data.records import Skip
from vidbench.models.base import Answer, ModelFamily

FAMILY = ModelFamily(
    name="mine.judge", input="files", evidence="{evidence}", options=frozenset({{"model_path"}})
)
CLASSES = {classes!r}
SHORT = 3000


def load(variant: str, *, model_path: str) -> "Model":
    return Model(model_path)


class Model:
    name, trained_on, classes = "mine.judge", None, CLASSES

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        Path(self.path).read_text()

    def digest(self) -> str:
        return Path(self.path).read_text()

    def load(self) -> "Model":
        return self

    def judge(self, files: Sequence[Path], seconds: float) -> list[Answer | Skip]:
        assert seconds == 7
        assert all(file.is_absolute() and file.is_file() for file in files)
        with open(self.path + ".calls", "a") as calls:
            calls.write(f"{{len(files)}}\\n")
        return [self._judge(file.stat().st_size) for file in files]

    def _judge(self, size: int) -> Answer | Skip:
        if size < SHORT:
            return Skip("failed", "too small to see anything")
        first = size % len(CLASSES)
        return Answer(CLASSES[first:] + CLASSES[:first])
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "weights").write_text("0123456789abcdef")
    monkeypatch.syspath_prepend(tmp_path)

    def evaluated(evidence: str = "ranking", **options: Any) -> Any:
        code = MODULE.format(classes=CLASSES, evidence=evidence)
        (tmp_path / "mine" / "judge.py").write_text(code)
        values: dict[str, Any] = {
            "model_type": "mine.judge",
            "model_path": str(tmp_path / "weights"),
            "dataset": "sample",
            "num_videos": 12,
            "decode_timeout": 7,
            "data_dir": tmp_path / "data",
            "cache_dir": tmp_path / "cache",
            "results_dir": tmp_path / "results",
            "no_report": True,
        }
        return evaluate(RunConfig(**(values | options)))

    yield evaluated
    for name in ("mine.judge", "mine"):
        sys.modules.pop(name, None)


def test_batches_are_judged_whole_and_skips_are_kept(run: Any, tmp_path: Path) -> None:
    done = run(batch_size=5)
    assert (tmp_path / "weights.calls").read_text() == "5\n5\n2\n"
    rows = read_csv(done.folder / "skipped.csv")
    small = [p for p in (tmp_path / "data").rglob("*.mp4") if p.stat().st_size < 3000]
    assert {row["detail"] for row in rows} <= {"too small to see anything"}
    assert len(rows) <= len(small)
    assert done.metrics["evaluated"] + len(rows) == 12
    assert done.metrics["evidence"] == "ranking"
    assert run(batch_size=5).metrics == done.metrics
    assert (tmp_path / "weights.calls").read_text() == "5\n5\n2\n"


def test_a_family_that_declares_probabilities_has_to_give_them(run: Any) -> None:
    with pytest.raises(ModelError, match=r"declares probabilities, and it scored 0 of 14 classes"):
        run(evidence="probabilities")


def test_folders_of_frames_are_refused(run: Any, tmp_path: Path) -> None:
    frames = tmp_path / "videos" / "growing" / "a"
    frames.mkdir(parents=True)
    for place in range(3):
        (frames / f"{place:05d}.jpg").write_bytes(b"x")
    with pytest.raises(
        ConfigError, match=r"has folders of frames.*convert each of them to a video$"
    ):
        run(dataset="folder", dataset_path=str(tmp_path / "videos"), top_n=1)


def test_options_of_pixels_are_refused_for_modules_of_yours_too(run: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--crop_size does not apply to --model_type mine"):
        run(crop_size=224)
    assert not (tmp_path / "data").exists()
