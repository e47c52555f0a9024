"""Safe extraction of tar archives, all or nothing; and the checks shared with zip and rar."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, cast

from vidbench.data.fetch.partial import require_room
from vidbench.errors import ArchiveError
from vidbench.storage.files import disk_errors, temporary_path

MAX_MEMBERS = 250_000
"""Files and folders in one archive; the largest split of Kinetics-400 has 246,534 videos."""

MAX_RATIO = 200
"""Largest ratio of extracted to archive size, above 1 GiB; archives of videos stay below 2."""

_ALWAYS_ALLOWED_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20
_MAX_NAME_BYTES = 255  # limit of file systems
_MAX_HEADER_BYTES = 1 << 20  # of one member; tarfile reads it into memory as a whole
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DAMAGE = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    OSError,
    ValueError,  # numbers and texts in headers
    RecursionError,  # headers of headers
)


def extract_archive(archive: Path, folder: Path, *, flatten: bool = False) -> Path:
    """Extract an archive; the folder gets its name only when it is complete.

    Args:
        archive: A tar file, compressed or not.
        folder: Created by this call; if it exists, it is complete and nothing is done.
        flatten: Put all files into one folder and ignore the archive's folders.

    Returns:
        ``folder``.

    Raises:
        ArchiveError: The archive is damaged; or contains a link, a device, a sparse file, a path
            outside the folder, a name that cannot be printed or written, or a file name twice;
            or exceeds ``MAX_MEMBERS`` or ``MAX_RATIO``.
        DiskFullError: The disk is full; no file is kept.
    """
    if folder.exists():
        return folder
    with staged(archive, folder) as staging:
        extract_into(archive, staging, flatten=flatten)
    return folder


def extract_into(archive: Path, staging: Path, *, flatten: bool = False) -> None:
    """Like :func:`extract_archive`, into a folder from :func:`staged`."""
    with tarfile.open(archive, tarinfo=_Member) as tar:
        for member, path in _checked_members(tar, archive, staging, flatten):
            _write(tar, member, path)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write a file or folder with default owner and permissions; the archive's are ignored.

    Only files and folders are written, below a new folder, so no link can lead elsewhere.
    ``tarfile.extract`` is safe only with a filter, available since Python 3.11.4.
    """
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with cast(IO[bytes], tar.extractfile(member)) as content, path.open("xb") as file:
        shutil.copyfileobj(content, file, _CHUNK_BYTES)


@contextmanager
def staged(archive: Path, folder: Path) -> Iterator[Path]:
    """Hidden folder for the files of an archive; renamed to ``folder`` on success.

    Raises:
        ArchiveError: An error occurred that means a damaged or forged archive.
        DiskFullError: The disk is full.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = temporary_path(folder)
    staging.mkdir()
    try:
        with disk_errors(folder.parent):
            yield staging
        staging.rename(folder)
    except _DAMAGE as error:
        if not folder.exists():
            raise ArchiveError(f"{archive} cannot be extracted: {_shown(error)}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class _Member(tarfile.TarInfo):
    """A member whose harmful header is refused before tarfile acts on it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in _HEADERS and member.size > _MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header claims {member.size} bytes")
        return member


def _checked_members(
    tar: tarfile.TarFile, archive: Path, staging: Path, flatten: bool
) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    """Yield the members to extract, with their target paths."""
    total = 0
    for number, member in enumerate(tar, start=1):
        tar.members.clear()  # type: ignore[attr-defined]  # or each stays in memory
        total += member.size
        refuse_bomb(archive, number, max(total, tar.offset))
        if reason := _reason_to_refuse(member):
            raise ArchiveError(f"{archive} contains {_shown(member.name)}, {reason}: refused")
        if is_litter(member.name):
            continue
        if flatten and member.isdir():
            continue
        path = staging / (PurePosixPath(member.name).name if flatten else member.name)
        if member.isreg() and path.exists():
            raise ArchiveError(f"{archive} contains {_shown(member.name)} twice")
        require_room(staging.parent, member.size, f"{_shown(member.name)} of {archive}")
        yield member, path
    _require_end(tar, archive)


def refuse_bomb(archive: Path, num_members: int, num_bytes: int) -> None:
    """Raise ArchiveError if an archive exceeds ``MAX_MEMBERS`` or ``MAX_RATIO``."""
    limit = max(_ALWAYS_ALLOWED_BYTES, MAX_RATIO * archive.stat().st_size)
    if num_members > MAX_MEMBERS:
        raise ArchiveError(f"{archive} has more than {MAX_MEMBERS} files: refused")
    if num_bytes > limit:
        raise ArchiveError(
            f"{archive} would extract to more than {limit / 1e6:.0f} MB, over {MAX_RATIO} times "
            "its own size: refused"
        )


def is_litter(name: str) -> bool:
    """Whether this is a file that macOS adds to archives."""
    name = PurePosixPath(name).name
    return name.startswith("._") or name == ".DS_Store"


def bad_name(name: str) -> str | None:
    """Reason to refuse the name of an archive member, or None; ``..`` is not checked here."""
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        return "whose name has line breaks, control characters or invalid characters"
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in name.split("/")):
        return f"whose name is longer than {_MAX_NAME_BYTES} bytes"
    return "an absolute path" if name.startswith("/") else None


def _reason_to_refuse(member: tarfile.TarInfo) -> str | None:
    if not (member.isreg() or member.isdir()):
        return "a link or a device"
    if member.issparse():
        return "a sparse file, which may be of any length"
    if member.size < 0:
        return "of negative length"
    if reason := bad_name(member.name):
        return reason
    path = PurePath(member.name)  # of this system: Windows has drives, and other slashes
    is_file_without_name = member.isreg() and not path.parts
    if ".." in path.parts or path.anchor or is_file_without_name:
        return "a path outside the folder"
    return None


def _shown(what: object) -> str:
    """A quoted name or an error message, on one line of at most about 200 characters."""
    text = repr(what) if isinstance(what, str) else " ".join(str(what).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def _require_end(tar: tarfile.TarFile, archive: Path) -> None:
    """Raise an error unless the archive has its end mark, and a correct checksum after it.

    tarfile takes a damaged or missing header for the end, and does not read gzip's checksum.
    """
    file = cast(IO[bytes], tar.fileobj)
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ArchiveError(
            f"{archive} is damaged: it ends early, at byte {tar.offset} of its content"
        )
    while file.read(1 << 20):
        pass
