"""Names, labels and messages from outside do no harm in CSV, on a terminal, in logs, on a disk."""

from __future__ import annotations

import csv
import html
import io
import json
import logging
import re
import sys
import tarfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.command import RunCli
from tests.helpers.hostile import HOSTILE
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.subset import manifest
from vidbench.errors import ConfigError, FetchError
from vidbench.metrics.classification import compute_accuracy
from vidbench.runs.outputs import write_predictions, write_skipped
from vidbench.runs.predictions import Predictions
from vidbench.storage.csv_cells import csv_line, unescape_cell
from vidbench.storage.files import write_csv
from vidbench.terminal.logs import log_handler
from vidbench.terminal.output import visible_output
from vidbench.terminal.sanitize import escape_controls
from vidbench.terminal.tables import Table

FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "'", "''"]), st.sampled_from(FORMULA_STARTS), st.text("ab(")
        ),
    ),
)
ids = st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True)


# Spreadsheets -----------------------------------------------------------------------------------


def cells_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@given(st.lists(texts, min_size=1, max_size=4))
def test_no_cell_begins_like_a_formula_and_every_text_comes_back(row: list[str]) -> None:
    (cells,) = csv.reader(io.StringIO(csv_line(row) + "\n", newline=""))
    assert [unescape_cell(cell) for cell in cells] == row
    for cell in cells:
        harmless = re.fullmatch(r"-[A-Za-z0-9_.-]*", cell)
        assert not cell.startswith(FORMULA_STARTS) or harmless


@given(st.lists(texts, min_size=2, max_size=6, unique=True))
def test_different_texts_stay_different(several: list[str]) -> None:
    assert len({csv_line([text]) for text in several}) == len(several)


@given(st.lists(texts.filter(lambda text: "\0" not in text), min_size=1, max_size=4))
def test_pandas_reads_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, column: list[str]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(path, ["first", "text"], [("x", text) for text in column])
    read = pd.read_csv(path, dtype=str, keep_default_na=False)["text"].tolist()
    assert [unescape_cell(cell) for cell in read] == column


@given(ids)
@example("-_abcdefghi")
@example("-----------")
@example("-1.5")
@example("-")
def test_ids_and_numbers_stay_as_they_are(text: str) -> None:
    assert csv_line([text, -1.5, np.float32(-2), None]) == f"{text},-1.5,-2.0,"


