from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.contracts import BuildDataset, DatasetContract
from tests.helpers.rar_files import RarFile, write_rar
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.datasets.hmdb51 import FAMILY, parse_lists, source_of
from vidbench.data.records import VideoRecord
from vidbench.errors import FetchError
from vidbench.labels.class_lists import load_classes

CLASSES = load_classes("hmdb51")
NAMES = {  # with the characters that the official names have, and by their flags
    "climb": {
        "(HQ)_Rock_Climbing_-_Free_Solo_climb_f_cm_np1_le_med_2.avi": 1,
        "#20_Rhythm_climb_f_nm_np1_ba_goo_0.avi": 2,
        "A_climb_B&C_climb_u_cm_np10_fr_bad_11.avi": 2,
    },
    "climb_stairs": {
        "(HQ)_Rock_Climbing_-_Free_Solo_climb_stairs_f_cm_np1_le_med_2.avi": 2,
        "PART_3_AMAZING!!!_climb_stairs_l_cm_np2_ri_bad_0.avi": 0,
    },
    "wave": {
        "prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_2.avi": 2,
        "prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_3.avi": 2,
    },
}


def write_lists(folder: Path, number: int = 1) -> Path:
    """The lists of a split as they are published: with a space at the end of each line."""
    folder.mkdir(parents=True, exist_ok=True)
    for label in CLASSES:
        lines = (f"{name} {flag} \n" for name, flag in NAMES.get(label, {}).items())
        (folder / f"{label}_test_split{number}.txt").write_text("".join(lines))
    return folder


def rar_of_rars(place: Path) -> Path:
    """An archive of one archive a class, as the authors pack it."""
    inner = []
    for label, names in NAMES.items():
        members = [RarFile(f"{label}/{name}", name.encode()) for name in names]
        content = write_rar(place / "inner.rar", members).read_bytes()
        inner.append(RarFile(f"{label}.rar", content))
    (place / "inner.rar").unlink()
    return write_rar(place / "hmdb51_org.rar", inner)


def hmdb51(tmp_path: Path, root: object, split: str | None = None) -> Dataset:
    return load_dataset("hmdb51/1", split, data_dir=tmp_path / "data", root_url=str(root))


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    root = tmp_path / "hmdb51"
    for label, names in NAMES.items():
        (root / "videos" / label).mkdir(parents=True)
        for name in names:
            (root / "videos" / label / name).write_bytes(name.encode())
    write_lists(root / "testTrainMulti_7030_splits")
    return root


class TestHmdb51(DatasetContract):
    @pytest.fixture
    def build(self, extracted: Path) -> BuildDataset:
        return lambda **options: load_dataset("hmdb51", **{"root_url": str(extracted), **options})


class TestHmdb51Archive(DatasetContract):
    @pytest.fixture
    def build(self, tmp_path: Path) -> BuildDataset:
        archive = rar_of_rars(tmp_path)
        write_lists(tmp_path / "testTrainMulti_7030_splits")
        return lambda **options: load_dataset("hmdb51", **{"root_url": str(archive), **options})


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_official_lists_have_the_published_counts(footage: Path | None, number: int) -> None:
    """Of the lists of the authors: 6,766 videos; 70 of each class are trained on, 30 tested."""
    if footage is None or not (footage / "annotations" / "hmdb51").is_dir():
        pytest.skip("no official lists: set VIDBENCH_FOOTAGE")
    videos = list(parse_lists(footage / "annotations" / "hmdb51", number, CLASSES))
    assert len({video.name.casefold() for video in videos}) == len(videos) == 6766
    counts = Counter(video.split for video in videos)
    assert counts == {"": 1666, **FAMILY.entries[number - 1].splits}
    assert Counter(v.label for v in videos if v.split == "test") == dict.fromkeys(CLASSES, 30)
    assert len(CLASSES) == FAMILY.entries[number - 1].num_classes == 51


