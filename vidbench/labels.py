"""Ordered class lists, and whether a model's classes are a dataset's."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from vidbench.errors import ConfigError


def load_classes(name: str) -> tuple[str, ...]:
    """Class names of a published list, in the order of the official class map.

    Args:
        name: ``kinetics-400``, ``kinetics-600`` or ``kinetics-700``.
    """
    text = resources.files("vidbench").joinpath("classes", f"{name}.txt").read_text("utf-8")
    return tuple(text.splitlines())


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names of a text file: one a line, the line number is the class index.

    Raises:
        ConfigError: The file is missing, empty, or names a class twice.
    """
    try:
        names = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"class list {path} cannot be read: {error}") from error
    if not names or not all(map(str.strip, names)):
        raise ConfigError(f"class list {path} must hold one class name a line, none of them empty")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"class list {path} names {twice!r} more than once")
    return tuple(names)


def require_known_labels(model_classes: Sequence[str], dataset_classes: Sequence[str]) -> None:
    """Nothing, if the model has every class of the dataset; names are never matched loosely.

    Raises:
        ConfigError: Some classes of the dataset are not among the model's.
    """
    known = set(model_classes)
    unknown = [name for name in dataset_classes if name not in known]
    if unknown:
        examples = ", ".join(unknown[:3])
        raise ConfigError(
            f"the model does not know {len(unknown)} of the dataset's {len(dataset_classes)} "
            f"classes ({examples}, ...): evaluate it on the dataset it was trained for"
        )
