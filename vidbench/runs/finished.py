"""FinishedRun: a run read from its folder alone, without model, dataset or videos."""

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
    """A finished run in its folder; files are read on first use.

    Args:
        path: The run's folder.
        videos: Location of its videos. None for that in ``run.json``, which has no passwords, so
            remote videos are not looked for.
        cache: Location of its decoded clips; None as for ``videos``.
    """

    path: Path
    videos: Location | None = None
    cache: Location | None = None

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @cached_property
    def record(self) -> RunRecord:
        """Content of ``run.json``.

        Raises:
            ConfigError: The folder has no finished run, or the file is damaged.
        """
        self._require("run.json")
        return read_record(self.path / "run.json")

    @cached_property
    def context(self) -> RunContext:
        """Context of the run that its metrics need.

        Raises:
            ConfigError: ``run.json`` has no context.
        """
        if self.record.context is None:
            raise ConfigError(f"{self.path}: run.json has no facts to score by: make the run again")
        return self.record.context

    @cached_property
    def metrics(self) -> Metrics:
        """Content of ``metrics.json``.

        Raises:
            ConfigError: The folder has no finished run, or the file is damaged.
        """
        self._require("metrics.json")
        return read_metrics(self.path / "metrics.json")

    @property
    def videos_dir(self) -> Path:
        """Folder of the videos, which the paths in the predictions are relative to.

        The run's own folder, which has no videos, if they were behind a URL.
        """
        location = self._place("videos", self.record.decoding.data_dir)
        return location if isinstance(location, Path) else self.path

    @property
    def cache_dir(self) -> Path:
        """Folder of the decoded clips, or a local working folder if they were behind a URL."""
        return working_folder(self._place("cache", self.record.decoding.cache_dir))

    def _place(self, name: str, earlier: str | None) -> Location:
        """Location of videos or clips: a URL, a path, or the run's folder if it is not recorded.

        Args:
            name: ``videos`` or ``cache``.
            earlier: Value of the option, for runs of earlier versions, which record no places.
        """
        places = self.record.places
        location = places.get(name, earlier or str(self.path))
        if is_remote(location):
            return location
        return self.path / location if name in places else Path(location)

    @cached_property
    def predictions(self) -> Predictions:
        """Every requested video, scored or skipped."""
        self._require("scores.npz")
        return Predictions.read(self.path / "scores.npz")

    @cached_property
    def judged(self) -> Predictions:
        """The predictions that metrics are computed from, restricted to the model's choices.

        Raises:
            ConfigError: Choices are restricted, but the run does not score all classes.
        """
        return restrict_choices(self.predictions, self.context.choices)

    def _require(self, name: str) -> None:
        if not (self.path / name).is_file():
            is_run = (self.path / "run.json").is_file()
            problem = "is unfinished" if is_run else "is not a run folder"
            raise ConfigError(f"{self.path} {problem}: it has no {name}")
