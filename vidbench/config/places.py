"""Resolve the folders that a run's options name, local or remote."""

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
    """The local folder that an option names; None if it is unset or remote.

    Args:
        config: Options of the run.
        name: ``data_dir``, ``cache_dir``, ``results_dir`` or ``dataset_path``; for a list of
            videos, the folder of the list.
    """
    location = getattr(config, name)
    if location is None or name in config.remote:
        return None
    is_list = name == "dataset_path" and config.dataset_family.is_list
    return Path(location).parent if is_list else Path(location)


def dataset_source(config: RunConfig) -> str | None:
    """``--dataset_path``, or the local path that stands for a remote one."""
    url = _listed_url(config)
    if url is None:
        return config.dataset_path
    name = str(config.dataset_path).rstrip("/").rpartition("/")[2]
    folder = working_folder(url)
    return str(folder / name if config.dataset_family.is_list else folder)


def videos_location(config: RunConfig, dataset: Dataset) -> Location:
    """Location of the dataset's videos: its folder, or the remote folder that it stands for."""
    urls = [url for url in (_listed_url(config), config.data_dir) if url and is_remote(url)]
    return next((url for url in urls if working_folder(url) == dataset.folder), dataset.folder)


def sync_lists(config: RunConfig, dataset: Dataset) -> None:
    """Download the files that the dataset needs to list the videos of a remote folder.

    Raises:
        ConfigError: The folder is empty.
        SharedError: The folder cannot be read.
    """
    location = videos_location(config, dataset)
    if location == _listed_url(config):
        mirror_names(RemoteStore(str(location)))
    elif is_remote(location):
        download_lists(open_store(location), f"{dataset.name}/{dataset.split}")


def require_files(config: RunConfig, dataset: Dataset, records: Sequence[VideoRecord]) -> None:
    """Raise ConfigError if videos of a remote folder are folders of frames.

    Remote videos are copied as single files.
    """
    remote = is_remote(videos_location(config, dataset))
    if remote and any(record.frames is not None for record in records):
        raise ConfigError(
            f"{dataset.name} has folders of frames, which are not read from shared storage: name "
            "a folder that all machines see, or convert each of them to a video"
        )


def _listed_url(config: RunConfig) -> str | None:
    """URL of the remote folder that the dataset lists, or that has the list of videos."""
    url = config.remote.get("dataset_path")
    is_list = url is not None and config.dataset_family.is_list
    return url.rstrip("/").rpartition("/")[0] if url and is_list else url
