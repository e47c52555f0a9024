"""ClipCache: decoded clips on disk, one HDF5 file each; the only importer of h5py.

A clip is found by the content of its video, the digest of its spec and the version of the
pixels, so that any model with the same spec reads it, and nothing stale is ever read. Whether it
is compressed changes no pixel, so it is no part of that: a cache may hold both kinds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import xxhash

from vidbench.data import codec
from vidbench.data.records import Skip, Views
from vidbench.data.spec import PIXELS_VERSION, PreprocessSpec
from vidbench.errors import CacheError, ConfigError
from vidbench.files import replacing, sweep

COMPRESSIONS = ("none", "zstd")

_ZSTD_FILTER = 32015  # registered with the HDF Group


class CacheKey(NamedTuple):
    """What a cached clip depends on, beside the version of the pixels."""

    sha256: str
    spec: PreprocessSpec


class Usage(NamedTuple):
    """What the cache holds of one spec."""

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
        compression: How clips are written, ``zstd`` or None; both kinds are read in any case.

    Raises:
        ConfigError: There is no such compression.
    """

    def __init__(self, folder: Path, compression: str | None = None) -> None:
        if compression not in (None, "zstd"):
            raise ConfigError(f"clips are compressed by 'zstd' or None, not {compression!r}")
        self.folder = folder
        self._compression = compression

    def has(self, key: CacheKey) -> bool:
        """Whether the clip is there; reading it may still find it damaged."""
        return self._path(key, ".h5").exists()

    def read(self, key: CacheKey) -> Views:
        """The clip, (views, frames, height, width, 3) uint8, its checksum verified.

        Raises:
            CacheError: It is gone, damaged, or was not written by this class.
        """
        path = self._path(key, ".h5")
        try:
            with h5py.File(path, "r") as file:
                expected = _text(file["views"].attrs["xxh3_64"])
                views = _load(file["views"])
        except (OSError, KeyError, ValueError, RuntimeError, CacheError) as error:
            raise CacheError(f"{path} cannot be read: {error}") from error
        if views.dtype != np.uint8 or _checksum(views) != expected:
            raise CacheError(f"{path} does not hold what was written: its checksum differs")
        return views

    def num_bytes(self, key: CacheKey) -> int:
        """Size of the clip's file; 0 if there is none."""
        path = self._path(key, ".h5")
        return path.stat().st_size if path.exists() else 0

    def write(self, key: CacheKey, views: Views) -> None:
        """Keeps a clip; it is readable at once, by any process."""
        path = self._path(key, ".h5")
        save = _save_plain if self._compression is None else _save_compressed
        with self._writing(path, key.spec) as temporary:
            save(temporary, key, views)
        self._path(key, ".skip.json").unlink(missing_ok=True)

    def read_skip(self, key: CacheKey) -> Skip | None:
        """Why this video was skipped before, or None if it was not."""
        try:
            found = json.loads(self._path(key, ".skip.json").read_text("utf-8"))
            return Skip(str(found["reason"]), str(found["detail"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_skip(self, key: CacheKey, skip: Skip) -> None:
        """Keeps why a video cannot be used, so that it is not tried again."""
        with self._writing(self._path(key, ".skip.json"), key.spec) as temporary:
            temporary.write_text(json.dumps(skip._asdict()), "utf-8")

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
                removed.append(_usage(folder))
                shutil.rmtree(folder)
        return removed

    def sweep(self) -> None:
        """Removes temporary files that killed writers left behind."""
        sweep(self.folder, "*-px*/*")
        sweep(self.folder, "*-px*")

    def _spec_folders(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob("*-px*/spec.json"))

    def _path(self, key: CacheKey, suffix: str) -> Path:
        folder = self.folder / f"{key.spec.digest()}-px{PIXELS_VERSION}"
        return folder / key.sha256[:2] / f"{key.sha256}{suffix}"

    @contextmanager
    def _writing(self, path: Path, spec: PreprocessSpec) -> Iterator[Path]:
        described = path.parent.parent / "spec.json"
        if not described.exists():
            with replacing(described) as temporary:
                temporary.write_text(json.dumps(spec.canonical(), indent=1), "utf-8")
        with replacing(path) as temporary:
            yield temporary


def _save_plain(path: Path, key: CacheKey, views: Views) -> None:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("views", data=views)
        dataset.attrs["xxh3_64"] = _checksum(views)
        file.attrs["sha256"] = key.sha256
        file.attrs["spec"] = json.dumps(key.spec.canonical())


def _save_compressed(path: Path, key: CacheKey, views: Views) -> None:
    """Writes blocks of frames as HDF5 chunks, which any reader with HDF5's zstd filter can read.

    HDF5 checks all that describes them from its format 1.10 on, except strings of variable length:
    texts are bytes here. The blocks themselves are checked as they are undone.
    """
    with h5py.File(path, "w", libver="v110") as file:
        dataset = file.create_dataset(
            "views",
            views.shape,
            np.uint8,
            chunks=codec.block_shape(views.shape),
            compression=_ZSTD_FILTER,
            allow_unknown_filter=True,  # they are compressed here, not by HDF5
        )
        for block in codec.compress(views):
            dataset.id.write_direct_chunk(*block)
        dataset.attrs["filter"] = np.bytes_(codec.NAME.encode())
        dataset.attrs["xxh3_64"] = np.bytes_(_checksum(views).encode())
        file.attrs["sha256"] = np.bytes_(key.sha256.encode())
        file.attrs["spec"] = np.bytes_(json.dumps(key.spec.canonical()).encode())


def _load(dataset: h5py.Dataset) -> Views:
    if "filter" not in dataset.attrs:
        return np.asarray(dataset)
    name, shape = _text(dataset.attrs["filter"]), dataset.shape
    if name != codec.NAME or len(shape) != 5 or dataset.dtype != np.uint8:
        raise CacheError(f"{len(shape)} dimensions of {dataset.dtype}, unknown filter {name!r}")
    if dataset.chunks != codec.block_shape(shape):
        raise CacheError(f"blocks of {dataset.chunks} in a clip of {shape}")
    blocks = [
        codec.Block(offset, dataset.id.read_direct_chunk(offset)[1])
        for offset in codec.block_offsets(shape)
    ]
    return codec.decompress(blocks, shape)


def _text(attribute: object) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def _checksum(views: Views) -> str:
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(views).data)


def _usage(folder: Path) -> Usage:
    try:
        spec = PreprocessSpec(**json.loads((folder / "spec.json").read_text("utf-8"))).describe()
    except (OSError, ValueError, TypeError, ConfigError):
        spec = "unknown"
    clips = [path.stat().st_size for path in folder.glob("*/*.h5")]
    skips = sum(1 for _ in folder.glob("*/*.skip.json"))
    return Usage(folder.name, spec, len(clips), skips, sum(clips))
