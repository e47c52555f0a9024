"""Lists of videos as other programs write and read them, for ``--dataset manifest``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.errors import ConfigError


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def open_list(path: Path, **options: Any) -> Dataset:
    return load_dataset("manifest", data_dir=Path("nowhere"), root_url=str(path), **options)


def read(path: Path, **options: Any) -> list[tuple[str, str | None]]:
    """Paths and labels."""
    records = open_list(path, **options).fetch().records
    assert all(record.path is not None for record in records)
    return [(str(record.path), record.label) for record in records]


def write(folder: Path, *lines: str, name: str = "list.txt", end: str = "\n") -> Path:
    path = folder / name
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


PLAIN = ["some/path/000.mp4 1", "some/path/001.mp4 1", "some/path/002.mp4 2"]
EXPECTED = [("some/path/000.mp4", "1"), ("some/path/001.mp4", "1"), ("some/path/002.mp4", "2")]

# Shapes of lines in the documentation, the tests and the readers of each project.
PEERS: dict[str, Sequence[str]] = {
    "mmaction2": PLAIN,  # mmaction/datasets/video_dataset.py
    "SlowFast": PLAIN,  # slowfast/datasets/DATASET.md, DATA.PATH_LABEL_SEPARATOR " "
    "PyTorchVideo": PLAIN,  # pytorchvideo/data/labeled_video_paths.py
    "VideoMAE": [line.replace(" ", "  ") for line in PLAIN],  # DATASET.md, two blanks
    "UniFormer": [line.replace(" ", ",") for line in PLAIN],  # DATA.PATH_LABEL_SEPARATOR ","
    "InternVideo": [line.replace(" ", ", ") for line in PLAIN],
    "tabs": [line.replace(" ", "\t") for line in PLAIN],
    "semicolons": [line.replace(" ", ";") for line in PLAIN],
    "quotes": [f'"{line.replace(" ", chr(34) + " ")}' for line in PLAIN],
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("peer", PEERS)
def test_lists_of_peers_are_told_by_their_content(
    peer: str, end: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, *(path for path, _ in EXPECTED))
    for name in ("list.txt", "val.csv"):
        with caplog.at_level("INFO", "vidbench"):
            assert read(write(tmp_path, *PEERS[peer], "", name=name, end=end)) == EXPECTED
    assert "is read as path and label with" in caplog.text
    assert len([m for m in caplog.messages if "is read as" in m]) == 2


def test_paths_without_labels(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b c.mp4", "d.MKV")
    path = write(tmp_path, "a.mp4", "b c.mp4", "d.MKV")
    assert read(path) == [("a.mp4", None), ("b c.mp4", None), ("d.MKV", None)]
    path = write(tmp_path, "a.mp4 -1", "b c.mp4 -1")  # as PyTorchVideo and mmaction2 mean none
    assert read(path) == [("a.mp4", None), ("b c.mp4", None)]


def test_names_are_labels_too(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "my dir/b.webm")
    names = ["riding a bike", "punching person (boxing)"]
    for between in (" ", ",", ", ", ";", "\t"):
        lines = [f"a.mp4{between}{names[0]}", f"my dir/b.webm{between}{names[1]}"]
        found = read(write(tmp_path, *lines))
        assert found == [("a.mp4", names[0]), ("my dir/b.webm", names[1])], between


@pytest.mark.parametrize("between", [" ", "  ", "\t", ",", ", ", ";"])
@pytest.mark.parametrize(
    "path",
    [
        "my dir/b.mp4",
        "my dir 2/b 3.mp4",
        "a,b/c.mp4",
        "a; b.mp4",
        "1 2/3.mp4",
        "x.mp4 y/z.mp4",
        "ünï cödé/b.mp4",
    ],
)
def test_paths_with_blanks_are_read_right(between: str, path: str, tmp_path: Path) -> None:
    put(tmp_path, path, "plain.mp4")
    lines = [f"{path}{between}2", f"plain.mp4{between}11"]
    assert read(write(tmp_path, *lines)) == [(path, "2"), ("plain.mp4", "11")]


words = st.text(st.sampled_from("ab 1,;\u00e9-_."), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(
    names=st.lists(words, min_size=1, max_size=4, unique=True),
    labels=st.lists(st.integers(0, 999), min_size=4, max_size=4),
    between=st.sampled_from([" ", "\t", ",", ";"]),
)
def test_any_list_of_paths_and_indices_is_read_or_refused_and_never_misread(
    names: list[str], labels: list[int], between: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    paths = [f"{name.strip() or 'x'}{number}.mp4" for number, name in enumerate(names)]
    assume(not any(path.startswith(("..", "/", ".")) for path in paths))
    put(folder, *paths)
    lines = [f"{path}{between}{label}" for path, label in zip(paths, labels, strict=False)]
    try:
        found = read(write(folder, *lines))
    except ConfigError:
        return
    assert found == [(p, str(label)) for p, label in zip(paths, labels, strict=False)]


@pytest.mark.parametrize(
    ("files", "lines", "said"),
    [
        (["a", "a 12"], ["a 12 7"], "'a 12 7' is the video 'a 12'.* with label 7, or .*'a'"),
        (
            ["v.mp4"],
            ["v.mp4 163 1"],
            "path and several labels",
        ),
        (["a,b.mp4 2", "a"], ["a,b.mp4 2"], "ambiguous"),
    ],
)
def test_what_is_ambiguous_is_refused_with_both_readings(
    files: list[str], lines: list[str], said: str, tmp_path: Path
) -> None:
    for name in files:
        if name.endswith("mp4") or "mp4" in name:
            put(tmp_path, name)
        else:
            (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=said) as error:
        read(write(tmp_path, *lines))
    assert len(str(error.value).splitlines()) == 1


def test_several_labels_a_video_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "test.mp4", "b.mp4")
    for lines in (["test.mp4 0 3", "b.mp4 0 2 4"], ["test.mp4,0,3", "b.mp4,0,2,4"]):
        with pytest.raises(ConfigError, match=r"several labels .*one class"):
            read(write(tmp_path, *lines))


@pytest.mark.parametrize("between", [" ", ",", "\t"])
def test_lists_of_frame_folders(between: str, tmp_path: Path) -> None:
    """As mmaction2's RawframeDataset and VideoMAE V2's RawFrameClsDataset read them."""
    for folder in ("some/directory-1", "some/directory 2"):
        put(tmp_path / folder, *(f"img_{number:05d}.jpg" for number in range(1, 6)))
    lines = [f"some/directory-1{between}5{between}127", f"some/directory 2{between}5{between}1"]
    found = [("some/directory-1", "127"), ("some/directory 2", "1")]
    assert read(write(tmp_path, *lines)) == found
    assert read(write(tmp_path, *(line.replace(f"{between}5", "") for line in lines))) == found


def test_parts_of_frame_folders_are_sections(tmp_path: Path) -> None:
    """As mmaction2's RawframeDataset reads them with ``with_offset``: frames 3 to 7 of 10."""
    put(tmp_path / "imgs", *(f"img_{number:05d}.jpg" for number in range(1, 11)))
    path = write(tmp_path, "imgs 2 5 127", "imgs 0 2 4")
    records = open_list(path, frames_fps=10.0).fetch().records
    assert [record.label for record in records] == ["127", "4"]
    assert [record.section for record in records] == [(0.15, 0.65), (0.0, 0.15)]
    times = [number / 10 for number in range(10)]
    inside = [[t for t in times if s <= t < e] for s, e in (r.section or (0, 0) for r in records)]
    assert inside == [[0.2, 0.3, 0.4, 0.5, 0.6], [0.0, 0.1]]
    assert {record.group for record in records} == {"imgs"}


