from __future__ import annotations

import csv
import shutil
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.command import RunCli
from tests.helpers.contracts import BuildDataset, DatasetContract
from tests.helpers.http_server import FileServer
from tests.helpers.rar_files import NORMAL, RarFile, write_rar
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.datasets.ucf101 import FAMILY, parse_lists
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.errors import ConfigError, FetchError
from vidbench.labels.class_lists import load_classes
from vidbench.runs.finished import FinishedRun

CLASSES = load_classes("ucf101")
TRAIN = [
    "Archery/v_Archery_g08_c01.avi 3",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 37",
]
TEST = [
    "Archery/v_Archery_g01_c01.avi",
    "Archery/v_Archery_g01_c02.avi",
    "Archery/v_Archery_g02_c01.avi",
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g01_c02.avi",
    "YoYo/v_YoYo_g01_c01.avi",
]
PATHS = [line.split()[0] for line in TRAIN + TEST]


def write_lists(folder: Path, train: list[str] = TRAIN, test: list[str] = TEST) -> Path:
    """The lists of split 1 as they are published: with CRLF."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("trainlist01", train), ("testlist01", test)):
        (folder / f"{name}.txt").write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return folder


def write_videos(folder: Path, paths: list[str] = PATHS) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    """A folder with ``UCF-101`` and ``ucfTrainTestlist``, as both archives extract."""
    root = tmp_path / "ucf"
    write_videos(root / "UCF-101")
    write_lists(root / "ucfTrainTestlist")
    return root


def ucf101(tmp_path: Path, root: object, split: str | None = None, **options: object) -> Dataset:
    return load_dataset(
        "ucf101/1", split, data_dir=tmp_path / "data", root_url=str(root), **options
    )


def contents(dataset: Dataset) -> list[bytes | None]:
    paths = [record.path for record in dataset.fetch().records]
    return [None if path is None else (dataset.folder / path).read_bytes() for path in paths]


EXPECTED = [path.encode() for path in TEST]


class TestUcf101(DatasetContract):
    @pytest.fixture
    def build(self, extracted: Path) -> BuildDataset:
        return lambda **options: load_dataset("ucf101", **{"root_url": str(extracted), **options})


class TestUcf101Archive(DatasetContract):
    @pytest.fixture
    def build(self, extracted: Path) -> BuildDataset:
        write_lists(extracted.parent)
        members = [RarFile(f"UCF-101/{path}", path.encode()) for path in PATHS]
        archive = write_rar(extracted.parent / "UCF101.rar", members)
        return lambda **options: load_dataset("ucf101", **{"root_url": str(archive), **options})


@pytest.fixture
def official(footage: Path | None) -> Path:
    if footage is None or not (footage / "annotations" / "ucf101").is_dir():
        pytest.skip("no official lists: set VIDBENCH_FOOTAGE")
    return footage / "annotations" / "ucf101"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_official_lists_have_the_published_counts(official: Path, number: int) -> None:
    """Of the lists of the authors: 13,320 videos; groups 1 to 7 of split 1 are its test."""
    videos = list(parse_lists(official, number, CLASSES))
    counts = Counter(video.split for video in videos)
    assert counts == FAMILY.entries[number - 1].splits
    assert FAMILY.entries[number - 1].name == f"ucf101/{number}"
    assert len({video.name for video in videos}) == sum(counts.values()) == 13320
    assert {video.label for video in videos} == set(CLASSES)
    assert len(CLASSES) == FAMILY.entries[number - 1].num_classes == 101
    train, test = ({v.group for v in videos if v.split == split} for split in ("train", "test"))
    assert not train & test
    assert len(train | test) == 101 * 25
    assert {int(group[-2:]) for group in test} == set(range(7 * number - 6, 7 * number + 1))


def test_the_official_class_numbers_begin_at_one(official: Path) -> None:
    lines = (official / "classInd.txt").read_text().split()
    assert dict(zip(map(int, lines[::2]), lines[1::2], strict=True)) == dict(enumerate(CLASSES, 1))


def test_records_say_class_group_and_file(extracted: Path, tmp_path: Path) -> None:
    selection = ucf101(tmp_path, extracted).fetch()
    assert [record.video_id for record in selection.records] == [
        path.rpartition("/")[2].removesuffix(".avi") for path in TEST
    ]
    assert selection.records[3] == VideoRecord(
        "v_HandStandPushups_g01_c01",
        Path("UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi"),
        "HandstandPushups",
        "HandstandPushups_g01",
    )
    assert (selection.num_listed, selection.unlisted) == (6, ())
    train = ucf101(tmp_path, extracted, "train").fetch()
    assert [record.group for record in train.records] == ["Archery_g08", "HandstandPushups_g08"]


def test_nothing_is_copied_from_a_folder(extracted: Path, tmp_path: Path) -> None:
    dataset = ucf101(tmp_path, extracted)
    assert contents(dataset) == EXPECTED
    assert dataset.folder == extracted
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["UCF-101", "."])
@pytest.mark.parametrize("lists", ["ucfTrainTestlist", ".", "annotations"])
def test_folders_are_found_at_the_usual_levels(name: str, lists: str, tmp_path: Path) -> None:
    root = tmp_path / "ucf"
    write_videos(root / name)
    write_lists(root / lists)
    assert contents(ucf101(tmp_path, root)) == EXPECTED


def test_lists_beside_the_folder_of_videos_are_found(extracted: Path, tmp_path: Path) -> None:
    dataset = ucf101(tmp_path, extracted / "UCF-101")
    assert contents(dataset) == EXPECTED
    assert set(dataset.paths_on_disk()) == {Path(path) for path in TEST}


def test_lists_in_their_archive_are_read(extracted: Path, tmp_path: Path) -> None:
    lists = extracted / "UCF101TrainTestSplits-RecognitionTask.zip"
    with zipfile.ZipFile(lists, "w") as archive:
        for path in (extracted / "ucfTrainTestlist").iterdir():
            archive.write(path, f"ucfTrainTestlist/{path.name}")
    shutil.rmtree(extracted / "ucfTrainTestlist")
    for root in (extracted, extracted / "UCF-101"):
        assert contents(ucf101(tmp_path, root)) == EXPECTED
        shutil.rmtree(tmp_path / "data")


def test_videos_in_other_containers_are_found(
    extracted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Re-encoded or as frames; where the published avi is there too, it is taken."""
    folder = extracted / "UCF-101"
    (folder / TEST[0]).rename((folder / TEST[0]).with_suffix(".mp4"))
    (folder / TEST[1]).with_suffix(".webm").write_bytes(b"")
    frames = (folder / TEST[2]).with_suffix("")
    frames.mkdir()
    (folder / TEST[2]).unlink()
    for number in (1, 2):
        (frames / f"img_{number:05d}.jpg").touch()
    records = ucf101(tmp_path, extracted).fetch().records
    assert [record.path for record in records[:3]] == [
        Path("UCF-101", TEST[0]).with_suffix(".mp4"),
        Path("UCF-101", TEST[1]),
        Path("UCF-101", TEST[2]).with_suffix(""),
    ]
    assert [record.frames for record in records[:3]] == [None, None, FrameFolder()]
    assert "videos that exist more than once: 1" in caplog.text
    assert f"UCF-101/{TEST[1]} is used" in caplog.text


