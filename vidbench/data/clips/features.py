"""FeatureCache: features of clips and embeddings of prompts, kept on disk for reuse.

Files are sealed (:mod:`vidbench.storage.seal`) and never unpickled.
"""

from __future__ import annotations

import io
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.data.clips.cache import CacheKey
from vidbench.data.spec import PIXELS_VERSION
from vidbench.errors import CacheError
from vidbench.storage.files import disk_errors, sweep
from vidbench.storage.locations import Location
from vidbench.storage.seal import USER_BLOCK, require_length, seal, verify_seal
from vidbench.storage.store import open_store

logger = logging.getLogger(__name__)

FEATURE_FOLDER = "features"
"""Folder of features in the cache."""

_TEXT = "text"  # the folder of prompts; folders of clips are named after model and spec

Array = NDArray[np.float32]


class FeatureUsage(NamedTuple):
    """Number of cached arrays of clips and of prompts, and their total size in bytes."""

    videos: int
    prompts: int
    num_bytes: int


class FeatureCache:
    """Cached arrays of one model, for clips and prompts; constructing it does no I/O.

    Many processes may read and write at once, as with clips.

    Args:
        cache_dir: Layout below it:
            ``features/<digest>-<spec digest>-px<version>/<2 digits>/<SHA-256>.npy`` for clips, and
            ``features/text/<digest>.npy`` for prompts. It may be remote.
        digest: Digest of everything that decides the model's features of a clip with a given spec.
    """

    def __init__(self, cache_dir: Location, digest: str) -> None:
        self._store = open_store(cache_dir)
        self.digest = digest

    def has(self, key: CacheKey) -> bool:
        """Whether the features of this clip are cached; their file may still be damaged."""
        return self._store.exists(_key(self._name(key)))

    def read(self, key: CacheKey) -> Array | None:
        """The features of a video's views, (views, ...); None if missing or damaged."""
        return self._read(self._name(key))

    def write(self, key: CacheKey, features: Array) -> None:
        """Write the features of a video's views.

        Raises:
            DiskFullError: The disk is full; no partial file is left.
        """
        self._write(self._name(key), features)

    def read_text(self, digest: str) -> Array | None:
        """The embeddings of the prompts with this digest; None if missing or damaged."""
        return self._read(f"{_TEXT}/{digest}.npy")

    def write_text(self, digest: str, embeddings: Array) -> None:
        """Write the embeddings of the prompts with this digest.

        Raises:
            DiskFullError: The disk is full; no partial file is left.
        """
        self._write(f"{_TEXT}/{digest}.npy", embeddings)

    def _name(self, key: CacheKey) -> str:
        """Name of the file with a video's features, relative to the folder of features."""
        folder = f"{self.digest}-{key.spec.digest()}-px{PIXELS_VERSION}"
        return f"{folder}/{key.sha256[:2]}/{key.sha256}.npy"

    def _read(self, name: str) -> Array | None:
        try:
            return _unpack(verify_seal(self._store.get(_key(name), require_length)), name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, CacheError) as error:
            address = self._store.address(_key(name))
            logger.warning("%s cannot be read: %s; computing it again", address, error)
            return None

    def _write(self, name: str, array: Array) -> None:
        content = _pack(array, name)
        # If a prune removes the folder at the same time, the features are just not kept.
        with (
            disk_errors(self._store.local / FEATURE_FOLDER, len(content)),
            suppress(FileNotFoundError),
        ):
            self._store.put(_key(name), content)


def _key(name: str) -> str:
    """Key of a file in the cache's store."""
    return f"{FEATURE_FOLDER}/{name}"


def _pack(array: Array, name: str) -> memoryview:
    """Seal, a line with the name, and the array in NumPy's format."""
    file = io.BytesIO()
    file.write(bytes(USER_BLOCK) + name.encode() + b"\n")
    np.save(file, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    with file.getbuffer() as content:  # released here: an open view would lock the buffer
        seal(content)
    return memoryview(file.getvalue())  # does not copy


def _unpack(content: NDArray[np.uint8], name: str) -> Array:
    file = io.BytesIO(content[USER_BLOCK:].tobytes())
    if file.readline() != name.encode() + b"\n":
        raise CacheError("it has the content of another file")
    array = np.load(file, allow_pickle=False)
    if array.dtype != np.float32:
        raise CacheError(f"it has values of {array.dtype}, not float32")
    return np.asarray(array, np.float32)


def feature_usage(cache_dir: Path) -> FeatureUsage:
    """Usage of the features of all models in a cache."""
    return _usage(_files(cache_dir / FEATURE_FOLDER))


def prune_features(cache_dir: Path, name: str | None = None) -> FeatureUsage:
    """Remove features, by default those of clips of older pixels versions; return their usage.

    Args:
        cache_dir: The cache.
        name: ``features`` or ``all`` removes all features, those of prompts too; any other name
            removes none.
    """
    folder = cache_dir / FEATURE_FOLDER
    everything = _files(folder) if name in (FEATURE_FOLDER, "all") else []
    stale = [path for path in _files(folder) if _is_stale(path.relative_to(folder))]
    chosen = stale if name is None else everything
    removed = _usage(chosen)
    for path in chosen:
        path.unlink(missing_ok=True)
    for subfolder, _, _ in os.walk(folder, topdown=False):
        sweep(Path(subfolder), "")
        with suppress(OSError):  # it is not empty
            Path(subfolder).rmdir()
    return removed


def _is_stale(path: Path) -> bool:
    folder = path.parts[0]
    return folder != _TEXT and not folder.endswith(f"-px{PIXELS_VERSION}")


def _files(folder: Path) -> list[Path]:
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(path for path in files if path.suffix == ".npy")


def _usage(paths: list[Path]) -> FeatureUsage:
    prompts = sum(path.parent.name == _TEXT for path in paths)
    return FeatureUsage(len(paths) - prompts, prompts, sum(map(_size, paths)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed by another process
        return 0
