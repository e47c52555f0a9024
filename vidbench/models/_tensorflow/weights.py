"""Where a model's weights are looked for, in order, and what was found there."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from vidbench.data.fetch.download import alone, fetch_alone, is_url, silence_limit
from vidbench.data.fetch.tar import extract_archive
from vidbench.errors import ArchiveError, ConfigError, ModelError, VidbenchError
from vidbench.labels.class_lists import load_classes
from vidbench.models._apart import no_byte_came, run_apart
from vidbench.models._files.saved_graph import require_variables
from vidbench.models._tensorflow.imports import import_tensorflow_hub
from vidbench.storage.files import sweep
from vidbench.storage.hashes import sha256_of
from vidbench.terminal.sanitize import one_line

logger = logging.getLogger(__name__)


class Weights(NamedTuple):
    """A SavedModel on this machine.

    Attributes:
        folder: Holds ``saved_model.pb``.
    """

    folder: Path

    def digest(self) -> str:
        """SHA-256 of what decides the scores: the graph and the variables, not where they lie."""
        digest = hashlib.sha256()
        variables = sorted((self.folder / "variables").glob("*"))
        for path in (self.folder / "saved_model.pb", *variables):
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
        return digest.hexdigest()


class WeightSource(NamedTuple):
    """One place where weights may be: how to say it, and how to look."""

    name: str
    look: Callable[[], Weights]


def first_found(model: str, sources: Sequence[WeightSource]) -> Weights:
    """The weights from the first place that has them.

    Raises:
        ModelError: None has; the message lists every place and what came of it.
    """
    tried = []
    for source in sources:
        found = _look(source)
        if isinstance(found, Weights):
            logger.debug("weights of %s from %s: %s", model, source.name, found.folder)
            return found
        tried.append(f"  {source.name}: {found}")
    raise ModelError(
        f"no weights of {model} were found; --model_path takes a SavedModel folder or archive. "
        "Tried, in this order:\n" + "\n".join(tried)
    )


def _look(source: WeightSource) -> Weights | str:
    """The weights, or why this place does not have them."""
    try:
        return source.look()
    except Exception as error:  # noqa: BLE001 - the errors of three libraries; all are shown
        return one_line(error)


def local_weights(source: str) -> Weights:
    """The weights that a person named: a folder, a tar archive, or a TF Hub handle (a url).

    Raises:
        ConfigError: There is no SavedModel.
    """
    path = Path(source)
    try:
        if is_url(source):
            return from_hub(source)
        if path.is_file():
            sweep(hub_cache(), "")
            path = extract_archive(path, hub_cache() / f"archive-{sha256_of(path)[:16]}")
        return _saved_model(path)
    except VidbenchError as error:
        raise ConfigError(f"model_path {source}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class HubModule:
    """Where one set of weights is published.

    Attributes:
        hub_handle: TF Hub; its host now redirects to Kaggle.
        kaggle_handle: The same module on Kaggle, which counts versions from 1.
        archive_url: The same module in TF Hub's bucket.
        archive_sha256: Hash of that archive, where one is known.
    """

    hub_handle: str
    kaggle_handle: str
    archive_url: str
    archive_sha256: str | None = None


def published_weights(model: str, module: HubModule) -> Weights:
    """The weights of a module of TF Hub, from the first place that has them.

    Args:
        model: Its name, for messages.
        module: The places.

    Raises:
        ModelError: None has; the message lists every place and what came of it.
    """
    handle, archive = module.hub_handle, module.archive_url
    places = [
        WeightSource("TF Hub's cache", partial(from_hub_cache, handle)),
        WeightSource(f"Kaggle {module.kaggle_handle}", partial(from_kaggle, module.kaggle_handle)),
        WeightSource(archive, partial(from_archive, archive, handle, module.archive_sha256)),
        WeightSource(handle, partial(from_hub, handle)),
    ]
    return first_found(model, places)


class HubModel:
    """A model whose weights are published on TF Hub.

    Attributes:
        name: As in results.
        trained_on: The dataset whose train split it has seen, and whose class list it has.
    """

    name: str
    trained_on: str | None
    _module: HubModule
    _model_path: str | None

    @property
    def classes(self) -> tuple[str, ...]:
        return load_classes(str(self.trained_on))

    @cached_property
    def weights(self) -> Weights:
        """The SavedModel on this machine, fetched if need be.

        Raises:
            ConfigError: ``model_path`` holds no SavedModel.
            ModelError: No place has the weights; the message lists them all.
        """
        if self._model_path is not None:
            return local_weights(self._model_path)
        return published_weights(self.name, self._module)


def hub_cache() -> Path:
    """The folder where TF Hub keeps models; set here where nobody did, else it is temporary."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidbench" / "hub"
    return Path(os.environ.setdefault("TFHUB_CACHE_DIR", str(default)))