# Where videos are -------------------------------------------------------------------------------


def test_a_message_says_where_a_video_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    put(here, "val/a.mp4")
    put(home, "b.mp4")
    lists = put(tmp_path / "lists", "videos_val/c/d.mp4")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))

    def refusal(*lines: str) -> str:
        with pytest.raises(ConfigError) as error:
            open_list(write(lists, *lines)).fetch()
        assert len(str(error.value).splitlines()) == 1
        return str(error.value)

    assert f"it is at {here}/val/a.mp4: add --videos_path {here}" in refusal("val/a.mp4 1")
    assert read(lists / "list.txt", videos_path=here) == [("val/a.mp4", "1")]
    assert f"it is at {home}/b.mp4: write the home folder" in refusal("~/b.mp4 1")
    assert "write / instead of" in refusal("path,label", "val\\a.mp4,1")
    assert "write / instead of" in refusal("videos_val\\c\\d.mp4 1")
    near = refusal("c/d.mp4 7")
    assert f"it is at {lists}/videos_val/c/d.mp4: add --videos_path {lists}/videos_val" in near
    nowhere = refusal("~/x\\gone.mp4 3")
    for place in (lists / "~/x\\gone.mp4", here / "~/x\\gone.mp4", home / "x\\gone.mp4"):
        assert str(place) in nowhere
    assert "none of the 1 videos" in nowhere
    assert f"is not at {lists}/frames 1 or" in refusal("frames 1 7")


