"""Rar archives, read by rarfile and, if they are compressed, by an installed program."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from vidbench.errors import ArchiveError, ConfigError

_CHUNK_BYTES = 1 << 20
_SIGNATURE = b"Rar!\x1a\x07"
_TOOLS = {  # rarfile has these too, but its command for bsdtar ends in "-f -- ARCHIVE"
    "unrar": ("p", "-inul", "-p-", "--"),
    "unar": ("-quiet", "-output-directory", "-", "--"),
    "7z": ("e", "-so", "-bd", "--"),
    "7zz": ("e", "-so", "-bd", "--"),
    "bsdtar": ("-x", "-O", "-f"),
}


class Member(NamedTuple):
    """A file or folder in a rar or zip archive, as the archive declares it.

    Attributes:
        name: Path with slashes; not checked.
        size: Length in bytes.
        is_folder: Whether it is a folder.
        oddity: Why it cannot be extracted, e.g. ``a link``; empty if it can.
    """

    name: str
    size: int
    is_folder: bool
    oddity: str


class OpenArchive(NamedTuple):
    """An open rar or zip archive.

    Attributes:
        members: All files and folders, in order.
        contents: Content of each file in this order, in pieces. Read each to its end before the
            next; an :class:`~vidbench.errors.ArchiveError` is raised unless its length and
            checksum are those declared.
    """

    members: Sequence[Member]
    contents: Iterator[Iterator[bytes]]


def is_rar(path: Path) -> bool:
    """Whether a file has the signature of a rar archive."""
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def require_rar_tool(archive: str) -> list[list[str]]:
    """Return, for each installed tool, the command that writes all files to standard output.

    Raises:
        ConfigError: No tool is installed.
    """
    commands = [[name, *options, archive] for name, options in _TOOLS.items() if shutil.which(name)]
    if not commands:
        raise ConfigError(
            f"{Path(archive).name} is a rar archive, and no program is installed to extract it: "
            f"install one of {', '.join(_TOOLS)}, or extract it yourself and give the folder as "
            "--dataset_path"
        )
    return commands


@contextmanager
def open_rar(path: Path) -> Iterator[OpenArchive]:
    """Open an archive for its members and their contents.

    Uncompressed files need no tool. Compressed files are read from the output of a single tool
    process, which writes no files itself; no content can be longer than the archive declares.

    Raises:
        ArchiveError: The archive is damaged, encrypted, or one of several volumes.
        ConfigError: It is compressed, and no tool is installed.
    """
    import rarfile

    rarfile.RAR_MAX_COMMENT = -1  # comments are not used, and may need a program or a password
    headers: list[Any] = []
    try:
        with rarfile.RarFile(path.absolute(), errors="strict", info_callback=headers.append) as rar:
            if rar.needs_password():  # encrypted names cannot be read, nor can the end mark
                raise ArchiveError(f"{path} is encrypted: extract it yourself with its password")
            _require_end(headers[-1], path)
            if len(rar.volumelist()) > 1:
                raise ArchiveError(f"{path} is one of several volumes: extract them yourself")
            members = [_describe(info) for info in rar.infolist()]
            files = [info for info in rar.infolist() if not info.is_dir()]
            stored = all(info.compress_type == rarfile.RAR_M0 for info in files)
            contents = _stored(rar, files, path) if stored else _extracted(path, files)
            yield OpenArchive(members, contents)
    except rarfile.Error as error:
        raise ArchiveError(f"{path} cannot be extracted: {error}") from error


def _require_end(last: Any, path: Path) -> None:
    """Raise ArchiveError unless the archive has an end mark or, if older, ends at its last file."""
    import rarfile

    end = last.data_offset + last.add_size
    if last.type != rarfile.RAR_BLOCK_ENDARC and end != path.stat().st_size:
        raise ArchiveError(f"{path} is damaged: it ends early, at byte {end}")


def _describe(info: Any) -> Member:
    plain = (info.is_file() or info.is_dir()) and not info.file_redir
    return Member(info.filename, info.file_size, info.is_dir(), "" if plain else "a link")


def _stored(rar: Any, files: Sequence[Any], path: Path) -> Iterator[Iterator[bytes]]:
    for info in files:
        with rar.open(info) as file:
            yield _pieces(file, info, path)


def _extracted(path: Path, files: Sequence[Any]) -> Iterator[Iterator[bytes]]:
    with _running(_working_tool(path, files)) as output:
        for info in files:
            yield _pieces(output, info, path)
        if output.read(1):
            raise ArchiveError(f"{path} is damaged: it has more content than it declares")


def _working_tool(path: Path, files: Sequence[Any]) -> list[str]:
    """Return the command of the first tool that extracts the first file correctly."""
    first = next((info for info in files if info.file_size), files[0])
    commands = require_rar_tool(str(path.absolute()))
    for command in commands:
        with suppress(ArchiveError), _running(command) as output:
            for _ in _pieces(output, first, path):
                pass
            return command
    names = ", ".join(command[0] for command in commands)
    raise ArchiveError(f"{path} is damaged, or in a format that {names} cannot extract")


@contextmanager
def _running(command: Sequence[str]) -> Iterator[IO[bytes]]:
    """Output of a program, which is killed on exit."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield cast(IO[bytes], process.stdout)
        finally:
            process.kill()


def _pieces(file: IO[bytes], info: Any, path: Path) -> Iterator[bytes]:
    """Yield the next file of a stream in pieces, and check its length and checksum."""
    remaining, checksum = info.file_size, 0
    while remaining:
        piece = file.read(min(remaining, _CHUNK_BYTES))
        if not piece:
            raise ArchiveError(f"{path} is damaged: {info.filename!r} lacks {remaining} bytes")
        remaining -= len(piece)
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if info.CRC is not None and checksum != info.CRC:
        raise ArchiveError(f"{path} is damaged: the checksum of {info.filename!r} does not match")
