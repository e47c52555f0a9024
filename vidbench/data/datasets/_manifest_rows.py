"""Tables of text from CSV and Parquet files, whose rows know where they stand."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.errors import ConfigError
from vidbench.storage.csv_cells import unescape_cell

logger = logging.getLogger(__name__)

Columns = Mapping[str, Sequence[str]]
"""The names that each column may have, the best first; the first column is required."""

_INSTALL = 'pip install "vidbench[parquet]"'
_SHOWN = 80  # characters of what is found
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MAGIC = b"PAR1"  # the first and the last bytes of a Parquet file


class Row(NamedTuple):
    """One row.

    Attributes:
        place: The file and the row's line or number, for messages.
        cells: Text by column; empty where there is none.
    """

    place: str
    cells: Mapping[str, str]


class Table(NamedTuple):
    """The rows of a file.

    Attributes:
        form: As what it was read, for a person.
        rows: In their order.
    """

    form: str
    rows: list[Row]


def is_parquet(path: Path) -> bool:
    """Whether the file is called, or begins, as Parquet."""
    if path.suffix.lower() == ".parquet":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_text(path: Path) -> str:
    """The text of a file; one whose lines end in CR alone has LF in their place.

    Raises:
        ConfigError: It cannot be read, or is no UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return text if "\n" in text else text.replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text in UTF-8: {error}") from error


def find_delimiter(text: str, columns: Columns) -> str | None:
    """What stands between the columns of a header; None where the text begins with no header.

    Empty lines and comments may stand before the header.

    Args:
        text: Of the file.
        columns: A header names the first of them.
    """
    required = next(iter(columns))
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    line = next((line for line in lines if line.strip() and not is_comment(line)), "")
    for delimiter in _DELIMITERS:
        header = next(csv.reader([line], delimiter=delimiter), [])
        if required in find_columns(header, columns):
            return delimiter
    return None


def is_comment(line: str) -> bool:
    """Whether a line begins with ``#`` and a blank, or is ``#`` alone; paths begin otherwise."""
    return line == "#" or line.startswith(("# ", "#\t"))


def describe_comments(lines: Iterable[str]) -> str:
    """What to say of comments behind the form of a list; empty where there are none."""
    count = sum(map(is_comment, lines))
    return f", but for {count} comment{'s' if count > 1 else ''}" if count else ""


def read_csv(path: Path, text: str, columns: Columns, delimiter: str = ",") -> Table:
    """The rows of a text with a header.

    What :func:`~vidbench.storage.csv_cells.csv_line` wrote comes back as it was. Blanks behind
    delimiters are left out where the header, or all rows, have them behind each one. Comments
    are left out.

    Raises:
        ConfigError: It is no CSV, names a column twice, or a row has too many or too few cells.
    """
    try:
        lines = _read_lines(text, delimiter)
    except csv.Error as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error
    _, header = lines[0] if lines else (1, [])
    places = _check_header(path, header, columns)
    rows = []
    for number, cells in lines[1:]:
        place = f"{path}, line {number}"
        if len(cells) != len(header):
            raise ConfigError(
                f"{place} has {len(cells)} cells, and the header {len(header)}: a cell with "
                f"{_DELIMITERS[delimiter]} in it needs quotes"
            )
        found = {name: unescape_cell(cells[column]) for name, column in places.items()}
        rows.append(row_of(place, found, columns))
    comments = describe_comments(text.split("\n"))
    return Table(f"a table with {_DELIMITERS[delimiter]} and a header{comments}", rows)


