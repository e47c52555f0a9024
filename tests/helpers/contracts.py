"""What every model and every dataset must hold, whoever wrote it.

A family's tests inherit from one of these classes and say how one of theirs is made.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from vidbench.data.datasets.base import Dataset, dataset_entries, list_videos
from vidbench.data.records import VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError, VidbenchError
from vidbench.models.base import Model, model_entries
from vidbench.storage.video_files import is_media
from vidbench.system.runtime import Runtime

BuildModel = Callable[[Path], Model]
"""Makes the model whose weights lie at a path."""

BuildDataset = Callable[..., Dataset]
"""Makes the dataset; takes ``data_dir``, ``root_url`` and ``seed``."""


class ModelContract:
    """Of models; ``build`` and ``weights`` are a family's own fixtures."""

    tolerance = 1e-5
    """How far a clip's scores may depend on what else is in its batch."""

    half_tolerance = 0.1
    """How far scores in bfloat16 may be from exact ones."""

    @pytest.fixture
    def build(self) -> BuildModel:
        raise NotImplementedError

    @pytest.fixture
    def weights(self) -> Path:
        raise NotImplementedError

    @pytest.fixture
    def model(self, build: BuildModel, weights: Path) -> Model:
        return build(weights)

    @pytest.fixture
    def clips(self, model: Model) -> Views:
        shape = (3, model.spec.num_frames, model.spec.crop_size, model.spec.crop_size, 3)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def test_constructing_reads_nothing(self, build: BuildModel, tmp_path: Path) -> None:
        model = build(tmp_path / "nowhere")
        with pytest.raises((ConfigError, ModelError)):
            model.check(PreprocessSpec(num_frames=16))

    def test_it_is_listed_under_its_name(self, model: Model) -> None:
        names = [card.name for card in model_entries()]
        assert model.name in names or model.name.partition("/")[0] in names

    def test_its_classes_are_unique(self, model: Model) -> None:
        assert len(set(model.classes)) == len(model.classes) > 1

    def test_its_own_protocol_fits(self, model: Model) -> None:
        model.check(model.spec)

    def test_its_digest_is_that_of_its_content(
        self, build: BuildModel, weights: Path, tmp_path: Path
    ) -> None:
        copy = tmp_path / "elsewhere" / weights.name
        copy.parent.mkdir()
        (shutil.copytree if weights.is_dir() else shutil.copy)(weights, copy)
        for beside in weights.parent.glob(f"{weights.name}.*"):
            shutil.copy(beside, copy.parent)
        assert re.fullmatch("[0-9a-f]{16}", build(weights).digest())
        assert build(copy).digest() == build(weights).digest()

    def test_it_is_loaded_with_one_value(self, model: Model) -> None:
        (asked,) = signature(model.load).parameters.values()
        assert asked.default == Runtime()

    def test_it_gives_probabilities(self, model: Model, clips: Views) -> None:
        model.check(model.spec)
        scores = model.load(Runtime(device="cpu")).predict(clips)
        assert scores.shape == (len(clips), len(model.classes))
        assert scores.dtype == np.float32
        assert scores.min() >= 0
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-4)

    def test_a_clip_has_the_same_scores_alone(self, model: Model, clips: Views) -> None:
        classifier = model.load(Runtime(device="cpu"))
        together = classifier.predict(clips)
        alone = np.concatenate([classifier.predict(clips[i : i + 1]) for i in range(len(clips))])
        np.testing.assert_allclose(alone, together, atol=self.tolerance)
        np.testing.assert_array_equal(classifier.predict(clips), together)

    def test_clips_of_other_content_have_other_scores(self, model: Model, clips: Views) -> None:
        scores = model.load(Runtime(device="cpu")).predict(clips)
        assert not np.array_equal(scores[0], scores[1])

    def test_a_device_that_is_not_there_is_refused(self, model: Model) -> None:
        with pytest.raises(ModelError, match="cuda:7"):
            model.load(Runtime(device="cuda:7"))

    def test_another_precision_works_or_is_refused(self, model: Model, clips: Views) -> None:
        exact = model.load(Runtime(device="cpu")).predict(clips)
        try:
            half = model.load(Runtime(device="cpu", precision="bf16")).predict(clips)
        except (ConfigError, ModelError) as error:
            assert "bf16" in str(error)  # noqa: PT017 - either outcome is right
        else:
            np.testing.assert_allclose(half, exact, atol=self.half_tolerance)


