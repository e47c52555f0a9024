from __future__ import annotations

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.terminal.tables import Table

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


WIDE = Table(
    ["name", "videos", "said"],
    [
        {"name": "first", "videos": 7, "said": "a few words that are many for one line"},
        {"name": "second", "videos": 12, "said": None},
    ],
)


def test_a_table_that_is_too_wide_folds_its_texts_between_words() -> None:
    assert WIDE.render(width=60) == WIDE.render()
    assert WIDE.render(width=30).splitlines() == [
        "name    videos  said",
        "first        7  a few words",
        "                that are many",
        "                for one line",
        "second      12",
    ]


def test_a_table_whose_words_do_not_fit_becomes_paragraphs() -> None:
    assert WIDE.render(width=20).splitlines() == [
        "name    first",
        "videos  7",
        "said    a few words",
        "        that are",
        "        many for one",
        "        line",
        "",
        "name    second",
        "videos  12",
    ]


def test_a_last_column_of_names_that_does_not_fit_stands_below_each_row() -> None:
    rows = [{"rank": 1, "top1": 0.5, "run": "a_name_of_30_characters_or_so."}]
    assert Table(["rank", "top1", "run"], rows).render(width=32).splitlines() == [
        "rank  top1",
        "  run",
        "   1   0.5",
        "  a_name_of_30_characters_or_so.",
    ]


def test_details_are_a_paragraph_for_each_row_without_empty_values() -> None:
    assert TABLE.details().splitlines() == [
        "name    a|b, c",
        "videos  7",
        "share   0.1235",
        "",
        "name    longer name",
        "videos  12345",
    ]


@given(
    st.lists(st.lists(st.text("ab ", max_size=30), min_size=3, max_size=3), max_size=4),
    st.integers(1, 90),
)
def test_no_word_is_lost_at_any_width(cells: list[list[str]], width: int) -> None:
    table = Table("xyz", [dict(zip("xyz", row, strict=True)) for row in cells])
    found = Counter(table.render(width=width).split())
    if not cells:
        assert found == Counter("xyz")
        return
    written = Counter(" ".join(cell for row in cells for cell in row).split())
    assert {word: found[word] for word in written if set(word) <= set("ab")} == written
    longest = max(map(len, found), default=0)
    assert all(
        len(line) <= max(width, longest + 3) for line in table.render(width=width).split("\n")
    )


def test_a_table_fits_the_terminal_or_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert WIDE.shown() == WIDE.render(width=80)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert WIDE.shown() == WIDE.render(width=30)


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