def test_some_missing_videos_are_told_and_stay_on_the_list(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.mp4")
    records = open_list(write(tmp_path, "a.mp4 1", "gone.mp4 2")).fetch().records
    assert [record.path for record in records] == [Path("a.mp4"), None]
    assert "1 of the 2 videos" in caplog.text
    assert f"'gone.mp4' is not at {tmp_path}/gone.mp4" in caplog.text


# Tables with a header ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "label"),
    [
        (["path,label", "a.mp4,b c"], "b c"),
        (["path;label", "a.mp4;b, c"], "b, c"),
        (["path\tlabel", "a.mp4\tb c"], "b c"),
        (["path, label", "a.mp4, b c"], "b c"),
        (["path ,label", "a.mp4, b c"], "b c"),
        (["path, label", 'a.mp4, "b, c"'], "b, c"),
        (["file_name,label", "a.mp4,b"], "b"),
        (["label,filename", "b,a.mp4"], "b"),
        (["Path,Label", "a.mp4,b"], "b"),
        (["video_path,class", "a.mp4,b"], "b"),
        (["filepath,split,category", "a.mp4,val,b"], "b"),
        (["path", "a.mp4"], None),
    ],
)
def test_tables_of_others(lines: list[str], label: str | None, tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    assert read(write(tmp_path, *lines)) == [("a.mp4", label)]


def test_blanks_that_only_some_rows_have_are_kept(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    found = read(write(tmp_path, "path,label", "a.mp4, x", "b.mp4,x"))
    assert found == [("a.mp4", " x"), ("b.mp4", "x")]


def test_labels_json_of_fiftyone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "data/a.mp4", "data/sub/b c.webm", "data/notes.txt")
    labels: dict[str, Any] = {"a": 1, "sub/b c": None}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"classes": ["x", "y"], "labels": labels}))
    with caplog.at_level("INFO", "vidbench"):
        assert read(path) == [("data/a.mp4", "y"), ("data/sub/b c.webm", None)]
    assert "is read as labels.json of FiftyOne" in caplog.text
    labels = {"a.mp4": {"label": "x", "confidence": 0.5}, "sub/b c": "z"}
    path.write_text(json.dumps({"classes": None, "labels": labels}))
    assert read(path) == [("data/a.mp4", "x"), ("data/sub/b c.webm", "z")]
    path.write_text(json.dumps({"labels": {"a": 3}}))
    assert read(path) == [("data/a.mp4", "3")]
    sections = [{"label": 0, "timestamps": [0.5, 2]}, {"label": 1, "timestamps": [2, 3.25]}]
    path.write_text(json.dumps({"classes": ["x", "y"], "labels": {"a": sections}}))
    records = open_list(path).fetch().records
    assert [(r.label, r.section) for r in records] == [("x", (0.5, 2.0)), ("y", (2.0, 3.25))]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "FiftyOne's labels.json"),
        ('{"a.mp4": 1}', "'classes' and 'labels'"),
        ('{"labels": {}}', "lists no video"),
        ('{"classes": ["x"], "labels": {"a": 1}}', "the label 1 is not an index of 1 classes"),
        ('{"labels": {"a": 1.5}}', "1.5 is not a label"),
        ('{"labels": {"a": [{"label": "x", "support": [1, 9]}]}}', "use_timestamps=True"),
    ],
)
def test_other_json_is_refused(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(ConfigError, match=said) as error:
        open_list(tmp_path / "labels.json").fetch()
    assert len(str(error.value).splitlines()) == 1


# Labels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["kinetics-400", "file"])
def test_indices_become_names(version: str, tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = write(tmp_path, "a.mp4 0", "b.mp4 2", "c.mp4 -1")
    classes = Path(version) if version != "file" else write(tmp_path, "x", "y", "z", name="c.txt")
    names = ["abseiling", "answering questions"] if version != "file" else ["x", "z"]
    assert [label for _, label in read(path, classes_file=classes)] == [*names, None]
    table = write(tmp_path, "path,label", "a.mp4,0.0", "b.mp4,2.0", "c.mp4,", name="t.csv")
    assert [label for _, label in read(table, classes_file=classes)] == [*names, None]
    named = write(tmp_path, "path,label", f"a.mp4,{names[1]}", "b.mp4,other", name="n.csv")
    assert [label for _, label in read(named, classes_file=classes)] == [names[1], "other"]


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (
            ["1", "3"],
            ["x", "y", "z"],
            "from 1 to 3, .* 0 to 2: they seem to count from 1",
        ),
        (["0", "9"], ["x", "y", "z"], "from 0 to 9, .* 0 to 2: name the list"),
        (["0", "1"], ["1", "0"], "ambiguous: .* is the name of a class in"),
    ],
)
def test_indices_that_the_class_list_does_not_have_are_refused(
    labels: list[str], classes: list[str], said: str, tmp_path: Path
) -> None:
    put(tmp_path, "0.mp4", "1.mp4")
    path = write(tmp_path, *(f"{n}.mp4 {label}" for n, label in enumerate(labels)))
    with pytest.raises(ConfigError, match=said):
        read(path, classes_file=write(tmp_path, *classes, name="classes.txt"))


