"""Videos that lie on this machine: class folders, manifests, and folders without labels."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.command import RunCli
from tests.helpers.contracts import BuildDataset, DatasetContract
from tests.helpers.footage import each_nth
from tests.helpers.paths import SAMPLE
from tests.helpers.sample_videos import extract_sample
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.records import VideoRecord
from vidbench.data.spec import PreprocessSpec
from vidbench.data.subset import manifest
from vidbench.data.video.decode import decode_views
from vidbench.errors import ConfigError
from vidbench.evaluate import evaluate
from vidbench.models.base import load_model
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions
from vidbench.storage.csv_cells import csv_line

MODEL = ("--model_type", "saved_model", "--model_path", SAMPLE / "model", "--num_frames", 16)


def put(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def open_dataset(family: str, path: Path, split: str | None = None, **options: Any) -> Dataset:
    return load_dataset(family, split, data_dir=Path("nowhere"), root_url=str(path), **options)


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def ids(dataset: Dataset, *arguments: Any) -> list[str]:
    return [record.video_id for record in dataset.fetch(*arguments).records]


@pytest.fixture(scope="module")
def labels() -> dict[str, str]:
    """Labels of the sample's videos, by the first 11 characters of a file's name."""
    with (SAMPLE / "annotations" / "val.csv").open(newline="") as file:
        return {row["youtube_id"]: row["label"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, labels: dict[str, str]) -> Path:
    """The sample's videos in class folders, by tar and the sample's list alone."""
    loose, root = tmp_path_factory.mktemp("loose"), tmp_path_factory.mktemp("sorted") / "shapes"
    for path in extract_sample(loose):
        target = root / labels[path.name[:11]] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    (root / "read me.txt").touch()
    return root


@pytest.fixture(scope="module")
def listed(videos: Path) -> Path:
    """A manifest of sections of the sample's videos and of whole ones, beside them."""
    rows = [
        (path.relative_to(videos.parent).as_posix(), path.parent.name, *section)
        for place, path in enumerate(sorted(videos.rglob("*.mp4"))[::9])
        for section in [("", ""), ("0.5", ""), ("0", "1")][: 1 + place % 3]
    ]
    lines = [csv_line(("path", "label", "start", "end")), *map(csv_line, rows)]
    return write(videos.parent / "shapes.csv", *lines)


class TestFolder(DatasetContract):
    @pytest.fixture
    def build(self, videos: Path) -> BuildDataset:
        return lambda **options: load_dataset("folder", **{"root_url": str(videos), **options})


class TestFlat(DatasetContract):
    @pytest.fixture
    def build(self, videos: Path) -> BuildDataset:
        return lambda **options: load_dataset("flat", **{"root_url": str(videos), **options})


class TestManifest(DatasetContract):
    @pytest.fixture
    def build(self, listed: Path) -> BuildDataset:
        return lambda **options: load_dataset("manifest", **{"root_url": str(listed), **options})


