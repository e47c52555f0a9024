"""Test the lowest and the highest versions that ``pyproject.toml`` allows, on every Python.

Started by ``./run versions``. Each supported Python that is installed here gets two environments
in ``build/versions``: one with the lowest versions of vidbench's direct dependencies that have a
wheel, one with the highest of all. Each runs the tests of decoding without extras, and then the
sample with the pinned TensorFlow. The exit code is 1 if something failed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).parents[1]
ENVIRONMENTS = REPOSITORY / "build" / "versions"
RESOLUTIONS = ("lowest-direct", "highest")
TESTS = (
    *("data/fetch/test_tar.py", "data/test_loader.py", "data/test_sections.py"),
    *("data/video/test_decode.py", "data/video/test_encode.py", "data/video/test_pixels.py"),
    *("data/video/test_timeline.py", "footage/test_windows.py"),
)
TEST_TOOLS = ("pytest", "pytest-timeout", "hypothesis", "imageio-ffmpeg")
SHOWN = ("av", "numpy", "h5py", "opencv-python-headless", "pandas", "scipy", "pillow", "protobuf")


class StepError(Exception):
    """A command failed; the message names the file with its output."""


class Trial(NamedTuple):
    """Results of one environment.

    Attributes:
        python: Full version of Python.
        resolution: ``lowest-direct`` or ``highest``.
        versions: Versions of the packages in ``SHOWN``.
        tests: Pytest's last line, or the file with the error.
        sample: The line with the sample's accuracy, or the file with the error.
    """

    python: str
    resolution: str
    versions: dict[str, str]
    tests: str
    sample: str

    @property
    def is_right(self) -> bool:
        """Whether nothing failed."""
        return "failed" not in self.tests + self.sample


def main() -> int:
    """Test all environments; return 0 if everything passed."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pythons = find_pythons(project["requires-python"])
    trials = []
    for version, path in pythons.items():
        for resolution in RESOLUTIONS:
            print(f"Python {version}, {resolution}: {path}", flush=True)
            trials.append(try_versions(version, path, resolution, project))
            print(f"  tests   {trials[-1].tests}\n  sample  {trials[-1].sample}", flush=True)
    print("\n" + format_trials(trials))
    for missing in not_tried(project["requires-python"], pythons):
        print(f"not tried, because it is not installed here: Python {missing}")
    return 0 if trials and all(trial.is_right for trial in trials) else 1


