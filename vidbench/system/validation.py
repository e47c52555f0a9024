"""Refuse invalid option values in one line, before any work starts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from vidbench.errors import ConfigError

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and bytes other than UTF-8
_MAX_NAME_BYTES = 255  # of a file or folder name, on all common file systems


def require_text(option: str, text: str) -> None:
    """Raise ConfigError unless the text is non-empty UTF-8 without control characters."""
    if not text.strip():
        raise ConfigError(f"--{option} is empty: give a value, or omit the option")
    if match := _NO_TEXT.search(text):
        raise ConfigError(
            f"--{option} has the character {match[0]!r}, which is not allowed in names: rename it"
        )


def require_number(option: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError unless ``low <= value <= high``."""
    if not low <= value <= high:  # also refuses nan
        raise ConfigError(f"--{option} is {value}, must be from {low} to {high}")


def require_file(option: str, path: Path) -> None:
    """Raise ConfigError unless ``path`` is a readable file."""
    if not os.path.lexists(path):  # accepts names that are too long, unlike Path.exists
        raise ConfigError(f"--{option} {str(path)!r} does not exist")
    if not path.is_file():
        raise ConfigError(f"--{option} {str(path)!r} is not a file: name a file")
    if not os.access(path, os.R_OK):
        raise ConfigError(f"--{option} {str(path)!r} is not readable: check its permissions")


def require_target(option: str, path: Path) -> None:
    """Raise ConfigError unless ``path`` can be written as a file; it may exist already."""
    require_folder(option, path.parent)
    _refuse_long_names(option, path)
    if path.is_dir():
        raise ConfigError(f"--{option} {str(path)!r} is a folder: name a file")


def require_folder(option: str, path: Path, *, written: bool = True) -> None:
    """Raise ConfigError unless ``path`` is a folder, or can be created as one.

    Args:
        option: Name of the option, for the message.
        path: The folder.
        written: Also require that an existing folder is writable.
    """
    _refuse_long_names(option, path)
    shown = f"--{option} {str(path)!r}"
    ancestors = (path.absolute(), *path.absolute().parents)
    existing = next(ancestor for ancestor in ancestors if os.path.lexists(ancestor))
    if not existing.is_dir():
        where = "is" if existing == ancestors[0] else f"is below {str(existing)!r}, which is"
        raise ConfigError(f"{shown} {where} not a folder: name another one")
    if (written or existing != ancestors[0]) and not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{shown}: {str(existing)!r} is not writable: name another folder")


def _refuse_long_names(option: str, path: Path) -> None:
    if any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in path.parts):
        raise ConfigError(f"--{option} has a name of more than {_MAX_NAME_BYTES} bytes: {path}")


def require_address(option: str, source: str) -> None:
    """Raise ConfigError unless this is a path, or an http(s) URL with a host."""
    try:
        parts = urlsplit(source)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"--{option} {source!r} is not a valid URL: {error}") from error
    if parts.scheme in ("http", "https") and not complete:
        raise ConfigError(f"--{option} {source!r} is not a valid URL: it has no host")
