"""The contract of models, held by those that lie in a file with a TOML beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.contracts import BuildModel, ModelContract
from tests.helpers.model_files import FAMILIES, FRAMES, SIZE, Files, describe, files
from vidbench.models.base import load_model

__all__ = ["files"]


class TestFiles(ModelContract):
    @pytest.fixture(params=["net.keras", "net.h5", "net.tflite", "weights8.tflite", "net.onnx"])
    def weights(self, files: Files, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        path = tmp_path / str(request.param)
        shutil.copy(files.folder / path.name, path)
        protocol = f"[protocol]\nnum_frames = {FRAMES}\ncrop_size = {SIZE}\n"
        describe(path, f'output = "logits"\n{protocol}')
        return path

    @pytest.fixture
    def build(self, weights: Path) -> BuildModel:
        family = FAMILIES[weights.suffix]
        return lambda path: load_model(family, model_path=str(path.with_suffix(weights.suffix)))