def find_pythons(requirement: str) -> dict[str, Path]:
    """Find an interpreter for each installed version that fits, including pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [str(path) for path in sorted(pyenv.glob("versions/*/bin"))]
    listed = subprocess.run(
        (
            *("uv", "python", "list", requirement, "--only-installed", "--all-versions"),
            *("--output-format", "json", "--no-python-downloads"),
        ),
        env=os.environ | {"PATH": os.pathsep.join([*folders, os.environ["PATH"]])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # warnings on each Python that is too old
        check=True,
    )
    pythons: dict[str, Path] = {}
    for entry in json.loads(listed.stdout):
        if entry["implementation"] == "cpython" and entry["path"]:
            pythons.setdefault(entry["version"], Path(entry["path"]))
    return dict(sorted(pythons.items(), key=lambda item: _numbers(item[0])))


def not_tried(requirement: str, pythons: Iterable[str]) -> list[str]:
    """Supported minor versions for which no interpreter was found."""
    first, last = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", requirement).groups()  # type: ignore[union-attr]
    tried = {_numbers(version)[1] for version in pythons}
    return [f"3.{minor}" for minor in range(int(first), int(last)) if minor not in tried]


def try_versions(version: str, python: Path, resolution: str, project: dict[str, Any]) -> Trial:
    """Install vidbench, run the tests, install TensorFlow, and evaluate the sample."""
    folder = ENVIRONMENTS / f"{version}-{resolution}"
    needed = project["dependencies"]
    extra = [name_of(line) for line in project["optional-dependencies"]["tensorflow"]]
    trial = Trial(version, resolution, {}, "", "")
    try:
        make_environment(folder, python)
        install(folder, resolution, [*needed, *pinned(TEST_TOOLS)])
        trial = trial._replace(versions=installed(folder), tests=run_tests(folder, resolution))
        install(folder, resolution, [*needed, *pinned(extra)])
        return trial._replace(sample=run_sample(folder))
    except StepError as error:
        return trial._replace(sample=str(error))


def make_environment(folder: Path, python: Path) -> None:
    """Make an environment with only vidbench."""
    run_logged(["uv", "venv", "--clear", "--python", python, folder], folder, "venv")
    command: list[str | Path] = ["uv", "pip", "install", "--python", folder]
    run_logged([*command, "--no-deps", "--editable", REPOSITORY], folder, "vidbench")


def install(folder: Path, resolution: str, requirements: Sequence[str]) -> None:
    """Install wheels only: no version is built from source."""
    run_logged(
        (
            *("uv", "pip", "install", "--python", folder, "--resolution", resolution),
            *("--only-binary", ":all:", *requirements),
        ),
        folder,
        "install",
    )


def run_tests(folder: Path, resolution: str) -> str:
    """Run the tests; return pytest's last line. Warnings are errors for the newest versions."""
    options = ["-o", "filterwarnings=default"] if resolution == "lowest-direct" else []
    command: list[str | Path] = [folder / "bin" / "python", "-m", "pytest", "-q", *options]
    files = [f"tests/{name}" for name in TESTS]
    try:
        return run_logged([*command, "-p", "no:cacheprovider", *files], folder, "tests")[-1]
    except StepError as error:
        return str(error)


def run_sample(folder: Path) -> str:
    """Evaluate the sample; return the line with the accuracy."""
    command: list[str | Path] = [folder / "bin" / "python", "-m", "vidbench", "evaluate"]
    options = [f"--{name}={folder}/{name}" for name in ("data_dir", "cache_dir", "results_dir")]
    lines = run_logged(
        [*command, "@scripts/config.txt", *options, "--overwrite_output_dir"], folder, "sample"
    )
    return next(line for line in lines if line.startswith("top-1"))


def run_logged(command: Sequence[str | Path], folder: Path, step: str) -> list[str]:
    """Run a command; return its output, which is also in a file beside the environment.

    Raises:
        StepError: The command failed.
    """
    log = folder.with_name(f"{folder.name}-{step}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        done = subprocess.run(
            command, cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    lines = log.read_text().splitlines()
    if done.returncode:
        print("\n".join(f"    {line}" for line in lines[-15:]))
        raise StepError(f"failed: {lines[-1] if lines else ''}, see {log.relative_to(REPOSITORY)}")
    return lines


def pinned(names: Iterable[str]) -> list[str]:
    """Pinned versions of these packages, from the requirements files."""
    lines = [
        line.partition("#")[0].strip()
        for file in ("requirements.txt", "requirements-dev.txt")
        for line in (REPOSITORY / file).read_text().splitlines()
    ]
    pins = {name_of(line): line for line in lines if line}
    return [pins[name_of(name)] for name in names]


def name_of(requirement: str) -> str:
    """Package name in the normalised form of registries."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def installed(folder: Path) -> dict[str, str]:
    """Installed versions of the packages in ``SHOWN``."""
    listed = subprocess.run(
        ["uv", "pip", "list", "--python", folder, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    versions = {entry["name"]: entry["version"] for entry in json.loads(listed.stdout)}
    return {name: versions[name] for name in SHOWN}


def format_trials(trials: Sequence[Trial]) -> str:
    """Table with one line per environment."""
    header = ["python", "versions", *SHOWN, "tests", "sample"]
    rows = [
        [t.python, t.resolution, *(t.versions.get(n, "") for n in SHOWN), t.tests, t.sample]
        for t in trials
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


if __name__ == "__main__":
    sys.exit(main())