def test_indices_that_contradict_folders_are_refused(tmp_path: Path) -> None:
    """UCF101's own lists count from 1, and no index need be beyond the classes to tell."""
    videos = ["ApplyEyeMakeup/v_a.avi", "ApplyLipstick/v_b.avi", "Archery/v_c.avi", "other/v_d.avi"]
    put(tmp_path, *videos)
    classes = Path("ucf101")
    path = write(tmp_path, *(f"{video} {number}" for number, video in enumerate(videos, 1)))
    with pytest.raises(ConfigError, match=r"3 of the indices .* 'ApplyEyeMakeup/v_a.avi' would be"):
        read(path, classes_file=classes)
    path = write(tmp_path, *(f"{video} {number}" for number, video in enumerate(videos)))
    assert [label for _, label in read(path, classes_file=classes)][:2] == [
        "ApplyEyeMakeup",
        "ApplyLipstick",
    ]


def test_numbers_that_are_names_stay_names(tmp_path: Path) -> None:
    put(tmp_path, "0.mp4", "1.mp4")
    classes = write(tmp_path, "0", "1", "17", name="classes.txt")
    for labels in (["0", "1"], ["17", "1"]):
        path = write(tmp_path, *(f"{n}.mp4 {label}" for n, label in enumerate(labels)))
        assert [label for _, label in read(path, classes_file=classes)] == labels


AS_WRITTEN: dict[str, tuple[Sequence[Any], Sequence[str]]] = {
    "whole numbers": ([7, 12, 0], ["7", "12", "0"]),
    "leading zeros": (["007", "7", "0"], ["007", "7", "0"]),
    "truths": ([True, False, True], ["True", "False", "True"]),
    "numbers": ([0.5, 1.0, 1e-7], ["0.5", "1.0", "1e-07"]),
    "missing ones": (["NA", "null", "None"], ["NA", "null", "None"]),
    "more of them": (["nan", "N/A", "-"], ["nan", "N/A", "-"]),
    "dates": ([date(2024, 1, 2)] * 3, ["2024-01-02"] * 3),
    "days": ([datetime(2024, 1, 2)] * 3, ["2024-01-02"] * 3),
    "times": ([datetime(2024, 1, 2, 3, 4)] * 3, ["2024-01-02 03:04:00"] * 3),
    "decimals": ([Decimal("1.50")] * 3, ["1.50"] * 3),
    "bytes": ([b"yoga"] * 3, ["yoga"] * 3),
    "texts": (["a b", " c", "\u00e9"], ["a b", " c", "\u00e9"]),
}


