"""Read CSV and Parquet files into tables of text, whose rows know their position in the file."""

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
_SHOWN = 80  # characters of unexpected content in a message
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MAGIC = b"PAR1"  # the first and the last bytes of a Parquet file


class Row(NamedTuple):
    """One row.

    Attributes:
        place: The file and the row's line or number, for messages.
        cells: Text by column; empty if the file has none.
    """

    place: str
    cells: Mapping[str, str]


class Table(NamedTuple):
    """The rows of a file.

    Attributes:
        form: Format of the file, for the user.
        rows: Rows in order.
    """

    form: str
    rows: list[Row]


def is_parquet(path: Path) -> bool:
    """Whether the file has the suffix or the first bytes of Parquet."""
    if path.suffix.lower() == ".parquet":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_text(path: Path) -> str:
    """Read the text of a file; line ends of CR alone become LF.

    Raises:
        ConfigError: The file cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return text if "\n" in text else text.replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}") from error


def find_delimiter(text: str, columns: Columns) -> str | None:
    """Find the delimiter of a header; None if the text does not begin with a header.

    Empty lines and comments may precede the header.

    Args:
        text: Content of the file.
        columns: Known columns; a header must have the first of them.
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
    """Whether a line is ``#`` or begins with ``#`` and a blank; ``#`` alone may begin a path."""
    return line == "#" or line.startswith(("# ", "#\t"))


def describe_comments(lines: Iterable[str]) -> str:
    """Note on comments, to follow the form of a list; empty if there are none."""
    count = sum(map(is_comment, lines))
    return f", with {count} comment{'s' if count > 1 else ''} ignored" if count else ""


def read_csv(path: Path, text: str, columns: Columns, delimiter: str = ",") -> Table:
    """Read the rows of a delimited text with a header.

    Cells written by :func:`~vidbench.storage.csv_cells.csv_line` are restored. Blanks after
    delimiters are removed if the header, or all rows, have one after each delimiter. Comments are
    ignored.

    Raises:
        ConfigError: The text is not valid CSV, has a column twice, or a row has too many or too
            few cells.
    """
    try:
        lines = _read_lines(text, delimiter)
    except csv.Error as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error
    _, header = lines[0] if lines else (1, [])
    indices = _check_header(path, header, columns)
    rows = []
    for number, cells in lines[1:]:
        place = f"{path}, line {number}"
        if len(cells) != len(header):
            raise ConfigError(
                f"{place} has {len(cells)} cells, and the header {len(header)}: a cell with "
                f"{_DELIMITERS[delimiter]} in it needs quotes"
            )
        by_column = {name: unescape_cell(cells[index]) for name, index in indices.items()}
        rows.append(row_of(place, by_column, columns))
    comments = describe_comments(text.split("\n"))
    return Table(f"a table with {_DELIMITERS[delimiter]} and a header{comments}", rows)


def read_parquet(path: Path, columns: Columns) -> Table:
    """Read the rows of a Parquet file.

    Raises:
        ConfigError: It cannot be read, lacks the first column, or has values other than text,
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
            indices = _check_header(path, header, columns)
            content = file.read(columns=[header[index] for index in indices.values()])
            texts = {name: _texts(content.column(header[i]), path) for name, i in indices.items()}
    except (OSError, pyarrow.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{path} cannot be read as Parquet: {reason}") from error
    rows = [
        row_of(f"{path}, row {number}", dict(zip(texts, cells, strict=True)), columns)
        for number, cells in enumerate(zip(*texts.values(), strict=True), 1)
    ]
    return Table("a Parquet table", rows)


def row_of(place: str, cells: Mapping[str, str], columns: Columns) -> Row:
    """Make a row with all columns.

    Raises:
        ConfigError: A cell has a NUL character.
    """
    if any("\0" in cell for cell in cells.values()):
        raise ConfigError(f"{place} has a NUL character, which no file or class name can have")
    return Row(place, {name: cells.get(name, "") for name in columns})


def _read_lines(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Line number and cells of each row, without empty rows and comments."""
    plain = _parse(text, delimiter, False)
    if not (_follow_blanks(plain[:1]) or _follow_blanks(plain[1:])):
        return plain
    spaced = _parse(text, delimiter, True)
    return [(number, [cell.strip(" ") for cell in cells]) for number, cells in spaced]


def _follow_blanks(lines: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether each non-empty cell after the first of its row begins with a blank."""
    cells = [cell for _, row in lines for cell in row[1:] if cell]
    return bool(cells) and all(cell[0] == " " for cell in cells)


def _parse(text: str, delimiter: str, spaced: bool) -> list[tuple[int, list[str]]]:
    file = io.StringIO(text, newline="")
    lines = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=spaced)
    blank = ([], [""]) if spaced else ([],)  # with skipinitialspace, a blank line is one empty cell
    return [
        (lines.line_num, cells)
        for cells in lines
        if cells not in blank and not (len(cells) == 1 and cells[0].isspace())
        if not is_comment(cells[0])
    ]


def find_columns(header: Sequence[str], columns: Columns) -> dict[str, int]:
    """Index of each known column, by the best of its names in the header."""
    indices = {name.strip().casefold(): index for index, name in enumerate(header)}
    known = {
        column: next((indices[name] for name in names if name in indices), None)
        for column, names in columns.items()
    }
    return {column: index for column, index in known.items() if index is not None}


def _check_header(path: Path, header: Sequence[str], columns: Columns) -> dict[str, int]:
    begin = ",".join(header)[:_SHOWN]
    indices = find_columns(header, columns)
    if (required := next(iter(columns))) not in indices:
        raise ConfigError(f"{path} has no column {required!r}: it begins with {begin!r}")
    names = [name.strip().casefold() for name in header]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path} has a column twice: it begins with {begin!r}")
    if ignored := [name for index, name in enumerate(header) if index not in indices.values()]:
        logger.debug("columns of %s that are ignored: %s", path, ", ".join(ignored))
    return indices


def _texts(column: Any, path: Path) -> Iterator[str]:
    """Yield the values of a column as text; of categories, their values."""
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
    """Shortest double that equals this number in single precision, e.g. 0.1."""
    import numpy as np

    return float(str(np.float32(value)))


def _decode(place: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place} has bytes that are not UTF-8: {error}") from error
