from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.http_server import serve
from tests.helpers.paths import SAMPLE
from vidbench.data.datasets.base import load_dataset
from vidbench.errors import ConfigError

CLASSES = SAMPLE / "classes.txt"


def test_the_sample_is_read_as_kinetics_is(tmp_path: Path) -> None:
    dataset = load_dataset("sample", "val", data_dir=tmp_path)
    assert (dataset.name, dataset.split, dataset.folder) == ("sample", "val", tmp_path)
    assert list(dataset.classes) == CLASSES.read_text().splitlines()
    with (SAMPLE / "annotations" / "val.csv").open() as file:
        labels = {row["youtube_id"]: row["label"] for row in csv.DictReader(file)}
    selection = dataset.fetch()
    assert {record.video_id[:11]: record.label for record in selection.records} == labels
    assert selection.unlisted == ()
    assert all(r.path and (tmp_path / r.path).stat().st_size for r in selection.records)
    assert dataset.fetch(10).records == selection.records[:10]


def test_every_class_has_equally_many_videos(tmp_path: Path) -> None:
    dataset = load_dataset("sample", "val", data_dir=tmp_path)
    counts = Counter(record.label for record in dataset.fetch().records)
    assert set(counts) == set(dataset.classes)
    assert len(set(counts.values())) == 1


def test_a_mirror_of_the_sample_draws_the_same_videos(tmp_path: Path) -> None:
    here = load_dataset("sample", "val", data_dir=tmp_path / "here", seed=2)
    with serve(SAMPLE) as server:
        there = load_dataset(
            "sample", "val", data_dir=tmp_path / "there", seed=2, root_url=server.url
        )
        assert here.fetch(9) == there.fetch(9)
        assert there.classes == here.classes


def test_making_the_sample_dataset_touches_no_disk(tmp_path: Path) -> None:
    load_dataset("sample", "val", data_dir=tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_the_sample_has_no_versions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="variant '400'"):
        load_dataset("sample/400", "val", data_dir=tmp_path)


@pytest.mark.parametrize("split", ["train", "test", ""])
def test_the_sample_has_one_split(split: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"'{split}'.*val"):
        load_dataset("sample", split, data_dir=tmp_path)
