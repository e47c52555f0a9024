"""Files of safetensors by their headers: which tensors they hold, and whether they are whole.

The format is https://github.com/huggingface/safetensors#format: the length of a JSON text in 8
bytes, the text, and the tensors, whose places it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidbench.errors import ConfigError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # as the library has it
_HEAD = "classifier.weight"  # of every ...ForVideoClassification of transformers


def require_weights(paths: Iterable[Path], num_classes: int) -> None:
    """Check that the files are whole, and their classifier is of so many classes.

    Raises:
        ConfigError: One is cut off or no such file; or the classifier has others.
    """
    for path in paths:
        shape = read_shapes(path).get(_HEAD)
        if shape and shape[0] != num_classes:
            raise ConfigError(
                f"{path} has weights of {shape[0]} classes, config.json beside it names "
                f"{num_classes}: they belong to different models"
            )


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors by name.

    Raises:
        ConfigError: The file is cut off, or none of safetensors.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if not 2 <= length <= min(size - _LENGTH_BYTES, _MAX_HEADER_BYTES):
                raise ValueError("its header is not whole")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        ends = [tensor["data_offsets"][1] for tensor in header.values()]
        shapes = {name: tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
        promised = _LENGTH_BYTES + length + max(ends, default=0)
        if size != promised:
            raise ValueError(f"it has {size} bytes, its header says {promised}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is no whole file of safetensors: {_reason(error)}; fetch or copy it again"
        ) from error
    return shapes


def _reason(error: Any) -> str:
    own = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
    return str(error) if own and str(error).startswith("it") else "its header cannot be read"
