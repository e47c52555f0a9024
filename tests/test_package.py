from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import GenericAlias

import pytest

import vidbench
from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY
from vidbench.models.base import model_families

HEAVY = {"tensorflow", "tensorflow_hub", "cv2", "pandas", "matplotlib", "h5py", "av", "scipy"}
FRAMEWORKS = {"tensorflow", "tensorflow_hub", "tf_keras", "kagglehub", "keras"}


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded in the end."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = imported_by("-c", "import vidbench; vidbench.__version__; dir(vidbench)")
    assert "vidbench" in loaded
    assert loaded & (HEAVY | FRAMEWORKS | {"numpy"}) == set()


def test_showing_the_options_loads_no_framework() -> None:
    loaded = imported_by("-m", "vidbench", "evaluate", "--help")
    assert "configargparse" in loaded
    assert loaded & (FRAMEWORKS | {"scipy", "matplotlib", "pandas"}) == set()


def test_model_families_load_no_framework() -> None:
    names = [f"vidbench.models.{family}" for family in model_families()]
    assert "vidbench.models.i3d" in names
    loaded = imported_by("-c", f"import {', '.join(names)}")
    assert loaded & FRAMEWORKS == set()


@pytest.mark.parametrize("name", vidbench.__all__)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(vidbench, name)
    assert name in dir(vidbench)
    if name.startswith("__") or not (isinstance(found, type) or callable(found)):
        return
    if isinstance(found, GenericAlias):  # Views, of NumPy's arrays
        return
    assert found.__name__ == name
    assert getattr(importlib.import_module(found.__module__), name) is found


@pytest.mark.parametrize("name", ["load_model", "load_dataset", "compute_accuracy"])
def test_a_function_can_be_imported_from_the_package(name: str) -> None:
    script = f"from vidbench import {name}; assert callable({name}), {name}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'evaluat'"):
        vidbench.evaluat  # noqa: B018


def test_the_version_is_the_projects() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    assert re.findall(r'^version = "(.+)"$', project, re.MULTILINE) == [vidbench.__version__]


def test_the_command_lists_its_commands(run_cli: RunCli, tmp_path: Path) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        done = run_cli(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "evaluate" in done.stdout
        assert "cache" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_options_are_listed_with_their_defaults(run_cli: RunCli) -> None:
    done = run_cli("evaluate", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--model_type", "--kinetics_root_url", "--overwrite_output_dir", "--top_n"):
        assert option in done.stdout


def test_the_list_of_commands_fits_a_terminal_and_the_version_is_told(run_cli: RunCli) -> None:
    listed = run_cli("--help").stdout
    assert max(map(len, listed.splitlines())) <= 80
    assert run_cli("--version").stdout == f"vidbench {vidbench.__version__}\n"