@pytest.mark.parametrize("number", [1, 2, 3])
def test_groups_are_sources_of_official_clips(footage: Path | None, number: int) -> None:
    """No clips that one class has of a source lie on both sides of an official split."""
    if footage is None or not (footage / "annotations" / "hmdb51").is_dir():
        pytest.skip("no official lists: set VIDBENCH_FOOTAGE")
    sides = defaultdict(set)
    for video in parse_lists(footage / "annotations" / "hmdb51", number, CLASSES):
        assert video.name.startswith(f"{video.group}_{video.label}_")
        assert video.group
        sides[video.label, video.group].add(video.split)
    assert not [source for source, splits in sides.items() if {"train", "test"} <= splits]
    assert len(sides) == 2291
    assert len({group for _, group in sides}) == 1407


@given(st.sampled_from(CLASSES), st.text("abcXYZ019_-!()&#", min_size=1))
def test_a_source_is_what_stands_before_the_class(label: str, source: str) -> None:
    assert source_of(f"{source}_{label}_u_nm_np1_fr_med_3.avi", label) == source
    assert source_of(f"{source}.avi", label) == ""


def test_records_say_class_source_and_file(extracted: Path, tmp_path: Path) -> None:
    selection = hmdb51(tmp_path, extracted).fetch()
    assert [(r.label, r.group) for r in selection.records] == [
        ("climb", "#20_Rhythm"),
        ("climb", "A_climb_B&C"),
        ("climb_stairs", "(HQ)_Rock_Climbing_-_Free_Solo"),
        ("wave", "prelinger_LetsBeGo1953"),
        ("wave", "prelinger_LetsBeGo1953"),
    ]
    assert (selection.num_listed, selection.unlisted) == (5, ())
    (train,) = hmdb51(tmp_path, extracted, "train").fetch().records
    assert train == VideoRecord(
        "(HQ)_Rock_Climbing_-_Free_Solo_climb_f_cm_np1_le_med_2",
        Path("videos/climb/(HQ)_Rock_Climbing_-_Free_Solo_climb_f_cm_np1_le_med_2.avi"),
        "climb",
        "(HQ)_Rock_Climbing_-_Free_Solo",
    )


def test_the_archive_of_archives_gives_the_same_videos(extracted: Path, tmp_path: Path) -> None:
    """Its lists come in a rar archive beside it."""
    lists = extracted / "testTrainMulti_7030_splits"
    members = [RarFile(f"{lists.name}/{p.name}", p.read_bytes()) for p in sorted(lists.iterdir())]
    write_rar(tmp_path / "test_train_splits.rar", members)
    packed = hmdb51(tmp_path, rar_of_rars(tmp_path))
    plain = hmdb51(tmp_path, extracted)
    assert [(r.video_id, r.label, r.group) for r in packed.fetch().records] == [
        (r.video_id, r.label, r.group) for r in plain.fetch().records
    ]
    for dataset in (packed, plain):
        for record in dataset.fetch().records:
            assert record.path is not None
            path = dataset.folder / record.path
            assert path.read_bytes().decode() == path.name
    assert not list((tmp_path / "data").rglob("*.rar"))


def test_videos_in_one_folder_are_found(extracted: Path, tmp_path: Path) -> None:
    """As ``unrar e`` extracts the archives."""
    for path in list((extracted / "videos").glob("*/*.avi")):
        path.rename(extracted / "videos" / path.name)
    records = hmdb51(tmp_path, extracted).fetch().records
    assert len(records) == 5
    assert all(record.path is not None for record in records)


@pytest.mark.parametrize("line", ["a_wave_u_nm_np1_fr_med_3.avi 3", "a/b.avi 1", "a.avi", "<html>"])
def test_lists_that_are_none_are_refused(line: str, extracted: Path, tmp_path: Path) -> None:
    path = extracted / "testTrainMulti_7030_splits" / "wave_test_split1.txt"
    path.write_text(f"{line}\n")
    with pytest.raises(FetchError, match=r"wave_test_split1\.txt, line 1"):
        hmdb51(tmp_path, extracted).fetch()
    path.unlink()
    with pytest.raises(FetchError, match=r"wave_test_split1\.txt"):
        hmdb51(tmp_path, extracted).fetch()
