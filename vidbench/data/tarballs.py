"""Tarballs of videos become folders of videos: fetched and extracted in parallel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from threading import Event
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from vidbench.data.archives import extract_archive
from vidbench.data.fetch import fetch, is_url, size_of
from vidbench.errors import ArchiveError, FetchError
from vidbench.files import sweep

logger = logging.getLogger(__name__)

PARALLEL_TARBALLS = 4
"""Downloads at once; more gain nothing from one server."""

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
    its folder is complete; a local one is read where it lies.

    Raises:
        FetchError, ArchiveError: One of them could not be had; the others are kept.
    """
    folders = [folder / tarball_name(source) for source in sources]
    sweep(folder, "")
    waiting = unfetched(sources, folder)
    if not waiting:
        return folders
    bar = tqdm(
        total=total_bytes(waiting),
        desc=f"fetch {len(waiting)} tarball{'s' if len(waiting) > 1 else ''}",
        unit="B",
        unit_scale=True,
        disable=None,
    )
    stop = Event()

    def count(num_bytes: int) -> None:
        if stop.is_set():
            raise FetchError("stopped, because another tarball failed")
        bar.update(num_bytes)

    with bar, ThreadPoolExecutor(PARALLEL_TARBALLS) as pool:
        jobs = [pool.submit(_fetch_and_extract, source, folder, count) for source in waiting]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return folders


def unfetched(sources: Sequence[str], folder: Path) -> list[str]:
    """The sources whose files are not in ``folder`` yet."""
    return [source for source in sources if not (folder / tarball_name(source)).exists()]


def format_bytes(num_bytes: int | None) -> str:
    """E.g. ``1.50 GB``, or ``of unknown size``."""
    return "of unknown size" if num_bytes is None else tqdm.format_sizeof(num_bytes, "B")


def total_bytes(sources: Sequence[str]) -> int | None:
    """Length of all the sources together in bytes; None where one of them is not known."""
    with ThreadPoolExecutor(PARALLEL_TARBALLS) as pool:
        sizes = list(pool.map(size_of, sources))
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _fetch_and_extract(source: str, parent: Path, count: Callable[[int], None]) -> None:
    folder = parent / tarball_name(source)
    target = parent / f"{folder.name}.download"
    archive = fetch(source, target, on_bytes=count)
    if archive != target:
        count(archive.stat().st_size)
    try:
        extract_archive(archive, folder, flatten=True)
    except ArchiveError as error:
        raise ArchiveError(f"{source}: {error}") from error
    finally:
        target.unlink(missing_ok=True)  # a damaged one too, so that the next try fetches it anew
    logger.debug("extracted %s", source)
