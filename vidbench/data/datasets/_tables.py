"""Tables of text from CSV and Parquet files, whose rows know where they stand."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.errors import ConfigError
from vidbench.harmless import csv_text

logger = logging.getLogger(__name__)

_INSTALL = 'pip install "vidbench[parquet]"'
_SHOWN = 80  # characters of what is found


class Row(NamedTuple):
    """One row.

    Attributes:
        place: The file and the row's line or number, for messages.
        cells: Text by column; empty where there is none.
    """

    place: str
    cells: Mapping[str, str]


def read_table(path: Path, required: str, others: Sequence[str]) -> list[Row]:
    """The rows of a CSV file, or of a Parquet file if its name ends so.

    CSV is UTF-8 with a header; what :func:`~vidbench.harmless.csv_line` wrote comes back as it was.

    Args:
        path: The file.
        required: A column that there must be.
        others: Columns that are empty where the file has none; what else it has is left out.

    Raises:
        ConfigError: It cannot be read, or lacks the column or something in a row.
    """
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    return list(read(path, required, others))


def _read_csv(path: Path, required: str, others: Sequence[str]) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = [name.strip() for name in next(lines, [])]
            _check_header(path, header, required, others)
            for cells in filter(None, lines):
                place = f"{path}, line {lines.line_num}"
                if len(cells) != len(header):
                    raise ConfigError(
                        f"{place} has {len(cells)} cells, and the header {len(header)}: a cell "
                        "with a comma in it needs quotes"
                    )
                texts = dict(zip(header, map(csv_text, cells), strict=True))
                yield _row(place, {name: texts.get(name, "") for name in (required, *others)})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error


def _read_parquet(path: Path, required: str, others: Sequence[str]) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"{path} needs pyarrow, which is not installed: {_INSTALL}") from error
    try:
        with parquet.ParquetFile(path) as file:
            header = list(file.schema_arrow.names)
            _check_header(path, header, required, others)
            known = [name for name in (required, *others) if name in header]
            rows: list[dict[str, Any]] = file.read(columns=known).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{path} cannot be read as Parquet: {reason}") from error
    for number, row in enumerate(rows, 1):
        place = f"{path}, row {number}"
        yield _row(place, {name: _text(place, row.get(name)) for name in (required, *others)})


def _text(place: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    shown = repr(value)[:_SHOWN]
    raise ConfigError(f"{place} has {shown}, which is neither a text nor a number")


def _check_header(path: Path, header: Sequence[str], required: str, others: Sequence[str]) -> None:
    found = ",".join(header)[:_SHOWN]
    if required not in header:
        raise ConfigError(f"{path} has no column {required!r}: it begins {found!r}")
    if len(set(header)) < len(header):
        raise ConfigError(f"{path} names a column twice: it begins {found!r}")
    if ignored := [name for name in header if name not in (required, *others)]:
        logger.debug("columns of %s that say nothing here: %s", path, ", ".join(ignored))


def _row(place: str, cells: Mapping[str, str]) -> Row:
    if any("\0" in cell for cell in cells.values()):
        raise ConfigError(f"{place} has a character 0, which is in no name of a file or a class")
    return Row(place, cells)
