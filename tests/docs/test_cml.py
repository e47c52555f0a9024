from __future__ import annotations

import ast
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.ray_processes import free_ports, own_ray, ray_processes
from vidbench.cli.arguments import build_parser

_DONE = "ok"
# With the first, ipykernel behaves otherwise; the others would be taken for the job's.
_KEPT_FROM_KERNELS = ("PYTEST_CURRENT_TEST", "JOB_ARGUMENTS", "CONFIG_FILE", "RUN_DATE")

# The metadata ---------------------------------------------------------------------------------

# Fields and lengths of version 1.0 as in Cloudera's documentation:
# https://docs.cloudera.com/machine-learning/cloud/applied-ml-prototypes/topics/ml-amp-project-spec.html
# Fields of tasks as in Cloudera's own prototypes, e.g. the .project-metadata.yaml of
# https://github.com/cloudera/CML_AMP_MLFlow_Tracking and CML_AMP_RAG_Studio: the arguments of a job
# are given everywhere. Runtimes as in the labels of https://github.com/cloudera/ml-runtimes.
TEXT = {"type": "string", "minLength": 1}
LABEL = {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}
COMMON = {"type": TEXT, "short_summary": TEXT, "long_summary": TEXT}
RESOURCES = {
    "kernel": {"enum": ["python3"]},
    "cpu": {"type": "number", "exclusiveMinimum": 0},
    "memory": {"type": "number", "exclusiveMinimum": 0},
    "gpu": {"type": "integer", "minimum": 0},
    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
}
SCRIPT = {"type": "string", "pattern": r"^[^/].*\.py$"}


