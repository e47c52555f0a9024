from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.command import RunCli, run_here
from tests.helpers.http_server import serve, stalling
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.stopping import NUM_VIDEOS, OPTIONS, Contents, Run, contents, left_behind
from vidbench.errors import StoppedError
from vidbench.terminal.signals import (
    block_signals_in_children,
    finish_before_stopping,
    handle_stop_signals,
)

_PAIRS = zip(OPTIONS[::2], OPTIONS[1::2], strict=True)


def resume(root: Path, run_cli: RunCli, *options: str) -> Contents:
    done = run_cli("evaluate", *(options or OPTIONS))
    assert done.returncode == 0, done.stderr
    assert not left_behind(root)
    return contents(root)


def has(pattern: str, count: int = 1) -> Callable[[Path], bool]:
    return lambda root: sum(1 for _ in root.glob(pattern)) >= count


def imports_tensorflow(run: Run) -> Callable[[Path], bool]:
    maps = Path(f"/proc/{run.pid}/maps")
    return lambda _: "libtensorflow" in maps.read_text()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    root = tmp_path_factory.mktemp("whole")
    assert run_here(root, "evaluate", *OPTIONS).returncode == 0
    return contents(root)


DECODE = has("data/processed/*/*/*.h5")
BETWEEN_BATCHES = has("results/*/batches/*.npz", 2)
LATE = has("results/*/batches/*.npz", 7)


@pytest.mark.parametrize(
    ("stage", "number", "group"),
    [
        pytest.param(DECODE, signal.SIGINT, True, id="decode, SIGINT to all"),
        pytest.param(BETWEEN_BATCHES, signal.SIGTERM, False, id="between batches, SIGTERM"),
        *(
            pytest.param(*case, marks=pytest.mark.slow, id=name)
            for name, case in {
                "decode, SIGTERM to all": (DECODE, signal.SIGTERM, True),
                "between batches, SIGINT": (BETWEEN_BATCHES, signal.SIGINT, False),
                "between batches, SIGTERM to all": (BETWEEN_BATCHES, signal.SIGTERM, True),
                "between batches, SIGHUP to all": (BETWEEN_BATCHES, signal.SIGHUP, True),
                "late, SIGTERM": (LATE, signal.SIGTERM, False),
            }.items()
        ),
    ],
)
def test_a_signal_stops_with_one_line_and_the_run_goes_on(
    run_cli: RunCli,
    tmp_path: Path,
    uninterrupted: Contents,
    stage: Callable[[Path], bool],
    number: signal.Signals,
    group: bool,
) -> None:
    run = Run(tmp_path, *OPTIONS)
    run.wait_for(stage)
    run.send(number, group=group)
    exit_code, lines = run.end()
    assert exit_code == 128 + number
    assert len(lines) == 1, lines
    said = rf"vidbench: stopped by {number.name}: (\d+) of 40 videos are done; to go on: (.*)"
    found = re.fullmatch(said, lines[0])
    assert found, lines
    batches = list(tmp_path.glob("results/*/batches/*.npz"))
    assert int(found[1]) == 4 * len(batches) < NUM_VIDEOS  # each that was begun is finished
    assert shlex.split(found[2]) == run.command
    assert resume(tmp_path, run_cli) == uninterrupted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_signal_while_the_model_is_loaded(
    run_cli: RunCli, tmp_path: Path, uninterrupted: Contents
) -> None:
    run = Run(tmp_path, *OPTIONS)
    run.wait_for(imports_tensorflow(run))
    run.send(signal.SIGINT, group=True)
    exit_code, lines = run.end()
    assert (exit_code, len(lines)) == (130, 1)
    assert "0 of 40 videos are done" in lines[0]
    assert resume(tmp_path, run_cli) == uninterrupted


@pytest.mark.slow
def test_a_signal_while_the_run_is_scored(
    run_cli: RunCli, tmp_path: Path, uninterrupted: Contents
) -> None:
    run = Run(tmp_path, *OPTIONS)
    run.wait_for(has("results/*/scores.npz"))
    run.send(signal.SIGTERM, group=True)
    exit_code, lines = run.end()
    assert exit_code in (143, 0, -signal.SIGTERM)  # it may have been done already
    assert all("40 of 40 videos are done" in line for line in lines)
    assert resume(tmp_path, run_cli) == uninterrupted


