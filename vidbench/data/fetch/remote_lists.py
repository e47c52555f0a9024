"""Mirror the lists and file names of remote folders, so that datasets can list their videos."""

from __future__ import annotations

import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path, PurePosixPath

from vidbench.data.fetch.remote_tarballs import LISTING
from vidbench.errors import ConfigError, SharedError
from vidbench.storage.frame_folder import is_picture
from vidbench.storage.remote_store import RemoteStore
from vidbench.storage.store import Store, at_once
from vidbench.storage.video_files import is_media, list_files

_MAX_BYTES = 64 << 20  # of a list or manifest; larger files are not downloaded


def mirror_names(store: RemoteStore) -> None:
    """Make the working folder look like the store, so that a dataset can list it.

    Videos and pictures are empty files there; other files of up to 64 MiB, such as manifests, are
    downloaded.

    Raises:
        ConfigError: The store is empty.
        SharedError: It cannot be listed.
    """
    sizes = store.list_tree()
    if not sizes:
        raise ConfigError(f"{store.address()} does not exist, or is empty")
    store.local.mkdir(parents=True, exist_ok=True)
    _remove_others(store.local, {store.local / key for key in sizes})
    try:
        for key in sizes:
            (store.local / key).parent.mkdir(parents=True, exist_ok=True)
            (store.local / key).touch()
    except (FileExistsError, NotADirectoryError) as error:
        raise SharedError(
            f"{store.address(key)} is below another file, which only object stores allow"
        ) from error
    lists = [key for key, size in sizes.items() if size <= _MAX_BYTES and not _is_video(key)]
    at_once(store.download, lists)


def _is_video(key: str) -> bool:
    return is_media(Path(key)) or is_picture(PurePosixPath(key).name)


def _remove_others(folder: Path, kept: Container[Path]) -> None:
    for path in list_files(folder):
        if path not in kept:
            path.unlink(missing_ok=True)
    for subfolder, _, _ in os.walk(folder, topdown=False):
        if Path(subfolder) != folder:
            with suppress(OSError):  # it is not empty
                Path(subfolder).rmdir()


def download_lists(store: Store, folder: str) -> None:
    """Replace the lists of a split in the working folder by those of the store.

    Args:
        store: Store with the split.
        folder: Folder of the split, such as ``kinetics-400/val``. Annotations, lists of tarballs
            and ``root.txt`` are downloaded; other lists in the working folder, which may be of
            another root, are removed.
    """
    lists = [key for key in store.list(folder) if _is_list(key)]
    for key in set(_lists_here(store, folder)) - set(lists):
        (store.local / key).unlink(missing_ok=True)
    at_once(store.download, lists)


def upload_lists(store: Store, folder: str) -> None:
    """Upload the lists of a split that this machine fetched, unless the store has them.

    Call it before a tarball is put, so that no other machine adds lists of another root.

    Args:
        store: Store with the split.
        folder: Folder of the split.
    """
    missing = set(_lists_here(store, folder)) - set(store.list(folder))
    at_once(lambda key: store.put(key, store.local / key), sorted(missing))


def _lists_here(store: Store, folder: str) -> list[str]:
    here = (store.local / folder).glob("[!.]*")
    return [f"{folder}/{path.name}" for path in here if path.is_file() and _is_list(path.name)]


def _is_list(key: str) -> bool:
    """Whether a dataset reads this file; listings of tarballs are many, and read one by one."""
    path = PurePosixPath(key)
    hidden = path.name.startswith(".") or path.name.endswith((LISTING, ".download"))
    return bool(path.suffix) and not hidden and not is_media(Path(key))
