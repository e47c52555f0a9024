from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Thread

import pytest

from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.storage.locks import locked

SPAWN = multiprocessing.get_context("spawn")


def count_up(folder: Path, times: int) -> None:
    """Reads, waits a little and writes back: two at once would lose counts."""
    counter = folder / "counter"
    for _ in range(times):
        with locked(folder / ".locks", "counter"):
            found = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(found + 1))


def hold(folder: Path, inside: Event) -> None:
    with locked(folder, "a"):
        inside.set()
        time.sleep(600)


def test_processes_and_threads_are_inside_one_after_another(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    workers: list[Thread | BaseProcess] = []
    workers += [SPAWN.Process(target=count_up, args=(tmp_path, 30)) for _ in range(2)]
    workers += [Thread(target=count_up, args=(tmp_path, 30)) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(PATIENCE_SECONDS)
    assert (tmp_path / "counter").read_text() == "150"


def test_a_lock_ends_with_its_killed_holder(tmp_path: Path) -> None:
    inside = SPAWN.Event()
    holder = SPAWN.Process(target=hold, args=(tmp_path, inside))
    holder.start()
    assert inside.wait(PATIENCE_SECONDS)
    holder.kill()
    holder.join()
    assert holder.exitcode == -signal.SIGKILL
    with locked(tmp_path, "a"):
        pass


def test_lock_files_do_not_grow_in_number(tmp_path: Path) -> None:
    for name in range(2000):
        with locked(tmp_path, str(name)):
            pass
    files = list(tmp_path.iterdir())
    assert len(files) <= 256
    assert all(path.stat().st_size == 0 for path in files)


def without_locks(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Python with these arguments where no file can be locked; skips where that is not possible."""
    found = subprocess.run(
        [sys.executable, REPOSITORY / "tests" / "helpers" / "no_locks.py", *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if found.returncode == 77:
        pytest.skip("there are no filters of system calls here")
    return found


def test_threads_are_inside_one_after_another_where_files_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    script = tmp_path / "script.py"
    script.write_text(
        f"from pathlib import Path\nfrom threading import Thread\nfrom {__name__} import count_up\n"
        "threads = [Thread(target=count_up, args=(Path(), 30)) for _ in range(3)]\n"
        "for each in threads: each.start()\nfor each in threads: each.join()\n"
    )
    found = without_locks(tmp_path, script)
    assert (tmp_path / "counter").read_text() == "90"
    assert found.returncode == 0
    assert found.stderr.count("file system without locks (No locks available)") == 1


def test_a_run_on_a_file_system_without_locks_is_right_and_warns(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    options = (
        *("--model_type", "saved_model", "--model_path", SAMPLE / "model"),
        *("--dataset", "sample", "--num_frames", 16, "--num_videos", 4, "--no_report"),
    )
    found = without_locks(tmp_path, "-m", "vidbench", "evaluate", *options)
    assert found.returncode == 0
    assert "4 evaluated of 4 requested" in found.stdout
    (warning,) = [line for line in found.stderr.splitlines() if "locks" in line]
    assert "--data_dir and --cache_dir" in warning
