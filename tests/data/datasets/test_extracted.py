"""Kinetics that is already extracted, as people and other programs lay it out."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.contracts import BuildDataset, DatasetContract
from tests.helpers.http_server import FileServer
from tests.helpers.paths import SAMPLE
from tests.helpers.sample_videos import read_tarball
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets._extracted import ExtractedKinetics
from vidbench.data.datasets._kinetics_annotations import read_annotations
from vidbench.data.datasets._kinetics_releases import RELEASES
from vidbench.data.datasets._spellings import Spellings
from vidbench.data.datasets._split_words import split_of
from vidbench.data.datasets.base import Dataset, FetchOptions, list_videos, load_dataset
from vidbench.data.leakage import check_leakage
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.errors import ConfigError, FetchError
from vidbench.evaluate import evaluate
from vidbench.labels.class_lists import load_classes

Layout = Callable[[Path, str, str], Path]
"""From a root, a label and the name of a clip with its ending to where the file lies."""


def torchvision_name(label: str) -> str:
    """As torchvision.datasets.Kinetics names class folders, version 0.21."""
    return label.replace(" ", "_").replace("'", "").replace("(", "").replace(")", "")


LAYOUTS: dict[str, Layout] = {
    "one folder": lambda root, label, name: root / name,
    "one folder of the split": lambda root, label, name: root / "val" / name,
    "class folders": lambda root, label, name: root / label / name,
    "torchvision": lambda root, label, name: root / "val" / torchvision_name(label) / name,
    "FiftyOne": lambda root, label, name: root / "validation" / label / name,
    "mmaction2": lambda root, label, name: root / "videos_val" / label.replace(" ", "_") / name,
    "CVDF by classes": lambda root, label, name: root / "videos" / "val" / label / name,
    "CVDF K600": lambda root, label, name: root / "val" / "val" / label / name,
    "folders of tarballs": lambda root, label, name: root / f"part_{ord(name[0]) % 3}" / name,
    "capitals": lambda root, label, name: root / "VAL" / label.upper() / name,
    "mkv": lambda root, label, name: root / Path(name).with_suffix(".mkv"),
    "webm": lambda root, label, name: root / "val" / Path(name).with_suffix(".WEBM"),
    "merged by youtube-dl": lambda root, label, name: root / f"{name}.webm",
    "without times": lambda root, label, name: root / label / f"{name[:11]}.avi",
    "as ActivityNet": lambda root, label, name: root / f"v_{name[:11]}.mp4",
    "few digits": lambda root, label, name: root / few_digits(name),
}


def few_digits(name: str) -> str:
    return f"{name[:11]}_{int(name[12:18])}_{int(name[19:25])}.mp4"


@pytest.fixture(scope="module")
def loose(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all tarballs of the mirror, by tar alone."""
    folder = tmp_path_factory.mktemp("loose")
    for path in sorted((mirror / "400" / "val").glob("*.tar.gz")):
        for name, content in read_tarball(path).items():
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def labels(mirror: Path) -> dict[str, str]:
    """The label of each listed clip, by its name on the server, by the csv module alone."""
    with (mirror / "400/annotations/val.csv").open(newline="") as file:
        return {
            f"{r['youtube_id']}_{int(r['time_start']):06d}_{int(r['time_end']):06d}": r["label"]
            for r in csv.DictReader(file)
        }


@pytest.fixture(scope="module")
def tarballs(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoRecord, ...]:
    """What the tarballs give."""
    folder = tmp_path_factory.mktemp("data")
    found = load_dataset("kinetics/400", "val", data_dir=folder, root_url=str(mirror))
    return found.fetch().records


def arrange(layout: Layout, loose: Path, labels: dict[str, str], root: Path) -> Path:
    """The listed files and the unlisted one, linked as the layout wants them."""
    for file in sorted(loose.iterdir()):
        target = layout(root, labels.get(file.stem, "yoga"), file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file)
    return root


def extracted(root: Path, *, split: str = "val", version: str = "400", **options: Any) -> Dataset:
    options = {"data_dir": root.parent / "data", "root_url": str(root), **options}
    return load_dataset(f"kinetics/{version}", split, **options)


