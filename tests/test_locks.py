from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Thread

from vidbench.locks import locked

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
        each.join(60)
    assert (tmp_path / "counter").read_text() == "150"


def test_a_lock_ends_with_its_killed_holder(tmp_path: Path) -> None:
    inside = SPAWN.Event()
    holder = SPAWN.Process(target=hold, args=(tmp_path, inside))
    holder.start()
    assert inside.wait(60)
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