def from_hub_cache(handle: str) -> Weights:
    """What TF Hub fetched before; it names folders by the SHA-1 of the handle."""
    return _saved_model(_hub_folder(handle))


def from_hub(handle: str) -> Weights:
    """What TF Hub fetched before, or else fetches, for this handle."""
    with suppress(ModelError):
        return from_hub_cache(handle)
    cache, folder = hub_cache(), _hub_folder(handle)
    with alone(folder.parent, folder.name):
        _put_aside(folder)
    return _saved_model(Path(run_apart(resolve_by_hub, handle, watched=cache, place=handle)))


def resolve_by_hub(handle: str) -> str:
    """The folder with the model of this handle, which TF Hub fetches."""
    return str(import_tensorflow_hub().resolve(handle))


def from_kaggle(handle: str) -> Weights:
    """What Kaggle, where TF Hub's models moved, serves under this handle."""
    default = Path.home() / ".cache" / "kagglehub"  # as kagglehub.config has it
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or default)
    place = f"Kaggle {handle}"
    return _saved_model(Path(run_apart(download_from_kaggle, handle, watched=cache, place=place)))


def download_from_kaggle(handle: str) -> str:
    """The folder with the model of this handle, which kagglehub fetches unless it has it."""
    import kagglehub

    return str(kagglehub.model_download(handle))


def from_archive(url: str, handle: str, sha256: str | None) -> Weights:
    """A published archive, verified and kept where TF Hub would keep the handle's model."""
    folder = _hub_folder(handle)
    archive = folder.with_name(f"{folder.name}.tar.gz")
    sweep(folder.parent, "")
    with alone(folder.parent, folder.name):
        _put_aside(folder)
        if not folder.exists():
            fetch_alone(url, archive, sha256=sha256, on_bytes=_Patience())
            try:
                extract_archive(archive, folder)
            except ArchiveError:
                archive.unlink()  # so that the next try fetches it anew
                raise
            archive.unlink()
    return _saved_model(folder)


class _Patience:
    """Ends a download that would ask a silent server again: another place may have the model."""

    def __init__(self) -> None:
        self._limit, self._last = silence_limit(), time.monotonic()

    def __call__(self, count: int) -> None:
        now = time.monotonic()
        if count:
            self._last = now
        elif now - self._last >= self._limit:
            raise ModelError(no_byte_came(self._limit))


def _hub_folder(handle: str) -> Path:
    return hub_cache() / hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest()


def _put_aside(folder: Path) -> None:
    """Renames a folder of the cache that holds no whole model, so that it is fetched again."""
    if not folder.is_dir():
        return
    try:
        _saved_model(folder)
    except ModelError as error:
        names = (folder.with_name(f"{folder.name}.damaged-{n}") for n in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        folder.rename(aside)
        logger.warning("%s: it is now called %s, and is fetched again", error, aside.name)


def _saved_model(folder: Path) -> Weights:
    if not (folder / "saved_model.pb").is_file():
        state = "holds no saved_model.pb" if folder.is_dir() else "does not exist"
        raise ModelError(f"{folder} {state}")
    require_variables(folder)
    return Weights(folder)
