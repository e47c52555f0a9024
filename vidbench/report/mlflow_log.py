"""A finished run on an MLflow tracking server: what was asked, what came out, and its files."""

from __future__ import annotations

import logging
import os
import re
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
from vidbench.terminal.sanitize import escape_controls

logger = logging.getLogger(__name__)

ARTIFACTS = (
    "report.html",
    "metrics.json",
    "run.json",
    "predictions.csv",
    "skipped.csv",
    "per_class.csv",
    "confusion.csv",
    "scores.npz",
    "thumbnails.zip",
)
MAX_ARTIFACT_BYTES = 64 << 20  # the scores of Kinetics-400 val are 32 MB

_PASSWORD = re.compile(r"//[^/\s@]*@")  # and the user's name, in an address
_MAX_REASON = 300

# Variables of MLflow, for where nobody has set them.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_PATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}  # after 0, 4 and 8 s; 7 would take minutes


@dataclass(frozen=True)
class Experiment:
    """An experiment of a tracking server that answers.

    Args:
        mlflow: The library, which knows the server.
        experiment_id: By which the server knows it.
    """

    mlflow: Any
    experiment_id: str

    def log(self, folder: Path, again: str) -> str:
        """Address of a new MLflow run that holds this run.

        Args:
            folder: The run's.
            again: The command that would log it again.

        Raises:
            VidbenchError: MLflow failed; nothing in the folder has changed.
        """
        server = _address(self.mlflow.get_tracking_uri())
        with _settings(_QUIET | _PATIENT):
            try:
                run_id = self._log(FinishedRun(folder))
            except Exception as error:  # every kind of store has its own
                raise VidbenchError(
                    f"the results are kept in {folder}, but {server} did not take them "
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
    """The experiment that MLflow's environment names; it is made where there is none.

    ``MLFLOW_TRACKING_URI`` says where, and ``MLFLOW_EXPERIMENT_NAME`` or ``MLFLOW_EXPERIMENT_ID``
    which; without these it is ``Default``.

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
        except Exception as error:  # every kind of store has its own
            raise ConfigError(
                f"--mlflow: {_address(mlflow.get_tracking_uri())} does not answer as MLflow does "
                f"({_reason(error)}): start it, or set MLFLOW_TRACKING_URI to another; "
                "to log to a local file, pip install mlflow"
            ) from error


def _find_experiment(client: Any) -> str:
    name, number = (os.environ.get(f"MLFLOW_EXPERIMENT_{kind}") for kind in ("NAME", "ID"))
    if number and not name:
        found = client.get_experiment(number)
    else:
        found = client.get_experiment_by_name(name or "Default")
    if found is None:
        return str(client.create_experiment(name or "Default"))
    if found.lifecycle_stage != "active":
        raise ConfigError(
            f"--mlflow: the experiment {found.name!r} is {found.lifecycle_stage}: restore it, "
            "or name another by MLFLOW_EXPERIMENT_NAME"
        )
    return str(found.experiment_id)


def _artifacts(folder: Path) -> Iterator[Path]:
    for path in (folder / name for name in ARTIFACTS if (folder / name).is_file()):
        if path.stat().st_size <= MAX_ARTIFACT_BYTES:
            yield path
        else:
            logger.warning("%s stays here: it is too large for MLflow", path)


def _milliseconds(moment: str | None) -> int | None:
    """Since 1970, of a time in ISO 8601."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000) if moment else None


@contextmanager
def _settings(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets these variables unless they are set, and silences warnings and logs of retries."""
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
    """The address of a server, without its user's name and password."""
    return _PASSWORD.sub("//", uri).rstrip("/")


def _reason(error: BaseException) -> str:
    """In one short line; of a failed connection only what the system says of it."""
    text, cause = str(error), error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            text = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return cut(_PASSWORD.sub("//", escape_controls(" ".join(text.split()))), _MAX_REASON)
