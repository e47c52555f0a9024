"""Shared by all tests: footage, a mirror of Kinetics, a server, models, and the real command."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.command import RunCli, run_apart, run_here
from tests.helpers.evaluating import sample_config
from tests.helpers.http_server import FileServer, serve
from tests.helpers.mirror import build_mirror
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.sample_videos import read_sample
from vidbench.evaluate import Evaluation, evaluate
from vidbench.storage.locks import locked

DOCS = REPOSITORY / "tests" / "docs"

# Tests run side by side: threads of OpenMP that wait by spinning keep others from the cores, and
# tests with PyTorch then take five times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("busy", deadline=None)  # a test may take longer on a busy machine
settings.load_profile("busy")


@pytest.hookimpl(tryfirst=True)  # before -m looks at marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what depends on footage or on pages, and puts the files that take longest first.

    Files with clusters take minutes each; then come those with most tests. Processes take files
    in this order (``--no-loadscope-reorder``), and end at about one time.
    """
    for item in items:
        if "footage" in getattr(item, "fixturenames", ()):
            item.add_marker("footage")
        if item.path.is_relative_to(DOCS):
            item.add_marker("docs")
    tests = Counter(item.path for item in items)

    def order(item: pytest.Item) -> tuple[bool, int, str]:
        has_cluster = item.path.name.startswith(("test_cluster", "test_ray"))
        return not has_cluster, -tests[item.path], item.path.name

    items.sort(key=order)


def folder_of_session(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a command sets up when it is run in this process does not outlive its test."""
    loggers = logging.getLogger(), logging.getLogger("vidbench")
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def footage() -> Path | None:
    """Folder of real footage, or None: ``VIDBENCH_FOOTAGE``, or ``../shared`` of the checkout."""
    path = Path(os.environ.get("VIDBENCH_FOOTAGE", REPOSITORY.parent / "shared"))
    return path if (path / "clips").is_dir() else None


@pytest.fixture(scope="session")
def real_clips(footage: Path | None) -> Path:
    """Folder of real clips with their ``manifest.csv``; skips where there is none."""
    if footage is None:
        pytest.skip("no real footage: set VIDBENCH_FOOTAGE")
    return footage / "clips"


@pytest.fixture(scope="session")
def awkward(footage: Path | None) -> Path:
    """Folder of real files that break loaders; skips where there is none."""
    if footage is None:
        pytest.skip("no real footage: set VIDBENCH_FOOTAGE")
    return footage / "awkward"


@pytest.fixture(scope="session")
def mirror(footage: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a Kinetics-400 mirror: 30 listed, one truncated, one missing, one file unlisted."""
    if footage is not None:
        return footage / "mirror" / "kinetics"
    return build_mirror(SAMPLE, tmp_path_factory.mktemp("mirror"))


@pytest.fixture
def mirror_server(mirror: Path) -> Iterator[FileServer]:
    """The mirror behind a real HTTP server."""
    with serve(mirror) as server:
        yield server


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[FileServer]:
    """A server of an empty folder, for the test to fill."""
    root = tmp_path / "served"
    root.mkdir()
    with serve(root) as server:
        yield server


@pytest.fixture(scope="session")
def i3d_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The I3D network with random weights as a SavedModel."""
    from benchmarks.i3d import save_tf2

    folder = folder_of_session(tmp_path_factory)
    with locked(folder / "locks", "i3d"):
        path = folder / "i3d"
        return path if path.exists() else save_tf2(folder / "i3d.part").rename(path)


@pytest.fixture(scope="session")
def kept_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the sample's videos and clips, for runs that test neither fetching nor decoding.

    All processes of one session fill and read the same ones, as several runs may.
    """
    root = folder_of_session(tmp_path_factory) / "kept"
    return {"data_dir": root / "raw", "cache_dir": root / "processed"}


@pytest.fixture(scope="session")
def finished_run(
    kept_clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    """A finished run of twelve videos of the sample, which no test may change."""
    return evaluate(sample_config(tmp_path_factory.mktemp("finished"), **kept_clips))


@pytest.fixture(scope="session")
def sample_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video of the embedded sample."""
    name, content = min(read_sample().items())
    path = tmp_path_factory.mktemp("clip") / name
    path.write_bytes(content)
    return path


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Runs the command in this process, in an empty folder, which holds all that it writes."""
    return partial(run_here, tmp_path)


@pytest.fixture
def run_process(tmp_path: Path) -> RunCli:
    """Runs the real command in a process of its own, in the same empty folder."""
    return partial(run_apart, tmp_path)
