"""Fetch tarballs of videos into a store, each once and by one machine.

Beside the folder of a tarball's files is ``<tarball>.files.json``, the list of their names. It is
put last: if it exists, all files do.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass

from vidbench.data.fetch.tarballs import fetch_tarball, list_extracted, tarball_name
from vidbench.errors import SharedError
from vidbench.storage.files import sweep, temporary_path
from vidbench.storage.locks import locked
from vidbench.storage.store import Store, at_once

logger = logging.getLogger(__name__)

LISTING = ".files.json"
"""Suffix of the file that lists a tarball's files."""

_STAGING = ".fetched"  # in the working folder of a split


@dataclass(frozen=True)
class RemoteTarballs:
    """Tarballs of one split whose files are kept in a store.

    Attributes:
        store: Store of the files. Its working folder has those of a tarball that is being fetched.
        folder: Folder of the split in the store, with a folder for each tarball.
    """

    store: Store
    folder: str

    def names(self, source: str) -> list[str] | None:
        """Names of a tarball's files if the store has all of them, else None.

        Raises:
            SharedError: The list of names is damaged.
        """
        key = self._listing(source)
        try:
            names = json.loads(bytes(self.store.get(key)))
        except FileNotFoundError:
            return None
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(map(_is_name, names)):
            address = self.store.address(key)
            raise SharedError(f"{address} is not a list of files: remove it and run again")
        return [str(name) for name in names]

    def fetch(self, source: str) -> None:
        """Fetch a tarball and put its files, unless the store has all of them.

        A tarball that two machines fetch at once is put twice, with equal files.

        Raises:
            FetchError, ArchiveError: The tarball cannot be fetched or extracted.
            DiskFullError: This machine has no room for its files, which it holds for a while.
            SharedError: The store cannot be read or written.
        """
        with locked(self.store.local / self.folder / ".locks" / "shared", tarball_name(source)):
            if self.names(source) is None:
                self._fetch(source)

    def _fetch(self, source: str) -> None:
        staging = self.store.local / self.folder / _STAGING
        sweep(staging, "")
        folder, names = list_extracted(fetch_tarball(source, staging))
        target = f"{self.folder}/{tarball_name(source)}"
        at_once(lambda name: self.store.put(f"{target}/{name}", folder / name), names)
        self.store.put(self._listing(source), memoryview(json.dumps(names).encode()))
        shutil.rmtree(folder.rename(temporary_path(folder)), ignore_errors=True)
        logger.debug("put %d files of %s", len(names), source)

    def _listing(self, source: str) -> str:
        return f"{self.folder}/{tarball_name(source)}{LISTING}"


def _is_name(name: object) -> bool:
    """Whether this is one plain name; the content of a bucket is not trusted."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {*name} & {"/", "\\", "\0"}
