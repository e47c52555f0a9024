"""A finished run on an MLflow tracking server: what was asked, what came out, and its files."""

from __future__ import annotations

import getpass
import logging
import math
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
_MAY_VANISH = re.compile(  # when a run is scored again: with another top_n, videos repaired
    "top[0-9]|mean_class_|macro_|over_all_|bounds_|fewer_views_|calibration_"
    "|(coverage_)?skipped_|session_|tied_"
)

# Variables of MLflow, for where nobody has set them.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_PATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}  # after 0, 4 and 8 s; 7 would take minutes


def connect() -> Experiment:
    """The experiment that MLflow's environment names; it is made where there is none.

    ``MLFLOW_TRACKING_URI`` says where, and ``MLFLOW_EXPERIMENT_NAME`` or ``MLFLOW_EXPERIMENT_ID``
    which; without these it is ``Default``.

    Raises:
        ConfigError: MLflow is not installed, no server answers, or the experiment cannot be used.
    """
    with _environment(_QUIET | _IMPATIENT), _quiet():
        mlflow = _import_mlflow()
        uri = mlflow.get_tracking_uri()
        _require_database(uri)
        try:
            client = mlflow.MlflowClient()
            return Experiment(client, _find_experiment(client))
        except ConfigError:
            raise
        except Exception as error:  # every kind of store has its own
            raise ConfigError(
                f"--mlflow: {_address(uri)} does not answer as MLflow does ({_reason(error)}): "
                "start it, or set MLFLOW_TRACKING_URI to another"
            ) from error


@dataclass(frozen=True)
class Experiment:
    """An experiment of a tracking server that answers.

    Args:
        client: An ``mlflow.MlflowClient``.
        experiment_id: By which the server knows it.
    """

    client: Any
    experiment_id: str

    def log(self, folder: Path, again: str) -> str:
        """Address of the MLflow run that now holds this run.

        A run that was logged here before, by its digest and its folder's name, is brought up to
        date: it stays one MLflow run.

        Args:
            folder: The run's.
            again: The command that would log it again.

        Raises:
            VidbenchError: MLflow failed; nothing in the folder has changed.
        """
        server = _address(self.client.tracking_uri)
        with _environment(_QUIET | _PATIENT), _quiet():
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
        mlflow_run = self._find(run) or self._create(run)
        run_id: str = mlflow_run.info.run_id
        self._log_values(run, mlflow_run)
        for path in _artifacts(run.path):
            self.client.log_artifact(run_id, str(path))
        self.client.set_terminated(run_id, end_time=_milliseconds(run.timed_session.get("ended")))
        return run_id

    def _find(self, run: FinishedRun) -> Any:
        """The MLflow run that an earlier command made of this run, or None."""
        tags = tags_of(run)
        same = f"tags.`vidbench.digest` = '{tags['vidbench.digest']}'"
        found = self.client.search_runs([self.experiment_id], same, max_results=1000)
        folder = tags["vidbench.folder"]  # compared here: it may hold any quotation mark
        return next((one for one in found if one.data.tags.get("vidbench.folder") == folder), None)

    def _create(self, run: FinishedRun) -> Any:
        return self.client.create_run(
            self.experiment_id,
            start_time=_milliseconds(run.run["started"]),
            tags=tags_of(run) | {"mlflow.user": _user()},
            run_name=cut(run.name, MAX_NAME),
        )

    def _log_values(self, run: FinishedRun, mlflow_run: Any) -> None:
        """Params that are not there yet, since none can change, and all metrics and tags."""
        from mlflow.entities import Metric, Param, RunTag

        params, earlier = params_of(run), mlflow_run.data.params
        changed = [key for key, value in params.items() if earlier.get(key, value) != value]
        if changed:
            logger.warning(
                "MLflow cannot change a param: %s as first logged; run.json there is up to date",
                ", ".join(changed),
            )
        metrics = _vanished(mlflow_run.data.metrics) | metrics_of(run)
        now = round(time.time() * 1000)
        self.client.log_batch(
            mlflow_run.info.run_id,
            [Metric(key, value, now, 0) for key, value in metrics.items()],
            [Param(key, value) for key, value in params.items() if key not in earlier],
            [RunTag(key, value) for key, value in tags_of(run).items()],
        )


def _artifacts(folder: Path) -> Iterator[Path]:
    for path in (folder / name for name in ARTIFACTS):
        if path.is_file() and path.stat().st_size <= MAX_ARTIFACT_BYTES:
            yield path
        elif path.is_file():
            logger.warning("%s stays here: it is too large for MLflow", path)


def _vanished(metrics: Mapping[str, float]) -> dict[str, float]:
    """NaN for those that a run may cease to have, since MLflow removes none."""
    return {key: math.nan for key in metrics if _MAY_VANISH.match(key)}


def _milliseconds(moment: str | None) -> int | None:
    """Since 1970, of a time in ISO 8601."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000) if moment else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


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


def _import_mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise ConfigError(
            f'--mlflow needs MLflow ({error}): pip install "vidbench[mlflow]"'
        ) from error
    return mlflow


def _require_database(uri: str) -> None:
    """Refuses a file of SQLite, MLflow's default, where only MLflow's client is installed."""
    if uri.startswith("sqlite:") and find_spec("sqlalchemy") is None:
        raise ConfigError(
            "--mlflow: set MLFLOW_TRACKING_URI to the address of a tracking server; "
            "to log to a local file instead, pip install mlflow"
        )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets these variables meanwhile, but for those that somebody has set."""
    missing = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back warnings meanwhile, and what is logged of each request that is tried again."""
    requests_log = logging.getLogger("urllib3.connectionpool")
    level = requests_log.level
    requests_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        requests_log.setLevel(level)


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
