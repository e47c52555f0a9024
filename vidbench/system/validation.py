"""Values of options that cannot be meant, refused in one line before anything is done."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from vidbench.errors import ConfigError

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # lone surrogates: bytes, no UTF-8
_MAX_NAME_BYTES = 255  # of a file's or folder's name, on all usual file systems


def require_text(option: str, text: str) -> None:
    """Check that the text is not empty, and neither controls a terminal nor is other than UTF-8.

    Raises:
        ConfigError: It is empty, or has such a character.
    """
    if not text.strip():
        raise ConfigError(f"--{option} is empty: give a value, or leave it out")
    if found := _NO_TEXT.search(text):
        raise ConfigError(
            f"--{option} has the character {found[0]!r}, which belongs in no name: rename it"
        )


def require_number(option: str, value: float, low: float, high: float) -> None:
    """Check that the number is from ``low`` to ``high``.

    Raises:
        ConfigError: It is not.
    """
    if not low <= value <= high:  # so that nan is refused
        raise ConfigError(f"--{option} is {value}, must be from {low} to {high}")


def require_file(option: str, path: Path) -> None:
    """Check that there is such a file, and it may be read.

    Raises:
        ConfigError: There is none.
    """
    if not os.path.lexists(path):  # it takes names that are too long, unlike the methods
        raise ConfigError(f"--{option} {str(path)!r} does not exist")
    if not path.is_file():
        raise ConfigError(f"--{option} {str(path)!r} is no file: name a file")
    if not os.access(path, os.R_OK):
        raise ConfigError(f"--{option} {str(path)!r} may not be read: see its permissions")


def require_target(option: str, path: Path) -> None:
    """Check that a file could be written there; one that is there already is no reason.

    Raises:
        ConfigError: A folder is there, or nothing may be written in the folder that it is in.
    """
    require_folder(option, path.parent)
    _refuse_long_names(option, path)
    if path.is_dir():
        raise ConfigError(f"--{option} {str(path)!r} is a folder: name a file")


def require_folder(option: str, path: Path, *, written: bool = True) -> None:
    """Check that there is such a folder, or it could be made.

    Args:
        option: For the message.
        path: The folder.
        written: Refuse a folder that is there and in which nothing may be written.

    Raises:
        ConfigError: A file is in the way, or nothing may be written.
    """
    _refuse_long_names(option, path)
    shown = f"--{option} {str(path)!r}"
    places = (path.absolute(), *path.absolute().parents)
    found = next(place for place in places if os.path.lexists(place))
    if not found.is_dir():
        where = "is" if found == places[0] else f"lies below {str(found)!r}, which is"
        raise ConfigError(f"{shown} {where} no folder: name another one")
    if (written or found != places[0]) and not os.access(found, os.W_OK | os.X_OK):
        raise ConfigError(f"{shown}: nothing may be written in {str(found)!r}: name another folder")


def _refuse_long_names(option: str, path: Path) -> None:
    if any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in path.parts):
        raise ConfigError(f"--{option} has a name of more than {_MAX_NAME_BYTES} bytes: {path}")


def require_address(option: str, source: str) -> None:
    """Check that this is a path, or an http(s) address with a host.

    Raises:
        ConfigError: It begins like an address, and is none.
    """
    try:
        parts = urlsplit(source)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"--{option} {source!r} is no address: {error}") from error
    if parts.scheme in ("http", "https") and not complete:
        raise ConfigError(f"--{option} {source!r} is no address: it names no server")
