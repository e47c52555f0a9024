"""The contract of models, held by those that run in PyTorch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.helpers.checkpoints import ARCHITECTURES, save_checkpoint
from tests.helpers.contracts import BuildModel, ModelContract
from tests.helpers.zero_shot_models import save_model
from vidbench.models.base import load_model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def checkpoint(root: Path, request: pytest.FixtureRequest) -> Path:
    return save_checkpoint(root / request.param, request.param)


class TestHuggingFace(ModelContract):
    @pytest.fixture
    def build(self) -> BuildModel:
        return lambda path: load_model("huggingface", model_path=str(path))

    @pytest.fixture
    def weights(self, checkpoint: Path) -> Path:
        return checkpoint


@pytest.fixture(scope="module", params=["clip", "siglip", "xclip"])
def zero_shot(root: Path, request: pytest.FixtureRequest) -> Path:
    return save_model(root / request.param, request.param)


class TestZeroShot(ModelContract):
    @pytest.fixture
    def build(self, zero_shot: Path, tmp_path: Path) -> BuildModel:
        (tmp_path / "prompts.txt").write_text("archery\nbowling\nswimming\n")
        family = "xclip" if zero_shot.name == "xclip" else "clip"
        load = partial(load_model, family, prompts=tmp_path / "prompts.txt")
        return lambda path: load(model_path=str(path))

    @pytest.fixture
    def weights(self, zero_shot: Path) -> Path:
        return zero_shot
