"""Tarballs of videos become files of a store, each fetched once by one machine.

Beside the folder of a tarball's files is ``<tarball>.files.json``, the list of their names, which
is put last: where it is, all files are.
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
"""Behind a tarball's name: the file that lists its files."""

_STAGING = ".fetched"  # in the working folder of a split


@dataclass(frozen=True)
class RemoteTarballs:
    """Tarballs of one split whose files are kept in a store.

    Attributes:
        store: Keeps the files. Its working folder holds those of a tarball that is being fetched.
        folder: Of the split in the store; it has a folder for each tarball.
    """

    store: Store
    folder: str

    def names(self, source: str) -> list[str] | None:
        """Names of a tarball's files; None unless the store has all of them.

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
            raise SharedError(f"{address} is no list of files: remove it and run again")
        return [str(name) for name in names]

    def fetch(self, source: str) -> list[str]:
        """Names of a tarball's files, all of which the store has afterwards.

        What was fetched before, by whatever machine, is not fetched again. A tarball that two
        machines fetch at once is put twice, with equal files.

        Raises:
            FetchError, ArchiveError: The tarball cannot be fetched or extracted.
            DiskFullError: This machine has no room for its files, which it holds for a while.
            SharedError: The store cannot be read or written.
        """
        with locked(self.store.local / self.folder / ".locks" / "shared", tarball_name(source)):
            names = self.names(source)
            return self._fetch(source) if names is None else names

    def _fetch(self, source: str) -> list[str]:
        name, staging = tarball_name(source), self.store.local / self.folder / _STAGING
        sweep(staging, "")
        extracted = fetch_tarball(source, staging)
        names = list_extracted(extracted).names
        at_once(
            lambda file: self.store.put(f"{self.folder}/{name}/{file}", extracted / file), names
        )
        self.store.put(self._listing(source), memoryview(json.dumps(names).encode()))
        shutil.rmtree(extracted.rename(temporary_path(extracted)), ignore_errors=True)
        logger.debug("put %d files of %s", len(names), source)
        return names

    def _listing(self, source: str) -> str:
        return f"{self.folder}/{tarball_name(source)}{LISTING}"


def _is_name(name: object) -> bool:
    """Whether this is one plain name; what lies in a bucket is not trusted."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {*name} & {"/", "\\", "\0"}
