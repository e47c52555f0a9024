"""Families of models and of datasets: modules that are found by their names, without a registry."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from vidbench.errors import ConfigError


def list_families(package: ModuleType) -> list[str]:
    """Names of the package's families: its modules that are not private, without ``base``."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if name != "base" and not name.startswith("_")]


def import_family(option: str, name: str, package: ModuleType) -> ModuleType:
    """The module of a family: the package's, or with a dot in its name anybody's.

    Args:
        option: Which names it, e.g. ``model_type``.
        name: The family.
        package: Where vidbench's own lie.

    Raises:
        ConfigError: There is none, it cannot be imported, or it has no ``load``.
    """
    known = list_families(package)
    if "." not in name and name not in known:
        raise ConfigError(f"--{option} {name!r}: there is no such family, only {', '.join(known)}")
    try:
        module = importlib.import_module(name if "." in name else f"{package.__name__}.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(f"--{option} {name!r} cannot be imported: {error}") from error
    if not hasattr(module, "load"):
        raise ConfigError(f"--{option} {name!r}: {module.__file__} has no function load")
    return module
