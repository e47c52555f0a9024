"""A run that was evaluated, read from its folder alone: no model, no dataset, no video."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vidbench.data.clips.source import Places
from vidbench.errors import ConfigError
from vidbench.runs.predictions import Predictions
from vidbench.runs.summary import RunContext
from vidbench.storage.remote_store import is_shared, stand_in


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder holds; read at first use.

    Args:
        path: The folder.
        places: Where its videos and clips are had if others share them; without it they are not
            looked for there.
    """

    path: Path
    places: Places = field(default_factory=Places)

    @property
    def name(self) -> str:
        """The folder's."""
        return self.path.resolve().name

    @cached_property
    def run(self) -> Mapping[str, Any]:
        """The content of ``run.json``."""
        return self._read_json("run.json")

    @cached_property
    def facts(self) -> RunContext:
        """What is known of the run beside its predictions.

        Raises:
            ConfigError: ``run.json`` does not say it.
        """
        try:
            return RunContext.of(self.run)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from error

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """The content of ``metrics.json``."""
        return self._read_json("metrics.json")

    @property
    def videos_dir(self) -> Path:
        """Where the videos were: the paths of the predictions are relative to it.

        The run's own folder, where none are, if they were behind a URL.
        """
        place = self._place("videos", "data_dir")
        return place if isinstance(place, Path) else self.path

    @property
    def cache_dir(self) -> Path:
        """Where the decoded clips were, or a folder of this machine for them."""
        place = self._place("cache", "cache_dir")
        return place if isinstance(place, Path) else stand_in(place)

    def _place(self, name: str, option: str) -> Path | str:
        """As seen from the run's folder; the folder itself where the run does not say it.

        The URL of a folder that others share.
        """
        places, config = self.run.get("places", {}), self.run.get("config", {})
        place = str(places.get(name, config.get(option, self.path)))
        if is_shared(place):
            return place
        return self.path / place if name in places else Path(place)

    @property
    def timed_session(self) -> Mapping[str, Any]:
        """Of its sessions the one that timed most videos, the last of equals; empty without any."""
        timed = [one for one in self.run.get("sessions", []) if one.get("latency_ms")]
        return max(reversed(timed), key=lambda one: int(one.get("videos", 0)), default={})

    @cached_property
    def predictions(self) -> Predictions:
        """Every requested video, scored or skipped."""
        self._require("scores.npz")
        return Predictions.read(self.path / "scores.npz")

    def _read_json(self, name: str) -> dict[str, Any]:
        self._require(name)
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path / name} is damaged: {error}") from error
        return content

    def _require(self, name: str) -> None:
        if not (self.path / name).is_file():
            what = "is no run folder" if not (self.path / "run.json").is_file() else "is unfinished"
            raise ConfigError(f"{self.path} {what}: it has no {name}")
