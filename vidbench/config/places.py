"""The folders that a run's options name, and how their files are read and written."""

from __future__ import annotations

from pathlib import Path

from vidbench.config.run_config import RunConfig
from vidbench.data.clips.source import Places
from vidbench.storage.remote_store import SharedFolder
from vidbench.storage.store import Folder, LocalFolder


def place(config: RunConfig, name: str) -> Folder:
    """The folder of an option, and how its files are read and written.

    Args:
        config: What is asked for.
        name: ``data_dir``, ``cache_dir``, ``results_dir`` or ``dataset_path``; that of a list
            means the folder that it lies in.
    """
    above = name == "dataset_path" and config.dataset_family.is_list
    if name in config.shared:
        url = config.shared[name]
        return SharedFolder(url.rstrip("/").rpartition("/")[0] if above else url)
    path = Path(getattr(config, name) or ".")
    return LocalFolder(path.parent if above else path)


def place_of(config: RunConfig, folder: Path) -> Folder:
    """The folder of the option that has this local path; a local one if no option has it."""
    places = (place(config, name) for name in config.shared)
    return next((found for found in places if found.local == folder), LocalFolder(folder))


def shared_places(config: RunConfig, videos: Path) -> Places:
    """Where the files of a run lie that others share.

    Args:
        config: What is asked for.
        videos: The folder of its dataset.
    """
    shared = {found.local: found for found in (place(config, name) for name in config.shared)}
    return Places(shared.get(videos), shared.get(config.cache_dir))
