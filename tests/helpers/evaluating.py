"""Evaluations of the sample, and what they write."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tests.helpers.paths import SAMPLE
from vidbench import RunConfig

SAMPLE_RUN = (
    *("--model_type", "saved_model", "--model_path", str(SAMPLE / "model")),
    *("--dataset", "sample", "--num_frames", "16"),
)


def read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def only_run(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "results").iterdir()
    return folder


def outcome(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "predictions.csv").read_bytes(), (folder / "metrics.json").read_bytes()


def sample_config(tmp_path: Path, **options: Any) -> RunConfig:
    values: dict[str, Any] = {
        "model_type": "saved_model",
        "model_path": str(SAMPLE / "model"),
        "dataset": "sample",
        "num_frames": 16,
        "num_videos": 12,
        "num_workers": 2,
        "data_dir": tmp_path / "data/raw",
        "cache_dir": tmp_path / "data/processed",
        "results_dir": tmp_path / "results",
    }
    return RunConfig(**{**values, **options})
