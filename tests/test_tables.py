from __future__ import annotations

import csv
import io
import json

from vidbench.tables import Table

TABLE = Table(
    ["name", "videos", "share"],
    [
        {"name": "a|b, c", "videos": 7, "share": 0.123456, "more": [1, 2]},
        {"name": "longer name", "videos": 12345, "share": None},
    ],
)


def test_csv_reads_back() -> None:
    lines = list(csv.reader(io.StringIO(TABLE.render("csv"))))
    assert lines == [
        ["name", "videos", "share"],
        ["a|b, c", "7", "0.1235"],
        ["longer name", "12345", ""],
    ]


def test_json_holds_everything_exactly() -> None:
    assert json.loads(TABLE.render("json")) == TABLE.rows


def test_text_aligns_numbers_to_the_right() -> None:
    assert TABLE.render().splitlines() == [
        "name         videos   share",
        "a|b, c            7  0.1235",
        "longer name   12345",
    ]


def test_markdown_escapes_what_separates_cells() -> None:
    assert TABLE.render("markdown").splitlines() == [
        "| name | videos | share |",
        "| --- | --- | --- |",
        "| a\\|b, c | 7 | 0.1235 |",
        "| longer name | 12345 |  |",
    ]


def test_a_table_without_rows_shows_its_columns() -> None:
    empty = Table(["a", "b"], [])
    assert empty.render() == "a  b"
    assert empty.render("csv") == "a,b"
    assert empty.render("json") == "[]"


def test_columns_that_say_the_same_in_all_rows_may_be_left_out() -> None:
    rows = [{"a": 1, "b": 2, "c": None}, {"a": 3, "b": 2, "c": None}]
    table, constant = Table(["a", "b", "c"], rows).without_constants()
    assert list(table.columns) == ["a"]
    assert constant == {"b": 2, "c": None}
    assert Table(["a", "b"], rows).without_constants(["b"])[0].columns == ["a", "b"]
    alone = Table(["a"], rows[:1])
    assert alone.without_constants() == (alone, {})