@pytest.mark.parametrize("text", ["=1", "+1", "@a", "+", "-1+1", "-a()", "-x|y", "\t", "\r"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert csv_line([text]).strip('"') == f"'{text}"


def hostile_table() -> Predictions:
    """Each class has one video; all but the first are right, and the last is skipped."""
    records = [
        VideoRecord(f"-deadbeef{n:02d}_000000_000010", Path(f"{name}.mp4"), name)
        for n, name in enumerate(HOSTILE)
    ]
    table = Predictions.pending(records, HOSTILE)
    for row in range(len(HOSTILE) - 1):
        table.set_scores(row, np.eye(len(HOSTILE), dtype=np.float32)[max(row, 1)])
    table.set_skip(len(HOSTILE) - 1, Skip("unreadable", "=1+1\n\x1b[2J"))
    return table


def test_the_accuracy_is_right_on_a_table_of_hostile_labels(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.csv", hostile_table(), 1)
    read = pd.read_csv(tmp_path / "predictions.csv")
    scored = len(HOSTILE) - 1
    assert len(read) == scored
    assert compute_accuracy(read).value == pytest.approx((scored - 1) / scored)
    assert [unescape_cell(cell) for cell in read["label"]] == list(HOSTILE[:-1])
    assert read["video_id"].tolist() == [f"-deadbeef{n:02d}_000000_000010" for n in range(scored)]


def test_details_of_skipped_videos_are_no_formulas(tmp_path: Path) -> None:
    write_skipped(tmp_path / "skipped.csv", hostile_table())
    assert cells_of(tmp_path / "skipped.csv")[1][-1] == "'=1+1\n\x1b[2J"


def test_a_manifest_holds_no_formula(tmp_path: Path) -> None:
    records = [VideoRecord(f"id{n}", Path("x.mp4"), name) for n, name in enumerate(HOSTILE)]
    paths = {record.video_id: tmp_path / "x.mp4" for record in records}
    _, *rows = csv.reader(io.StringIO(manifest(records, paths, tmp_path), newline=""))
    assert [unescape_cell(row[1]) for row in rows] == list(HOSTILE)
    assert not [row for row in rows if row[1].startswith(FORMULA_STARTS) and "(" in row[1]]


@given(texts)
def test_tables_in_csv_hold_no_formula(text: str) -> None:
    lines = io.StringIO(Table(["name"], [{"name": text}]).render("csv"), newline="")
    assert [unescape_cell(cell) for cell in list(csv.reader(lines))[1]] == [text]


# Terminals and logs -----------------------------------------------------------------------------


@given(st.one_of(texts, st.text()))
def test_what_is_visible_is_one_line_that_any_terminal_shows(text: str) -> None:
    shown = escape_controls(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)
    shown.encode("utf-8")
    if text.isascii() and text.isprintable():
        assert shown == text


def test_escapes_are_those_of_json() -> None:
    text = "\x1b[2J\x07\r\n\x7f\x9b\u202e"
    assert json.loads(f'"{escape_controls(text)}"') == text


@pytest.mark.parametrize("form", ["text", "markdown"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_cell_of_a_table_is_one_line(form: str, name: str) -> None:
    lines = Table(["name", "n"], [{"name": name, "n": 1}]).render(form).splitlines()
    assert len(lines) == (2 if form == "text" else 3)
    assert all(line.isprintable() for line in lines)
    if form == "markdown":
        assert "<" not in lines[-1]
        assert html.unescape(lines[-1]).replace("\\|", "|") == f"| {escape_controls(name)} | 1 |"


def test_markdown_cells_end_where_they_should() -> None:
    line = Table(["a"], [{"a": "x|y"}]).render("markdown").splitlines()[-1]
    assert line == "| x\\|y |"


def test_all_that_is_printed_is_visible(capsys: pytest.CaptureFixture[str]) -> None:
    with visible_output():
        sys.stdout.write("\x1b[2Jname\r\n1\n")
    assert capsys.readouterr().out == "\\u001b[2Jname\\u000d\n1\n"


def test_bars_of_progress_still_begin_at_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    with visible_output():
        list(tqdm(range(2), disable=False))
    found = capsys.readouterr().err
    assert found.startswith("\r")
    assert "u000d" not in found


def test_a_record_of_a_log_is_one_line() -> None:
    stream = io.StringIO()
    logger = logging.Logger("hostile")
    logger.addHandler(log_handler(stream))
    logger.warning("found %s", "\x1b[2J\nforged")
    time, _, message = stream.getvalue().partition(" found ")
    assert datetime.fromisoformat(time)
    assert message == "\\u001b[2J\\u000aforged\n"


def test_an_error_of_the_command_is_visible(run_cli: RunCli) -> None:
    for arguments in (
        ["report", "\x1b[2J\nforged"],
        ["evaluate", "--\x1b[2J\x07"],
        ["compare", "a", "\x9b2J"],
        ["leaderboard", "\x1b]0;title\x07"],
        ["\x1b[2J"],
    ):
        done = run_cli(*arguments)
        assert done.returncode == 2
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stderr + done.stdout)


# Disks ------------------------------------------------------------------------------------------


def dataset_with(tmp_path: Path, *entries: str) -> Dataset:
    """Kinetics-400 whose list of tarballs has these entries; a tarball lies outside the root."""
    root = tmp_path / "mirror" / "root"
    (root / "400" / "val").mkdir(parents=True)
    (root / "400" / "annotations").mkdir()
    header = "label,youtube_id,time_start,time_end,split\n"
    (root / "400/annotations/val.csv").write_text(f"{header}yoga,video-00000,0,10,val\n")
    (root / "400/val/k400_val_path.txt").write_text("\n".join(entries), "utf-8")
    with tarfile.open(tmp_path / "mirror" / "secret.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("video-00000_000000_000010.mp4"), io.BytesIO())
    return load_dataset("kinetics/400", "val", data_dir=tmp_path / "data", root_url=str(root))


def folders(path: Path) -> list[str]:
    return sorted(p.name for p in path.rglob("*") if p.is_dir())


@pytest.mark.parametrize(
    "entry",
    [
        "../secret.tar.gz",
        "400/val/../../../secret.tar.gz",
        "%2e%2e/secret.tar.gz",
        "https://s3.amazonaws.com/kinetics/../secret.tar.gz",
        "https://s3.amazonaws.com/kinetics/%2e%2e%2fsecret.tar.gz",
        "https://s3.amazonaws.com/kinetics//etc/secret.tar.gz",
        "https://s3.amazonaws.com/kinetics/https:/evil/secret.tar.gz",
        "{outside}/secret.tar.gz",
        "400/val/nul%00.tar.gz",
        "400/val/esc\x1b[2J.tar.gz",
        "400/val/..tar.gz",
        "400/val/...tar.gz",
        "400/val/.hidden.tar.gz",
        f"400/val/{'x' * 250}.tar.gz",
        f"{'x' * 300}/part_0.tar.gz",
        "400/val/root.txt.tar.gz",
        "400/val/part_0.mp4",
        "file:///etc/passwd",
    ],
)
def test_a_list_of_tarballs_reads_and_writes_nothing_elsewhere(entry: str, tmp_path: Path) -> None:
    entry = entry.replace("{outside}", str(tmp_path / "mirror"))
    dataset = dataset_with(tmp_path, entry)
    with pytest.raises(FetchError) as caught:
        dataset.fetch()
    assert str(caught.value).isprintable()
    assert folders(tmp_path / "data") in ([], ["kinetics-400", "val"])
    assert not list((tmp_path / "data").rglob("*.mp4"))


def test_two_tarballs_of_one_name_are_refused(tmp_path: Path) -> None:
    dataset = dataset_with(tmp_path, "400/val/a/part_0.tar.gz", "400/val/b/part_0.tar.gz")
    with pytest.raises(FetchError, match="'part_0'"):
        dataset.fetch()


@pytest.mark.parametrize(
    "row",
    [
        "yoga,../../../../x,0,10,val",
        "yoga,/etc/passwd,0,10,val",
        "yoga,=1+1abcdefg,0,10,val",
        "yoga,\x1b[2Jabcdefg,-5,10,val",
        f"yoga,{'x' * 5000},0,10,val",
        "yoga,nul\0nul\0nul,0,10,val",
        "yoga,video-00001,1e300,10,val",
    ],
)
def test_a_hostile_id_is_a_video_that_nobody_has(row: str, tmp_path: Path) -> None:
    root = dataset_with(tmp_path, "400/val/part_0.tar.gz").folder.parent / "mirror" / "root"
    with tarfile.open(root / "400/val/part_0.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("video-00000_000000_000010.mp4"), io.BytesIO())
    with (root / "400/annotations/val.csv").open("a") as file:
        file.write(f"{row}\n")
    dataset = load_dataset("kinetics/400", "val", data_dir=tmp_path / "data", root_url=str(root))
    found = {record.video_id: record.path for record in dataset.fetch().records}
    assert found.pop("video-00000_000000_000010") is not None
    assert list(found.values()) == [None]


@pytest.mark.parametrize(
    "content",
    [
        b"label,youtube_id,time_start,time_end\nyoga,video-00000,inf,10\n",
        b"label,youtube_id,time_start,time_end\nyoga,video-00000,nan,10\n",
        b"label,youtube_id,time_start,time_end\nclich\xe9,video-00000,0,10\n",
        b"label,youtube_id,time_start,time_end\n" + b"x" * 200_000 + b",video-00000,0,10\n",
        b"",
        b"\x00\xff" * 100,
        b"\x1b]0;title\x07,youtube_id\n",
        b'label,youtube_id,time_start,time_end\n"\x1b[2J\n",video-00000,0,10\n',
    ],
    ids=["inf", "nan", "latin-1", "huge", "empty", "binary", "escapes", "escaped label"],
)
def test_a_damaged_list_of_videos_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    dataset = dataset_with(tmp_path, "400/val/part_0.tar.gz")
    (tmp_path / "mirror/root/400/annotations/val.csv").write_bytes(content)
    with pytest.raises(FetchError) as caught:
        dataset.fetch()
    assert str(caught.value).isprintable()


def test_a_list_of_tarballs_that_is_no_text_is_refused(tmp_path: Path) -> None:
    dataset = dataset_with(tmp_path, "")
    (tmp_path / "mirror/root/400/val/k400_val_path.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FetchError, match="k400_val_path"):
        dataset.fetch()


def test_class_names_are_never_paths(tmp_path: Path) -> None:
    from vidbench.labels.class_lists import find_classes, read_classes

    (tmp_path / "names.txt").write_text("../../etc/passwd\n/etc/passwd\na/b\n\x1b[2J\n")
    assert read_classes(tmp_path / "names.txt") == (
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "\x1b[2J",
    )
    with pytest.raises(ConfigError):
        find_classes("../classes/kinetics-400")