def read_parquet(path: Path, columns: Columns) -> Table:
    """The rows of a Parquet file.

    Raises:
        ConfigError: It cannot be read, lacks the first column, or has something else than text,
            numbers and dates.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"{path} needs pyarrow, which is not installed: {_INSTALL}") from error
    try:
        with parquet.ParquetFile(path) as file:
            header = list(file.schema_arrow.names)
            places = _check_header(path, header, columns)
            content = file.read(columns=[header[place] for place in places.values()])
            found = {name: _texts(content.column(header[p]), path) for name, p in places.items()}
    except (OSError, pyarrow.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{path} cannot be read as Parquet: {reason}") from error
    rows = [
        row_of(f"{path}, row {number}", dict(zip(found, cells, strict=True)), columns)
        for number, cells in enumerate(zip(*found.values(), strict=True), 1)
    ]
    return Table("a Parquet table", rows)


def row_of(place: str, cells: Mapping[str, str], columns: Columns) -> Row:
    """A row with all columns.

    Raises:
        ConfigError: A cell has a character that no name of a file or a class has.
    """
    if any("\0" in cell for cell in cells.values()):
        raise ConfigError(f"{place} has a character 0, which is in no name of a file or a class")
    return Row(place, {name: cells.get(name, "") for name in columns})


def _read_lines(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """The number of the last line of each row, and its cells; without empty rows and comments."""
    plain = _parse(text, delimiter, False)
    if not (_follow_blanks(plain[:1]) or _follow_blanks(plain[1:])):
        return plain
    spaced = _parse(text, delimiter, True)
    return [(number, [cell.strip(" ") for cell in cells]) for number, cells in spaced]


def _follow_blanks(lines: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether each cell that is not the first of its row, nor empty, begins with a blank."""
    cells = [cell for _, row in lines for cell in row[1:] if cell]
    return bool(cells) and all(cell[0] == " " for cell in cells)


def _parse(text: str, delimiter: str, spaced: bool) -> list[tuple[int, list[str]]]:
    file = io.StringIO(text, newline="")
    lines = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=spaced)
    blank = ([], [""]) if spaced else ([],)  # a line of blanks is an empty cell where they go
    return [
        (lines.line_num, cells)
        for cells in lines
        if cells not in blank and not (len(cells) == 1 and cells[0].isspace())
        if not is_comment(cells[0])
    ]


def find_columns(header: Sequence[str], columns: Columns) -> dict[str, int]:
    """The place of each known column, by the best of its names that the header has."""
    places = {name.strip().casefold(): place for place, name in enumerate(header)}
    found = {
        column: next((places[name] for name in names if name in places), None)
        for column, names in columns.items()
    }
    return {column: place for column, place in found.items() if place is not None}


def _check_header(path: Path, header: Sequence[str], columns: Columns) -> dict[str, int]:
    begin = ",".join(header)[:_SHOWN]
    places = find_columns(header, columns)
    if (required := next(iter(columns))) not in places:
        raise ConfigError(f"{path} has no column {required!r}: it begins {begin!r}")
    names = [name.strip().casefold() for name in header]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path} names a column twice: it begins {begin!r}")
    if ignored := [name for place, name in enumerate(header) if place not in places.values()]:
        logger.debug("columns of %s that say nothing here: %s", path, ", ".join(ignored))
    return places


def _texts(column: Any, path: Path) -> Iterator[str]:
    """The values of a column as somebody would write them; of categories, their values."""
    import pyarrow

    short = pyarrow.types.is_float32(column.type) or pyarrow.types.is_float16(column.type)
    for number, value in enumerate(column.to_pylist(), 1):
        yield _text(f"{path}, row {number}", value, short)


def _text(place: str, value: Any, short: bool) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and short:
        return repr(_shortest(value))
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        value = value.date()  # a date, in a column that could hold times
    if isinstance(value, bytes):
        return _decode(place, value)
    if isinstance(value, str | int | float | Decimal | date | time | timedelta):
        return str(value)
    shown = repr(value)[:_SHOWN]
    raise ConfigError(f"{place} has {shown}, which is neither a text nor a number nor a date")


def _shortest(value: float) -> float:
    """The double with fewest digits that is this number in single precision, e.g. 0.1."""
    import numpy as np

    return float(str(np.float32(value)))


def _decode(place: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place} has bytes that are no UTF-8: {error}") from error