def task(kind: str, required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "if": {"properties": {"type": {"const": kind}}},
        "then": {
            "required": required,
            "properties": COMMON | properties,
            "additionalProperties": False,
        },
    }


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "description", "author", "specification_version", "prototype_version"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": 200},
        "description": {"type": "string", "maxLength": 2048},
        "author": {"type": "string", "maxLength": 64},
        "date": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "specification_version": {"const": 1.0},
        "prototype_version": {"type": "number"},
        "shared_memory_limit": {"type": "number"},
        "environment_variables": {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Z][A-Z0-9_]*$"},
            "additionalProperties": {
                "type": "object",
                "required": ["default", "description"],
                "properties": {
                    "default": {"type": "string"},
                    "description": TEXT,
                    "required": {"type": "boolean"},
                },
                "additionalProperties": False,
            },
        },
        "runtimes": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["editor", "kernel", "edition"],
                "properties": {
                    "editor": {"enum": ["Workbench", "PBJ Workbench", "JupyterLab"]},
                    "kernel": {"enum": [f"Python 3.{minor}" for minor in range(7, 15)]},
                    "edition": {"enum": ["Standard", "Nvidia GPU", "Hardened"]},
                    "version": TEXT,
                    "addons": {"type": "array", "items": TEXT},
                },
                "additionalProperties": False,
            },
        },
        "tasks": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": ["run_session", "create_job", "run_job"]}},
                "allOf": [
                    task(
                        "run_session",
                        ["name", "script", "kernel"],
                        **{"name": TEXT, "entity_label": LABEL, "script": SCRIPT, **RESOURCES},
                    ),
                    task(
                        "create_job",
                        ["name", "entity_label", "script", "arguments", "kernel"],
                        **{"name": TEXT, "entity_label": LABEL, "script": SCRIPT},
                        **{"arguments": TEXT, **RESOURCES},
                    ),
                    task("run_job", ["entity_label"], entity_label=LABEL, **RESOURCES),
                ],
            },
        },
    },
}


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    content = yaml.safe_load((REPOSITORY / ".project-metadata.yaml").read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def test_the_metadata_are_as_specified(metadata: dict[str, Any]) -> None:
    jsonschema.validate(metadata, SCHEMA)


Spoil = Callable[[dict[str, Any]], object]
SPOILED: dict[str, Spoil] = {
    "no author": lambda m: m.pop("author"),
    "a name that is too long": lambda m: m.update(name="n" * 201),
    "a date without quotation marks": lambda m: m.update(yaml.safe_load("date: 2026-11-21")),
    "a default that is no text": lambda m: m["environment_variables"]["RUN_DATE"].update(default=1),
    "an editor that does not exist": lambda m: m["runtimes"][0].update(editor="Notebook"),
    "a kernel without its minor version": lambda m: m["runtimes"][0].update(kernel="Python 3"),
    "a session without a script": lambda m: m["tasks"][0].pop("script"),
    "a job without arguments": lambda m: m["tasks"][2].pop("arguments"),
    "a label in capitals": lambda m: m["tasks"][2].update(entity_label="Evaluate"),
    "a field that does not exist": lambda m: m["tasks"][2].update(schedule="0 3 * * 1"),
    "an unknown task": lambda m: m["tasks"][2].update(type="schedule_job"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_the_schema_refuses(metadata: dict[str, Any], spoil: Spoil) -> None:
    spoiled = copy.deepcopy(metadata)
    spoil(spoiled)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoiled, SCHEMA)


def test_a_job_is_created_once_before_it_is_run(metadata: dict[str, Any]) -> None:
    created: list[str] = []
    for step in metadata["tasks"]:
        if step["type"] == "create_job":
            assert step["entity_label"] not in created
            created.append(step["entity_label"])
        elif step["type"] == "run_job":
            assert step["entity_label"] in created


def test_the_scripts_of_all_tasks_are_there(metadata: dict[str, Any]) -> None:
    scripts = {step["script"] for step in metadata["tasks"] if "script" in step}
    assert scripts == {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("cml/*.py")}


def test_all_variables_are_read(metadata: dict[str, Any]) -> None:
    options = {f"VIDBENCH_{action.dest.upper()}" for action in build_parser()._actions}
    scripts = "".join(path.read_text("utf-8") for path in REPOSITORY.glob("cml/*.py"))
    for name in metadata["environment_variables"]:
        assert name in options or f'"{name}"' in scripts or f"'{name}'" in scripts


def test_the_defaults_name_what_is_there(metadata: dict[str, Any]) -> None:
    variables = metadata["environment_variables"]
    files = re.findall(r"scripts/\w+\.txt", str(variables["CONFIG_FILE"]))
    assert len(files) == 3
    assert all((REPOSITORY / name).is_file() for name in files)
    assert time.strftime(variables["RUN_DATE"]["default"], time.gmtime(0)) == "1970-01-01"


def test_no_package_stands_before_clouderas_of_the_same_name() -> None:
    assert not (REPOSITORY / "cml/__init__.py").exists()  # `import cml.data_v1` is theirs


# The scripts in a kernel ----------------------------------------------------------------------


class Answer(NamedTuple):
    """What became of a script: ``ok``, or the exception that ended it; and what it wrote."""

    outcome: str
    output: str


class Kernel:
    """A Jupyter kernel that executes scripts as Cloudera's PBJ Workbench does.

    One statement after another, in the project's folder, without ``__file__``, with the job's
    arguments in JOB_ARGUMENTS, where studio/jobs/deploy.py of
    https://github.com/cloudera/CAI_STUDIO_AGENT finds them, and the kernel's own in ``sys.argv``.
    """

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self._client = client

    def run(self, script: Path, meanwhile: Callable[[], object] | None = None) -> Answer:
        text, output = script.read_text("utf-8"), ""
        for statement in ast.parse(text).body:
            answer = self.execute(ast.get_source_segment(text, statement) or "", meanwhile)
            output += answer.output
            if answer.outcome != _DONE:
                return Answer(answer.outcome, output)
        return Answer(_DONE, output)

    def execute(self, code: str, meanwhile: Callable[[], object] | None = None) -> Answer:
        message = self._client.execute(code)
        if meanwhile and code.startswith("if"):
            meanwhile()
        reply = self._reply(message)
        outcome = reply["content"]["status"]
        if outcome == "error":
            outcome = "{ename}: {evalue}".format(**reply["content"])
        return Answer(outcome, self._output(message))

    def _reply(self, message: str) -> dict[str, Any]:
        while True:  # a kernel slow to start was asked more than once whether it is ready
            found: dict[str, Any] = self._client.get_shell_msg(timeout=PATIENCE_SECONDS)
            if found["parent_header"].get("msg_id") == message:
                return found

    def _output(self, message: str) -> str:
        written: list[str] = []
        while True:
            found = self._client.get_iopub_msg(timeout=PATIENCE_SECONDS)
            if found["parent_header"].get("msg_id") != message:
                continue
            if found["content"].get("execution_state") == "idle":
                return "".join(written)
            written.append(found["content"].get("text", ""))


@contextmanager
def kernel(project: Path, python: str = sys.executable, **environment: str) -> Iterator[Kernel]:
    spec = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    folder = project.parent / "kernels" / "cml"
    folder.mkdir(parents=True, exist_ok=True)
    named = spec | {"display_name": "cml", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(named))
    specs = KernelSpecManager(kernel_dirs=[str(folder.parent)])
    manager = KernelManager(kernel_name="cml", kernel_spec_manager=specs)
    home = {"IPYTHONDIR": str(project.parent), "JUPYTER_RUNTIME_DIR": str(project.parent)}
    inherited = {k: v for k, v in os.environ.items() if k not in _KEPT_FROM_KERNELS}
    manager.start_kernel(cwd=str(project), env={**inherited, **home, **environment})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What lies in a project on Cloudera, as far as evaluating the sample needs it."""
    root = tmp_path / "project"
    for name in ("cml", "scripts"):
        shutil.copytree(REPOSITORY / name, root / name)
    (root / "data").mkdir()
    (root / "data/sample").symlink_to(SAMPLE)
    return root


FEW = {"VIDBENCH_NUM_VIDEOS": "12", "VIDBENCH_NUM_WORKERS": "2"}
MONDAY = {"RUN_DATE": "monday"}


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def metrics(run: Path) -> dict[str, Any]:
    content = json.loads((run / "metrics.json").read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def test_there_is_no_file_and_no_argument_in_a_kernel(project: Path) -> None:
    with kernel(project) as cml:
        shown = cml.execute("import sys; print('__file__' in globals(), sys.argv[1], __name__)")
        assert cml.execute("sys.exit(0)").outcome == "SystemExit: 0"  # so no script may say it
    assert shown == (_DONE, "False -f __main__\n")


def test_a_job_evaluates_each_date_once(project: Path) -> None:
    with kernel(project, **FEW, **MONDAY) as cml:
        first = cml.run(project / "cml/evaluate_job.py")
    assert first.outcome == _DONE, first.output
    assert "top-1" in first.output
    run = project / "results/config_monday"
    assert metrics(run)["evaluated"] == 12
    before = files(run)
    with kernel(project, **FEW, **MONDAY) as cml:
        again = cml.run(project / "cml/evaluate_job.py")
    assert again.outcome == _DONE
    assert "config_monday is finished" in again.output
    after = files(run)
    assert after.keys() == before.keys()
    for name in ("scores.npz", "predictions.csv", "per_class.csv", "metrics.json"):
        assert after[name] == before[name]
    with kernel(project, **FEW, RUN_DATE="tuesday") as cml:
        assert cml.run(project / "cml/evaluate_job.py").outcome == _DONE
    assert files(run) == after
    other = project / "results/config_tuesday"
    assert (other / "predictions.csv").read_bytes() == before["predictions.csv"]
    assert len(json.loads((other / "run.json").read_text())["sessions"]) == 1  # it has predicted


def test_a_job_of_another_request_leaves_the_run_alone(project: Path) -> None:
    with kernel(project, **FEW, **MONDAY) as cml:
        assert cml.run(project / "cml/evaluate_job.py").outcome == _DONE
    before = files(project / "results")
    with kernel(project, **FEW, **MONDAY, JOB_ARGUMENTS="--num_videos 8") as cml:
        other = cml.run(project / "cml/evaluate_job.py")
    assert other.outcome == "SystemExit: 2"
    assert "use another --run_name" in other.output
    assert files(project / "results") == before


def test_arguments_of_a_job_go_over_its_variables(project: Path) -> None:
    (project / "my options.txt").write_text((project / "scripts/config.txt").read_text())
    arguments = "'@my options.txt' --num_videos 8 --run_name mine"
    with kernel(project, **FEW, CONFIG_FILE="nowhere", JOB_ARGUMENTS=arguments) as cml:
        done = cml.run(project / "cml/evaluate_job.py")
    assert done.outcome == _DONE, done.output
    assert [path.name for path in (project / "results").iterdir()] == ["mine"]
    assert metrics(project / "results/mine")["requested"] == 8


@pytest.mark.parametrize(
    ("script", "environment", "said"),
    [
        ("evaluate_job.py", {"JOB_ARGUMENTS": "--num_video 3"}, "'--num_video' is unknown"),
        ("evaluate_job.py", {"CONFIG_FILE": "scripts/confg.txt"}, "'scripts/confg.txt' cannot be"),
        ("evaluate_job.py", {"RUN_DATE": "%Y/%m/%d"}, "must be one plain folder name"),
        ("download_data.py", {"JOB_ARGUMENTS": "--num_video 3"}, "'--num_video' is unknown"),
        ("download_data.py", {"CONFIG_FILE": "scripts/confg.txt"}, "'scripts/confg.txt' cannot be"),
    ],
)
def test_a_wrong_request_ends_with_2(
    project: Path, script: str, environment: dict[str, str], said: str
) -> None:
    with kernel(project, **environment) as cml:
        refused = cml.run(project / "cml" / script)
    assert refused.outcome == "SystemExit: 2"
    assert said in refused.output
    assert not (project / "results").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_goes_on(project: Path, number: signal.Signals) -> None:
    slow = {"VIDBENCH_NUM_WORKERS": "1", "JOB_ARGUMENTS": "--batch_size 2", **MONDAY}
    run = project / "results/config_monday"

    def stop() -> None:
        wait_for(lambda: list(run.glob("batches/*.npz")))
        cml.manager.signal_kernel(number)

    with kernel(project, **slow) as cml:
        stopped = cml.run(project / "cml/evaluate_job.py", meanwhile=stop)
        assert cml.execute("1 + 1").outcome == _DONE  # the kernel's own handlers are back
    assert stopped.outcome == f"SystemExit: {128 + number}", stopped.output
    assert f"stopped by {number.name}" in stopped.output
    assert "--run_name config_monday" in stopped.output  # how to go on
    kept = len(list(run.glob("batches/*.npz")))
    assert 0 < kept < 56
    with kernel(project, **slow) as cml:
        resumed = cml.run(project / "cml/evaluate_job.py")
    assert resumed.outcome == _DONE, resumed.output
    assert f"{112 - 2 * kept} of 112 videos to predict" in resumed.output
    assert metrics(run)["evaluated"] == 112


def wait_for(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_downloading_predicts_nothing_and_repeats_nothing(project: Path) -> None:
    with kernel(project, **FEW) as cml:
        first = cml.run(project / "cml/download_data.py")
        times = {path: path.stat().st_mtime_ns for path in (project / "data/raw").rglob("*.*")}
        second = cml.run(project / "cml/download_data.py")
    assert first.outcome == second.outcome == _DONE, first.output
    for output in (first.output, second.output):
        assert output.endswith("12 of 12 videos of sample are in data/raw\n")
    assert len([path for path in times if path.suffix == ".mp4"]) >= 12
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not (project / "results").exists()
    assert not (project / "data/processed").exists()


@pytest.mark.parametrize("where", ["JOB_ARGUMENTS", "sys.argv"])
def test_the_script_of_the_project_is_a_job_too(project: Path, where: str) -> None:
    arguments = ["@scripts/config.txt", "--run_name", "mine"]
    environment = {"JOB_ARGUMENTS": " ".join(arguments)} if where == "JOB_ARGUMENTS" else {}
    with kernel(project, **FEW, **environment) as cml:
        if where == "sys.argv":  # as the older Workbench has it
            cml.execute(f"import sys; sys.argv = {['scripts/evaluate.py', *arguments]}")
        done = cml.run(project / "scripts/evaluate.py")
    assert done.outcome == _DONE, done.output
    assert metrics(project / "results/mine")["evaluated"] == 12


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [(["--run_name", "mine"], 0), (["--num_video", "3"], 2)]
)
def test_a_job_may_be_a_process(project: Path, arguments: list[str], exit_code: int) -> None:
    done = subprocess.run(
        [sys.executable, "cml/evaluate_job.py", *arguments],
        cwd=project,
        env={**os.environ, **FEW},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    assert (project / "results/mine/metrics.json").is_file() == (exit_code == 0)


# On workers, by Ray ----------------------------------------------------------------------------

# Names, parameters and answers as in Cloudera's documentation and in ray_cluster.py of
# https://github.com/cloudera/cmlextensions:
# https://docs.cloudera.com/machine-learning/cloud/distributed-computing/topics/ml-workers-api.html
# Its workers are other containers with the project's home and variables; these are processes.
WORKERS_V1 = """
import os, signal, subprocess, sys

_running = {}


def launch_workers(n, cpu, memory, nvidia_gpu=0, kernel="python3", script="", code="", env={}):
    assert not _running and not nvidia_gpu and not script
    variables = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH_")} | env
    for _ in range(n):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=variables,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _running[str(process.pid)] = process
    print(f"launched {n} workers of {cpu} cores and {memory:g} GiB")
    return [{"id": name, "app_url": ""} for name in _running]


def stop_workers(*ids):
    for name in ids:
        os.killpg(int(name), signal.SIGTERM)
    for name in ids:
        _running.pop(name).wait(60)
    print(f"stopped {len(ids)} workers")
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of a session on a platform whose workers are processes; none outlives it."""
    pytest.importorskip("ray", reason="needs the extra ray")
    package = tmp_path / "platform/cml"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "workers_v1.py").write_text(WORKERS_V1)
    (port,) = free_ports(1)
    size = {"RAY_WORKERS": "1", "RAY_WORKER_CPU": "1", "RAY_WORKER_MEMORY": "4"}
    with own_ray(token=False) as own:
        own["HOME"] = str(tmp_path)
        yield {**own, **size, "PYTHONPATH": str(package.parent), "CDSW_APP_PORT": str(port)}


FEWER = {"VIDBENCH_NUM_VIDEOS": "12", "VIDBENCH_NUM_THREADS": "1", **MONDAY}


@pytest.mark.slow
def test_workers_give_the_bytes_of_one_machine(project: Path, workers: dict[str, str]) -> None:
    with kernel(project, **workers, **FEWER) as cml:
        done = cml.run(project / "cml/evaluate_on_ray.py")
        wait_for(lambda: not ray_processes(workers))
    assert done.outcome == _DONE, done.output
    assert "launched 1 workers of 1 cores and 4 GiB" in done.output
    assert "stopped 1 workers" in done.output
    run = project / "results/config_monday"
    (session,) = json.loads((run / "run.json").read_text())["sessions"]
    assert session["cluster"]["nodes"] == 2
    by_ray = files(run)
    shutil.rmtree(run)
    with kernel(project, **FEWER) as cml:
        assert cml.run(project / "cml/evaluate_job.py").outcome == _DONE
    alone = files(run)
    assert alone.keys() == by_ray.keys()
    for name in ("scores.npz", "predictions.csv", "skipped.csv", "per_class.csv", "metrics.json"):
        assert by_ray[name] == alone[name]


@pytest.mark.slow
def test_workers_that_do_not_join_end_the_job(project: Path, workers: dict[str, str]) -> None:
    with kernel(project, **workers, RAY_START_SECONDS="0.1") as cml:
        failed = cml.run(project / "cml/evaluate_on_ray.py")
        wait_for(lambda: not ray_processes(workers))
    assert failed.outcome.startswith("SystemExit: not all of 1 workers have joined")
    assert "stopped 1 workers" in failed.output
    assert not (project / "results").exists()


def test_without_workers_ray_need_not_be_there(project: Path) -> None:
    with kernel(project, RAY_WORKERS="0") as cml:
        refused = cml.run(project / "cml/evaluate_on_ray.py")
    assert refused.outcome.startswith("SystemExit: RAY_WORKERS is 0")


# Installing -----------------------------------------------------------------------------------


class Runtime(NamedTuple):
    """A Python that is not ours to change, and what pip and it are told by the environment."""

    python: Path
    environment: dict[str, str]


@pytest.fixture
def runtime(project: Path) -> Runtime:
    """Python as on Cloudera, where pip installs for the user, whose home is the project's folder.

    So says etc/pip.conf of https://github.com/cloudera/ml-runtimes. What is installed here is
    found too, behind what the user installs; there is no network.
    """
    folder = project.parent / "venv"
    options = ("--without-pip", "--system-site-packages")  # or nothing can be the user's
    subprocess.run([sys.executable, "-m", "venv", *options, str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = project / ".local/lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "here.pth").write_text(sysconfig.get_path("purelib"))
    user = {"PIP_USER": "1", "PYTHONUSERBASE": str(project / ".local"), "PIP_NO_INDEX": "1"}
    return Runtime(folder / "bin/python", user)


def installed_pins() -> list[str]:
    """The requirements that are installed here as they are pinned, so that pip needs no network."""
    lines = (REPOSITORY / "requirements.txt").read_text("utf-8").splitlines()
    pins = [line.partition("#")[0].strip() for line in lines if "==" in line]
    installed = {f"{found.name}=={found.version}".lower() for found in distributions()}
    found = [pin for pin in pins if pin.lower() in installed]
    assert "setuptools" in "".join(found)
    assert len(found) > 0.9 * len(pins)
    return found


def vidbench_of(runtime: Runtime) -> Path:
    """The folder of the package that this Python imports, wherever it is started."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    shown = subprocess.run(
        [runtime.python, "-c", "import vidbench; print(vidbench.__path__[0])"],
        cwd="/",
        env={**inherited, **runtime.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(shown.stdout.strip())


def installed_from() -> str | None:
    """Whence the vidbench of these tests was installed."""
    (found,) = distributions(name="vidbench", path=[sysconfig.get_path("purelib")])
    return found.read_text("direct_url.json")


def test_installing_takes_the_pinned_requirements_and_the_project_itself(
    project: Path, runtime: Runtime
) -> None:
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, project / name)
    shutil.copytree(
        REPOSITORY / "vidbench", project / "vidbench", ignore=shutil.ignore_patterns("__pycache__")
    )
    (project / "requirements.txt").write_text("\n".join(installed_pins()))
    (project / "requirements-ray.txt").write_text(f"fsspec=={version('fsspec')}\n")
    before = installed_from()
    with pytest.raises(subprocess.CalledProcessError):
        vidbench_of(runtime)
    for workers in ("0", "2"):
        variables = {**runtime.environment, "RAY_WORKERS": workers}
        with kernel(project, str(runtime.python), **variables) as cml:
            done = cml.run(project / "cml/install_dependencies.py")
        assert done.outcome == _DONE, done.output
        assert "Requirement already satisfied: tensorflow==" in done.output
        assert ("-r requirements-ray.txt" in done.output) == (workers != "0")
        assert "Successfully installed vidbench" in done.output
        assert vidbench_of(runtime) == project / "vidbench"
    assert installed_from() == before


def test_a_requirement_that_cannot_be_had_fails(project: Path, runtime: Runtime) -> None:
    (project / "requirements.txt").write_text("tensorflow==0.0.1\n")
    with kernel(project, str(runtime.python), **runtime.environment) as cml:
        failed = cml.run(project / "cml/install_dependencies.py")
    assert failed.outcome == "SystemExit: 1"
    assert "No matching distribution found for tensorflow==0.0.1" in failed.output
