from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.report.mlflow_log import ARTIFACTS, MAX_ARTIFACT_BYTES
from vidbench.report.mlflow_values import metrics_of, params_of
from vidbench.runs.finished import FinishedRun

pytest.importorskip("sqlalchemy", reason="needs all of mlflow, for a server")
validation = pytest.importorskip("mlflow.utils.validation")

COMMAND = (
    *("evaluate", "--mlflow", "--model_type", "saved_model"),
    *("--model_path", str(SAMPLE / "model"), "--dataset", "sample", "--num_frames", "16"),
)
NAME = 'it\'s a "run" `of` %s'
LOG = """
import sys
from pathlib import Path
from vidbench.terminal.logs import set_up_logging
from vidbench.report.mlflow_log import connect
set_up_logging()
experiment = connect()
for folder in sys.argv[1:]:
    print(experiment.log(Path(folder), "again"))
"""
WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None
from vidbench.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

Done = subprocess.CompletedProcess[str]


class TrackingServer:
    """MLflow's own server in a process of its own, asked by its REST API."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder = folder

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--backend-store-uri", f"sqlite:///{self._folder / 'store.db'}"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment(
                    MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
                ),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(log.read_text())
            time.sleep(0.1)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def ask(self, what: str, **question: Any) -> dict[str, Any]:
        url = f"{self.url}/api/2.0/mlflow/{what}"
        reply = requests.post(url, json=question, timeout=30)
        assert reply.ok, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """Runs with their params, metrics and tags as dictionaries."""
        url, name = f"{self.url}/api/2.0/mlflow", {"experiment_name": experiment}
        found = requests.get(f"{url}/experiments/get-by-name", name, timeout=30).json()
        ids = [found["experiment"]["experiment_id"]]
        return [
            {"info": run["info"]}
            | {
                kind: {one["key"]: one["value"] for one in run["data"].get(kind, [])}
                for kind in KINDS
            }
            for run in self.ask("runs/search", experiment_ids=ids).get("runs", [])
        ]

    def artifact(self, run_id: str, name: str) -> bytes | None:
        asked = {"run_uuid": run_id, "path": name}
        reply = requests.get(f"{self.url}/get-artifact", asked, timeout=30)
        return reply.content if reply.ok else None


KINDS = ("params", "metrics", "tags")


def environment(**variables: str) -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "VIDBENCH_"))}
    return {**others, **variables}


def python(folder: Path, *arguments: str, **variables: str) -> Done:
    """A Python that finds this checkout, in that folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=str(REPOSITORY), **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    running = TrackingServer(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def evaluated(server: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of 12 videos was evaluated and logged, with what the command said."""
    folder = tmp_path_factory.mktemp("evaluated")
    options = ("--num_videos", "12", "--run_name", NAME, "--json")
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "one run"}
    done = python(folder, "-m", "vidbench", *COMMAND, *options, **variables)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


@pytest.fixture
def run_folder(evaluated: Path, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be changed."""
    return Path(shutil.copytree(evaluated / "results" / NAME, tmp_path / "results" / NAME))


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_run_is_logged_with_its_numbers_and_files(
    server: TrackingServer, evaluated: Path, tmp_path: Path
) -> None:
    folder = evaluated / "results" / NAME
    metrics, run = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("metrics", "run")
    )
    (logged,) = server.runs("one run")
    run_id = logged["info"]["run_id"]
    assert (logged["info"]["run_name"], logged["info"]["status"]) == (NAME, "FINISHED")
    assert logged["tags"]["vidbench.signature"] == metrics["signature"]
    assert logged["tags"]["vidbench.digest"] == run["digest"]
    expected = {"model": "saved_model", "weights": run["identity"]["weights"], "split": "val"}
    expected |= {"spec_digest": run["spec_digest"], "spec.sampling": "uniform"}
    expected |= {"config.num_frames": "16", "config.run_name": NAME, "config.no_cuda": "false"}
    assert expected.items() <= logged["params"].items()
    assert "config.seed" not in logged["params"]
    numbers = {"top1": metrics["top1"]["value"], "top5_low": metrics["top5"]["low"]}
    numbers |= {"mean_class_accuracy": metrics["mean_class_accuracy"]["value"]}
    numbers |= {"macro_f1": metrics["macro"]["f1"], "evaluated": 12, "requested": 12, "skipped": 0}
    numbers |= {"calibration_error": metrics["calibration"]["error"]}
    session = run["sessions"][-1]
    numbers |= {"session_videos_per_second": session["videos_per_second"]}
    numbers |= {"session_latency_ms_p95": session["latency_ms"]["p95"]}
    numbers |= {"session_peak_memory_bytes": session["peak_memory_bytes"]}
    assert {name: logged["metrics"][name] for name in numbers} == pytest.approx(numbers, rel=1e-12)
    written = {path.name for path in folder.iterdir()} & set(ARTIFACTS)
    assert {"metrics.json", "run.json", "predictions.csv", "scores.npz"} <= written
    for name in written:
        content = server.artifact(run_id, name)
        assert content == (folder / name).read_bytes(), name
        (tmp_path / name).write_bytes(content)
    scores = FinishedRun(folder).predictions.scores
    np.testing.assert_array_equal(FinishedRun(tmp_path).predictions.scores, scores)


def test_the_command_says_where_it_logged_and_no_more(
    server: TrackingServer, evaluated: Path
) -> None:
    said = (evaluated / "stderr").read_text()
    (logged,) = server.runs("one run")
    assert said.splitlines()[-1].endswith(f"/runs/{logged['info']['run_id']}")
    assert said.count(server.url) == 1
    assert "MLflow" not in "".join(said.splitlines()[:-1])
    assert json.loads((evaluated / "stdout").read_text())["evaluated"] == 12


@pytest.mark.slow
def test_a_run_that_is_logged_again_is_another_mlflow_run(
    server: TrackingServer, run_folder: Path
) -> None:
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "again"}
    first = python(run_folder, "-c", LOG, str(run_folder), **variables)

    def score_again(metrics: dict[str, Any]) -> None:
        metrics["top3"] = metrics.pop("top5")
        metrics["top1"]["value"] = 0.25

    change_json(run_folder / "metrics.json", score_again)
    second = python(run_folder, "-c", LOG, str(run_folder), **variables)
    assert (first.stderr, second.stderr) == ("", "")
    runs = {run["info"]["run_id"]: run for run in server.runs("again")}
    earlier, latest = (runs.pop(said.stdout.split("/")[-1].strip()) for said in (first, second))
    assert not runs
    assert latest["info"]["run_name"] == earlier["info"]["run_name"] == NAME
    assert latest["tags"]["vidbench.digest"] == earlier["tags"]["vidbench.digest"]
    assert (earlier["metrics"]["top1"], latest["metrics"]["top1"]) == (1.0, 0.25)
    assert "top5" in earlier["metrics"]
    assert "top5" not in latest["metrics"]
    content = server.artifact(latest["info"]["run_id"], "metrics.json")
    assert content == (run_folder / "metrics.json").read_bytes()


