"""Remote stores: folders behind URLs that fsspec supports."""

from __future__ import annotations

import errno
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from vidbench.errors import ConfigError, SharedError, VidbenchError
from vidbench.storage.files import BEGIN_BYTES, TEMPORARY, Check, disk_errors, sweep, temporary_path
from vidbench.storage.locations import (
    is_plain,
    scheme_of,
    without_password,
    working_folder,
)

logger = logging.getLogger(__name__)

_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss")  # a put is atomic
_PACKAGES = {  # by scheme, each with its extra of vidbench
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
}
_PAUSES = (1.0, 4.0)  # seconds between tries; s3fs and others also retry by themselves

T = TypeVar("T")

_swept: set[Path] = set()


class RemoteStore:
    """A :class:`~vidbench.storage.store.Store` behind a URL; constructing it does no I/O.

    Pickling keeps the URL only: another machine has its own working folder.

    Args:
        url: URL of the folder for fsspec, e.g. ``s3://bucket/prefix``.

    Raises:
        SharedError: By any method: the store cannot be reached, or refuses the request.
        DiskFullError: By methods that write to this machine: its disk is full.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.local = working_folder(url)

    def __reduce__(self) -> tuple[type[RemoteStore], tuple[str]]:
        return RemoteStore, (self._url,)

    def __repr__(self) -> str:
        return f"RemoteStore({self.address()!r})"

    def address(self, key: str = "") -> str:
        url = without_password(self._url, keep_name=True)
        return f"{url}/{key}" if key else url

    def exists(self, key: str) -> bool:
        try:
            info = self._ask(key, lambda files, path: _fresh(files).info(path))
        except FileNotFoundError:
            return False
        return bool(info["type"] == "file")

    def get(self, key: str, check: Check | None = None) -> memoryview:
        content = memoryview(self._ask(key, lambda files, path: files.cat_file(path)))
        if check:
            check(bytes(content[:BEGIN_BYTES]), len(content))
        return content

    def put(self, key: str, content: memoryview | Path) -> None:
        def send(files: Any, path: str) -> None:
            if isinstance(content, Path):
                files.put_file(str(content), path)
            else:
                files.pipe_file(path, bytes(content))

        try:
            self._ask(key, send if self._is_object_store else _renamed(send))
        except FileNotFoundError as error:  # no such bucket
            raise self._error(key, error) from error

    def list(self, folder: str = "") -> list[str]:
        try:
            paths = self._ask(folder, lambda files, path: _fresh(files).ls(path, detail=False))
        except FileNotFoundError:
            return []
        root = self._path(folder).strip("/")
        names = {PurePosixPath(path).name for path in paths if path.strip("/") != root}
        listed = sorted(name for name in names if not Path(name).match(TEMPORARY))
        return [f"{folder}/{name}" if folder else name for name in listed]

    def list_tree(self) -> dict[str, int]:
        """Bytes of all files at any depth, by key; only keys that local files can have."""
        infos = self._ask("", lambda files, path: _fresh(files).find(path, detail=True))
        root = self._path("").strip("/")
        sizes = {
            name.strip("/").removeprefix(root).removeprefix("/"): int(info["size"] or 0)
            for name, info in infos.items()
            if not name.endswith("/") and not Path(name).match(TEMPORARY)
        }
        if odd := sorted(key for key in sizes if key and not is_plain(key)):
            logger.warning(
                "%s has files that are ignored because a local folder cannot have their names: %d, "
                "e.g. %.200r",
                self.address(),
                len(odd),
                odd[0],
            )
        return {key: sizes[key] for key in sorted(sizes) if is_plain(key)}

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._ask(key, lambda files, path: files.rm_file(path))

    def delete_tree(self, key: str = "") -> None:
        for name in self._ask(key, lambda files, path: sorted(_fresh(files).find(path))):
            with suppress(FileNotFoundError):
                self._ask(key, partial(_delete, name))
        if not self._is_object_store and self._ask(key, lambda files, path: files.exists(path)):
            self._ask(key, lambda files, path: files.rm(path, recursive=True))  # empty folders

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        copies = self.local.parent / ".copies"
        if copies not in _swept:  # removes copies that killed processes left
            _swept.add(copies)
            sweep(copies, "")
        private = temporary_path(copies / uuid.uuid4().hex)
        private.mkdir(parents=True)
        try:
            copy = private / PurePosixPath(key).name
            self._ask(key, lambda files, path: files.get_file(path, str(copy)))
            if not copy.is_file():
                raise FileNotFoundError(errno.ENOENT, "there is no such file", self.address(key))
            yield copy
        finally:
            shutil.rmtree(private, ignore_errors=True)

    def download(self, key: str) -> bool:
        target = self.local / key
        try:
            with self.local_copy(key) as copy:
                target.parent.mkdir(parents=True, exist_ok=True)
                copy.replace(target)
        except FileNotFoundError:
            return False
        return True

    def evict(self) -> None:
        if self.local.is_dir():
            shutil.rmtree(self.local)

    def _ask(self, key: str, action: Callable[[Any, str], T]) -> T:
        """The store's answer to an action, retried after temporary failures.

        Raises:
            FileNotFoundError: There is no such file.
            SharedError: The store does not answer, or refuses.
            DiskFullError: This machine's disk is full.
        """
        if key and not is_plain(key):  # keys come from manifests, which may list any path
            raise FileNotFoundError(errno.ENOENT, "no file can have this name", key)
        for pause in (*_PAUSES, None):
            try:
                with disk_errors(self.local):
                    return action(self._files, self._path(key))
            except (FileNotFoundError, VidbenchError):
                raise
            except (NotADirectoryError, IsADirectoryError) as error:
                raise FileNotFoundError(errno.ENOENT, str(error)) from error
            except Exception as error:  # each file system has errors of its own
                if pause is None or _is_final(error):
                    raise self._error(key, error) from error
                logger.debug("%s: %s; trying again", self.address(key), error)
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _error(self, key: str, error: Exception) -> SharedError:
        reason = " ".join(str(error).split()) or type(error).__name__
        shown = without_password(reason, keep_name=True)[:300]
        return SharedError(
            f"{self.address(key)}: {shown}: check address, permissions "
            "and settings of the store (docs/shared_storage.md)"
        )

    @property
    def _files(self) -> Any:
        """The file system, which fsspec shares between all folders on it."""
        import fsspec

        require_remote("url", self._url)
        return fsspec.core.url_to_fs(self._url)[0]

    @property
    def _is_object_store(self) -> bool:
        return scheme_of(self._url) in _OBJECT_STORES

    def _path(self, key: str) -> str:
        root = str(self._files._strip_protocol(self._url)).rstrip("/")
        return f"{root}/{key}" if key else root


def require_remote(option: str, url: str) -> None:
    """Raise ConfigError unless the URL names a folder and its package is installed.

    Does not connect.

    Args:
        option: Name of the option, for the message.
        url: Its value.

    Raises:
        ConfigError: The URL names no folder, or a package is missing.
    """
    shown, scheme = without_password(url, keep_name=True), scheme_of(url)
    if "::" in url or not url.partition("://")[2].strip("/"):
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
        raise ConfigError(f"--{option} {shown!r}: fsspec does not know {scheme}://") from error
    except ImportError as error:
        advice = f"{package}: {install}" if scheme in _PACKAGES else f"a package: {error}"
        raise ConfigError(f"{shown} needs {advice}") from error


def _renamed(send: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    """Send to a temporary name, then rename: a put on this file system is not atomic."""

    def put(files: Any, path: str) -> None:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/{temporary_path(Path(name)).name}"
        files.makedirs(folder, exist_ok=True)
        try:
            send(files, temporary)
            files.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                files.rm_file(temporary)
            raise

    return put


def _delete(name: str, files: Any, _: str) -> None:
    files.rm_file(name)


def _fresh(files: Any) -> Any:
    """The file system with its listing cache cleared, because others write there too."""
    files.invalidate_cache()
    return files


def _is_final(error: Exception) -> bool:
    """Whether a retry cannot help."""
    return isinstance(error, PermissionError | ValueError) or "Credential" in type(error).__name__
