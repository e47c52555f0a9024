"""Tarballs of videos become folders of videos: fetched and extracted in parallel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Event
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
"""Downloads at once; more gain nothing from one server."""

FetchTarballs = Callable[[Sequence[str], Path], list[Path]]
"""What :func:`fetch_tarballs` is."""

_SUFFIXES = (".tar.gz", ".tgz", ".tar")


def tarball_name(source: str) -> str:
    """The tarball's name without its suffix, as the folder of its videos is called.

    Raises:
        FetchError: The source does not name a tarball.
    """
    path = unquote(urlsplit(source).path) if is_url(source) else source
    name = PurePosixPath(path).name
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    raise FetchError(f"{source} does not name a tarball ({', '.join(_SUFFIXES)})")


def fetch_tarballs(sources: Sequence[str], folder: Path) -> list[Path]:
    """Folders with the extracted files of each tarball, in the order of ``sources``.

    What has been extracted before is not fetched again. A downloaded tarball is removed once
    its folder is complete; a local one is read where it lies. Of several processes that fetch
    into one folder, one does it at a time, and the next finds what is there by then.

    Raises:
        FetchError, ArchiveError: One of them could not be had; the others are kept.
        DiskFullError: There is no room for them; said before anything comes, where their
            lengths are known, and whatever came is kept.
    """
    folders = [folder / tarball_name(source) for source in sources]
    sweep(folder, "")
    if unfetched(sources, folder):
        with alone(folder, "tarballs"):
            if waiting := unfetched(sources, folder):  # still, behind another process
                _fetch_all(waiting, folder)
    return folders


def fetch_tarball(source: str, folder: Path, on_bytes: Advance | None = None) -> Path:
    """The folder with the files of one tarball, below ``folder``; as :func:`fetch_tarballs`.

    Only whoever wants the same tarball waits meanwhile.

    Args:
        source: Of the tarball.
        folder: Where the folder of its files belongs.
        on_bytes: Told how many bytes have come.

    Raises:
        FetchError, ArchiveError: It could not be had.
        DiskFullError: There is no room for it.
    """
    found = folder / tarball_name(source)
    if not found.exists():
        # Not the lock of fetch_tarballs, inside of which this is called.
        with locked(folder / ".locks" / "tarballs", found.name):
            if not found.exists():  # still, behind another process
                _fetch_and_extract(source, folder, on_bytes or (lambda _: None))
    return found


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
    """Check that the disk takes what will come, as far as it is known.

    Videos are about as long as the tarball that holds them, which lies beside them until they
    are extracted.
    """
    files = sum(size or 0 for size in sizes)
    remote = [s or 0 for source, s in zip(sources, sizes, strict=True) if is_url(source)]
    downloads = sum(sorted(remote)[-PARALLEL_TARBALLS:])
    held = sum(_held(source, folder) for source in sources)
    what = f"{len(sources)} tarballs, the first of which is {sources[0]}"
    require_room(folder, files + downloads - held, what if len(sources) > 1 else sources[0])


def _held(source: str, folder: Path) -> int:
    """Bytes of a tarball that an earlier call left here."""
    target = _target(source, folder)
    return target.stat().st_size if target.exists() else Partial(target, lambda _: None).size()


def unfetched(sources: Sequence[str], folder: Path) -> list[str]:
    """The sources whose files are not in ``folder`` yet."""
    return [source for source in sources if not (folder / tarball_name(source)).exists()]


def format_size(num_bytes: int | None) -> str:
    """E.g. ``1.50 GB``, or ``of unknown size``."""
    return "of unknown size" if num_bytes is None else format_bytes(num_bytes)


def total_bytes(sources: Sequence[str]) -> int | None:
    """Length of all the sources together in bytes; None where one of them is not known."""
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
        target.unlink(missing_ok=True)  # so that the next try fetches it anew
        raise ArchiveError(f"{source}: {error}") from error
    target.unlink(missing_ok=True)
    logger.debug("extracted %s", source)
