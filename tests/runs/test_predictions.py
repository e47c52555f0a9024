from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbench.data.records import Skip, VideoRecord
from vidbench.errors import VidbenchError
from vidbench.runs.outputs import write_predictions, write_skipped
from vidbench.runs.predictions import PENDING, Predictions
from vidbench.storage.csv_cells import unescape_cell

CLASSES = ("plain", 'with, comma and "quotes"', "日本語 ümlaut")
RECORDS = (
    VideoRecord("a", Path("part_0/a.mp4"), CLASSES[0]),
    VideoRecord("é, 視", Path("part 1/é, 視.mp4"), CLASSES[1]),
    VideoRecord('"c"', None, CLASSES[2]),
    VideoRecord("d", Path("part_0/d.mp4"), None),
)

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


def filled() -> Predictions:
    table = Predictions.pending(RECORDS, CLASSES)
    table.set_scores(0, np.array([0.25, 0.5, 0.25], np.float32))
    table.set_scores(1, np.array([0.1, 0.7, 0.2], np.float32))
    table.set_skip(2, Skip("missing", 'in no tarball: "c", 日'))
    table.set_scores(3, np.array([0.0, 0.125, 0.875], np.float32))
    return table


def assert_equal_tables(one: Predictions, other: Predictions) -> None:
    assert one.classes == other.classes
    for column in ("video_ids", "paths", "labels", "scores", "reasons", "details"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column), column)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [[unescape_cell(cell) for cell in row] for row in csv.reader(file)]


def test_a_new_table_has_every_record_and_no_score() -> None:
    table = Predictions.pending(RECORDS, CLASSES)
    assert len(table) == 4
    assert table.paths.tolist() == ["part_0/a.mp4", "part 1/é, 視.mp4", "", "part_0/d.mp4"]
    assert table.labels.tolist() == [*CLASSES, ""]
    assert not table.scored.any()
    assert np.isnan(table.scores).all()
    assert table.reasons.tolist() == [PENDING] * 4


def test_a_later_outcome_takes_the_place_of_an_earlier_one() -> None:
    table = filled()
    table.set_scores(2, np.array([1, 0, 0], np.float32))
    table.set_skip(0, Skip("truncated", "short"))
    assert table.scored.tolist() == [False, True, True, True]
    assert table.details.tolist() == ["short", "", "", ""]
    assert np.isnan(table.scores[0]).all()


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    filled().save(tmp_path / "new" / "t.npz")
    read = Predictions.pending(RECORDS, CLASSES)
    read.update(tmp_path / "new" / "t.npz")
    assert_equal_tables(read, filled())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.npz"]


@given(st.lists(text, min_size=1, max_size=5, unique=True), text, text)
def test_any_text_survives_on_disk(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], label: str, detail: str
) -> None:
    folder = tmp_path_factory.mktemp("text")
    records = [VideoRecord(video_id, Path("p.mp4"), label) for video_id in ids]
    table = Predictions.pending(records, (label,))
    table.set_skip(0, Skip("unreadable", detail))
    for row in range(1, len(ids)):
        table.set_scores(row, np.ones(1, np.float32))
    table.save(folder / "t.npz")
    read = Predictions.pending(records, (label,))
    read.update(folder / "t.npz")
    assert_equal_tables(read, table)
    write_predictions(folder / "t.csv", read, 1)
    write_skipped(folder / "s.csv", read)
    assert rows_of(folder / "t.csv")[1:] == [
        [video_id, "p.mp4", label, label, label, "1.000000", ""] for video_id in ids[1:]
    ]
    assert rows_of(folder / "s.csv")[1:] == [[ids[0], "p.mp4", label, "unreadable", detail]]


def test_nothing_on_disk_is_pickled(tmp_path: Path) -> None:
    filled().save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        columns = {name: file[name] for name in file.files}
    assert {column.dtype.kind for column in columns.values()} == {"U", "f"}
    assert columns["classes"].tolist() == list(CLASSES)
    assert columns["label"].tolist() == [*CLASSES, ""]


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    names = ("t.npz", "t.csv", "s.csv")
    for folder in (tmp_path / "one", tmp_path / "other"):
        filled().save(folder / "t.npz")
        write_predictions(folder / "t.csv", filled(), 2)
        write_skipped(folder / "s.csv", filled())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@given(st.permutations(range(4)), st.lists(st.integers(1, 3), max_size=3, unique=True))
