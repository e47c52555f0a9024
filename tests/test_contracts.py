"""The contracts, held by what has been here from the beginning."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.command import RunCli
from tests.helpers.contracts import BuildDataset, BuildModel, DatasetContract, ModelContract
from tests.helpers.paths import SAMPLE
from vidbench.data.datasets.base import dataset_entries, dataset_families, load_dataset
from vidbench.data.records import Views
from vidbench.models.base import load_model, model_entries, model_families


class TestSavedModel(ModelContract):
    @pytest.fixture
    def build(self) -> BuildModel:
        return lambda path: load_model("saved_model", model_path=str(path))

    @pytest.fixture
    def weights(self) -> Path:
        return SAMPLE / "model"


class TestI3D(ModelContract):
    half_tolerance = 0.3  # a random network of this depth makes much of little in noise

    @pytest.fixture
    def build(self) -> BuildModel:
        return lambda path: load_model("i3d/kinetics-400", model_path=str(path))

    @pytest.fixture
    def weights(self, i3d_path: Path) -> Path:
        return i3d_path

    @pytest.fixture
    def clips(self) -> Views:
        """Of fewer frames than the 100 of its own protocol, which take a second a clip."""
        return np.random.default_rng(0).integers(0, 256, (3, 16, 224, 224, 3), np.uint8)


class TestSample(DatasetContract):
    @pytest.fixture
    def build(self) -> BuildDataset:
        return partial(load_dataset, "sample")


class TestKinetics(DatasetContract):
    @pytest.fixture
    def build(self, mirror: Path) -> BuildDataset:
        return lambda **options: load_dataset(
            "kinetics/400", **{"root_url": str(mirror), **options}
        )


_EXTRAS = (
    *("tensorflow", "tensorflow_hub", "keras", "tf_keras", "kagglehub", "mlflow"),
    *("torch", "transformers", "huggingface_hub", "onnxruntime", "pyarrow"),
)


@pytest.mark.parametrize("command", ["models", "datasets"])
def test_what_there_is_is_listed_where_no_library_is_installed(command: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({_EXTRAS}))\n"  # an import of None fails
        f"sys.exit(__import__('vidbench.cli.main').cli.main([{command!r}, '--json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cards = model_entries() if command == "models" else dataset_entries()
    assert [row["name"] for row in json.loads(done.stdout)] == [card.name for card in cards]


@pytest.mark.parametrize("command", ["models", "datasets"])
def test_the_list_fits_80_columns_and_a_name_shows_every_detail(
    command: str, run_cli: RunCli
) -> None:
    listed = run_cli(command).stdout.splitlines()
    assert max(map(len, listed)) <= 80
    name, source = {
        "models": ("i3d/kinetics-400", "TF Hub, Kaggle"),
        "datasets": ("kinetics/400", "s3.amazonaws.com/kinetics"),
    }[command]
    assert any(line.startswith(f"{name} ") for line in listed)
    alone, family = run_cli(command, name).stdout, run_cli(command, name.partition("/")[0]).stdout
    assert source in alone
    assert alone.strip() in family
    assert family.count(f"{command[:-1]} ") > 1
    wrong = run_cli(command, name.replace("i", "o"))
    assert wrong.returncode == 2
    assert f"did you mean {name}?" in wrong.stderr


def test_every_family_has_a_card() -> None:
    for cards, families in (
        (model_entries(), model_families()),
        (dataset_entries(), dataset_families()),
    ):
        names = [card.name for card in cards]
        assert {name.partition("/")[0] for name in names} == set(families)
        assert len(set(names)) == len(names)