# All of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["folder", "flat", "manifest"])
@pytest.mark.parametrize(
    ("variant", "options", "said"),
    [
        ("", {"root_url": None}, "needs --dataset_path"),
        ("", {"root_url": "https://example.org/x"}, "reads local files"),
        ("", {"root_url": "x", "num_tarballs": 2}, "omit --num_tarballs"),
        ("/400", {"root_url": "x"}, "no variant '400'"),
    ],
)
def test_options_without_meaning_are_refused(
    family: str, variant: str, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        load_dataset(family + variant, data_dir=tmp_path, **options)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("family", ["folder", "flat", "manifest"])
def test_the_name_is_that_of_the_videos_and_fit_for_a_folder(family: str, tmp_path: Path) -> None:
    stem = {"manifest": "my videos \n.csv"}.get(family, "my videos \n")
    dataset = open_dataset(family, tmp_path / stem)
    assert (dataset.name, dataset.split) == (f"{family}-my-videos", "all")
    assert open_dataset(family, Path("/")).name == family
    assert len(open_dataset(family, tmp_path / ("x" * 250)).name) < 80


@pytest.mark.skipif(sys.platform == "darwin", reason="file systems there take text alone")
@pytest.mark.parametrize("family", ["folder", "flat"])
def test_a_name_that_no_result_could_hold_is_refused(family: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with open(os.fsencode(tmp_path / "a") + b"/\xff.mp4", "w"):  # noqa: PTH123 - of bytes
        pass
    with pytest.raises(ConfigError, match=r"udcff\.mp4.*rename"):
        open_dataset(family, tmp_path).fetch()


# Folder ---------------------------------------------------------------------------------------


def test_class_folders_are_taken_in_turns(tmp_path: Path) -> None:
    names = ["b c/2.mp4", "b c/1.avi", "a_d/9.WEBM", "it's/1.mkv", "it's/2.mp4", "it's/3.mp4"]
    put(*(tmp_path / name for name in names))
    dataset = open_dataset("folder", tmp_path)
    assert dataset.classes == ("a_d", "b c", "it's")
    turns = ["a_d/9.WEBM", "b c/1.avi", "it's/1.mkv", "b c/2.mp4", "it's/2.mp4", "it's/3.mp4"]
    assert ids(dataset) == turns
    selection = dataset.fetch(4, ["b c", "it's"])
    assert [r.label for r in selection.records] == ["b c", "it's", "b c", "it's"]
    assert selection.num_listed == 5


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 5), min_size=1), st.integers(1, 25))
@settings(deadline=None)
def test_the_first_videos_are_of_as_many_classes_as_can_be(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int], number: int
) -> None:
    root = tmp_path_factory.mktemp("root")
    put(*(root / label / f"{i}.mp4" for label, size in sizes.items() for i in range(size)))
    chosen = Counter(r.label for r in open_dataset("folder", root).fetch(number).records)
    assert sum(chosen.values()) == min(number, sum(sizes.values()))
    most = max(chosen.values())
    for label, size in sizes.items():
        assert chosen[label] >= min(size, most - 1)


def test_what_is_no_video_of_a_class_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = ["a/notes.txt", "labels.csv", "a/._1.mp4"]
    misplaced = ["a/deeper/2.mp4", "stray.mp4"]
    put(*(tmp_path / name for name in ("a/1.mp4", *others, *misplaced)))
    selection = open_dataset("folder", tmp_path).fetch()
    assert [r.video_id for r in selection.records] == ["a/1.mp4"]
    assert [path.as_posix() for path in selection.unlisted] == misplaced + others
    assert "2 files left out: they are in no class folder" in caplog.text
    assert "2 files left out: no known video ending, such as a/notes.txt" in caplog.text
    assert "1 file left out: hidden, or made by the system, such as a/._1.mp4" in caplog.text


def test_a_split_is_a_folder_of_class_folders(tmp_path: Path) -> None:
    put(*(tmp_path / name for name in ("val/a/1.mp4", "val/b/1.mp4", "train/a/2.mp4")))
    val = open_dataset("folder", tmp_path, "val")
    assert (val.split, val.folder, val.classes) == ("val", tmp_path, ("a", "b"))
    assert ids(val) == ["val/a/1.mp4", "val/b/1.mp4"]
    for split, said in (("test", "test is not a folder"), (None, "no class folder")):
        with pytest.raises(ConfigError, match=rf"{said}.* has train, val \(--split takes one"):
            open_dataset("folder", tmp_path, split).fetch()
    for split in ("../x", "/etc", ".."):
        with pytest.raises(ConfigError, match="--split"):
            open_dataset("folder", tmp_path, split).fetch()


def link(target: Path, *names: Path) -> None:
    for name in names:
        name.parent.mkdir(parents=True, exist_ok=True)
        name.symlink_to(target)


