"""Locations of stores: a folder of this machine, or a URL that fsspec knows."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path, PurePosixPath

Location = Path | str
"""A folder, or the URL of a remote one, such as ``s3://bucket/prefix``."""

WORKING_FOLDERS = "VIDBENCH_STAND_INS"
"""Environment variable: where working folders lie, for machines with a disk for such things."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]+)://(?P<rest>.*)", re.DOTALL)
_NOT_REMOTE = ("http", "https", "file")
_PASSWORD = re.compile(r"//([^/\s@:]*):[^/\s@]*@")  # what is before it may be a container's name
_MAX_NAME_BYTES = 255  # of a file's or folder's name, on all usual file systems


def is_remote(location: Location) -> bool:
    """Whether this is the URL of a remote store."""
    found = _URL.match(location) if isinstance(location, str) else None
    return found is not None and found["scheme"].lower() not in _NOT_REMOTE


def without_password(text: str) -> str:
    """The text without the passwords of the addresses in it."""
    return _PASSWORD.sub(r"//\1@", text)


def scheme_of(url: str) -> str:
    """The part of a URL before ``://``, in small letters."""
    return url.partition("://")[0].lower()


def join(location: Location, name: str) -> Location:
    """The location of a folder below this one."""
    return location / name if isinstance(location, Path) else f"{location.rstrip('/')}/{name}"


def working_folder(location: Location) -> Path:
    """The folder of this machine for work on a store: a local one itself.

    That of a URL has the URL's last name.
    """
    return _folder_for(location) if is_remote(location) else Path(location)


def own_folder(location: Location) -> Path:
    """A folder of this machine alone for a store that other machines may see at the same path."""
    return _folder_for(location)


def _folder_for(location: Location) -> Path:
    plain = without_password(str(location)).rstrip("/")
    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    name = PurePosixPath(_URL.sub(r"\g<rest>", plain)).name
    return _base() / digest / (name if is_plain(name) else "folder")


def is_plain(key: str) -> bool:
    """Whether a local file below a folder can have this relative name; stores take any."""
    try:
        sizes = {part: len(os.fsencode(part)) for part in key.split("/")}
    except UnicodeEncodeError:
        return False
    odd = sizes.keys() & {"", ".", ".."}
    return not odd and "\0" not in key and max(sizes.values()) <= _MAX_NAME_BYTES


def _base() -> Path:
    if chosen := os.environ.get(WORKING_FOLDERS):
        return Path(chosen).absolute()
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in some containers
        home = Path(tempfile.gettempdir())
    return home.absolute() / "vidbench" / "shared"