@pytest.mark.parametrize("kind", AS_WRITTEN)
def test_labels_come_back_as_written(kind: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values, texts = AS_WRITTEN[kind]
    paths = ["0.mp4", "1.mp4", "2.mp4"]
    put(tmp_path, *paths)
    column = pyarrow.array(values)
    columns = [column, column.dictionary_encode()]
    if pyarrow.types.is_string(column.type):
        columns += [column.cast(pyarrow.large_string())]
    for labels in columns:
        table = pyarrow.table({"path": paths, "label": labels})
        for name in ("list.parquet", "without_ending"):
            parquet.write_table(table, tmp_path / name)
            assert [label for _, label in read(tmp_path / name)] == texts
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *zip(paths, texts, strict=True)])
    assert [label for _, label in read(tmp_path / "list.csv")] == texts


def test_labels_of_single_precision_and_of_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    put(tmp_path, "0.mp4", "1.mp4")
    paths = ["0.mp4", "1.mp4"]
    for labels, texts in (
        (pandas.array([0.1, 2.5], "float32"), ["0.1", "2.5"]),
        (pandas.Categorical(["b", "007"]), ["b", "007"]),
        (pandas.array([3, None], "Int64"), ["3", None]),
        (pandas.array([True, None], "boolean"), ["True", None]),
        (pandas.array(["NA", None], "string"), ["NA", None]),
    ):
        pandas.DataFrame({"path": paths, "label": labels}).to_parquet(tmp_path / "a.parquet")
        assert [label for _, label in read(tmp_path / "a.parquet")] == texts


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    put(tmp_path, "a.mp4")
    for value, said in (([1, 2], "neither a text nor"), (b"\xff", "not UTF-8")):
        parquet.write_table(
            pyarrow.table({"path": ["a.mp4"], "label": [value]}), tmp_path / "a.parquet"
        )
        with pytest.raises(ConfigError, match=said):
            read(tmp_path / "a.parquet")


Reader = Callable[[str], tuple[str, str]]


@pytest.mark.parametrize("line", ["a/b.mp4 3", "a-b_c.avi 0"])
def test_lines_are_read_as_the_readers_of_peers_read_them(line: str, tmp_path: Path) -> None:
    """What each reader does with a line, in its own words: all agree where no blank is inside."""
    pandas = pytest.importorskip("pandas")
    put(tmp_path, line.split()[0])
    path = write(tmp_path, line)
    readers: dict[str, Reader] = {
        "mmaction2 and SlowFast": lambda text: (text.split()[0], text.split()[1]),
        "PyTorchVideo": lambda text: (text.rsplit(None, 1)[0], text.rsplit(None, 1)[1]),
    }
    frame = pandas.read_csv(path, header=None, delimiter=" ")  # VideoMAE
    assert [(str(frame.iloc[0, 0]), str(frame.iloc[0, 1]))] == read(path)
    for reader in readers.values():
        assert [reader(line)] == read(path)


@pytest.mark.parametrize(
    ("lines", "form"),
    [
        (["some/path/000.mp4 1", "some/path/001.mp4 1"], "path and label with blanks between"),
        (["some/path/000.mp4,1", "some/path/001.mp4,1"], "path and label with commas between"),
    ],
)
def test_comments_and_empty_lines_are_no_videos(
    lines: list[str], form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "some/path/000.mp4", "some/path/001.mp4")
    first, second = lines
    path = write(tmp_path, "# from set.mp4", "", first, "#", "   ", second, "#\tend")
    with caplog.at_level("INFO", "vidbench"):
        assert read(path) == EXPECTED[:2]
    assert f"is read as {form}, with 3 comments ignored: 2 videos" in caplog.text