def test_parts_of_a_table_merge_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    read = Predictions.pending(RECORDS, CLASSES)
    for number, rows in enumerate(np.split(np.array(order), sorted(cuts))):
        filled().save(folder / f"{number}.npz", rows.tolist())
        read.update(folder / f"{number}.npz")
    assert_equal_tables(read, filled())


def test_a_part_leaves_the_other_rows_alone(tmp_path: Path) -> None:
    filled().save(tmp_path / "part.npz", [1, 2])
    read = Predictions.pending(RECORDS, CLASSES)
    read.update(tmp_path / "part.npz")
    assert read.reasons.tolist() == [PENDING, "", "missing", PENDING]


def test_rows_are_found_by_video_id_and_unknown_ids_are_left(tmp_path: Path) -> None:
    filled().save(tmp_path / "t.npz")
    read = Predictions.pending(RECORDS[:0:-2], CLASSES)
    read.update(tmp_path / "t.npz")
    assert read.video_ids.tolist() == ["d", "é, 視"]
    np.testing.assert_array_equal(read.scores, filled().scores[[3, 1]])


def test_scores_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    filled().save(tmp_path / "t.npz")
    with pytest.raises(VidbenchError, match="other classes"):
        Predictions.pending(RECORDS, CLASSES[:2]).update(tmp_path / "t.npz")


def test_scores_of_other_classes_are_refused(tmp_path: Path) -> None:
    filled().save(tmp_path / "t.npz")
    with pytest.raises(VidbenchError, match="other classes"):
        Predictions.pending(RECORDS, CLASSES[::-1]).update(tmp_path / "t.npz")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(VidbenchError, match=r"t\.npz.*remove it"):
        Predictions.pending(RECORDS, CLASSES).update(tmp_path / "t.npz")


def test_a_single_array_in_the_place_of_a_table_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "t.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(VidbenchError, match="remove it"):
        Predictions.pending(RECORDS, CLASSES).update(tmp_path / "t.npz")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VidbenchError, match="remove it"):
        Predictions.pending(RECORDS, CLASSES).update(tmp_path / "t.npz")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_byte_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "t.npz"
    filled().save(path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1), "place")] ^= 1 << data.draw(
        st.integers(0, 7), "bit"
    )
    path.write_bytes(content)
    read = Predictions.pending(RECORDS, CLASSES)
    try:
        read.update(path)
    except VidbenchError:
        return
    assert_equal_tables(read, filled())


@given(st.data())
def test_a_truncated_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("truncated") / "t.npz"
    filled().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(VidbenchError, match="remove it"):
        Predictions.pending(RECORDS, CLASSES).update(path)


def test_the_csv_lists_scored_videos_in_order_with_their_top_classes(tmp_path: Path) -> None:
    write_predictions(tmp_path / "t.csv", filled(), 2)
    header = [
        "video_id",
        "path",
        "label",
        "target",
        "pred_1",
        "pred_2",
        "score_1",
        "score_2",
        "note",
    ]
    plain, quoted, foreign = CLASSES
    assert rows_of(tmp_path / "t.csv") == [
        header,
        ["a", "part_0/a.mp4", plain, plain, quoted, "", "0.500000", "", ""],
        ["é, 視", "part 1/é, 視.mp4", quoted, quoted, quoted, foreign, "0.700000", "0.200000", ""],
        ["d", "part_0/d.mp4", "", "", foreign, quoted, "0.875000", "0.125000", ""],
    ]


def test_equal_scores_are_listed_by_class_but_for_the_lowest(tmp_path: Path) -> None:
    names = tuple(f"class {100 - i}" for i in range(100))
    table = Predictions.pending(RECORDS[:1], names)
    table.set_scores(0, np.array([0.25, 0.75, 0.5, 0.75] * 25, np.float32))
    write_predictions(tmp_path / "t.csv", table, 100)
    best = [*names[1::2], *names[2::4], *[""] * 25]
    assert rows_of(tmp_path / "t.csv")[1][4:104] == best


def test_skipped_videos_have_a_table_of_their_own(tmp_path: Path) -> None:
    write_skipped(tmp_path / "s.csv", filled())
    assert rows_of(tmp_path / "s.csv") == [
        ["video_id", "path", "label", "reason", "detail"],
        ['"c"', "", CLASSES[2], "missing", 'in no tarball: "c", 日'],
    ]


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_predictions(path, filled(), 1)
    before = path.read_bytes()
    broken = filled()
    broken.classes = ()
    with pytest.raises(IndexError):
        write_predictions(path, broken, 1)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["t.csv"]
