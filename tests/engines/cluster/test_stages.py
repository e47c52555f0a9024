"""The stages that Ray maps over shards, called one after another: what one machine gives."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.paths import SAMPLE
from tests.helpers.zero_shot_models import save_model
from vidbench.config.opening import open_dataset
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import load_dataset
from vidbench.engines.cluster.shards import cut_shards, take_outcomes
from vidbench.engines.cluster.stages import Decoder, Predictor
from vidbench.engines.open_scorer import WorkerSetup, check_model
from vidbench.engines.scoring import unfinished_batches
from vidbench.errors import ConfigError
from vidbench.evaluate import evaluate
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions

SAVED_MODEL: dict[str, Any] = {"model_type": "saved_model", "model_path": str(SAMPLE / "model")}
WAYS: dict[str, Mapping[str, Any]] = {
    "one view": {**SAVED_MODEL, "num_frames": 16},
    "fewer views beside": {
        **SAVED_MODEL,
        **{"num_frames": 8, "sampling": "dense", "num_clips": 2, "num_crops": 3, "short_side": 224},
        **{"resize_type": "short_side", "crop_size": 224},
    },
    "embeddings": {"model_type": "clip"},
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of the sample, of which one is empty and one is cut short."""
    folder = tmp_path_factory.mktemp("data")
    dataset = load_dataset("sample", data_dir=folder)
    records = dataset.fetch(30).records
    empty, cut = (folder / str(records[row].path) for row in (4, 17))
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-200])
    return folder


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("transformers", reason="needs the extra torch")
    return str(save_model(tmp_path_factory.mktemp("models") / "clip", "clip"))


@pytest.mark.parametrize("way", WAYS)
def test_shards_in_any_order_give_what_one_machine_gives(
    way: str, data_dir: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    options: dict[str, Any] = {"num_videos": 24, "top_n": 2, "batch_size": 5, **WAYS[way]}
    if way == "embeddings":
        classes = tmp_path / "classes.txt"
        classes.write_text("growing\nshrinking\nturning clockwise\n")
        options |= {"prompts": classes, "model_path": request.getfixturevalue("clip_path")}
    config = RunConfig(
        dataset="sample",
        data_dir=data_dir,
        cache_dir=tmp_path / "cache",
        results_dir=tmp_path / "results",
        no_report=True,
        truncated="score",
        **options,
    )
    expected = FinishedRun(evaluate(config).folder).predictions
    found = by_shards(replace(config, cache_dir=tmp_path / "another"))
    assert not expected.scored.all()
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert found.fewer_views.keys() == expected.fewer_views.keys()
    for name, scores in expected.fewer_views.items():
        assert np.asarray(found.fewer_views[name]).tobytes() == np.asarray(scores).tobytes()
    assert found.reasons.tolist() == expected.reasons.tolist()
    assert found.details.tolist() == expected.details.tolist()


def by_shards(config: RunConfig) -> Predictions:
    job, records = job_of(config)
    scorer = job.open_scorer()
    table = Predictions.pending(records, job.classes, {}, scorer.fewer_views, scorer.evidence)
    batches = unfinished_batches(table, records, lambda *_: True, config.batch_size or 1)
    shards = cut_shards(batches, records, num_models=1)
    assert len(shards) > 2
    decode, predict = Decoder(job), Predictor(job)
    for shard in shards[1::2] + shards[::2]:
        take_outcomes(table, shard.rows, predict(decode(shard.dump())))
    return table


def job_of(config: RunConfig, **changed: Any) -> tuple[WorkerSetup, Any]:
    checked = check_model(config)
    known: dict[str, Any] = {
        "config": config,
        "own_hashes": False,
        "weights": checked.model.digest(),
        "classes": checked.model.classes,
        "threads": None,  # tests of this process may have chosen
        "open": checked.open_worker,
    }
    records = open_dataset(config).fetch(config.num_videos).records
    return pickle.loads(pickle.dumps(WorkerSetup(**(known | changed)))), records  # noqa: S301 - own


def test_a_node_with_other_weights_is_refused(data_dir: Path, tmp_path: Path) -> None:
    config = RunConfig(
        dataset="sample",
        data_dir=data_dir,
        cache_dir=tmp_path / "cache",
        num_videos=3,
        num_frames=16,
        **SAVED_MODEL,
    )
    job, records = job_of(config, weights="0" * 16)
    (shard,) = cut_shards([range(3)], records)
    row = Decoder(job)(shard.dump())
    with pytest.raises(ConfigError, match="has other weights"):
        Predictor(job)(row)