@pytest.mark.parametrize("store", ["storage", "0 store", "deep/er/store"])
def test_a_class_is_its_name_wherever_it_leads(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the place that links lead to comes first or last, or lies elsewhere."""
    put(*(tmp_path / store / name for name in ("a/1.mp4", "a/2.mp4", "z/1.mp4")))
    put(tmp_path / "own" / "1.mp4")
    for name in "az":
        link(tmp_path / store / name, tmp_path / name)
    selection = open_dataset("folder", tmp_path).fetch()
    assert [r.video_id for r in selection.records] == ["a/1.mp4", "own/1.mp4", "z/1.mp4", "a/2.mp4"]
    assert selection.unlisted == ()
    assert not caplog.text


def test_two_classes_in_one_place_are_both_there_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "b" / "1.mp4", tmp_path / "b" / "frames" / "1.jpg", tmp_path / "b/frames/2.jpg")
    link(tmp_path / "b", tmp_path / "a", tmp_path / "c")
    records = open_dataset("folder", tmp_path).fetch().records
    assert Counter(r.label for r in records) == {"a": 2, "b": 2, "c": 2}
    assert f"the classes a and b and c are the same folder, {tmp_path / 'b'}" in caplog.text


def test_empty_folders_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "yoga" / "a.mp4", tmp_path / "archery" / "b.mp4")
    for name in ("juggling", ".cache", "archery/more"):
        (tmp_path / name).mkdir()
    assert open_dataset("folder", tmp_path).classes == ("archery", "yoga")
    assert "empty folders, ignored as classes: 1, e.g. juggling" in caplog.text


def test_links_in_loops_end(tmp_path: Path) -> None:
    classes = [f"c{i}" for i in range(12)]
    for name in classes:
        put(tmp_path / name / "1.mp4")
        link(tmp_path, tmp_path / name / "up")
        link(tmp_path / name, *(tmp_path / other / name for other in classes))
    link(tmp_path / "self", tmp_path / "self")
    link(tmp_path, tmp_path / "all")
    for family in ("folder", "flat"):
        selection = open_dataset(family, tmp_path).fetch()
        assert len(selection.records) == len(classes)
        assert selection.unlisted == (Path("self"),)


def test_hidden_folders_are_no_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hidden = [".ipynb_checkpoints/a.mp4", "@eaDir/a.mp4", "__MACOSX/b/a.mp4", "b/._a.mp4"]
    put(*(tmp_path / name for name in ("b/a.mp4", ".DS_Store", *hidden)))
    for family in ("folder", "flat"):
        selection = open_dataset(family, tmp_path).fetch()
        assert [record.video_id for record in selection.records] == ["b/a.mp4"]
        assert len(selection.unlisted) == 5
        assert "5 files left out: hidden, or made by the system, such as .DS_Store" in caplog.text


def test_videos_that_fiftyone_has_no_label_for_have_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(*(tmp_path / name for name in ("a/1.mp4", "_unlabeled/2.mp4")))
    dataset = open_dataset("folder", tmp_path)
    assert dataset.classes == ("a",)
    assert {r.video_id: r.label for r in dataset.fetch().records} == {
        "a/1.mp4": "a",
        "_unlabeled/2.mp4": None,
    }
    assert "1 of 2 videos are in _unlabeled and have no label" in caplog.text


# Flat -----------------------------------------------------------------------------------------


def test_all_videos_below_a_folder_have_no_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(*(tmp_path / name for name in ("b.mp4", "a/c.avi", "a/b/d.mkv", "a.txt")))
    dataset = open_dataset("flat", tmp_path)
    assert dataset.classes == ()
    selection = dataset.fetch()
    assert selection.unlisted == (Path("a.txt"),)
    assert selection.records == tuple(
        VideoRecord(name, Path(name), None) for name in ("a/b/d.mkv", "a/c.avi", "b.mp4")
    )
    assert "1 file left out: no known video ending, such as a.txt" in caplog.text
    with pytest.raises(ConfigError, match="no labels to choose classes by"):
        dataset.fetch(classes=["a"])
    with pytest.raises(ConfigError, match="omit --split"):
        open_dataset("flat", tmp_path, "val")
    (tmp_path / "empty").mkdir()
    put(tmp_path / "empty" / "x.txt")
    with pytest.raises(ConfigError, match="has no video; 1 file left out: no known"):
        open_dataset("flat", tmp_path / "empty").fetch()


# Manifest -------------------------------------------------------------------------------------


def test_the_columns_of_a_manifest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "a, b.mp4", tmp_path / "c.mp4", tmp_path / "else" / "d.mp4")
    path = write(
        tmp_path / "list.csv",
        "\ufefflabel, path,start,end,group,note",
        '"x, ""y""","a, b.mp4",,,,n',
        "z,./c.mp4,1.5,4.0,g,",
        "z,./c.mp4,4,,,",
        "",
        f"z,{tmp_path / 'else' / 'd.mp4'},0.0,inf,,",
        "z,gone.mp4,,0.25,,",
    )
    with caplog.at_level("DEBUG"):
        dataset = open_dataset("manifest", path)
        assert dataset.classes == ('x, "y"', "z")
    absolute = tmp_path / "else" / "d.mp4"
    assert dataset.fetch().records == (
        VideoRecord("a, b.mp4", Path("a, b.mp4"), 'x, "y"'),
        VideoRecord("c.mp4@1.5-4", Path("c.mp4"), "z", "g", (1.5, 4.0)),
        VideoRecord("c.mp4@4-inf", Path("c.mp4"), "z", "c.mp4", (4.0, math.inf)),
        VideoRecord(str(absolute), absolute, "z"),
        VideoRecord("gone.mp4@0-0.25", None, "z", "gone.mp4", (0.0, 0.25)),
    )
    assert dataset.folder == tmp_path
    assert dataset.paths_on_disk() == [Path("a, b.mp4"), Path("c.mp4"), absolute]
    assert "that are ignored: note" in caplog.text