def plain(records: tuple[VideoRecord, ...]) -> list[tuple[str, str | None, str, bool]]:
    return [(r.video_id, r.label, r.group, r.path is None) for r in records]


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_list(path: Path, *rows: tuple[str, str, int], split: str = "val") -> Path:
    """An official list of labels, ids and starts."""
    lines = [f'"{label}",{name},{start},{start + 10},{split}' for label, name, start in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *lines, ""]))
    return path


@pytest.mark.parametrize("name", LAYOUTS)
def test_any_layout_gives_what_the_tarballs_give(
    name: str,
    mirror: Path,
    loose: Path,
    labels: dict[str, str],
    tarballs: tuple[VideoRecord, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = arrange(LAYOUTS[name], loose, labels, tmp_path / "videos")
    shutil.copytree(mirror / "400" / "annotations", root / "annotations")
    with caplog.at_level("INFO", "vidbench"):
        selection = extracted(root).fetch()
    assert sorted(plain(selection.records)) == sorted(plain(tarballs))
    there = [record.video_id for record in selection.records if record.path is not None]
    assert there == sorted(there)
    assert [record.path is None for record in selection.records] == [False] * 29 + [True]
    assert selection.num_listed == 30
    for record in selection.records[:-1]:
        assert (root / str(record.path)).resolve().stem == record.video_id
    assert any("zzUnlisted0" in path.name for path in selection.unlisted)
    assert "29 of the 30 videos of" in caplog.text
    assert not (tmp_path / "data").exists()


class TestExtracted(DatasetContract):
    @pytest.fixture
    def build(
        self, mirror: Path, loose: Path, labels: dict[str, str], tmp_path: Path
    ) -> BuildDataset:
        root = arrange(LAYOUTS["torchvision"], loose, labels, tmp_path / "videos")
        shutil.copytree(mirror / "400" / "annotations", root / "annotations")
        return lambda **options: load_dataset("kinetics/400", **{"root_url": str(root), **options})


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_draws_the_videos_that_it_draws_from_the_tarballs(
    seed: int, mirror: Path, loose: Path, labels: dict[str, str], tmp_path: Path
) -> None:
    root = arrange(LAYOUTS["class folders"], loose, labels, tmp_path / "videos")
    options: dict[str, Any] = {"data_dir": tmp_path / "data", "seed": seed}
    packed = load_dataset("kinetics/400", "val", root_url=str(mirror), **options).fetch(9)
    annotations = str(mirror / "400/annotations/val.csv")
    found = extracted(root, annotations=annotations, **options).fetch(9)
    assert plain(found.records) == plain(packed.records)


def test_class_folders_are_labels_where_there_is_no_list(
    loose: Path,
    labels: dict[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    without_server: None,
) -> None:
    root = arrange(LAYOUTS["torchvision"], loose, labels, tmp_path / "videos")
    put(root / "val" / "_unlabeled" / "abcdefghijk_000001_000011.mp4", root / "val" / "b.mp4")
    with caplog.at_level("INFO", "vidbench"):
        selection = extracted(root).fetch()
    found = {record.video_id: record.label for record in selection.records}
    assert found.pop("abcdefghijk_000001_000011") is None
    assert found.pop("zzUnlisted0_000000_000010") == "yoga"
    assert found.items() <= labels.items()
    assert len(found) == len(labels) - 1
    assert {record.group for record in selection.records} == {name[:11] for name in found} | {
        "abcdefghijk",
        "zzUnlisted0",
    }
    assert selection.unlisted == (Path("val/b.mp4"),)
    assert "31 videos in class folders; missing videos are unknown" in caplog.text
    assert extracted(root).classes == load_classes("kinetics-400")


@pytest.fixture
def without_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No way out of this machine: every server refuses at once."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def test_one_folder_without_a_list_is_refused(tmp_path: Path, without_server: None) -> None:
    put(tmp_path / "videos" / "abcdefghijk_000001_000011.mp4")
    with pytest.raises(ConfigError, match=r"no class folders.*--annotations FILE"):
        extracted(tmp_path / "videos").fetch()


def test_the_list_comes_from_the_server_where_none_lies_beside(
    mirror: Path,
    loose: Path,
    labels: dict[str, str],
    tarballs: tuple[VideoRecord, ...],
    mirror_server: FileServer,
    tmp_path: Path,
) -> None:
    root = arrange(LAYOUTS["one folder"], loose, labels, tmp_path / "videos")
    release = replace(RELEASES["400"], root=mirror_server.url)
    options = FetchOptions(tmp_path / "data", str(root))
    found = ExtractedKinetics(release, "val", options).fetch().records
    assert sorted(plain(found)) == sorted(plain(tarballs))
    fetched = [request for request in mirror_server.requests if request.startswith("GET")]
    assert fetched == ["GET /400/annotations/val.csv 200"] or len(fetched) == 1
    assert ExtractedKinetics(release, "val", options).fetch().records == found
    assert len([r for r in mirror_server.requests if r.startswith("GET")]) == 1
    address = f"{mirror_server.url}/400/annotations/val.csv"
    other = extracted(root, annotations=address, data_dir=tmp_path / "other")
    assert other.fetch().records == found


@pytest.mark.parametrize(
    "place",
    [
        "videos/val.csv",
        "videos/annotations/val.csv",
        "videos/kinetics_val.csv",
        "videos/k400_val.csv",
        "videos/kinetics-400_val.txt",
        "videos/400/annotations/val.csv",
        "videos/val/val.csv",
        "annotations/validate.csv",
        "val.json",
        "raw/validation.json",
    ],
)
def test_a_list_is_found_beside_the_videos(
    place: str, tmp_path: Path, without_server: None
) -> None:
    root = tmp_path / "videos"
    put(root / "val" / "abcdefghijk_000001_000011.mp4")
    for other in ("train.csv", "kinetics_600_val.csv", "val_list.csv"):
        write_list(root / other, ("archery", "abcdefghijk", 1), split="train")
    (root / "val_list.csv").write_text("abcdefghijk.mp4 5\n")
    path = tmp_path / place
    if path.suffix == ".json":
        write_json(path, ("yoga", "abcdefghijk", 1))
    else:
        write_list(path, ("yoga", "abcdefghijk", 1), split="validate")
    [record] = extracted(root).fetch().records
    assert (record.label, record.path) == ("yoga", Path("val/abcdefghijk_000001_000011.mp4"))


def write_json(path: Path, *rows: tuple[str, str, int]) -> Path:
    """A list as the release of 2019 and FiftyOne have it."""
    content = {
        name: {
            "annotations": {"label": label, "segment": [float(start), float(start + 10)]},
            "duration": 10.0,
            "subset": "validate",
            "url": f"https://www.youtube.com/watch?v={name}",
        }
        for label, name, start in rows
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_a_list_of_a_part_comes_behind_that_of_the_split(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    put(root / "abcdefghijk_000001_000011.mp4")
    whole = ("yoga", "abcdefghijk", 1), ("archery", "ABCDEFGHIJK", 2)
    write_list(root / "val_tiny.csv", whole[0])
    write_list(root / "kinetics400_validate.csv", *whole)
    assert len(extracted(root).fetch().records) == 2
    (root / "kinetics400_validate.csv").unlink()
    assert len(extracted(root).fetch().records) == 1


def test_a_list_in_json_is_that_in_csv(tmp_path: Path) -> None:
    rows = [("yoga", "abcdefghijk", 0), ("gymnastics_tumbling", "-bcdefghij_", 417)]
    as_csv = read_annotations(write_list(tmp_path / "a.csv", *rows), "val")
    path = write_json(tmp_path / "a.json", *rows)
    assert read_annotations(path, "val") == as_csv
    database = json.loads(path.read_text())
    for video in database.values():
        video["annotations"] = [video["annotations"]]
    path.write_text(json.dumps({"database": database}))
    assert read_annotations(path, "val") == as_csv


def test_clips_of_other_splits_are_left_out(tmp_path: Path) -> None:
    path = write_list(tmp_path / "all.csv", ("yoga", "abcdefghijk", 1), split="train")
    with path.open("a") as file:
        file.write("archery,bbcdefghijk,2,12,validation\n")
    assert [a.label for a in read_annotations(path, "val").values()] == ["archery"]
    put(tmp_path / "videos" / "bbcdefghijk.mp4")
    with pytest.raises(ConfigError, match=r"all\.csv lists videos of train, val, none of test"):
        extracted(tmp_path / "videos", split="test", annotations=str(path)).fetch()


def test_an_id_that_is_listed_twice_is_told_by_times_or_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "videos"
    clips = ("xnC3nngvLCo", 7), ("xnC3nngvLCo", 83), ("abcdefghijk", 3), ("bbcdefghijk", 4)
    names = ["cracking knuckles", "cracking neck", "yoga", "archery"]
    rows = [(label, *clip) for label, clip in zip(names, clips, strict=True)]
    annotations = str(write_list(tmp_path / "val.csv", *rows))
    by_times = root / "xnC3nngvLCo_000083_000093.mp4"
    by_class = root / "cracking_knuckles" / "xnC3nngvLCo.webm"
    put(by_times, by_class, root / "abcdefghijk_000009_000019.mp4", root / "xnC3nngvLCo.mp4")
    selection = extracted(root, version="600", annotations=annotations).fetch()
    found = {r.video_id: (r.label, r.path and root / r.path) for r in selection.records}
    assert found == {
        "xnC3nngvLCo_000007_000017": ("cracking knuckles", by_class),
        "xnC3nngvLCo_000083_000093": ("cracking neck", by_times),
        "abcdefghijk_000003_000013": ("yoga", None),  # its file has another start
        "bbcdefghijk_000004_000014": ("archery", None),
    }
    assert {path.name for path in selection.unlisted} == {
        "abcdefghijk_000009_000019.mp4",
        "xnC3nngvLCo.mp4",
    }
    assert "have no times in their names, and several listed clips of their id: 1" in caplog.text


def test_of_two_files_the_repaired_one_or_that_of_the_class_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "videos"
    rows = [("yoga", f"{letter}bcdefghijk", 1) for letter in "abc"]
    annotations = str(write_list(tmp_path / "val.csv", *rows))
    good = [
        root / "replacement" / "replacement_for_corrupted_k400" / "abcdefghijk_000001_000011.mp4",
        root / "yoga" / "bbcdefghijk_000001_000011.mp4",
        root / "archery" / "cbcdefghijk_000001_000011.mp4",
    ]
    unlisted = good[0].with_name("zbcdefghijk_000001_000011.mp4")
    put(*good, root / "archery" / good[0].name, root / "archery" / good[1].name, unlisted)
    selection = extracted(root, annotations=annotations).fetch()
    assert [root / str(record.path) for record in selection.records] == good
    assert selection.unlisted == ()
    assert "videos with several files, of which one is used: 2" in caplog.text
    assert (
        "the annotation is used): 1, e.g. archery/cbcdefghijk_000001_000011.mp4 is yoga"
        in caplog.text
    )


def test_folders_of_frames_are_videos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As mmaction2 extracts them: rawframes_val/CLASS/ID_START_END/img_00001.jpg."""
    root = tmp_path / "videos"
    place = root / "rawframes_val" / "riding_a_bike" / "abcdefghijk_000001_000011"
    put(*(place / f"img_{number:05d}.jpg" for number in range(1, 6)))
    put(root / "rawframes_train" / "yoga" / "bbcdefghijk_000001_000011" / "img_00001.jpg")
    annotations = str(write_list(tmp_path / "val.csv", ("riding a bike", "abcdefghijk", 1)))
    [record] = extracted(root, annotations=annotations, frames_fps=30.0).fetch().records
    assert root / str(record.path) == place
    assert (record.label, record.frames) == ("riding a bike", FrameFolder(30.0))
    assert not caplog.text
    extracted(root, annotations=annotations).fetch()
    assert "default of 25 frames per second" in caplog.text


def test_linked_class_folders_are_classes_by_their_names(tmp_path: Path) -> None:
    root, store = tmp_path / "videos", tmp_path / "store"
    put(store / "one" / "abcdefghijk_000001_000011.mp4", store / "two" / "bbcdefghijk.webm")
    (root / "val").mkdir(parents=True)
    (root / "val" / "yoga").symlink_to(store / "one")
    (root / "val" / "riding_a_bike").symlink_to(store / "two")
    rows = ("yoga", "abcdefghijk", 1), ("riding a bike", "bbcdefghijk", 1)
    annotations = str(write_list(tmp_path / "val.csv", *rows))
    records = extracted(root, annotations=annotations).fetch().records
    assert [str(record.path) for record in records] == [
        "val/yoga/abcdefghijk_000001_000011.mp4",
        "val/riding_a_bike/bbcdefghijk.webm",
    ]


def test_folders_of_other_splits_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    name = "abcdefghijk_000001_000011.mp4"
    put(root / "train" / "yoga" / name, root / "test" / name, root / "videos_train_256" / name)
    annotations = str(write_list(tmp_path / "val.csv", ("training dog", "abcdefghijk", 1)))
    with pytest.raises(ConfigError, match=r"no video of val, only test, train, videos_train_256"):
        extracted(root, annotations=annotations).fetch()
    put(root / "training_dog" / name)
    [record] = extracted(root, annotations=annotations).fetch().records
    assert record.path == Path("training_dog") / name


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "it is empty"),
        (("val/part_0.tar.gz",), "1 other files, e.g. val/part_0.tar.gz; .*400/val/k400_val_path"),
        (("a.mp4", "b.mp4"), "none of the 1 listed videos, such as abcdefghijk_000001_000011: its"),
    ],
)
def test_a_folder_without_the_videos_is_refused(
    files: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    put(*(root / file for file in files))
    annotations = str(write_list(tmp_path / "val.csv", ("yoga", "abcdefghijk", 1)))
    with pytest.raises(ConfigError, match=said):
        extracted(root, annotations=annotations).fetch()


@pytest.mark.parametrize("place", ["val.csv", "annotations/val.csv", "named"])
def test_a_list_without_videos_tells_which_there_are(
    place: str, tmp_path: Path, without_server: None
) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    path = root / place if place != "named" else tmp_path / "elsewhere" / "k400.csv"
    write_list(path, ("yoga", "abcdefghijk", 1), ("archery", "ABCDEFGHIJK", 2))
    options = {"annotations": str(path)} if place == "named" else {}
    dataset = extracted(root, **options)
    records = list_videos(dataset).records
    assert [(r.video_id, r.label, r.path) for r in records] == [
        ("ABCDEFGHIJK_000002_000012", "archery", None),
        ("abcdefghijk_000001_000011", "yoga", None),
    ]
    with pytest.raises(ConfigError, match="has no video of val"):
        dataset.fetch()
    if place != "named":
        path.unlink()
        with pytest.raises(ConfigError, match="has no video of val: it is empty"):
            list_videos(extracted(root))


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_list_that_a_spreadsheet_wrote_is_that_with_commas(
    delimiter: str, tmp_path: Path
) -> None:
    root = tmp_path / "videos"
    put(root / "abcdefghijk_000001_000011.mp4")
    path = write_list(root / "val.csv", ("yoga", "abcdefghijk", 1))
    path.write_text(path.read_text().replace(",", delimiter).replace("\n", "\r\n"))
    for options in ({}, {"annotations": str(path)}):
        (record,) = extracted(root, **options).fetch().records
        assert record.label == "yoga"


def test_a_mirror_whose_tarballs_were_unpacked_in_place_is_extracted(
    mirror: Path, loose: Path, labels: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "mirror"
    shutil.copytree(mirror, root, ignore=shutil.ignore_patterns("*.tar.gz"))
    with pytest.raises(FetchError, match=r"part_\d\.tar\.gz"):
        extracted(root).fetch()
    arrange(lambda root, _, name: root / "400" / "val" / name, loose, labels, root)
    records = extracted(root).fetch().records
    assert [record.path is None for record in records] == [False] * 29 + [True]


def test_tarballs_of_a_folder_of_videos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tarballs: omit --num_tarballs"):
        extracted(tmp_path, num_tarballs=2)


def test_a_list_that_somebody_names_goes_over_that_of_a_mirror(
    mirror: Path, labels: dict[str, str], tmp_path: Path
) -> None:
    name = min(labels)
    start = int(name[12:18])
    path = write_list(tmp_path / "my.csv", (labels[name], name[:11], start))
    options = {"data_dir": tmp_path / "data", "root_url": str(mirror), "annotations": str(path)}
    [record] = load_dataset("kinetics/400", "val", **options).fetch().records
    assert record.video_id == f"{name[:18]}_{start + 10:06d}"
    path.write_text(path.read_text().replace(labels[name], "juggling cats"))
    with pytest.raises(ConfigError, match=r"--annotations.*my\.csv.*juggling cats"):
        load_dataset("kinetics/400", "val", **options).fetch()


def test_leakage_is_found_in_a_training_list_beside_the_videos(tmp_path: Path) -> None:
    root = tmp_path / "k400" / "videos" / "val"
    root.mkdir(parents=True)
    trained = write_list(
        tmp_path / "k400" / "annotations" / "train.csv", ("yoga", "abcdefghijk", 1), split="train"
    )
    for trained_on, lists in (("kinetics-400", (trained,)), ("kinetics-600", ())):
        leakage = check_leakage(
            trained_on, "kinetics-400", "val", ["abcdefghijk"], tmp_path / "data", str(root)
        )
        assert leakage.lists == lists
        assert (leakage.leak is not None) == bool(lists)


# Names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["400", "600", "700"])
def test_no_two_classes_are_spelt_alike(version: str) -> None:
    classes = load_classes(f"kinetics-{version}")
    spellings = Spellings(classes)
    for name in classes:
        assert spellings.find(name) == name
        assert spellings.find(torchvision_name(name)) == name
        assert spellings.find(name.replace(" ", "_")) == name
    assert spellings.find("moving down") is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("val", "val"),
        ("Validation", "val"),
        ("kinetics_validate.json", "val"),
        ("videos_val_256", "val"),
        ("k400_test.csv", "test"),
        ("training dog", "train"),
        ("trainval", None),
        ("train_and_val", None),
        ("testifying", None),
        ("", None),
    ],
)
def test_a_split_is_told_by_words(name: str, split: str | None) -> None:
    assert split_of(name) == split


@given(st.text())
def test_any_name_has_one_split_or_none(name: str) -> None:
    assert split_of(name) in (None, "train", "val", "test")


# A run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(labels: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's model with 14 classes of Kinetics: its scores mean nothing."""
    path = tmp_path_factory.mktemp("model") / "model"
    shutil.copytree(SAMPLE / "model", path)
    names = sorted(set(labels.values()))[:14]
    (path / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    return path


def test_a_run_gives_what_it_gives_with_tarballs(
    mirror: Path, loose: Path, labels: dict[str, str], model: Path, tmp_path: Path
) -> None:
    roots = {"tarballs": mirror}
    for name in ("torchvision", "one folder", "without times"):
        root = arrange(LAYOUTS[name], loose, labels, tmp_path / name)
        shutil.copytree(mirror / "400" / "annotations", root / "annotations")
        roots[name] = root
    found, predicted = [], []
    for name, root in roots.items():
        folder, metrics, *_ = evaluate(
            RunConfig(
                model_type="saved_model",
                model_path=str(model),
                dataset_path=str(root),
                data_dir=tmp_path / "data",
                cache_dir=tmp_path / "cache",
                results_dir=tmp_path / "results" / name,
                num_frames=16,
                num_workers=0,
                no_report=True,
            )
        )
        with (folder / "predictions.csv").open(newline="") as file:
            rows = sorted(
                tuple(r for k, r in row.items() if k != "path") for row in csv.DictReader(file)
            )
        found.append(metrics)
        predicted.append(rows)
    assert found[0]["coverage"]["listed"] == 30
    assert found[0]["coverage"]["present"] == 29
    assert all(metrics == found[0] for metrics in found[1:])
    assert all(rows == predicted[0] for rows in predicted[1:])