def test_missing_and_unlisted_files_are_told(extracted: Path, tmp_path: Path) -> None:
    (extracted / "UCF-101" / TEST[1]).unlink()
    (extracted / "UCF-101" / "Archery" / "mine.avi").write_bytes(b"")
    copy = extracted / "UCF-101" / "AAA" / Path(TEST[0]).name
    copy.parent.mkdir()
    copy.write_bytes(b"")
    for number in (2, None):
        selection = ucf101(tmp_path, extracted).fetch(number)
        assert [r.path is None for r in selection.records[:3]] == [False, True, False][:number]
        assert selection.records[0].path == Path("UCF-101", TEST[0])
        assert selection.unlisted == (
            Path("UCF-101/AAA", copy.name),
            Path("UCF-101/Archery/mine.avi"),
        )
    assert Path("UCF-101", TEST[1]) not in ucf101(tmp_path, extracted).paths_on_disk()


def test_systems_that_know_no_case_spell_files_otherwise(extracted: Path, tmp_path: Path) -> None:
    folder = extracted / "UCF-101" / "HandstandPushups"
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("HandStand", "Handstand"))
    records = ucf101(tmp_path, extracted).fetch().records
    assert all(record.path is not None for record in records)
    assert records[3].video_id == "v_HandStandPushups_g01_c01"