def test_ids_are_those_that_the_manifest_gives(tmp_path: Path) -> None:
    put(*(tmp_path / name for name in "abc"))
    path = write(
        tmp_path / "a.csv", "path,video_id,start", "a,one,", "a,two,1", "b,,", "c,c@2-inf,2"
    )
    assert ids(open_dataset("manifest", path)) == ["one", "two@1-inf", "b", "c@2-inf"]
    path = write(tmp_path / "b.csv", "path,source_id", "a,one", "b,")
    assert ids(open_dataset("manifest", path)) == ["one", "b"]


def test_a_manifest_without_labels_is_a_split_without_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "a", tmp_path / "b")
    for text in ("path\na\nb\n", "path,label\na,\nb, \n"):
        dataset = open_dataset("manifest", write(tmp_path / "a.csv", text))
        assert dataset.classes == ()
        assert {record.label for record in dataset.fetch().records} == {None}
    assert not caplog.text
    some = open_dataset("manifest", write(tmp_path / "b.csv", "path,label", "a,x", "b,"))
    assert [record.label for record in some.fetch().records] == ["x", None]
    assert "no label for 1 of its 2" in caplog.text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "lists no video"),
        (["clip,label", "a,b"], "no column 'path', .* it begins with 'clip,label'"),
        (["path|label", "a|b"], r"it begins with 'path\|label'"),
        (["path,label", "a,b", "c,d"], "none of the 2 videos .* exists: 'a' is not at"),
        (["path"], "lists no video"),
        (["path,label,path", "a,b,c"], "a column twice"),
        (["path,label", "a,b", "c"], "line 3 has 1 cells, and the header 2"),
        (["path,label", "a,b", "c,d,e"], "line 3 has 3 cells, and the header 2"),
        (["path,label", '"a', 'b"c",d'], "cannot be read as CSV"),
        (["path,label", '"",b'], "line 2: the path is empty"),
        (["path,start", "a,soon"], "line 2: start is 'soon', not a number of seconds"),
        (["path,end", 'a,"1,5"'], "line 2: end is '1,5'"),
        (["path,start,end", "a,2,2"], "line 2: a section from 2 to 2 s"),
        (["path,start", "a,-1"], "line 2: a section from -1 to inf s"),
        (["path,start", "a,nan"], "line 2: a section from nan to inf s"),
        (["path,start", "a,inf"], "line 2: a section from inf to inf s"),
        (["path", "a", "./b/../a"], "line 3 repeats the video './b/../a' of .*line 2"),
        (["path,video_id", "a,x", "b,x"], "line 3 repeats the id 'x' of .*line 2"),
        (["path,start,end", "a,1,2", "a,1.0,2e0"], "line 3 repeats the id 'a@1-2'"),
        (["path,label", "a,\0"], "line 2 has a NUL character"),
    ],
)
def test_a_bad_manifest_is_refused_in_one_line(lines: list[str], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", *lines)
    with pytest.raises(ConfigError, match=said) as error:
        open_dataset("manifest", path).fetch()
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet", "", "bytes.csv", "no.parquet"])
def test_a_file_that_is_no_table_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"path\n\xff\n")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(ConfigError, match="cannot be read as") as error:
        open_dataset("manifest", tmp_path / name).fetch()
    assert len(str(error.value).splitlines()) == 1


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
names = st.one_of(texts, st.sampled_from(["=1+1", "'=x", "-a b", '"', "a\r\nb", "@", "\ufeff"]))


