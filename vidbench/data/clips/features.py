"""Arrays that a model made of clips or prompts, kept on disk, so that it need not make them again.

Files are sealed (:mod:`vidbench.storage.seal`), and nothing in them is unpickled.
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
"""Of the cache."""

_TEXT = "text"  # a folder beside those of clips, which are named after model and spec

Array = NDArray[np.float32]


class FeatureUsage(NamedTuple):
    """How many arrays of clips and of prompts are kept, and in how many bytes."""

    videos: int
    prompts: int
    num_bytes: int


class FeatureCache:
    """What one model makes of clips and of prompts; constructing it touches no disk.

    Many processes may read and write at once, as with clips.

    Args:
        cache_dir: Layout below it:
            ``features/<digest>-<spec digest>-px<version>/<2 digits>/<SHA-256>.npy`` for clips, and
            ``features/text/<digest>.npy`` for prompts. It may be remote.
        digest: Of all that decides what the model makes of a clip of a given spec.
    """

    def __init__(self, cache_dir: Location, digest: str) -> None:
        self._store = open_store(cache_dir)
        self.digest = digest

    def has(self, key: CacheKey) -> bool:
        """Whether there are features of this clip; reading them may still find them damaged."""
        return self._store.exists(_key(self._name(key)))

    def read(self, key: CacheKey) -> Array | None:
        """The features of a video's views, (views, ...); None if there are none, or not whole."""
        return self._read(self._name(key))

    def write(self, key: CacheKey, features: Array) -> None:
        """Keeps the features of a video's views.

        Raises:
            DiskFullError: There is no room; nothing half written is left.
        """
        self._write(self._name(key), features)

    def read_text(self, digest: str) -> Array | None:
        """What was kept of prompts with this digest; None if nothing was, or it is not whole."""
        return self._read(f"{_TEXT}/{digest}.npy")

    def write_text(self, digest: str, embeddings: Array) -> None:
        """Keeps what the model makes of prompts.

        Raises:
            DiskFullError: There is no room; nothing half written is left.
        """
        self._write(f"{_TEXT}/{digest}.npy", embeddings)

    def _name(self, key: CacheKey) -> str:
        """Of the file with the features of a video, in the folder of features."""
        folder = f"{self.digest}-{key.spec.digest()}-px{PIXELS_VERSION}"
        return f"{folder}/{key.sha256[:2]}/{key.sha256}.npy"

    def _read(self, name: str) -> Array | None:
        try:
            return _unpack(verify_seal(self._store.get(_key(name), require_length)), name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, CacheError) as error:
            address = self._store.address(_key(name))
            logger.warning("%s cannot be read: %s; making it again", address, error)
            return None

    def _write(self, name: str, array: Array) -> None:
        content = _pack(array, name)
        # A prune meanwhile may take the folder: then there is nothing kept, which is no fault.
        with (
            disk_errors(self._store.local / FEATURE_FOLDER, len(content)),
            suppress(FileNotFoundError),
        ):
            self._store.put(_key(name), content)


def _key(name: str) -> str:
    """Of a file in the cache's store."""
    return f"{FEATURE_FOLDER}/{name}"


def _pack(array: Array, name: str) -> memoryview:
    """Seal, a line with the name, and the array as NumPy's format has it."""
    file = io.BytesIO()
    file.write(bytes(USER_BLOCK) + name.encode() + b"\n")
    np.save(file, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    with file.getbuffer() as content:  # a view that outlives the block would keep it open
        seal(content)
    return memoryview(file.getvalue())  # copies nothing


def _unpack(content: NDArray[np.uint8], name: str) -> Array:
    file = io.BytesIO(content[USER_BLOCK:].tobytes())
    if file.readline() != name.encode() + b"\n":
        raise CacheError("it is another file's content")
    array = np.load(file, allow_pickle=False)
    if array.dtype != np.float32:
        raise CacheError(f"it holds {array.dtype}")
    return np.asarray(array, np.float32)


def feature_usage(cache_dir: Path) -> FeatureUsage:
    """What is kept below a cache, of all models."""
    return _usage(_files(cache_dir / FEATURE_FOLDER))


def prune_features(cache_dir: Path, name: str | None = None) -> FeatureUsage:
    """What was removed: features of clips of older pixels, or with a name maybe all.

    Args:
        cache_dir: The cache.
        name: ``features`` or ``all`` for all of them, of prompts too; any other name means none.
    """
    folder = cache_dir / FEATURE_FOLDER
    everything = _files(folder) if name in (FEATURE_FOLDER, "all") else []
    stale = [path for path in _files(folder) if _is_stale(path.relative_to(folder))]
    chosen = stale if name is None else everything
    removed = _usage(chosen)
    for path in chosen:
        path.unlink(missing_ok=True)
    for place, _, _ in os.walk(folder, topdown=False):
        sweep(Path(place), "")
        with suppress(OSError):  # it is not empty
            Path(place).rmdir()
    return removed


def _is_stale(path: Path) -> bool:
    folder = path.parts[0]
    return folder != _TEXT and not folder.endswith(f"-px{PIXELS_VERSION}")


def _files(folder: Path) -> list[Path]:
    files = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in files if path.suffix == ".npy")


def _usage(paths: list[Path]) -> FeatureUsage:
    prompts = sum(path.parent.name == _TEXT for path in paths)
    return FeatureUsage(len(paths) - prompts, prompts, sum(map(_size, paths)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
