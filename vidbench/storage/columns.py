"""Table columns read and written in pieces of rows, so that memory use stays bounded."""

from __future__ import annotations

import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vidbench.errors import DiskFullError, VidbenchError
from vidbench.storage.files import disk_errors

_PIECE_BYTES = 4 << 20
_MEMORY_BYTES = 256 << 20
_TEXT_BYTES = 4096  # assumed size of an object: a text of a thousand characters
_DAMAGES = (  # the errors of zipfile and numpy for a damaged file
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)

Column = NDArray[Any]
Scores = NDArray[np.float32]


def cut_rows(num_rows: int, row_bytes: int) -> Iterator[slice]:
    """Slices that cover all rows in order, of 4 MiB or at least one row each."""
    step = max(1, _PIECE_BYTES // max(1, row_bytes))
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def stack_rows(pieces: Iterable[Scores], shape: tuple[int, int]) -> Scores:
    """The rows of all pieces as one writable array.

    An array of more than 256 MiB is mapped from an unnamed file in the system's folder for
    temporary files (``TMPDIR``): the system can page it out to disk, and the file disappears with
    the array, even if the process is killed.

    Args:
        pieces: Arrays of shape (rows, columns).
        shape: Shape of the whole array.

    Raises:
        DiskFullError: The temporary folder is full.
        VidbenchError: The temporary folder cannot be written to.
    """
    if 4 * math.prod(shape) > _MEMORY_BYTES:
        return _gather_in_file(pieces, shape)
    gathered, start = np.empty(shape, np.float32), 0
    for piece in pieces:
        gathered[start : start + len(piece)] = piece
        start += len(piece)
    return gathered


def unknown_scores(shape: tuple[int, int]) -> Scores:
    """An array of NaN, stored like the result of :func:`stack_rows`."""
    lengths = (rows.stop - rows.start for rows in cut_rows(shape[0], 4 * shape[1]))
    return stack_rows((np.full((rows, shape[1]), np.nan, np.float32) for rows in lengths), shape)


def _gather_in_file(pieces: Iterable[Scores], shape: tuple[int, int]) -> Scores:
    size = 4 * math.prod(shape)
    try:
        with disk_errors(Path(tempfile.gettempdir()), size), tempfile.TemporaryFile() as file:
            # Written, not filled through the mapping, where a full disk would crash the process.
            for piece in pieces:
                file.write(np.asarray(piece, np.float32).tobytes())
            file.flush()
            return np.asarray(np.memmap(file, np.float32, "r+", shape=shape))
    except DiskFullError as error:
        raise DiskFullError(f"{error} (TMPDIR names the folder for large tables)") from error
    except OSError as error:
        raise VidbenchError(
            f"a table of {size / 1e6:.0f} MB cannot be kept in a temporary file ({error}): "
            "set TMPDIR to another folder"
        ) from error


def write_columns(file: IO[bytes], columns: Mapping[str, Column]) -> None:
    """Write the bytes that :func:`numpy.savez` would write; objects are written as texts."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_column(member, column)


def _write_column(member: IO[bytes], column: Column) -> None:
    is_text = column.dtype.hasobject
    width = _TEXT_BYTES if is_text else column.itemsize * math.prod(column.shape[1:])
    pieces = list(cut_rows(len(column), width))
    dtypes = [column[rows].astype(np.str_).dtype for rows in pieces] if is_text else [column.dtype]
    dtype = np.result_type(*dtypes or [np.dtype("<U1")])
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": column.shape}
    npy.write_array_header_1_0(member, header)
    for rows in pieces:
        member.write(column[rows].astype(dtype).tobytes())


@contextmanager
def read_columns(path: Path, required: Iterable[str]) -> Iterator[ColumnReader]:
    """Open a file of :func:`write_columns` after verifying its checksums.

    Args:
        path: The file.
        required: Names of columns that it must have.

    Raises:
        VidbenchError: The file is damaged, lacks a required column, or does not have the content
            that the body of the ``with`` statement asks for.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            saved = ColumnReader(archive)
            if missing := [name for name in required if name not in saved.names]:
                raise ValueError(f"it has no {missing[0]}")
            yield saved
    except _DAMAGES as error:
        raise VidbenchError(f"{path} cannot be read ({error}): remove it and run again") from error


class ColumnReader:
    """Reads the columns of an archive; never unpickles.

    Attributes:
        names: Names of all columns.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = [name.removesuffix(".npy") for name in archive.namelist()]

    def read(self, name: str) -> Column:
        """A whole column."""
        with self._archive.open(f"{name}.npy") as member:
            column = np.empty(*self._read_header(member, name))
            for rows, piece in _read_pieces(member, column.shape, column.dtype):
                column[rows] = piece
        return column

    def read_texts(self, name: str, count: int) -> NDArray[np.object_]:
        """A column of ``count`` texts as objects, which take no more than their own length."""
        column = np.empty(count, np.object_)
        for rows, piece in self.read_pieces(name, (count,)):
            column[rows] = piece
        return column

    def read_scores(self, name: str, shape: tuple[int, int]) -> Scores:
        """A column of scores, stored like the result of :func:`stack_rows`.

        Raises:
            ValueError: The column has another shape.
        """
        return stack_rows((piece for _, piece in self.read_pieces(name, shape)), shape)

    def read_pieces(self, name: str, shape: tuple[int, ...]) -> Iterator[tuple[slice, Column]]:
        """Pieces of a column, each with the slice of its rows.

        Raises:
            ValueError: The column has another shape.
        """
        with self._archive.open(f"{name}.npy") as member:
            stored_shape, dtype = self._read_header(member, name)
            if stored_shape != shape:
                raise ValueError(f"{name} has the shape {stored_shape}, not {shape}")
            yield from _read_pieces(member, shape, dtype)

    def _read_header(self, member: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        if npy.read_magic(member) != (1, 0):
            raise ValueError(f"{name} has an unknown version")
        shape, is_fortran, dtype = npy.read_array_header_1_0(member)
        if not shape or is_fortran or dtype.kind not in "Uf":
            raise ValueError(f"{name} is not a column of numbers or texts")
        size = self._archive.getinfo(f"{name}.npy").file_size - member.tell()
        if math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{name} does not have the size that its header states")
        return shape, dtype


def _read_pieces(
    member: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[tuple[slice, Column]]:
    row = shape[1:]
    for rows in cut_rows(shape[0], math.prod(row) * dtype.itemsize):
        piece = (rows.stop - rows.start, *row)
        content = member.read(math.prod(piece) * dtype.itemsize)
        yield rows, np.ndarray(piece, dtype, buffer=content)