@given(st.lists(st.tuples(names, names, names), min_size=1, unique_by=lambda row: row[0]))
@settings(deadline=None)
def test_what_subset_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    """Whatever names, labels and ids are: quotes, formulas, ends of lines."""
    folder = tmp_path_factory.mktemp("subset")
    records = [VideoRecord(f"{n} {i}", Path("x"), i or None, g) for n, (i, _, g) in enumerate(rows)]
    paths = {record.video_id: folder / f"{n}.mp4" for n, record in enumerate(records)}
    put(*paths.values())
    path = folder / "manifest.csv"
    path.write_bytes(manifest(records, paths, folder).encode())
    found = open_dataset("manifest", path).fetch().records
    for record, read in zip(records, found, strict=True):
        label = record.label if record.label and record.label.strip() else None
        assert (read.video_id, read.label, read.group) == (record.video_id, label, record.group)


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    put(tmp_path / "a.mp4")
    rows = {
        "path": ["a.mp4", "a.mp4", "b.mp4"],
        "label": ["'=x", "y", "y"],
        "start": [np.nan, 1.5, 0.0],
        "end": [None, 4, np.inf],
        "seen": pandas.Timestamp("2020-01-01"),
    }
    pandas.DataFrame(rows).to_parquet(tmp_path / "list.parquet")
    lines = ["path,label,start,end", "a.mp4,''=x,,", "a.mp4,y,1.5,4", "b.mp4,y,,"]
    csv_path = write(tmp_path / "list.csv", *lines)
    expected = open_dataset("manifest", csv_path).fetch()
    assert expected.records[0].label == "'=x"
    assert open_dataset("manifest", tmp_path / "list.parquet").fetch() == expected
    pandas.DataFrame({"path": [["a"]]}).to_parquet(tmp_path / "bytes.parquet")
    with pytest.raises(ConfigError, match=r"row 1 has .*'a'"):
        open_dataset("manifest", tmp_path / "bytes.parquet").fetch()
    pandas.DataFrame({"clip": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ConfigError, match="no column 'path': it begins with 'clip'"):
        open_dataset("manifest", tmp_path / "other.parquet").fetch()


def test_parquet_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r'pip install "vidbench\[parquet\]"'):
        open_dataset("manifest", tmp_path / "list.parquet").fetch()


# Through the command --------------------------------------------------------------------------


def run_command(
    run_cli: RunCli, folder: Path, *options: object
) -> tuple[dict[str, Any], Predictions]:
    """Metrics and predictions of one run of ``vidbench evaluate`` in the folder."""
    done = run_cli("evaluate", *MODEL, "--json", "--no_report", *options)
    assert done.returncode == 0, done.stderr
    metrics: dict[str, Any] = json.loads(done.stdout)
    return metrics, FinishedRun(folder / metrics["folder"]).predictions


def scores_by_name(predictions: Predictions) -> dict[str, list[float]]:
    names = [Path(name).stem for name in predictions.video_ids.tolist()]
    return dict(zip(names, predictions.scores.tolist(), strict=True))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, kept_clips: dict[str, Path]) -> FinishedRun:
    """The run of the sample as the dataset that comes with vidbench."""
    folder = tmp_path_factory.mktemp("known")
    return FinishedRun(evaluate(config(folder, dataset="sample", **kept_clips)).folder)


def config(folder: Path, **options: Any) -> RunConfig:
    folders = {f"{name}_dir": folder / name for name in ("data", "cache", "results")}
    return RunConfig(
        model_type="saved_model",
        model_path=str(SAMPLE / "model"),
        num_frames=16,
        no_report=True,
        **{**folders, **options},
    )


