"""ClipCache: decoded clips on disk, one HDF5 file each.

A clip is found by the content of its video, the digest of its spec and the version of the
pixels, so that any model with the same spec reads it, and nothing stale is ever read. Whether it
is compressed changes no pixel, so it is no part of that: a cache may hold both kinds. HDF5 gets to
see only bytes that were verified (:mod:`vidbench.storage.seal`).
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
_TRIES = 100  # each fails only if a folder is pruned just then, so two should do


class CacheKey(NamedTuple):
    """What a cached clip depends on, beside the version of the pixels."""

    sha256: str
    spec: PreprocessSpec


class Usage(NamedTuple):
    """What the cache holds of one spec; a truncated video may count as both a video and skipped."""

    name: str
    spec: str
    videos: int
    skipped: int
    num_bytes: int


class ClipCache:
    """Clips and skips below one folder; constructing it touches no disk.

    Many processes may read and write at once: a file appears under its name only when it is
    whole, and what two processes write under one name holds equal pixels.

    Args:
        folder: Layout: ``<spec digest>-px<version>/<2 digits>/<SHA-256>.h5`` (or ``.skip.json``).
            It may be remote; usage and pruning see local clips only.
        compression: How clips are written, ``zstd`` or None; both kinds are read in any case.

    Raises:
        ConfigError: There is no such compression.
    """

    def __init__(self, folder: Location, compression: str | None = None) -> None:
        if compression not in (None, "zstd"):
            raise ConfigError(f"clips are compressed by 'zstd' or None, not {compression!r}")
        self._compression = compression
        self._store = open_store(folder)

    @property
    def folder(self) -> Path:
        """Of the files; of a remote cache, this machine's working folder, which has the locks."""
        return self._store.local

    def find(self, key: CacheKey, score_truncated: bool = False) -> CacheKey | Skip | None:
        """The key if its clip may be used, why the video was skipped before, or None.

        None means that the video has to be decoded: nothing is known of it, or only that it is
        truncated, where its clip is wanted, or a killed writer left a clip and a skip that do not
        go together.

        Args:
            key: What is looked for.
            score_truncated: Whether the clip of a truncated video may be used.
        """
        skip, has_clip = self.read_skip(key), self.has(key)
        truncated = skip is not None and skip.reason == "truncated"
        if has_clip and (self._is_whole(key) or (truncated and score_truncated)):
            return key
        decode_again = score_truncated if truncated else has_clip
        return None if decode_again else skip

    def has(self, key: CacheKey) -> bool:
        """Whether the clip is there; reading it may still find it damaged."""
        return self._store.exists(_name(key, ".h5"))

    def _is_whole(self, key: CacheKey) -> bool:
        """Whether no skip is there; a damaged one may have said that the video is truncated."""
        return not self._store.exists(_name(key, ".skip.json"))

    def damage(self, key: CacheKey) -> Skip | None:
        """How the video of this clip is truncated; None if it is not, or there is no clip."""
        skip = self.read_skip(key) if self.has(key) else None
        return skip if skip and skip.reason == "truncated" else None

    def read(self, key: CacheKey) -> Views:
        """The clip, (views, frames, height, width, 3) uint8, its checksum verified.

        Raises:
            CacheError: It is gone, damaged, another one, or was not written by this class.
        """
        return self.read_noted(key).views

    def read_noted(self, key: CacheKey) -> NotedClip:
        """The clip as :meth:`read` gives it, what is odd about its video, and its size.

        Raises:
            CacheError: Likewise.
        """
        name = _name(key, ".h5")
        try:
            return unpack_clip(verify_seal(self._store.get(name, require_length)), *key)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, CacheError) as error:
            raise CacheError(f"{self._store.address(name)} cannot be read: {error}") from error

    def write(
        self, key: CacheKey, views: Views, damage: Skip | None = None, note: str = ""
    ) -> None:
        """Keeps a clip; it is readable at once, by any process.

        Args:
            key: What it is found by.
            views: As its spec says, uint8.
            damage: Where the clip holds the frames of a truncated video that could be decoded.
            note: What is odd about the video, if anything.

        Raises:
            DiskFullError: There is no room; nothing half written is left.
            CacheError: A folder lies where the file should.
        """
        content = pack_clip(*key, NotedClip(views, note), compress=self._compression is not None)
        if damage:  # before the clip, which must not pass for a whole video's at any time
            self.write_skip(key, damage)
        self._write(key, ".h5", content)
        if damage is None:
            self._store.delete(_name(key, ".skip.json"))
        elif self.read_skip(key) is None:  # pruned between the two
            self.write_skip(key, damage)

    def read_skip(self, key: CacheKey) -> Skip | None:
        """Why this video was skipped before, or None if it was not."""
        try:
            found = json.loads(bytes(self._store.get(_name(key, ".skip.json"))))
            return Skip(str(found["reason"]), str(found["detail"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_skip(self, key: CacheKey, skip: Skip) -> None:
        """Keeps why a video cannot be used, so that it is not tried again.

        Raises:
            DiskFullError: There is no room.
        """
        self._write(key, ".skip.json", memoryview(json.dumps(skip._asdict()).encode()))

    def usage(self) -> list[Usage]:
        """What is there, spec by spec."""
        return [_usage(folder) for folder in self._spec_folders()]

    def prune(self, name: str | None = None) -> list[Usage]:
        """What was removed: the spec of this name, or else all clips of older pixels versions.

        Args:
            name: As in :class:`Usage`; ``all`` for every spec.

        Raises:
            ConfigError: Nothing of this name is cached.
        """
        known = [folder.name for folder in self._spec_folders()]
        if name not in (None, "all", *known):
            raise ConfigError(f"nothing called {name!r} is cached: `vidbench cache` lists what is")
        removed = []
        for folder in self._spec_folders():
            stale = not folder.name.endswith(f"-px{PIXELS_VERSION}")
            if name in (folder.name, "all") or (name is None and stale):
                removed += self._remove(folder)
        return removed

    def sweep(self) -> None:
        """Removes temporary files that killed writers left behind, and what killed prunes did."""
        sweep(self.folder, "")
        for folder in self._spec_folders():
            for place, _, _ in os.walk(folder):
                with suppress(FileNotFoundError):  # pruned meanwhile
                    sweep(Path(place), "")

    def _spec_folders(self) -> list[Path]:
        folders = self.folder.glob("*-px*/")
        return sorted(path for path in folders if _SPEC_FOLDER.fullmatch(path.name))

    def _remove(self, folder: Path) -> list[Usage]:
        """What was in the folder, which is renamed first: nobody writes into it any more."""
        doomed = temporary_path(folder)
        try:
            folder.rename(doomed)
        except FileNotFoundError:  # another process was faster
            return []
        removed = _usage(doomed)._replace(name=folder.name)
        _remove_tree(doomed)
        return [removed]

    def _write(self, key: CacheKey, suffix: str, content: memoryview) -> None:
        described = f"{_spec_folder(key.spec)}/spec.json"
        with disk_errors(self.folder, len(content)):
            _put(self._store, _name(key, suffix), content)
            if not self._store.exists(described):
                text = json.dumps(key.spec.canonical(), indent=1)
                _put(self._store, described, memoryview(text.encode()))


def _spec_folder(spec: PreprocessSpec) -> str:
    return f"{spec.digest()}-px{PIXELS_VERSION}"


def _name(key: CacheKey, suffix: str) -> str:
    """Of a file in the cache's store."""
    return f"{_spec_folder(key.spec)}/{key.sha256[:2]}/{key.sha256}{suffix}"


def _put(store: Store, name: str, content: memoryview) -> None:
    """Writes the file, and again where its folder is pruned meanwhile."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError, FileExistsError):  # `mkdir` may raise either
            return _put_once(store, name, content)
    return _put_once(store, name, content)


def _put_once(store: Store, name: str, content: memoryview) -> None:
    try:
        store.put(name, content)
    except IsADirectoryError as error:
        path = store.address(name)
        raise CacheError(f"{path} is a folder, where a file belongs: remove it") from error


def _remove_tree(folder: Path, tries: int = _TRIES) -> None:
    """Removes a folder where others may yet end what they began; a sweep takes what they leave."""
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
    files = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    clips = [_size(path) for path in files if path.suffix == ".h5"]
    skips = sum(path.name.endswith(".skip.json") for path in files)
    return Usage(folder.name, spec, len(clips), skips, sum(clips))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
