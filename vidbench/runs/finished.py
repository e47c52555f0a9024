"""A run that was evaluated, read from its folder alone: no model, no dataset, no video."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vidbench.errors import ConfigError
from vidbench.runs.choices import restrict_choices
from vidbench.runs.context import RunContext
from vidbench.runs.metrics_record import Metrics, read_metrics
from vidbench.runs.predictions import Predictions
from vidbench.runs.record import RunRecord, read_record
from vidbench.storage.locations import Location, is_remote, working_folder


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder holds; read at first use.

    Args:
        path: The folder.
        videos: Where its videos are. None for what ``run.json`` says, where
            remote ones, whose passwords it does not have, are not looked for.
        cache: Where its clips are, likewise.
    """

    path: Path
    videos: Location | None = None
    cache: Location | None = None

    @property
    def name(self) -> str:
        """The folder's."""
        return self.path.resolve().name

    @cached_property
    def record(self) -> RunRecord:
        """What ``run.json`` says.

        Raises:
            ConfigError: The folder holds no finished run, or the file is damaged.
        """
        self._require("run.json")
        return read_record(self.path / "run.json")

    @cached_property
    def context(self) -> RunContext:
        """What is known of the run beside its predictions.

        Raises:
            ConfigError: ``run.json`` does not say it.
        """
        if self.record.context is None:
            raise ConfigError(f"{self.path}: run.json has no facts to score by: make the run again")
        return self.record.context

    @cached_property
    def metrics(self) -> Metrics:
        """What ``metrics.json`` says.

        Raises:
            ConfigError: The folder holds no finished run, or the file is damaged.
        """
        self._require("metrics.json")
        return read_metrics(self.path / "metrics.json")

    @property
    def videos_dir(self) -> Path:
        """Where the videos were: the paths of the predictions are relative to it.

        The run's own folder, where none are, if they were behind a URL.
        """
        place = self._place("videos", self.record.decoding.data_dir)
        return place if isinstance(place, Path) else self.path

    @property
    def cache_dir(self) -> Path:
        """Where the decoded clips were, or a folder of this machine for them."""
        return working_folder(self._place("cache", self.record.decoding.cache_dir))

    def _place(self, name: str, earlier: str | None) -> Location:
        """As seen from the run's folder; the folder itself where the run does not say it.

        The URL of a remote folder. Earlier runs have no places, only their options.
        """
        places = self.record.places
        place = places.get(name, earlier or str(self.path))
        if is_remote(place):
            return place
        return self.path / place if name in places else Path(place)

    @cached_property
    def predictions(self) -> Predictions:
        """Every requested video, scored or skipped."""
        self._require("scores.npz")
        return Predictions.read(self.path / "scores.npz")

    @cached_property
    def judged(self) -> Predictions:
        """The predictions among the classes that the model may choose from; numbers are of these.

        Raises:
            ConfigError: The run has no scores of all classes, but may choose from some only.
        """
        return restrict_choices(self.predictions, self.context.choices)

    def _require(self, name: str) -> None:
        if not (self.path / name).is_file():
            what = "is no run folder" if not (self.path / "run.json").is_file() else "is unfinished"
            raise ConfigError(f"{self.path} {what}: it has no {name}")
