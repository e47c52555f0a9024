"""Extract an untrusted archive into a folder: tar, zip or rar, recognised by content."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit

from vidbench.data.fetch.download import alone, fetch_alone, is_url, size_of
from vidbench.data.fetch.partial import require_room
from vidbench.data.fetch.rar import Member, OpenArchive, is_rar, open_rar, require_rar_tool
from vidbench.data.fetch.tar import (
    bad_name,
    extract_into,
    is_litter,
    refuse_bomb,
    staged,
)
from vidbench.errors import ArchiveError
from vidbench.storage.files import sweep
from vidbench.terminal.progress import progress

_SUFFIXES = (".rar", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_CHUNK_BYTES = 1 << 20


def names_archive(source: str) -> bool:
    """Whether a path or URL has the suffix of an archive; it need not exist."""
    return _file_name(source).lower().endswith(_SUFFIXES)


def fetch_archive(source: str, folder: Path, *, nested: bool = False) -> Path:
    """Fetch and extract an archive, unless its folder exists; return the folder.

    A downloaded archive is removed when its folder is complete; a local one is read in place. If
    several processes need one folder, one of them creates it.

    Args:
        source: http(s) URL or local path.
        folder: Created by this call; if it exists, it is complete and nothing is done.
        nested: As in :func:`unpack`.

    Raises:
        ConfigError: It is a rar archive, and no tool to extract it is installed.
        FetchError, ArchiveError: The archive could not be fetched or extracted.
        DiskFullError: The disk has no room.
    """
    if folder.exists():
        return folder
    sweep(folder.parent, "")
    with alone(folder.parent, folder.name):
        if not folder.exists():  # another process may have created it
            _fetch_and_unpack(source, folder, nested)
    return folder


def _fetch_and_unpack(source: str, folder: Path, nested: bool) -> None:
    target = folder.with_name(_file_name(source))
    if is_url(source):
        if target.suffix.lower() == ".rar":
            require_rar_tool(target.name)  # before gigabytes are downloaded in vain
        size = size_of(source)
        require_room(folder.parent, 2 * (size or 0), source)  # the archive and its files
        with progress(f"fetch {target.name}", size, "B") as advance:
            archive = fetch_alone(source, target, on_bytes=advance)
    else:
        archive = fetch_alone(source, target)
    try:
        unpack(archive, folder, nested=nested)
    except ArchiveError:
        if is_url(source):
            target.unlink(missing_ok=True)  # so that the next attempt fetches it again
        raise
    if is_url(source):
        target.unlink(missing_ok=True)


def _file_name(source: str) -> str:
    if is_url(source):
        return unquote(urlsplit(source).path).rpartition("/")[2]
    return Path(source).name


def unpack(archive: Path, folder: Path, *, nested: bool = False) -> Path:
    """Extract an archive; the folder gets its name only when it is complete.

    Args:
        archive: Tar (compressed or not), zip or rar.
        folder: Created by this call; if it exists, it is complete and nothing is done.
        nested: Also extract rar archives inside, each into a folder of its name.

    Returns:
        ``folder``.

    Raises:
        ArchiveError: The archive is damaged, or has a member that must not be extracted; see
            :func:`~vidbench.data.fetch.tar.extract_archive`.
        ConfigError: It is a rar archive, and no tool to extract it is installed.
        DiskFullError: The disk has no room for the files; none is kept.
    """
    if folder.exists():
        return folder
    with staged(archive, folder) as staging:
        _unpack_into(archive, staging)
        if nested:
            for inner in sorted(staging.rglob("*.rar")):
                _unpack_inner(archive, inner)
    return folder


def _unpack_inner(archive: Path, inner: Path) -> None:
    folder = inner.with_suffix("")
    if folder.exists():
        raise ArchiveError(f"{archive} has both {inner.name} and {folder.name}: refused")
    try:
        unpack(inner, folder)
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}") from error
    inner.unlink()


def _unpack_into(archive: Path, staging: Path) -> None:
    if is_rar(archive) or zipfile.is_zipfile(archive):
        with open_rar(archive) if is_rar(archive) else _open_zip(archive) as opened:
            _write(opened, archive, staging)
    else:
        extract_into(archive, staging)


@contextmanager
def _open_zip(archive: Path) -> Iterator[OpenArchive]:
    """Open an archive for its members and their contents.

    Raises:
        ArchiveError: The archive is damaged, encrypted, or uses a compression that zipfile cannot
            read.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            files = [entry for entry in entries if not entry.is_dir()]
            members = [_describe(entry) for entry in entries]
            yield OpenArchive(members, (_read(file, entry) for entry in files))
    except (zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
        raise ArchiveError(f"{archive} cannot be extracted: {error}") from error


def _describe(entry: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(entry.external_attr >> 16)  # set for files packed on Unix
    oddity = "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a link or a device"
    if entry.flag_bits & 1:
        oddity = "which is encrypted"
    return Member(entry.filename, entry.file_size, entry.is_dir(), oddity)


def _read(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with file.open(entry) as content:  # which compares lengths and checksums
        while piece := content.read(_CHUNK_BYTES):
            yield piece


def _write(opened: OpenArchive, archive: Path, staging: Path) -> None:
    """Check all members, and only then write the files."""
    _refuse_bad_members(opened.members, archive)
    files = [member for member in opened.members if not member.is_folder]
    require_room(staging.parent, sum(file.size for file in files), f"the files of {archive}")
    with progress(f"extract {archive.name}", len(files), "files") as advance:
        for member, content in zip(files, opened.contents, strict=True):
            _write_file(staging / member.name, content, keep=not is_litter(member.name))
            advance(1)


def _write_file(path: Path, content: Iterable[bytes], *, keep: bool) -> None:
    if not keep:
        for _ in content:  # skip to the next file in the same stream
            pass
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.writelines(content)


def _refuse_bad_members(members: Sequence[Member], archive: Path) -> None:
    """Raise ArchiveError unless all members may be extracted.

    Refused are members that are neither a plain file nor a folder, paths outside the folder,
    names that cannot be printed, duplicates, and too many or too large members.
    """
    refuse_bomb(archive, len(members), sum(member.size for member in members))
    seen: set[PurePosixPath] = set()
    for member in members:
        shown = repr(member.name[:200])
        if reason := member.oddity or bad_name(member.name) or _way_out(member.name):
            raise ArchiveError(f"{archive} contains {shown}, {reason}: refused")
        path = PurePosixPath(member.name)
        if path in seen and not member.is_folder:
            raise ArchiveError(f"{archive} contains {shown} twice")
        seen.add(path)


def _way_out(name: str) -> str:
    """Reason to refuse a path that would leave the folder on some system; empty if it is safe."""
    windows = PureWindowsPath(name)
    leads_out = ".." in windows.parts or windows.drive or windows.root or not name.strip("./")
    return "a path outside the folder" if leads_out else ""