def test_class_folders_get_the_known_accuracy(
    run_cli: RunCli,
    tmp_path: Path,
    videos: Path,
    known: FinishedRun,
    kept_clips: dict[str, Path],
) -> None:
    options = ("--dataset_path", videos, "--cache_dir", kept_clips["cache_dir"])
    metrics, predictions = run_command(run_cli, tmp_path, "--dataset", "folder", *options)
    assert metrics["top1"] == known.metrics["top1"]
    assert metrics["top1"]["value"] == pytest.approx(104 / 112)
    assert metrics["signature"].split(" | ")[1] == "folder-shapes/all"
    assert scores_by_name(predictions) == scores_by_name(known.predictions)


def test_a_folder_without_labels_is_predicted_and_not_scored(
    run_cli: RunCli,
    tmp_path: Path,
    videos: Path,
    known: FinishedRun,
    kept_clips: dict[str, Path],
) -> None:
    path = ("--dataset_path", videos, "--cache_dir", kept_clips["cache_dir"])
    metrics, predictions = run_command(run_cli, tmp_path, "--dataset", "flat", *path, "--seed", 1)
    assert metrics["top1"] is None
    assert metrics["not_scored"] == "the split has no labels"
    assert scores_by_name(predictions) == scores_by_name(known.predictions)
    with (tmp_path / metrics["folder"] / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 112
    assert {row["label"] for row in rows} == {""}
    named = {row["video_id"]: row["pred_1"] for row in rows}
    best = np.array(predictions.classes)[predictions.scores.argmax(axis=1)]
    assert named == dict(zip(predictions.video_ids.tolist(), best.tolist(), strict=True))


def test_a_manifest_of_subset_gives_the_run_of_its_videos(
    run_cli: RunCli, tmp_path: Path, known: FinishedRun
) -> None:
    """Copies have other names and lie elsewhere; ids, labels, groups and scores are the same."""
    drawn = ("--num_videos", 28, "--output", "part/list.csv", "--copy_dir", "part/copies")
    done = run_cli("subset", "--dataset", "sample", *drawn)
    assert done.returncode == 0, done.stderr
    path = "--dataset_path", "part/list.csv"
    metrics, found = run_command(run_cli, tmp_path, "--dataset", "manifest", *path)
    rows = {name: row for row, name in enumerate(known.predictions.video_ids.tolist())}
    expected = known.predictions.only([rows[name] for name in found.video_ids.tolist()])
    assert len(found) == metrics["top1"]["num_videos"] == 28
    for column in ("labels", "groups", "targets", "scores"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))


@each_nth
def test_real_clips_and_their_sections(tmp_path: Path, real_clips: Path, nth: int) -> None:
    """Each section has the score of its own frames, and other sections are another run."""
    with (real_clips / "manifest.csv").open(newline="") as file:
        clips = [real_clips.parent / row["file"] for row in csv.DictReader(file)][::nth]
    sections = [("", ""), ("0.1", "0.4"), ("0.2", ""), ("99", "")]
    rows = [csv_line((path, *section)) for path in clips for section in sections]
    path = write(tmp_path / "clips.csv", "path,start,end", *rows)
    run = evaluate(config(tmp_path, dataset="manifest", dataset_path=str(path)))
    assert run.metrics["requested"] == len(rows) == 4 * len(clips)
    assert run.metrics["skipped"] == {"too_short": len(clips)}
    table = FinishedRun(run.folder).predictions
    model = load_model("saved_model", model_path=str(SAMPLE / "model")).load()
    for row in range(0, len(rows), 37):
        if table.scored[row]:
            spec = PreprocessSpec(num_frames=16)
            clip = decode_views(Path(table.paths[row]), spec, section=table.section(row))
            np.testing.assert_allclose(model.predict(clip)[0], table.scores[row], atol=1e-5)
    again = evaluate(config(tmp_path, dataset="manifest", dataset_path=str(path)))
    assert again.folder == run.folder
    assert "decode" not in again.beside
    path.write_text(path.read_text().replace("0.1,0.4", "0.1,0.3"))
    other = evaluate(config(tmp_path, dataset="manifest", dataset_path=str(path)))
    assert other.folder != run.folder