def test_a_table_that_is_too_large_stays_on_disk(server: TrackingServer, run_folder: Path) -> None:
    with (run_folder / "scores.npz").open("ab") as file:
        file.truncate(MAX_ARTIFACT_BYTES + 1)
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "large"}
    done = python(run_folder, "-c", LOG, str(run_folder), **variables)
    assert "scores.npz is not logged" in done.stderr
    (logged,) = server.runs("large")
    assert server.artifact(logged["info"]["run_id"], "scores.npz") is None
    assert server.artifact(logged["info"]["run_id"], "run.json") is not None


def refusal(done: Done, folder: Path) -> str:
    """The one line of a command that was refused before it did anything."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert list(folder.iterdir()) == []
    (line,) = done.stderr.splitlines()
    return line


def test_without_a_server_nothing_is_begun(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{unused.getsockname()[1]}"
        done = python(
            tmp_path, "-m", "vidbench", *COMMAND, MLFLOW_TRACKING_URI=f"http://me:secret@{place}"
        )
    line = refusal(done, tmp_path)
    assert f"http://{place}" in line
    assert "Connection refused" in line
    assert "secret" not in line


@pytest.mark.slow
def test_a_server_of_something_else_is_refused(file_server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    done = python(folder, "-m", "vidbench", *COMMAND, MLFLOW_TRACKING_URI=file_server.url)
    assert file_server.url.rstrip("/") in refusal(done, folder)


@pytest.mark.slow
def test_a_deleted_experiment_is_refused(server: TrackingServer, tmp_path: Path) -> None:
    number = server.ask("experiments/create", name="gone")["experiment_id"]
    server.ask("experiments/delete", experiment_id=number)
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_ID": number}
    done = python(tmp_path, "-m", "vidbench", *COMMAND, **variables)
    assert "'gone' is deleted" in refusal(done, tmp_path)


def test_without_mlflow_it_says_what_to_install(tmp_path: Path) -> None:
    done = python(tmp_path, "-c", WITHOUT_MLFLOW, *COMMAND)
    assert 'pip install "vidbench[mlflow]"' in refusal(done, tmp_path)


@pytest.mark.slow
def test_results_outlive_the_server_and_are_logged_later(
    server: TrackingServer, tmp_path: Path
) -> None:
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_EXPERIMENT_NAME": "later"}
    command = ("-m", "vidbench", *COMMAND, "--num_videos", "3", "--overwrite_output_dir")
    at_once = {"PYTHONPATH": str(REPOSITORY), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    running = subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        env=environment(**at_once, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list((tmp_path / "results").glob("*/run.json")) and running.poll() is None:
        time.sleep(0.02)
    server.kill()
    try:
        stdout, stderr = running.communicate(timeout=PATIENCE_SECONDS)
    finally:
        server.start()
    assert running.returncode == 1, stderr
    assert "top-1" in stdout
    (folder,) = (tmp_path / "results").iterdir()
    last = stderr.splitlines()[-1]
    assert last.startswith(f"vidbench: the results are kept in results/{folder.name}, ")
    assert FinishedRun(folder).metrics["evaluated"] == 3
    again = last.partition("to log them: ")[2]
    assert again.endswith("--num_videos 3")  # without the option that would begin anew
    scores = (folder / "scores.npz").read_bytes()
    assert python(tmp_path, *command[:-1], **variables).returncode == 0
    assert (folder / "scores.npz").read_bytes() == scores
    (logged,) = server.runs("later")
    assert logged["info"]["run_name"] == folder.name


def test_without_an_address_it_goes_where_mlflow_puts_it(run_folder: Path, tmp_path: Path) -> None:
    done = python(tmp_path, "-c", LOG, str(run_folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"at sqlite:///{tmp_path / 'mlflow.db'}\n")
    (kept,) = (tmp_path / "mlruns").rglob("metrics.json")
    assert kept.read_bytes() == (run_folder / "metrics.json").read_bytes()


@given(
    st.dictionaries(st.text(), st.integers(0, 10**12), max_size=3),
    st.dictionaries(st.text(min_size=1), st.text(max_size=1000) | st.booleans() | st.none()),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mlflow_takes_whatever_is_in_a_run(
    run_folder: Path, reasons: dict[str, int], options: dict[str, Any]
) -> None:
    """By MLflow's own checks of keys and values."""
    change_json(run_folder / "metrics.json", lambda metrics: metrics.update(skipped=reasons))
    change_json(run_folder / "run.json", lambda run: run.update(config=options))
    for key, value in metrics_of(FinishedRun(run_folder)).items():
        validation._validate_metric(key, value, 0, 0)
    for key, text in params_of(FinishedRun(run_folder)).items():
        assert validation._validate_param(key, text).value == text
        assert len(text) <= 500
