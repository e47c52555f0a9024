"""Folders that several machines share: on object stores and file systems that fsspec knows.

Each machine has a *stand-in*, a folder of its own with the same layout. Everybody reads and writes
local paths below it, as on one machine, and what lies in the shared folder is brought there or
published from there. The shared folder is the truth: what lies only in a stand-in counts for
nothing.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from vidbench.errors import ConfigError, SharedError, VidbenchError
from vidbench.storage.files import disk_errors, replacing, sweep, temporary_path
from vidbench.storage.frame_folder import is_picture
from vidbench.storage.store import TEMPORARY, Folder, LocalFolder
from vidbench.storage.video_files import is_media, list_files

logger = logging.getLogger(__name__)

STAND_INS = "VIDBENCH_STAND_INS"
"""Environment variable: the folder of the stand-ins, for machines with a disk for such things."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]+)://(?P<rest>.*)", re.DOTALL)
_NOT_SHARED = ("http", "https", "file")
_PASSWORD = re.compile(r"//([^/\s@:]*):[^/\s@]*@")  # what is before it may be a container's name
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss")  # a put is whole or not
_PACKAGES = {  # and their extras
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
}
_MAX_BROUGHT = 64 << 20  # lists and manifests; larger files are no such thing
_MAX_NAME_BYTES = 255  # of a file's or folder's name, on all usual file systems
_PAUSES = (1.0, 4.0)  # seconds; s3fs and others have tried several times themselves
_THREADS = 16  # requests at once: each waits for the network most of the time

T = TypeVar("T")


