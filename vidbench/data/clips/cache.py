"""ClipCache: decoded clips on disk, one HDF5 file each.

The key of a clip is the hash of its video's content, the digest of its spec and the version of the
pixels, so models with the same spec share clips, and stale clips are never read. Compression does
not change pixels and is not part of the key: a cache may have both kinds. HDF5 parses only bytes
whose checksum was verified (:mod:`vidbench.storage.seal`).
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from vidbench.data.clips.clip_file import NotedClip, pack_clip, unpack_clip
from vidbench.data.records import Skip, Views
from vidbench.data.spec import PIXELS_VERSION, PreprocessSpec
from vidbench.errors import CacheError, ConfigError
from vidbench.storage.files import disk_errors, sweep, temporary_path
from vidbench.storage.locations import Location
from vidbench.storage.seal import require_length, verify_seal
from vidbench.storage.store import Store, open_store

COMPRESSIONS = ("none", "zstd")

_SPEC_FOLDER = re.compile(r"[0-9a-f]{16}-px\d+")
_TRIES = 100  # each fails only if the folder is pruned at that moment, so two should be enough


class CacheKey(NamedTuple):
    """Key of a cached clip, apart from the version of the pixels."""

    sha256: str
    spec: PreprocessSpec


class Usage(NamedTuple):
    """Cache content of one spec; a truncated video may count both as a video and as skipped."""

    name: str
    spec: str
    videos: int
    skipped: int
    num_bytes: int


class ClipCache:
    """Clips and skips below one folder; constructing it does no I/O.

    Many processes may read and write at once: writes are atomic, and two processes that write the
    same name write equal pixels.

    Args:
        folder: Layout: ``<spec digest>-px<version>/<2 digits>/<SHA-256>.h5`` (or ``.skip.json``).
            It may be remote; usage and pruning cover local clips only.
        compression: Compression of new clips, ``zstd`` or None; both kinds can be read.

    Raises:
        ConfigError: The compression is unknown.
    """

    def __init__(self, folder: Location, compression: str | None = None) -> None:
        if compression not in (None, "zstd"):
            raise ConfigError(f"clips are compressed by 'zstd' or None, not {compression!r}")
        self._compression = compression
        self._store = open_store(folder)

    @property
    def folder(self) -> Path:
        """Folder of the files; for a remote cache the local working folder, which has the locks."""
        return self._store.local

    def find(self, key: CacheKey, score_truncated: bool = False) -> CacheKey | Skip | None:
        """Return the key if its clip can be used, an earlier skip of the video, or None.

        None means that the video must be decoded: the cache has no entry, or the video was skipped
        as truncated and its clip is wanted now, or a killed writer left a clip and a skip that do
        not match.

        Args:
            key: Key of the clip.
            score_truncated: Whether the clip of a truncated video can be used.
        """
        skip, has_clip = self.read_skip(key), self.has(key)
        truncated = skip is not None and skip.reason == "truncated"
        if has_clip and (self._is_whole(key) or (truncated and score_truncated)):
            return key
        decode_again = score_truncated if truncated else has_clip
        return None if decode_again else skip

    def has(self, key: CacheKey) -> bool:
        """Whether the clip is cached; its file may still be damaged."""
        return self._store.exists(_name(key, ".h5"))

    def _is_whole(self, key: CacheKey) -> bool:
        """Whether there is no skip; even an unreadable one may mean that the video is truncated."""
        return not self._store.exists(_name(key, ".skip.json"))

    def damage(self, key: CacheKey) -> Skip | None:
        """The skip of a truncated video that has a clip; None for other videos."""
        skip = self.read_skip(key) if self.has(key) else None
        return skip if skip and skip.reason == "truncated" else None

    def read(self, key: CacheKey) -> Views:
        """The clip, (views, frames, height, width, 3) uint8, after verifying its checksum.

        Raises:
            CacheError: The file is missing or damaged, has another clip, or is not from this class.
        """
        return self.read_noted(key).views

    def read_noted(self, key: CacheKey) -> NotedClip:
        """The clip with the note about its video and the size of its file.

        Raises:
            CacheError: The file is missing or damaged, has another clip, or is not from this class.
        """
        name = _name(key, ".h5")
        try:
            return unpack_clip(verify_seal(self._store.get(name, require_length)), *key)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, CacheError) as error:
            raise CacheError(f"{self._store.address(name)} cannot be read: {error}") from error

    def write(
        self, key: CacheKey, views: Views, damage: Skip | None = None, note: str = ""
    ) -> None:
        """Write a clip, which any process can read from then on.

        Args:
            key: Key of the clip.
            views: (views, frames, height, width, 3) uint8, as its spec defines.
            damage: The skip of a truncated video, if the clip has its decodable frames only.
            note: Anomaly of the video, if any.

        Raises:
            DiskFullError: The disk is full; no partial file is left.
            CacheError: A folder has the name of the file.
        """
        content = pack_clip(*key, NotedClip(views, note), compress=self._compression is not None)
        if damage:  # written first, so that the clip never passes for that of a complete video
            self.write_skip(key, damage)
        self._write(key, ".h5", content)
        if damage is None:
            self._store.delete(_name(key, ".skip.json"))
        elif self.read_skip(key) is None:  # pruned between the two
            self.write_skip(key, damage)

    def read_skip(self, key: CacheKey) -> Skip | None:
        """The earlier skip of this video; None if it was not skipped."""
        try:
            content = json.loads(bytes(self._store.get(_name(key, ".skip.json"))))
            return Skip(str(content["reason"]), str(content["detail"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_skip(self, key: CacheKey, skip: Skip) -> None:
        """Write why a video cannot be used, so that it is not decoded again.

        Raises:
            DiskFullError: The disk is full.
        """
        self._write(key, ".skip.json", memoryview(json.dumps(skip._asdict()).encode()))

    def usage(self) -> list[Usage]:
        """Cache content of each spec."""
        return [_usage(folder) for folder in self._spec_folders()]

    def prune(self, name: str | None = None) -> list[Usage]:
        """Remove the clips of a spec, or by default of older pixels versions; return their usage.

        Args:
            name: Name of a spec as in :class:`Usage`, or ``all`` for every spec.

        Raises:
            ConfigError: The cache has no spec of this name.
        """
        names = [folder.name for folder in self._spec_folders()]
        if name not in (None, "all", *names):
            raise ConfigError(f"nothing called {name!r} is cached: `vidbench cache` lists what is")
        removed = []
        for folder in self._spec_folders():
            stale = not folder.name.endswith(f"-px{PIXELS_VERSION}")
            if name in (folder.name, "all") or (name is None and stale):
                removed += self._remove(folder)
        return removed

    def sweep(self) -> None:
        """Remove temporary files and folders that killed writers and prunes left behind."""
        sweep(self.folder, "")
        for folder in self._spec_folders():
            for subfolder, _, _ in os.walk(folder):
                with suppress(FileNotFoundError):  # pruned by another process
                    sweep(Path(subfolder), "")

    def _spec_folders(self) -> list[Path]:
        folders = self.folder.glob("*-px*/")
        return sorted(path for path in folders if _SPEC_FOLDER.fullmatch(path.name))

    def _remove(self, folder: Path) -> list[Usage]:
        """Remove a folder and return its usage; it is renamed first to keep writers out."""
        renamed = temporary_path(folder)
        try:
            folder.rename(renamed)
        except FileNotFoundError:  # another process was faster
            return []
        removed = _usage(renamed)._replace(name=folder.name)
        _remove_tree(renamed)
        return [removed]

    def _write(self, key: CacheKey, suffix: str, content: memoryview) -> None:
        spec_name = f"{_spec_folder(key.spec)}/spec.json"
        with disk_errors(self.folder, len(content)):
            _put(self._store, _name(key, suffix), content)
            if not self._store.exists(spec_name):
                text = json.dumps(key.spec.canonical(), indent=1)
                _put(self._store, spec_name, memoryview(text.encode()))


def _spec_folder(spec: PreprocessSpec) -> str:
    return f"{spec.digest()}-px{PIXELS_VERSION}"


def _name(key: CacheKey, suffix: str) -> str:
    """Key of a file in the cache's store."""
    return f"{_spec_folder(key.spec)}/{key.sha256[:2]}/{key.sha256}{suffix}"


def _put(store: Store, name: str, content: memoryview) -> None:
    """Write a file, trying again if its folder is pruned at the same time."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError, FileExistsError):  # `mkdir` may raise either
            return _put_once(store, name, content)
    return _put_once(store, name, content)


def _put_once(store: Store, name: str, content: memoryview) -> None:
    try:
        store.put(name, content)
    except IsADirectoryError as error:
        path = store.address(name)
        raise CacheError(f"{path} is a folder, not a file: remove it") from error


def _remove_tree(folder: Path, tries: int = _TRIES) -> None:
    """Remove a folder in which others may still be writing; a sweep removes what they leave."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise
        if tries > 1 and folder.exists():
            _remove_tree(folder, tries - 1)


def _usage(folder: Path) -> Usage:
    try:
        spec = PreprocessSpec(**json.loads((folder / "spec.json").read_text("utf-8"))).describe()
    except (OSError, ValueError, TypeError, ConfigError):
        spec = "unknown"
    files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    clips = [_size(path) for path in files if path.suffix == ".h5"]
    skips = sum(path.name.endswith(".skip.json") for path in files)
    return Usage(folder.name, spec, len(clips), skips, sum(clips))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed by another process
        return 0