def test_classes_and_their_listed_videos(extracted: Path, tmp_path: Path) -> None:
    selection = ucf101(tmp_path, extracted).fetch(1, ["YoYo", "HandstandPushups"])
    assert [record.label for record in selection.records] == ["HandstandPushups"]
    assert selection.num_listed == 3


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("test", "Archery/../../../etc/v_Archery_g01_c01.avi"),
        ("test", "Juggling/v_Juggling_g01_c01.avi"),
        ("test", "Archery/v_Archery_g01_c01.avi"),  # once more
        ("train", "Archery/v_Archery_g09_c01.avi 2"),  # counted from 0
        ("train", "Archery/v_Archery_g09_c01.avi 0"),
        ("train", "Archery/v_Archery_g09_c01.avi 102"),
        ("train", "<html>"),
    ],
)
def test_lists_that_are_none_are_refused(
    name: str, line: str, extracted: Path, tmp_path: Path
) -> None:
    train, test = (TRAIN, [*TEST, line]) if name == "test" else ([*TRAIN, line], TEST)
    write_lists(extracted / "ucfTrainTestlist", train, test)
    with pytest.raises(FetchError, match="ucfTrainTestlist"):
        ucf101(tmp_path, extracted).fetch()


def test_a_list_that_is_missing_is_named(extracted: Path, tmp_path: Path) -> None:
    (extracted / "ucfTrainTestlist" / "trainlist01.txt").unlink()
    with pytest.raises(FetchError, match="trainlist01"):
        ucf101(tmp_path, extracted).fetch()


def test_wrong_requests_are_refused(extracted: Path, tmp_path: Path) -> None:
    load = partial(load_dataset, data_dir=tmp_path / "data")
    for match, request in (
        ("'4'", lambda: load("ucf101/4")),
        ("'val'.*train, test", lambda: load("ucf101/1", "val")),
        ("num_tarballs", lambda: load("ucf101/1", num_tarballs=2)),
        ("not an existing folder", ucf101(tmp_path, tmp_path / "nowhere").fetch),
        ("not an existing archive", ucf101(tmp_path, tmp_path / "nowhere.rar").fetch),
        (
            "none of the 8 listed.*the archive",
            ucf101(tmp_path, extracted / "ucfTrainTestlist").fetch,
        ),
    ):
        with pytest.raises(ConfigError, match=match):
            request()
    assert not (tmp_path / "data").exists()


def test_without_a_variant_the_first_split_and_its_test_are_meant(tmp_path: Path) -> None:
    dataset = load_dataset("ucf101", data_dir=tmp_path)
    assert (dataset.name, dataset.split) == ("ucf101-split1", "test")
    assert load_dataset("ucf101/3", data_dir=tmp_path).name == "ucf101-split3"
    assert dataset.classes == CLASSES


def test_an_archive_is_extracted_once_for_all_splits(extracted: Path, tmp_path: Path) -> None:
    """The lists lie in the archive too, as some mirrors pack it."""
    with zipfile.ZipFile(tmp_path / "mirror.zip", "w") as archive:
        for path in extracted.rglob("*.*"):
            archive.write(path, path.relative_to(extracted))
    assert contents(ucf101(tmp_path, tmp_path / "mirror.zip")) == EXPECTED
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.avi")}
    assert len(written) == 8
    assert len(ucf101(tmp_path, tmp_path / "mirror.zip", "train").fetch().records) == 2
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.avi")}
    (tmp_path / "other.zip").touch()
    with pytest.raises(ConfigError, match=r"mirror\.zip.*root\.txt"):
        ucf101(tmp_path, tmp_path / "other.zip").fetch()


