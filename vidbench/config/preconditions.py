"""Check a run's options before anything is fetched, loaded or written."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from vidbench.config.opening import find_model, open_dataset, open_file_model
from vidbench.config.run_config import RunConfig
from vidbench.data.leakage import read_source_ids
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.labels.aliases import read_aliases
from vidbench.labels.class_lists import find_classes, list_names, load_classes, restrict
from vidbench.models.base import FILES, ChecksPath, Model, count_classes
from vidbench.storage.locations import join, working_folder
from vidbench.storage.remote_store import require_remote
from vidbench.system.machine import total_memory
from vidbench.system.plugins import is_module
from vidbench.system.validation import require_address, require_file, require_folder


def check_request(config: RunConfig) -> None:
    """Raise ConfigError unless the options fit the model, the dataset and local files.

    Uses neither the network nor a framework. Modules outside of vidbench are not imported, so
    their models and datasets are not checked.
    """
    if config.ray_address is not None:
        _require_ray()
    check_videos(config)
    if not is_module(config.model_type):  # last, because a hub's model has to be found first
        _check_model(config)


def check_videos(config: RunConfig) -> None:
    """Raise ConfigError unless the options about videos and folders are valid.

    Like :func:`check_request`, but without the model.
    """
    _check_folders(config)
    if config.class_aliases is not None:
        read_aliases(config.class_aliases)
    if config.training_list is not None:
        read_source_ids(config.training_list)
    if not is_module(config.dataset):
        _check_dataset(config)
    elif config.classes is not None:
        _read_classes(config.classes)


def _require_ray() -> None:
    for name in ("ray", "pyarrow"):  # Ray Data needs the latter
        if find_spec(name) is None:
            raise ConfigError(
                f'--ray_address needs {name}, which is not installed: pip install "vidbench[ray]"'
            )


def _check_folders(config: RunConfig) -> None:
    """Check local folders; for remote ones, their packages and local working folders."""
    for name, url in config.remote.items():
        require_remote(name, url)
    data_dir, results_dir = working_folder(config.data_dir), config.results_dir
    require_folder("data_dir", data_dir, written=False)  # all videos may exist already
    require_folder("cache_dir", working_folder(config.cache_dir))
    require_folder("results_dir", working_folder(results_dir))
    if config.run_name is not None:
        require_folder("run_name", working_folder(join(results_dir, config.run_name)))


def _check_model(config: RunConfig) -> None:
    if config.model_family.input == FILES:
        open_file_model(config)
    else:
        _check_model_of_clips(config)


def _check_model_of_clips(config: RunConfig) -> None:
    model = find_model(config)
    if config.model_path is not None:
        require_address("model_path", config.model_path)
        if isinstance(model, ChecksPath):
            model.check_path()
    _require_memory(config, config.spec(model.spec))
    classes = load_classes(model.trained_on) if model.trained_on in list_names() else ()
    if config.classes_file is not None:
        listed = _read_classes_file(config.classes_file, model)
        classes = listed if "classes_file" in config.model_family.options else classes
    if classes and config.top_n is not None and config.top_n > len(classes):
        raise ConfigError(
            f"--top_n is {config.top_n}, but the model has only {len(classes)} classes"
        )


def _read_classes_file(path: Path, model: Model) -> tuple[str, ...]:
    """Read a class list; an error also states how many classes the model has."""
    try:
        return find_classes(str(path))
    except ConfigError as error:
        count = count_classes(model)
        raise ConfigError(
            str(error) if count is None else f"{error}; the model has {count} classes"
        ) from error


def _require_memory(config: RunConfig, spec: PreprocessSpec) -> None:
    """Raise ConfigError if a batch does not fit into this machine's memory."""
    videos = min(config.batch_size or 1, config.num_videos or 10**9)
    needed, memory = videos * spec.views_bytes, total_memory()
    if needed > memory:
        raise ConfigError(
            f"a batch of {videos} x {spec.describe()} takes {needed / 1e9:.1f} GB, and this "
            f"machine has {memory / 1e9:.1f} GB: lower --batch_size, --num_frames or --crop_size"
        )


def _refuse_unshared(config: RunConfig) -> None:
    """Raise ConfigError if a dataset's archive would be unpacked into a remote data folder."""
    family, source = config.dataset_family, config.dataset_path
    in_place = source is not None and Path(source).is_dir()
    if "data_dir" in config.remote and family.is_one_archive and not in_place:
        raise ConfigError(
            f"--data_dir {config.as_dict()['data_dir']}: --dataset {family.name} is an archive, "
            "which is not unpacked into shared storage: unpack it into a folder that all "
            "machines see, and name that with --dataset_path"
        )


def _check_dataset(config: RunConfig) -> None:
    _refuse_unshared(config)
    family = config.dataset_family
    if config.annotations is not None:
        family.check_annotations(config.annotations, config.split or family.default_split)
    dataset = open_dataset(config)
    if config.classes is None:
        return
    classes = _read_classes(config.classes)
    if family.has_known_classes or config.dataset_path is None:
        classes = restrict(dataset.classes, classes)  # known without fetching
    top_n = config.top_n or 1
    if config.restrict_choices and top_n > len(classes):
        raise ConfigError(
            f"--top_n is {top_n}, but there are only {len(classes)} classes to choose from"
        )


def _read_classes(name_or_path: str) -> tuple[str, ...]:
    if name_or_path not in list_names() and os.path.lexists(name_or_path):
        require_file("classes", Path(name_or_path))
    try:
        return find_classes(name_or_path)
    except OSError as error:
        raise ConfigError(f"--classes {name_or_path!r}: {error.strerror}") from error
