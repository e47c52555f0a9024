"""The commands of the README, run word by word in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.ray_processes import own_ray
from vidbench.cli.main import _COMMANDS

VENV = REPOSITORY / ".venv"


def shell_blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git tracks or would track, without any environment."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = tmp_path / "checkout"
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    return copy


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_readme_begins_with_the_two_commands_that_set_up_everything() -> None:
    assert [block.strip() for block in shell_blocks()[:3]] == [
        "./run sample",
        "./run test",
        "python scripts/evaluate.py @scripts/kinetics400_i3d.txt",
    ]


def is_set_up() -> bool:
    """Whether ./run would install nothing: here it would install a copy that is gone afterwards."""
    files = ("requirements.txt", "pyproject.toml")
    return all(_mark(name).exists() and _mark(name).read_text() == _cksum(name) for name in files)


def _mark(name: str) -> Path:
    return VENV / f"{name}.installed"


def _cksum(name: str) -> str:
    content = (REPOSITORY / name).read_bytes()
    return subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout.decode()


@pytest.mark.skipif(not is_set_up(), reason="./run has not made the environment")
def test_the_sample_runs_and_prints_what_the_readme_shows(checkout: Path) -> None:
    (checkout / ".venv").symlink_to(VENV)
    done = run("./run sample", checkout)
    assert done.returncode == 0, done.stderr
    shown = (checkout / "README.md").read_text()
    for line in done.stdout.splitlines():
        assert line in shown


def test_kinetics_with_i3d_runs_as_the_readme_says(
    checkout: Path, mirror: Path, i3d_path: Path
) -> None:
    done = run(
        shell_blocks()[2],
        checkout,
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        VIDBENCH_KINETICS_ROOT_URL=str(mirror),
        VIDBENCH_MODEL_PATH=str(i3d_path),
    )
    assert done.returncode == 0, done.stderr
    assert "of 16 requested" in done.stdout
    assert "100 frames uniform" in done.stdout.splitlines()[-1]


def test_long_videos_are_labelled_as_the_readme_says(checkout: Path, sample_clip: Path) -> None:
    (command,) = (block for block in shell_blocks() if block.startswith("vidbench predict"))
    (checkout / "recordings").mkdir()
    shutil.copy(sample_clip, checkout / "recordings")
    done = run(command, checkout, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert f"recordings/{sample_clip.name}  2.0 s, 1 window" in done.stdout


@pytest.mark.slow
def test_this_machine_is_a_cluster_as_the_readme_says(checkout: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    (block,) = (block for block in shell_blocks() if "--ray_address local" in block)
    install, command = block.strip().splitlines()
    assert install == "pip install -r requirements-ray.txt"  # which the environment has
    with own_ray() as environment:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = run(command, checkout, PATH=path, **environment)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith(("top", "signature"))]
    assert len(shown) == 3
    page = (checkout / "README.md").read_text()
    assert all(line in page for line in shown)


def test_the_commands_in_the_table_do_what_they_say(run_process: RunCli, tmp_path: Path) -> None:
    page = (REPOSITORY / "README.md").read_text()
    table = page[page.index("## Other commands") : page.index("## In Python")]
    found = re.findall(r"^\| (`vidbench [^|]*) \|", table, re.MULTILINE)
    commands = [command for cell in found for command in re.findall("`vidbench ([^`]*)`", cell)]
    assert {command.split()[0] for command in commands} == _COMMANDS.keys() - {
        "evaluate",
        "cache",
        "predict",
    }
    sample = f"@{REPOSITORY / 'scripts/config.txt'}"
    model = ("--model_path", SAMPLE / "model")
    for name, *options in (["a"], ["b", "--sampling", "center", "--num_frames", "8"]):
        options += ["--run_name", name, "--num_videos", "28"]
        assert run_process("evaluate", sample, *model, *options).returncode == 0
    for command in commands:
        words = command.split()
        if words[0] == "verify":  # needs the network; its own tests need none
            continue
        runs = iter(("results/a", "results/b"))
        names = {
            "PATH": "data/raw",
            "RESULTS_DIR": "results",
            "DIR": "results",
            "FILE": "subset.csv",
            "PREDICTIONS": "results/a/predictions.csv",
        }
        done = run_process(
            *(next(runs) if word == "RUN" else names.get(word, word) for word in words)
        )
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout


def test_run_alone_lists_its_tasks(checkout: Path) -> None:
    done = run("./run", checkout)
    assert done.returncode == 0
    assert {"sample", "test"} <= set(done.stdout.split())


def test_an_unknown_task_is_refused(checkout: Path) -> None:
    done = run("./run tset", checkout)
    assert done.returncode == 2
    assert "tset" in done.stderr


@pytest.mark.parametrize(
    ("python", "missing"),
    [(None, "Python 3.11"), ("case $2 in *ensurepip*) exit 1; esac", "venv")],
    ids=["no Python", "no venv"],
)
def test_what_a_bare_machine_lacks_is_said_in_one_line(
    checkout: Path, tmp_path: Path, python: str | None, missing: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cksum"):
        (tools / name).symlink_to(str(shutil.which(name)))
    if python is not None:
        script = tools / "python3.11"
        script.write_text(f"#!/bin/sh\n{python}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    done = run("./run sample", checkout, PATH=str(tools))
    assert done.returncode == 2
    assert missing in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()