class DatasetContract:
    """Of datasets with at least four videos; ``build`` is a family's own fixture."""

    @pytest.fixture
    def build(self) -> BuildDataset:
        raise NotImplementedError

    def test_constructing_reads_nothing(self, build: BuildDataset, tmp_path: Path) -> None:
        nowhere = str(tmp_path / "nowhere")
        dataset = build(data_dir=tmp_path / "data", root_url=nowhere)
        assert not (tmp_path / "data").exists()
        with pytest.raises(VidbenchError):
            dataset.fetch()

    def test_it_is_listed_under_its_name(self, build: BuildDataset, tmp_path: Path) -> None:
        family = re.split("[-/]", build(data_dir=tmp_path).name)[0]
        assert family in {card.name.partition("/")[0] for card in dataset_entries()}

    def test_videos_come_in_the_same_order(self, build: BuildDataset, tmp_path: Path) -> None:
        first, again = (build(data_dir=tmp_path).fetch() for _ in range(2))
        assert first == again
        assert len(first.records) >= 4

    def test_records_agree_with_files_and_classes(
        self, build: BuildDataset, tmp_path: Path
    ) -> None:
        dataset = build(data_dir=tmp_path)
        records = dataset.fetch().records
        assert len({record.video_id for record in records}) == len(records)
        for record in records:
            assert record.path is None or (dataset.folder / record.path).exists()
            assert record.label is None or record.label in dataset.classes
        on_disk = {record.path for record in records} - {None}
        assert on_disk <= set(dataset.paths_on_disk())

    def test_fewer_videos_are_the_first_of_more(self, build: BuildDataset, tmp_path: Path) -> None:
        for seed in (None, 1, 2):
            dataset = build(data_dir=tmp_path, seed=seed)
            everything = ids(dataset.fetch().records)
            for number in range(1, len(everything) + 1):
                assert ids(dataset.fetch(number).records) == everything[:number]

    def test_a_seed_draws_others_of_the_same(self, build: BuildDataset, tmp_path: Path) -> None:
        orders = [ids(build(data_dir=tmp_path, seed=seed).fetch().records) for seed in range(5)]
        assert len({tuple(sorted(order)) for order in orders}) == 1
        assert len({tuple(order) for order in orders}) > 1

    def test_classes_can_be_asked_for(self, build: BuildDataset, tmp_path: Path) -> None:
        dataset = build(data_dir=tmp_path)
        records = dataset.fetch().records
        for label in {record.label for record in records} - {None}:
            wanted = [record.video_id for record in records if record.label == label]
            found = ids(dataset.fetch(classes=[str(label)]).records)
            assert sorted(found) == sorted(wanted)

    def test_its_videos_are_listed_without_fetching_any(
        self, build: BuildDataset, tmp_path: Path
    ) -> None:
        for seed in (None, 1):
            home = tmp_path / f"listed {seed}"
            listed = list_videos(build(data_dir=home, seed=seed))
            assert not [path for path in home.rglob("*") if is_media(path)]
            dataset = build(data_dir=tmp_path / "fetched", seed=seed)
            fetched = dataset.fetch()
            assert (len(listed.records), listed.num_listed) == (
                len(fetched.records),
                fetched.num_listed,
            )
            assert sorted(map(told, listed.records)) == sorted(map(told, fetched.records))
            if seed is not None:
                assert ids(listed.records) == ids(fetched.records)
            known = {record.video_id: record.path for record in fetched.records}
            assert {r.video_id: r.path for r in list_videos(dataset).records} == known


def told(record: VideoRecord) -> tuple[str, str, str]:
    """What a list says of a video, wherever its file lies."""
    return record.video_id, record.label or "", record.group


def ids(records: tuple[VideoRecord, ...]) -> list[str]:
    return [record.video_id for record in records]
