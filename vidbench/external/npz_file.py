"""Read .npz files with ``ids``, ``scores`` and ``classes``; nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError
from vidbench.external.answers import Answers, Name, ScoreRows

_IDS = ("ids", "video_id", "video_ids")
_PATHS = ("paths", "path")
_DAMAGES = (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path) -> Answers:
    """Read an .npz file with ``scores`` (videos, classes), or (videos, views, classes).

    Raises:
        ConfigError: The file cannot be read, lacks an array, or an array has another shape.
    """
    arrays, names = _read_arrays(path)
    key = next((name for name in (*_IDS, *_PATHS) if name in arrays), None)
    if key is None or "scores" not in arrays:
        raise ConfigError(
            f"{path} must have the arrays ids (or paths) and scores: it has "
            f"{', '.join(sorted(names))[:80] or 'none'}"
        )
    keys, scores = _texts(path, key, arrays[key]), _numbers(path, arrays["scores"])
    classes = _classes(path, arrays["classes"]) if "classes" in arrays else None
    if scores.ndim not in (2, 3) or len(scores) != len(keys):
        raise ConfigError(
            f"{path}: scores are {scores.shape}, for {len(keys)} {key}: they must be (videos, "
            "classes), or (videos, views, classes)"
        )
    if classes is not None and len(classes) != scores.shape[-1]:
        raise ConfigError(
            f"{path}: scores are {scores.shape}, but there are {len(classes)} classes"
        )
    if scores.ndim == 3:
        keys = [video for video in keys for _ in range(scores.shape[1])]
        scores = scores.reshape(-1, scores.shape[2])
    return Answers(keys, key in _PATHS, classes, scores)


def _read_arrays(path: Path) -> tuple[Mapping[str, NDArray[Any]], Sequence[str]]:
    """The expected arrays by name, and the names of all arrays."""
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{path} is not an .npz file of np.savez, or is truncated")
    try:
        with np.load(path, allow_pickle=False) as archive:
            wanted = {*_IDS, *_PATHS, "scores", "classes"} & set(archive.files)
            return {name: archive[name] for name in wanted}, archive.files
    except _DAMAGES as error:
        advice = ""
        if "allow_pickle" in str(error):
            advice = "; objects are not read: write strings as np.array(names, dtype=str)"
        raise ConfigError(f"{path} cannot be read as .npz: {error}{advice}") from error


def _texts(path: Path, name: str, array: NDArray[Any]) -> list[str]:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind not in "Uiu" or array.ndim != 1:
        raise ConfigError(
            f"{path}: {name} must be a list of strings, not {array.dtype} {array.shape}"
        )
    return [str(value) for value in array.tolist()]


def _classes(path: Path, array: NDArray[Any]) -> tuple[Name, ...]:
    if array.dtype.kind in "iu" and array.ndim == 1:
        return tuple(array.tolist())
    return tuple(_texts(path, "classes", array))


def _numbers(path: Path, array: NDArray[Any]) -> ScoreRows:
    if array.dtype.kind not in "fiub":
        raise ConfigError(f"{path}: scores must be numbers, not {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)
