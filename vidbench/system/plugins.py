"""Families of models and datasets: modules found by name, without a registry."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType
from typing import TypeVar

from vidbench.errors import ConfigError

DECLARATION = "FAMILY"
"""Name of the declaration in a family's module."""

T = TypeVar("T")


def list_families(package: ModuleType) -> list[str]:
    """Names of the package's families: its public modules except ``base``."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if name != "base" and not name.startswith("_")]


def is_module(name: str) -> bool:
    """Whether this names somebody's own module: identifiers with dots between them."""
    return "." in name and all(part.isidentifier() for part in name.split("."))


def import_family(option: str, name: str, package: ModuleType) -> ModuleType:
    """Import the module of a family: one of the package, or a dotted name of a module of yours.

    Args:
        option: Option with the name, e.g. ``model_type``.
        name: The family.
        package: Package of vidbench's own families.

    Raises:
        ConfigError: There is no such module, it cannot be imported, or it has no ``load``.
    """
    families = list_families(package)
    if "." not in name and name not in families:
        raise ConfigError(
            f"--{option} {name!r}: there is no such family, only {', '.join(families)}"
        )
    try:
        module = importlib.import_module(name if "." in name else f"{package.__name__}.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(f"--{option} {name!r} cannot be imported: {error}") from error
    if "load" not in vars(module):
        raise ConfigError(f"--{option} {name!r}: {module.__file__} has no function load")
    return module


def read_declaration(module: ModuleType, kind: type[T]) -> T | None:
    """Return the declaration ``FAMILY`` of a family's module, or None.

    Args:
        module: A module from :func:`import_family`.
        kind: Expected type of the declaration.

    Raises:
        ConfigError: It has another type.
    """
    declaration = vars(module).get(DECLARATION)
    if declaration is not None and not isinstance(declaration, kind):
        raise ConfigError(
            f"{module.__name__}.{DECLARATION} is a {type(declaration).__name__}: make it a "
            f"{kind.__name__}, or remove it"
        )
    return declaration


def require_any(family: str, extra: str, libraries: tuple[str, ...]) -> None:
    """Raise ConfigError unless one of these libraries is installed; imports none of them.

    Args:
        family: Of models, which needs one.
        extra: Of vidbench, which installs one, e.g. ``torch``.
        libraries: As they are imported, e.g. ``transformers``.
    """
    if not any(importlib.util.find_spec(library) for library in libraries):
        raise ConfigError(
            f"model_type {family} needs {' or '.join(libraries)}, which is not installed: "
            f'pip install "vidbench[{extra}]"'
        )