@pytest.mark.parametrize(
    "group", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["group", "main"]
)
def test_a_signal_while_a_server_is_slow(
    run_cli: RunCli, tmp_path: Path, uninterrupted: Contents, group: bool
) -> None:
    with serve(SAMPLE) as server:
        server.faults.answers["/val/part_0.tar.gz"] = [stalling(70_000)]
        options = (*OPTIONS, "--kinetics_root_url", server.url)
        run = Run(tmp_path, *options)
        run.wait_for(has("data/raw/**/part_0.*.part"))
        run.send(signal.SIGINT, group=group)
        exit_code, lines = run.end()  # while the server waits still
        assert (exit_code, len(lines)) == (130, 1)
        assert "no video was predicted yet" in lines[0]
        assert resume(tmp_path, run_cli, *options) == uninterrupted


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, time\n"
        "from vidbench.terminal.signals import handle_stop_signals, finish_before_stopping\n"
        "with handle_stop_signals(lambda begun: 'again'), finish_before_stopping():\n"
        "    pathlib.Path('busy').touch()\n"
        "    time.sleep(600)\n"
    )
    run = Run(tmp_path, program=(sys.executable, str(program)))
    run.wait_for(has("busy"))
    run.send(signal.SIGINT, group=True)
    time.sleep(0.7)  # a person's two presses; what comes sooner may be an echo of the first
    run.send(signal.SIGINT, group=True)
    while not run.ends_within(10):  # a busy machine may deliver both at one time
        run.send(signal.SIGINT, group=True)
    exit_code, lines = run.end()
    assert exit_code == 130
    assert lines == ["vidbench: stopped by SIGINT: no video was predicted yet; to go on: again"]


@pytest.mark.slow
def test_the_same_signal_to_a_process_and_to_its_group_counts_once(
    run_cli: RunCli, tmp_path: Path, uninterrupted: Contents
) -> None:
    run = Run(tmp_path, *OPTIONS)
    run.wait_for(has("results/*/batches/*.npz", 3))
    run.send(signal.SIGTERM, group=False)  # as GNU timeout does
    run.send(signal.SIGTERM, group=True)
    exit_code, lines = run.end()
    assert (exit_code, len(lines)) == (143, 1)
    assert resume(tmp_path, run_cli) == uninterrupted


def test_the_line_names_what_was_typed_and_never_the_option_that_starts_again(
    tmp_path: Path,
) -> None:
    options = tmp_path / "my options.txt"
    options.write_text("\n".join(shlex.join(pair) for pair in _PAIRS))
    typed = (f"@{options}", "--overwrite_output_dir")
    program = (sys.executable, str(REPOSITORY / "scripts/evaluate.py"))
    run = Run(tmp_path, *typed, program=program)
    run.wait_for(has("results/*/batches/*.npz"))
    run.send(signal.SIGINT, group=True)
    exit_code, lines = run.end()
    assert exit_code == 130
    assert lines[-1].endswith(f"to go on: {shlex.join([*program, typed[0]])}")


@pytest.mark.slow
def test_a_signal_that_was_ignored_before_stays_ignored(tmp_path: Path) -> None:
    run = Run(tmp_path, *OPTIONS, program=("nohup", sys.executable, "-m", "vidbench", "evaluate"))
    run.wait_for(has("results/*/batches/*.npz"))
    run.send(signal.SIGHUP, group=True)
    assert run.end()[0] == 0


def test_other_commands_end_without_a_traceback(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        program = (sys.executable, "-m", "vidbench", "subset")
        options = ("--kinetics_root_url", url, "--per_class", "1", "--output", "subset.csv")
        run = Run(tmp_path, *options, program=program)
        connection, _ = silent.accept()  # it waits for an answer that never comes
        with connection:
            run.send(signal.SIGINT, group=True)
            exit_code, lines = run.end()
    assert exit_code == 130
    assert len(lines) == 1
    assert lines[0].startswith("vidbench: interrupted")


def test_nothing_is_handled_outside_and_all_is_restored() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with finish_before_stopping():
        assert signal.getsignal(signal.SIGINT) is before[0]
    reached = []

    def work() -> None:
        with handle_stop_signals(lambda begun: "again"):
            with finish_before_stopping():
                signal.raise_signal(signal.SIGTERM)
                reached.append("the end of what was in work")
            reached.append("what comes after")

    with pytest.raises(StoppedError, match=r"SIGTERM.*again") as error:
        work()
    assert error.value.exit_code == 143
    assert reached == ["the end of what was in work"]
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_a_thread_may_call_it_and_handles_no_signal() -> None:
    handlers = []

    def call() -> None:
        with handle_stop_signals(lambda begun: ""):
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


def test_children_are_born_deaf_to_the_terminal() -> None:
    show = "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    with block_signals_in_children():
        hidden = subprocess.run(
            [sys.executable, "-c", show], capture_output=True, text=True, check=True
        )
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert "SIGINT" in hidden.stdout
    assert "SIGHUP" in hidden.stdout
    assert signal.SIGINT not in blocked


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few kilobytes for the results."""
    folder = tmp_path / "results"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    try:
        permitted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        permitted = False
    if not permitted:
        pytest.skip("mounting a disk is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    run_cli: RunCli, tmp_path: Path, uninterrupted: Contents, small_disk: Path
) -> None:
    for size in ("4k", "100k"):  # at the first batch, and at the table of all
        resize(small_disk, size)
        done = run_cli("evaluate", *OPTIONS)
        assert done.returncode == 1, done.stderr
        *_, line = done.stderr.splitlines()
        assert line.startswith(f"vidbench: {Path('results') / 'saved_model'}")
        assert "No space left" in line
        assert "Traceback" not in done.stderr
        assert not left_behind(tmp_path)
    resize(small_disk, "10m")
    assert resume(tmp_path, run_cli) == uninterrupted
