"""Files of safetensors by their headers: which tensors they hold, and whether they are whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vidbench.errors import ConfigError
from vidbench.terminal.sanitize import one_line

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
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:  # reads the header, and compares lengths
            names = file.keys()
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{path} is no whole file of safetensors: {one_line(error)}; fetch or copy it again"
        ) from error
