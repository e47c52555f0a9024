"""Tar archives, never trusted: extracted complete or not at all."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from vidbench.errors import ArchiveError
from vidbench.files import temporary_path


def extract_archive(archive: Path, folder: Path, *, flatten: bool = False) -> Path:
    """The folder, which appears only once every file of the archive is in it.

    Args:
        archive: A tar file, compressed or not.
        folder: Made by this call; if it exists, it is complete and nothing is done.
        flatten: Put all files into one folder, whatever folders the archive has.

    Raises:
        ArchiveError: The archive is damaged, or holds a link, a device, a path that leads out
            of the folder, or one file name twice.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = temporary_path(folder)
    staging.mkdir()
    try:
        with tarfile.open(archive) as tar:
            for member in _checked_members(tar, archive, staging, flatten):
                tar.extract(member, staging, filter="data")
        staging.rename(folder)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if not folder.exists():
            raise ArchiveError(f"{archive} cannot be extracted: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _checked_members(
    tar: tarfile.TarFile, archive: Path, staging: Path, flatten: bool
) -> Iterator[tarfile.TarInfo]:
    """The members to extract, under the names they get."""
    names: set[str] = set()
    for member in tar:
        if not (member.isreg() or member.isdir()):
            raise ArchiveError(f"{archive} holds {member.name!r}, a link or a device: refused")
        tarfile.data_filter(member, str(staging))  # refuses a path that leads out
        if member.name.startswith("/"):
            raise ArchiveError(f"{archive} holds {member.name!r}, an absolute path: refused")
        name = PurePosixPath(member.name).name
        if name.startswith("._") or name == ".DS_Store":  # what macOS adds to archives
            continue
        if flatten:
            if member.isdir():
                continue
            member = member.replace(name=name, deep=False)
        place = str(PurePosixPath(member.name))
        if member.isreg() and place in names:
            raise ArchiveError(f"{archive} holds {member.name!r} twice")
        names.add(place)
        yield member
    _require_end(tar, archive)


def _require_end(tar: tarfile.TarFile, archive: Path) -> None:
    """Nothing, if the archive has its end mark, and the checksum behind it is right.

    tarfile takes a damaged or missing header for the end, and reads no checksum of gzip.
    """
    file = cast(IO[bytes], tar.fileobj)
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ArchiveError(f"{archive} is damaged: it breaks off at byte {tar.offset} of its files")
    while file.read(1 << 20):
        pass
