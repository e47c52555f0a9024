"""Fetch tarballs of videos and extract them into folders, several in parallel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Event
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from vidbench.data.fetch.download import alone, fetch_alone, is_url, size_of
from vidbench.data.fetch.partial import Partial, require_room
from vidbench.data.fetch.tar import extract_archive
from vidbench.errors import ArchiveError, FetchError
from vidbench.storage.files import sweep
from vidbench.storage.locks import locked
from vidbench.terminal.progress import Advance, format_bytes, progress

logger = logging.getLogger(__name__)

PARALLEL_TARBALLS = 4
"""Parallel downloads; more are not faster from one server."""


class Extracted(NamedTuple):
    """A tarball's files.

    Attributes:
        folder: Theirs; on this machine, unless they are kept in a remote store.
        names: In their order.
    """

    folder: Path
    names: list[str]


FetchTarballs = Callable[[Sequence[str], Path], list[Extracted]]
"""Type of :func:`fetch_and_list`."""

_SUFFIXES = (".tar.gz", ".tgz", ".tar")


def tarball_name(source: str) -> str:
    """Name of the tarball without suffix, which is also the name of the folder of its videos.

    Raises:
        FetchError: The source does not name a tarball.
    """
    path = unquote(urlsplit(source).path) if is_url(source) else source
    name = PurePosixPath(path).name
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    raise FetchError(f"{source} is not the name of a tarball ({', '.join(_SUFFIXES)})")


def fetch_and_list(sources: Sequence[str], folder: Path) -> list[Extracted]:
    """Like :func:`fetch_tarballs`, but return the files of each tarball, in this order."""
    return [list_extracted(found) for found in fetch_tarballs(sources, folder)]


def list_extracted(folder: Path) -> Extracted:
    """Files in the folder of an extracted tarball."""
    return Extracted(folder, sorted(path.name for path in folder.iterdir()))


def fetch_tarballs(sources: Sequence[str], folder: Path) -> list[Path]:
    """Fetch and extract tarballs; return the folder of each, in the order of ``sources``.

    Tarballs that were extracted before are not fetched again. A downloaded tarball is removed
    when its folder is complete; a local one is read in place. Processes that fetch into one folder
    take turns, and each uses the results of those before it.

    Raises:
        FetchError, ArchiveError: A tarball could not be fetched or extracted; the others are kept.
        DiskFullError: The disk has no room; checked before the first download if the sizes are
            known. Partial downloads are kept.
    """
    folders = [folder / tarball_name(source) for source in sources]
    sweep(folder, "")
    if unfetched(sources, folder):
        with alone(folder, "tarballs"):
            if waiting := unfetched(sources, folder):  # another process may have fetched them
                _fetch_all(waiting, folder)
    return folders


def fetch_tarball(source: str, folder: Path, on_bytes: Advance | None = None) -> Path:
    """Fetch and extract one tarball; return its folder. Compare :func:`fetch_tarballs`.

    Only processes that need the same tarball wait for each other.

    Args:
        source: URL or path of the tarball.
        folder: Parent of the tarball's folder.
        on_bytes: Called with the numbers of bytes received.

    Raises:
        FetchError, ArchiveError: The tarball could not be fetched or extracted.
        DiskFullError: The disk has no room for it.
    """
    extracted = folder / tarball_name(source)
    if not extracted.exists():
        # Not the lock of fetch_tarballs, inside of which this is called.
        with locked(folder / ".locks" / "tarballs", extracted.name):
            if not extracted.exists():  # another process may have fetched it
                _fetch_and_extract(source, folder, on_bytes or (lambda _: None))
    return extracted


def _fetch_all(sources: Sequence[str], folder: Path) -> None:
    sizes = _sizes(sources)
    _require_room_for(sources, sizes, folder)
    stage = f"fetch {len(sources)} tarball{'s' if len(sources) > 1 else ''}"
    stop = Event()
    with (
        progress(stage, _sum(sizes), "B") as advance,
        ThreadPoolExecutor(PARALLEL_TARBALLS) as pool,
    ):
        count = partial(_count, advance, stop)
        jobs = [pool.submit(fetch_tarball, source, folder, count) for source in sources]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _count(advance: Advance, stop: Event, num_bytes: int) -> None:
    if stop.is_set():
        raise FetchError("stopped, because another tarball failed")
    advance(num_bytes)


def _require_room_for(sources: Sequence[str], sizes: Sequence[int | None], folder: Path) -> None:
    """Raise DiskFullError unless the disk has room for the tarballs of known size.

    Videos take about as much space as their tarball, which is kept until they are extracted.
    """
    files = sum(size or 0 for size in sizes)
    remote = [s or 0 for source, s in zip(sources, sizes, strict=True) if is_url(source)]
    downloads = sum(sorted(remote)[-PARALLEL_TARBALLS:])
    held = sum(_held(source, folder) for source in sources)
    what = f"{len(sources)} tarballs, the first of which is {sources[0]}"
    require_room(folder, files + downloads - held, what if len(sources) > 1 else sources[0])


def _held(source: str, folder: Path) -> int:
    """Number of bytes of a tarball that an earlier call has downloaded."""
    target = _target(source, folder)
    return target.stat().st_size if target.exists() else Partial(target, lambda _: None).size()


def unfetched(sources: Sequence[str], folder: Path) -> list[str]:
    """Sources whose files are not in ``folder`` yet."""
    return [source for source in sources if not (folder / tarball_name(source)).exists()]


def format_size(num_bytes: int | None) -> str:
    """E.g. ``1.50 GB``, or ``of unknown size``."""
    return "of unknown size" if num_bytes is None else format_bytes(num_bytes)


def total_bytes(sources: Sequence[str]) -> int | None:
    """Total length of the sources in bytes; None if the length of one is not known."""
    return _sum(_sizes(sources))


def _sizes(sources: Sequence[str]) -> list[int | None]:
    with ThreadPoolExecutor(PARALLEL_TARBALLS) as pool:
        return list(pool.map(size_of, sources))


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _target(source: str, parent: Path) -> Path:
    return parent / f"{tarball_name(source)}.download"


def _fetch_and_extract(source: str, parent: Path, count: Advance) -> None:
    target = _target(source, parent)
    archive = fetch_alone(source, target, on_bytes=count)
    if archive != target:
        count(archive.stat().st_size)
    try:
        extract_archive(archive, parent / tarball_name(source), flatten=True)
    except ArchiveError as error:
        target.unlink(missing_ok=True)  # so that the next attempt fetches it again
        raise ArchiveError(f"{source}: {error}") from error
    target.unlink(missing_ok=True)
    logger.debug("extracted %s", source)
