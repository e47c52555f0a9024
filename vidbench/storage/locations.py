"""Locations of stores: a local folder, or a URL that fsspec supports."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path, PurePosixPath

Location = Path | str
"""A local folder, or the URL of a remote one, such as ``s3://bucket/prefix``."""

WORKING_FOLDERS = "VIDBENCH_STAND_INS"
"""Environment variable that sets the parent of all working folders, e.g. to a scratch disk."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]+)://(?P<rest>.*)", re.DOTALL)
_NOT_REMOTE = ("http", "https", "file")
_USER = re.compile(r"//(?P<name>[^/\s@:]*)(?P<password>:[^/\s@]*)?@")
_MAX_NAME_BYTES = 255  # for the name of a file or folder, on common file systems


def is_remote(location: Location) -> bool:
    """Whether the location is the URL of a remote store."""
    url = _URL.match(location) if isinstance(location, str) else None
    return url is not None and url["scheme"].lower() not in _NOT_REMOTE


def without_password(text: str, *, keep_name: bool = False) -> str:
    """The text without the user names and passwords in its URLs.

    Args:
        text: Any text.
        keep_name: Keep the part before the password: in URLs of storage it may be the name of a
            container.
    """
    return _USER.sub(r"//\g<name>@" if keep_name else "//", text)


def scheme_of(url: str) -> str:
    """The part of a URL before ``://``, in lower case."""
    return url.partition("://")[0].lower()


def join(location: Location, name: str) -> Location:
    """The location of a folder below this one."""
    return location / name if isinstance(location, Path) else f"{location.rstrip('/')}/{name}"


def working_folder(location: Location) -> Path:
    """The local folder to work on a store: the folder itself if it is local.

    The working folder of a URL ends in the last part of the URL.
    """
    return _folder_for(location) if is_remote(location) else Path(location)


def own_folder(location: Location) -> Path:
    """A folder private to this machine, for a store that other machines see at the same path."""
    return _folder_for(location)


def _folder_for(location: Location) -> Path:
    plain = without_password(str(location), keep_name=True).rstrip("/")
    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    name = PurePosixPath(_URL.sub(r"\g<rest>", plain)).name
    return _base() / digest / (name if is_plain(name) else "folder")


def is_plain(key: str) -> bool:
    """Whether the key of a store is also valid as the relative path of a local file."""
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
    except RuntimeError:  # the user has no home folder, as in some containers
        home = Path(tempfile.gettempdir())
    return home.absolute() / "vidbench" / "shared"