def test_a_server_gives_lists_then_videos(
    extracted: Path, tmp_path: Path, file_server: FileServer
) -> None:
    lists = file_server.root / "UCF101TrainTestSplits-RecognitionTask.zip"
    with zipfile.ZipFile(file_server.root / "UCF-101.zip", "w") as archive:
        for path in (extracted / "UCF-101").rglob("*.avi"):
            archive.write(path, path.relative_to(extracted))
    dataset = ucf101(tmp_path, f"{file_server.url}/UCF-101.zip")
    with pytest.raises(FetchError, match=r"RecognitionTask.*beside the videos"):
        dataset.fetch()
    assert not file_server.fetched("/UCF-101.zip")
    with zipfile.ZipFile(lists, "w") as archive:
        for path in (extracted / "ucfTrainTestlist").iterdir():
            archive.write(path, f"ucfTrainTestlist/{path.name}")
    assert contents(dataset) == EXPECTED
    count = len(file_server.requests)
    assert contents(ucf101(tmp_path, f"{file_server.url}/UCF-101.zip")) == EXPECTED
    assert len(file_server.requests) == count


def test_without_a_tool_for_rar_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    archive = write_rar(tmp_path / "UCF101.rar", [RarFile(TEST[0], b"packed", NORMAL)])
    with pytest.raises(ConfigError, match=r"install one of .* give the folder as --dataset_path"):
        ucf101(tmp_path, archive).fetch()
    assert not list((tmp_path / "data").rglob("*.avi"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of 101 classes that looks at the mean colour alone."""
    import numpy as np
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("model")
    network = tf.Module()
    network.weight = tf.Variable(np.random.default_rng(0).normal(0, 9, (3, 101)).astype("float32"))
    serve = tf.function(
        lambda clips: {"default": tf.reduce_mean(clips, [1, 2, 3]) @ network.weight},
        input_signature=[tf.TensorSpec([None, None, 224, 224, 3], tf.float32, "clips")],
    )
    tf.saved_model.save(network, str(folder), signatures={"default": serve})
    (folder / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    return folder


def test_real_videos_are_evaluated(
    real_clips: Path, official: Path, tmp_path: Path, model: Path, run_cli: RunCli
) -> None:
    """36 clips of UCF101, 11 of them of the test split, where two more are listed."""
    with (real_clips / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source_label"].startswith("UCF101")]
    root = tmp_path / "ucf"
    for row in rows:
        folder = root / "UCF-101" / row["source_label"].removeprefix("UCF101:")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(real_clips.parent / row["file"], folder)
    here = {Path(row["file"]).name for row in rows}
    (root / "ucfTrainTestlist").mkdir()
    for name in ("trainlist01.txt", "testlist01.txt"):
        lines = (official / name).read_text().splitlines()
        kept = [line for line in lines if line.split()[0].rpartition("/")[2] in here]
        missing = [line for line in lines if line.startswith("YoYo")][:2]
        (root / "ucfTrainTestlist" / name).write_text("\r\n".join(kept + missing))
    extra = root / "UCF-101" / "Archery" / "v_Archery_g99_c01.avi"
    shutil.copy(root / "UCF-101" / "Archery" / "v_Archery_g02_c02.avi", extra)

    result = run_cli(
        *("evaluate", "--dataset", "ucf101/1", "--dataset_path", root, "--model_path", model),
        *("--model_type", "saved_model", "--num_frames", "8"),
    )
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "results").iterdir()
    assert "ucf101-split1-test_13_" in folder.name
    run = FinishedRun(folder)
    expected = {Path(row["file"]).stem for row in rows if row["ucf101_split1"] == "test"}
    predictions = run.predictions
    assert set(predictions.video_ids[predictions.scored]) == expected
    assert dict(zip(predictions.video_ids, predictions.labels, strict=True)).items() >= {
        ("v_Archery_g02_c02", "Archery"),
        ("v_Punch_g03_c01", "Punch"),
        ("v_YoYo_g01_c01", "YoYo"),
    }
    assert "StillRings_g03" in predictions.groups
    assert run.videos_dir.resolve() == root.resolve()
    videos = run.metrics["coverage"]
    assert (videos["listed"], videos["requested"], videos["scored"]) == (13, 13, 11)
    assert videos["skipped"] == {"missing": 2}
    assert not list(tmp_path.glob("data/raw/**/*.avi"))
    assert "v_Archery_g99_c01.avi" in (folder / "run.json").read_text()
