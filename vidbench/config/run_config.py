"""RunConfig: all options of one evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbench.config.contradictions import refuse_contradictions
from vidbench.config.option_groups import (
    DecodingOptions,
    EngineOptions,
    ModelOptions,
    OutputOptions,
    VideoOptions,
)
from vidbench.config.options import check_options, options_of
from vidbench.config.protocol import ProtocolOptions
from vidbench.storage.locations import is_remote, without_password, working_folder
from vidbench.system.runtime import Runtime

_FOLDERS = ("data_dir", "cache_dir", "results_dir")


@dataclass(frozen=True, kw_only=True, repr=False)
class RunConfig(
    OutputOptions, EngineOptions, DecodingOptions, ProtocolOptions, VideoOptions, ModelOptions
):
    """All options of one evaluation; each field is the option of the same name.

    Folders are paths, or URLs of remote ones such as ``s3://bucket/prefix``.

    Raises:
        ConfigError: A value is out of range, or two options contradict one another.
    """

    def __post_init__(self) -> None:
        check_options(self)
        for name, described in options_of(RunConfig).items():
            value = getattr(self, name)
            if described.is_path and value is not None and not is_remote(value):
                object.__setattr__(self, name, Path(value))
        refuse_contradictions(self)

    def __repr__(self) -> str:
        options = (f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"RunConfig({', '.join(options)})"

    @property
    def remote(self) -> dict[str, str]:
        """URLs of remote folders by option; for a list of videos, the URL of the file."""
        names = [name for name in (*_FOLDERS, "dataset_path") if is_remote(getattr(self, name))]
        if "dataset_path" in names and not self.dataset_family.read_in_place:
            names.remove("dataset_path")  # the dataset may support URLs of other kinds
        return {name: getattr(self, name) for name in names}

    @property
    def runtime(self) -> Runtime:
        """Device, precision, threads and cache of the model."""
        return Runtime(
            precision=self.precision,
            device=self.processor,
            num_threads=self.num_threads,
            cache_dir=working_folder(self.cache_dir),
        )

    def as_dict(self) -> dict[str, Any]:
        """The options by name, with paths as text, and without passwords in URLs."""
        values = {name: _publishable(getattr(self, name)) for name in options_of(RunConfig)}
        remote = self.remote.items()
        return values | {name: without_password(url, keep_name=True) for name, url in remote}


def _publishable(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return without_password(value) if isinstance(value, str) else value