class SharedFolder:
    """A :class:`Folder` behind a URL; constructing it neither connects nor touches a disk.

    Only the URL travels to another machine, where the stand-in is another one.

    Args:
        url: As fsspec takes it, e.g. ``s3://bucket/prefix``.

    Raises:
        SharedError: Any method: the store cannot be reached, or refuses what is asked of it.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.local = stand_in(url)

    def __reduce__(self) -> tuple[type[SharedFolder], tuple[str]]:
        return SharedFolder, (self._url,)

    def __repr__(self) -> str:
        return f"SharedFolder({without_password(self._url)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedFolder) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def address(self, path: Path) -> str:
        relative = self._relative(path)
        url = without_password(self._url)
        return f"{url}/{relative}" if relative else url

    def has(self, path: Path) -> bool:
        return self.size(path) is not None

    def size(self, path: Path) -> int | None:
        try:
            found = self._ask(path, lambda store, place: _fresh(store).info(place))
        except FileNotFoundError:
            return None
        return int(found["size"] or 0) if found["type"] == "file" else None

    def names(self, folder: Path) -> list[Path]:
        try:
            found = self._ask(folder, lambda store, at: _fresh(store).ls(at, detail=False))
        except FileNotFoundError:
            return []
        own = self._place(folder).strip("/")
        entries = {PurePosixPath(name).name for name in found if name.strip("/") != own}
        return sorted(folder / name for name in entries if not Path(name).match(TEMPORARY))

    def files(self) -> dict[Path, int]:
        """Every file of the shared folder, with its bytes; local disks can have all the names."""
        found = self._ask(self.local, lambda store, at: _fresh(store).find(at, detail=True))
        root = PurePosixPath(self._place(self.local).strip("/"))
        listed = {
            name.strip("/").removeprefix(root.as_posix()).removeprefix("/"): info
            for name, info in found.items()
            if not name.endswith("/") and not Path(name).match(TEMPORARY)
        }
        named = {name: info for name, info in listed.items() if name and _is_plain(name)}
        if odd := sorted(listed.keys() - named.keys()):
            logger.warning(
                "%s has files whose names no folder takes, and that are ignored: %d, e.g. %.200r",
                self.address(self.local),
                len(odd),
                odd[0],
            )
        return {self.local / name: int(info["size"] or 0) for name, info in named.items()}

    @contextmanager
    def borrow(self, path: Path) -> Iterator[Path]:
        aside = self.local.parent / ".borrowed"
        self._sweep_once(aside)
        private = temporary_path(aside / uuid.uuid4().hex)
        private.mkdir(parents=True)
        try:
            copy = private / path.name
            self._ask(path, lambda store, place: store.get_file(place, str(copy)))
            if not copy.is_file():
                raise FileNotFoundError(errno.ENOENT, "no file", self.address(path))
            yield copy
        finally:
            shutil.rmtree(private, ignore_errors=True)

    def bring(self, path: Path) -> bool:
        try:
            with self.borrow(path) as copy:
                path.parent.mkdir(parents=True, exist_ok=True)
                copy.replace(path)
        except FileNotFoundError:
            return False
        return True

    def write(self, path: Path, content: memoryview) -> None:
        self._put(path, lambda store, place: store.pipe_file(place, bytes(content)))

    def publish(self, path: Path, source: Path | None = None) -> None:
        file = str(source or path)
        self._put(path, lambda store, place: store.put_file(file, place))

    def remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            self._ask(path, lambda store, place: store.rm_file(place))
        path.unlink(missing_ok=True)

    def clear(self, path: Path) -> None:
        found = self._ask(path, lambda store, at: sorted(_fresh(store).find(at)))
        for name in found:
            with suppress(FileNotFoundError):
                self._ask(path, partial(_remove, name=name))
        if not self._is_object_store and self._ask(path, lambda store, at: store.exists(at)):
            self._ask(path, lambda store, at: store.rm(at, recursive=True))  # empty folders
        LocalFolder(self.local).clear(path)

    def drop(self, path: Path) -> None:
        if is_media(path) and path.is_file():
            with replacing(path) as temporary:
                temporary.touch()
        else:
            path.unlink(missing_ok=True)

    def forget(self, folder: Path) -> None:
        if folder.is_dir():
            shutil.rmtree(folder)

    def _put(self, path: Path, send: Callable[[Any, str], object]) -> None:
        """Sends a file, which appears whole: under a temporary name first where that is needed."""

        def put(store: Any, place: str) -> None:
            if self._is_object_store:
                send(store, place)
                return
            folder, _, _ = place.rpartition("/")
            temporary = f"{folder}/{temporary_path(path).name}"
            store.makedirs(folder, exist_ok=True)
            try:
                send(store, temporary)
                store.mv(temporary, place)
            except BaseException:
                with suppress(Exception):
                    store.rm_file(temporary)
                raise

        try:
            self._ask(path, put)
        except FileNotFoundError as error:  # no such bucket
            raise self._error(path, error) from error

    def _ask(self, path: Path, action: Callable[[Any, str], T]) -> T:
        """What the store answers; asked again a few times where that may help.

        Raises:
            FileNotFoundError: There is no such file.
            SharedError: The store does not answer, or refuses.
            DiskFullError: The stand-in's disk is full.
        """
        for pause in (*_PAUSES, None):
            try:
                with disk_errors(self.local):
                    return action(self._store, self._place(path))
            except (FileNotFoundError, VidbenchError):
                raise
            except NotADirectoryError as error:
                raise FileNotFoundError(errno.ENOENT, str(error)) from error
            except Exception as error:  # each file system has errors of its own
                if pause is None or _is_final(error):
                    raise self._error(path, error) from error
                logger.debug("%s: %s; trying again", self.address(path), error)
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _error(self, path: Path, error: Exception) -> SharedError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return SharedError(
            f"{self.address(path)}: {without_password(reason)[:300]}: see address, permissions, "
            "and how the store is reached (docs/shared_storage.md)"
        )

    @cached_property
    def _store(self) -> Any:
        """The file system; fsspec keeps one for all folders on it."""
        import fsspec

        require_shared("url", self._url)
        return fsspec.core.url_to_fs(self._url)[0]

    @property
    def _is_object_store(self) -> bool:
        return _scheme(self._url) in _OBJECT_STORES

    def _place(self, path: Path) -> str:
        root = str(self._store._strip_protocol(self._url)).rstrip("/")
        relative = self._relative(path)
        return f"{root}/{relative}" if relative else root

    def _relative(self, path: Path) -> str:
        relative = path.relative_to(self.local).as_posix()
        return "" if relative == "." else relative

    def _sweep_once(self, aside: Path) -> None:
        """Removes what killed processes had borrowed, before this one borrows at all."""
        if not self.__dict__.setdefault("_swept", False):
            sweep(aside, "")
            self.__dict__["_swept"] = True


def is_shared(location: str | Path) -> bool:
    """Whether this is the URL of a folder that several machines may share."""
    found = _URL.match(str(location)) if isinstance(location, str) else None
    return found is not None and found["scheme"].lower() not in _NOT_SHARED


def require_shared(option: str, url: str) -> None:
    """Check that the URL names a place, and what reaches it is installed; nothing is connected.

    Raises:
        ConfigError: It does not, or a package is missing.
    """
    shown, scheme = without_password(url), _scheme(url)
    if "::" in url or not _URL.match(url)["rest"].strip("/"):  # type: ignore[index]
        raise ConfigError(f"--{option} {shown!r} names no folder: give scheme://bucket/folder")
    package, extra = _PACKAGES.get(scheme, ("fsspec", "ray"))
    install = f'pip install "vidbench[{extra}]"'
    try:
        from fsspec.registry import get_filesystem_class
    except ImportError as error:
        raise ConfigError(f"{shown} needs {package}, which is not installed: {install}") from error
    try:
        get_filesystem_class(scheme)
    except ValueError as error:
        raise ConfigError(f"--{option} {shown!r}: fsspec knows no {scheme}://") from error
    except ImportError as error:
        advice = f"{package}: {install}" if scheme in _PACKAGES else f"a package: {error}"
        raise ConfigError(f"{shown} needs {advice}") from error


def without_password(text: str) -> str:
    """The text without the passwords of the addresses in it."""
    return _PASSWORD.sub(r"//\1@", text)


def stand_in(url: str) -> Path:
    """The folder of this machine that stands for the shared one; it has the same last name."""
    plain = without_password(url).rstrip("/")
    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    name = PurePosixPath(_URL.sub(r"\g<rest>", plain)).name
    return _base() / digest / (name if _is_plain(name) else "folder")


def bring_all(folder: Folder, paths: Iterable[Path]) -> list[bool]:
    """As :meth:`Folder.bring` for each, several at once."""
    return _at_once(folder.bring, paths)


def publish_all(folder: Folder, sources: Mapping[Path, Path]) -> None:
    """As :meth:`Folder.publish` for each path and its source, several at once."""
    _at_once(lambda path: folder.publish(path, sources[path]), sources)


def show(folder: SharedFolder) -> None:
    """Makes the stand-in look like the shared folder, so that a dataset can list it.

    Videos are empty files there; other files of up to 64 MiB, such as manifests, are brought.

    Raises:
        ConfigError: There is nothing in the shared folder.
        SharedError: It cannot be listed.
    """
    found = folder.files()
    if not found:
        raise ConfigError(f"{folder.address(folder.local)} does not exist, or is empty")
    folder.local.mkdir(parents=True, exist_ok=True)
    _remove_others(folder.local, found)
    try:
        for path in found:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    except (FileExistsError, NotADirectoryError) as error:
        raise SharedError(
            f"{folder.address(path)} lies below another file, which only object stores allow"
        ) from error
    small = [path for path, size in found.items() if size <= _MAX_BROUGHT and _is_list(path)]
    bring_all(folder, small)


def _is_list(path: Path) -> bool:
    """Whether a dataset may have to read the file to list its videos."""
    return not is_media(path) and not is_picture(path.name)


def _remove_others(local: Path, found: Iterable[Path]) -> None:
    kept = set(found)
    for path in list_files(local):
        if path not in kept:
            path.unlink(missing_ok=True)
    for place, _, _ in os.walk(local, topdown=False):
        if Path(place) != local:
            with suppress(OSError):  # it is not empty
                Path(place).rmdir()


def _at_once(do: Callable[[Path], T], paths: Iterable[Path]) -> list[T]:
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = [pool.submit(do, path) for path in paths]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _base() -> Path:
    if chosen := os.environ.get(STAND_INS):
        return Path(chosen).absolute()
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in some containers
        home = Path(tempfile.gettempdir())
    return home.absolute() / "vidbench" / "shared"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _remove(store: Any, _: str, name: str) -> None:
    store.rm_file(name)


def _fresh(store: Any) -> Any:
    """The store, which has forgotten earlier listings: others write there too."""
    store.invalidate_cache()
    return store


def _is_final(error: Exception) -> bool:
    """Whether asking again is of no use."""
    return isinstance(error, PermissionError | ValueError) or "Credential" in type(error).__name__


def _is_plain(name: str) -> bool:
    """Whether a local file below a folder can have this relative name; stores take any."""
    try:
        sizes = {part: len(os.fsencode(part)) for part in name.split("/")}
    except UnicodeEncodeError:
        return False
    odd = sizes.keys() & {"", ".", ".."}
    return not odd and "\0" not in name and max(sizes.values()) <= _MAX_NAME_BYTES