@pytest.mark.parametrize("before", [[], [""], ["  "], ["# path, and label"], ["#", "", "# x"]])
def test_a_header_is_the_first_line_that_says_something(before: list[str], tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4", "#c.mp4")
    for header, rows in (
        ("path,label", ["a.mp4,x", "", "# no, video", "b.mp4,y", "#c.mp4,z"]),
        ("path, label", ["a.mp4, x", " ", "b.mp4, y", "#c.mp4, z"]),
        ("path;label", ["a.mp4;x", "b.mp4;y", "#", "#c.mp4;z"]),
        ("Path Label", ["a.mp4 x", "b.mp4 y", "#c.mp4 z"]),
    ):
        path = write(tmp_path, *before, header, *rows)
        assert read(path) == [("a.mp4", "x"), ("b.mp4", "y"), ("#c.mp4", "z")], header


def test_what_excel_writes_before_a_header_is_no_video(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    path = write(tmp_path, "sep=;", "path;label", "a.mp4;x", "b.mp4;y")
    with pytest.raises(
        ConfigError, match="begins with 'sep=;', which is not a video, unlike other lines"
    ):
        open_list(path).fetch()


def test_a_header_with_blanks_may_count_frames(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    path = write(tmp_path, "path total_frames label", "a 2 5", "b 2 7")
    assert read(path) == [("a", "5"), ("b", "7")]


@pytest.mark.parametrize("header", ["clip,target", "name label", "video_name\ttag", "id;y"])
def test_a_header_of_unknown_names_is_no_video(header: str, tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    between = next(each for each in ",\t; " if each in header)
    path = write(tmp_path, header, f"a.mp4{between}x", f"b.mp4{between}y")
    with pytest.raises(ConfigError) as refused:
        open_list(path).fetch()
    assert str(refused.value) == (
        f"{path} begins with {header!r}, which is not a video, unlike other lines: if it is a "
        "header, call the columns path and label; if not, remove it"
    )


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_any_system_ends_them(end: str, tmp_path: Path) -> None:
    put(tmp_path, "some/path/000.mp4", "some/path/001.mp4", "some/path/002.mp4")
    assert read(write(tmp_path, *PLAIN, end=end)) == EXPECTED
    table = ["path,label", *(line.replace(" ", ",") for line in PLAIN)]
    assert read(write(tmp_path, *table, end=end)) == EXPECTED


def test_names_with_delimiters_behind_the_ending_of_a_video(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "x,y.mp4", "c.mp4")
    for between in (",", ", ", ";", "\t"):
        sign = between.strip(" ")
        lines = [f"a.mp4{between}not here{sign} there", f"c.mp4{between}here"]
        assert read(write(tmp_path, *lines)) == [
            ("a.mp4", f"not here{sign} there"),
            ("c.mp4", "here"),
        ]
    assert read(write(tmp_path, "x,y.mp4,p, q", "c.mp4,r")) == [("x,y.mp4", "p, q"), ("c.mp4", "r")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a.mp4 1", "b.mp4 1 2"], "several labels with blanks between, e.g. 'b.mp4 1 2'"),
        (["a.mp4,1", "b.mp4,1,2"], "several labels with commas between, e.g. 'b.mp4,1,2'"),
        (["a.mp4,1,", "b.mp4,1"], "is not a list of paths and labels"),
        (["a.mp4,x,12", "b.mp4,y,12"], "is not a list of paths and labels"),
    ],
)
def test_other_columns_are_no_part_of_a_path_or_a_label(
    lines: list[str], said: str, tmp_path: Path
) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(ConfigError, match=said):
        open_list(write(tmp_path, *lines)).fetch()


def test_absolute_paths_of_another_place_are_told_so(tmp_path: Path) -> None:
    path = write(tmp_path, f"{tmp_path}/gone/a.mp4 1")
    said = f"at {tmp_path}/gone/a.mp4: correct the path, or write paths relative to --videos_path$"
    with pytest.raises(ConfigError, match=said):
        open_list(path).fetch()


def test_videos_beside_the_lists_folder_are_found_for_the_message(tmp_path: Path) -> None:
    put(tmp_path, "data/v/a.mp4", "data/lists/x")
    for folder in (tmp_path / "data", tmp_path):
        path = write(tmp_path / "data" / "lists", f"{'data/' * (folder == tmp_path)}v/a.mp4 1")
        with pytest.raises(ConfigError, match=f"add --videos_path {folder}$"):
            open_list(path).fetch()
