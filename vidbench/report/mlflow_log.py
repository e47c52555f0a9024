"""Log a finished run to an MLflow tracking server: its options, metrics and files."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from vidbench.errors import ConfigError, VidbenchError
from vidbench.report.mlflow_values import MAX_NAME, cut, metrics_of, params_of, tags_of
from vidbench.runs.finished import FinishedRun
from vidbench.runs.folder import OUTPUTS
from vidbench.storage.locations import without_password
from vidbench.terminal.sanitize import escape_controls

logger = logging.getLogger(__name__)

ARTIFACTS = ("report.html", "run.json", *OUTPUTS, "thumbnails.zip")
MAX_ARTIFACT_BYTES = 64 << 20  # the scores of Kinetics-400 val are 32 MB

_MAX_REASON = 300

# Defaults of MLflow's environment variables; values set by the user take precedence.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_PATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}  # after 0, 4 and 8 s; 7 would take minutes


@dataclass(frozen=True)
class Experiment:
    """An experiment of a tracking server that was reached.

    Args:
        mlflow: The library, configured for the server.
        experiment_id: Id of the experiment on the server.
    """

    mlflow: Any
    experiment_id: str

    def log(self, folder: Path, again: str) -> str:
        """Log a run as a new MLflow run; return its address.

        Args:
            folder: Folder of the run.
            again: Command that logs it again, for the message.

        Raises:
            VidbenchError: MLflow failed; the folder is unchanged.
        """
        server = _address(self.mlflow.get_tracking_uri())
        with _settings(_QUIET | _PATIENT):
            try:
                run_id = self._log(FinishedRun(folder))
            except Exception as error:  # each kind of store raises its own errors
                raise VidbenchError(
                    f"the results are kept in {folder}, but {server} did not accept them "
                    f"({_reason(error)}); to log them: {again}"
                ) from error
        if server.startswith("http"):
            return f"{server}/#/experiments/{self.experiment_id}/runs/{run_id}"
        return f"run {run_id} of experiment {self.experiment_id} at {server}"

    def _log(self, run: FinishedRun) -> str:
        client = self.mlflow.MlflowClient()
        tags = tags_of(run) | {"mlflow.user": psutil.Process().username()}
        started = _milliseconds(run.record.started)
        created = client.create_run(self.experiment_id, started, tags, cut(run.name, MAX_NAME))
        run_id: str = created.info.run_id
        self.mlflow.log_params(params_of(run), run_id=run_id)
        self.mlflow.log_metrics(metrics_of(run), run_id=run_id)
        for path in _artifacts(run.path):
            self.mlflow.log_artifact(str(path), run_id=run_id)
        session = run.record.timed_session
        ended = _milliseconds(session.ended) if session else None
        client.set_terminated(run_id, end_time=ended)
        return run_id


def connect() -> Experiment:
    """Connect to the experiment that MLflow's environment names; create it if it does not exist.

    ``MLFLOW_TRACKING_URI`` names the server, and ``MLFLOW_EXPERIMENT_NAME`` or
    ``MLFLOW_EXPERIMENT_ID`` the experiment, ``Default`` if unset.

    Raises:
        ConfigError: MLflow is not installed, no server answers, or the experiment cannot be used.
    """
    with _settings(_QUIET | _IMPATIENT):
        try:
            import mlflow
        except ImportError as error:
            raise ConfigError(
                f'--mlflow needs MLflow ({error}): pip install "vidbench[mlflow]"'
            ) from error
        try:
            return Experiment(mlflow, _find_experiment(mlflow.MlflowClient()))
        except ConfigError:
            raise
        except Exception as error:  # each kind of store raises its own errors
            raise ConfigError(
                f"--mlflow: {_address(mlflow.get_tracking_uri())} does not answer like MLflow "
                f"({_reason(error)}): start it, or set MLFLOW_TRACKING_URI to another server; "
                "to log to a local file, pip install mlflow"
            ) from error


def _find_experiment(client: Any) -> str:
    name, number = (os.environ.get(f"MLFLOW_EXPERIMENT_{kind}") for kind in ("NAME", "ID"))
    if number and not name:
        experiment = client.get_experiment(number)
    else:
        experiment = client.get_experiment_by_name(name or "Default")
    if experiment is None:
        return str(client.create_experiment(name or "Default"))
    if experiment.lifecycle_stage != "active":
        raise ConfigError(
            f"--mlflow: the experiment {experiment.name!r} is {experiment.lifecycle_stage}: "
            "restore it, or set MLFLOW_EXPERIMENT_NAME to another"
        )
    return str(experiment.experiment_id)


def _artifacts(folder: Path) -> Iterator[Path]:
    for path in (folder / name for name in ARTIFACTS if (folder / name).is_file()):
        if path.stat().st_size <= MAX_ARTIFACT_BYTES:
            yield path
        else:
            logger.warning("%s is not logged: it is too large for MLflow", path)


def _milliseconds(moment: str | None) -> int | None:
    """Milliseconds since 1970 of a time in ISO 8601."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000) if moment else None


@contextmanager
def _settings(variables: Mapping[str, str]) -> Iterator[None]:
    """Set these variables unless the user has, and silence warnings and logs of retries."""
    missing = {name: value for name, value in variables.items() if name not in os.environ}
    requests_log = logging.getLogger("urllib3.connectionpool")
    level = requests_log.level
    os.environ.update(missing)
    requests_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        requests_log.setLevel(level)
        for name in missing:
            os.environ.pop(name, None)


def _address(uri: str) -> str:
    """The address of a server without user name and password."""
    return without_password(uri).rstrip("/")


def _reason(error: BaseException) -> str:
    """The error in one short line; for a failed connection, only the system's message."""
    text, cause = str(error), error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            text = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return cut(without_password(escape_controls(" ".join(text.split()))), _MAX_REASON)
