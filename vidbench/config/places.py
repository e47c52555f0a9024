"""The folders that a run's options name: on this machine, or remote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import Dataset
from vidbench.data.fetch.remote_lists import download_lists, mirror_names
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.storage.locations import Location, is_remote, working_folder
from vidbench.storage.remote_store import RemoteStore
from vidbench.storage.store import open_store


def local_folder(config: RunConfig, name: str) -> Path | None:
    """The folder on this machine that an option names; None if it names none, or a remote one.

    Args:
        config: What is asked for.
        name: ``data_dir``, ``cache_dir``, ``results_dir`` or ``dataset_path``; that of a list
            means the folder that has it.
    """
    location = getattr(config, name)
    if location is None or name in config.remote:
        return None
    above = name == "dataset_path" and config.dataset_family.is_list
    return Path(location).parent if above else Path(location)


def dataset_source(config: RunConfig) -> str | None:
    """``--dataset_path``, or the path on this machine for a remote one."""
    url = _listed_url(config)
    if url is None:
        return config.dataset_path
    name = str(config.dataset_path).rstrip("/").rpartition("/")[2]
    folder = working_folder(url)
    return str(folder / name if config.dataset_family.is_list else folder)


def videos_location(config: RunConfig, dataset: Dataset) -> Location:
    """Where the dataset's videos are: its folder, or the remote one behind that."""
    urls = [url for url in (_listed_url(config), config.data_dir) if url and is_remote(url)]
    return next((url for url in urls if working_folder(url) == dataset.folder), dataset.folder)


def sync_lists(config: RunConfig, dataset: Dataset) -> None:
    """Download what the dataset reads to list the videos of a remote folder.

    Raises:
        ConfigError: The folder is empty.
        SharedError: It cannot be read.
    """
    location = videos_location(config, dataset)
    if location == _listed_url(config):
        mirror_names(RemoteStore(str(location)))
    elif is_remote(location):
        download_lists(open_store(location), f"{dataset.name}/{dataset.split}")


def require_files(config: RunConfig, dataset: Dataset, records: Sequence[VideoRecord]) -> None:
    """Raise ConfigError if videos of a remote folder are folders of frames.

    Videos are copied from there file by file.
    """
    is_far = is_remote(videos_location(config, dataset))
    if is_far and any(record.frames is not None for record in records):
        raise ConfigError(
            f"{dataset.name} has folders of frames, which are not read from shared storage: name "
            "a folder that all machines see, or make each of them a video"
        )


def _listed_url(config: RunConfig) -> str | None:
    """The remote folder that the dataset lists; a list is in it."""
    url = config.remote.get("dataset_path")
    above = url is not None and config.dataset_family.is_list
    return url.rstrip("/").rpartition("/")[0] if url and above else url
