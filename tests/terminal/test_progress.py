from __future__ import annotations

import fcntl
import io
import itertools
import json
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.terminal.logs import log_handler
from vidbench.terminal.progress import Tally, format_bytes, pause_after, progress

OPTIONS = (
    *("--model_type", "saved_model", "--model_path", str(SAMPLE / "model")),
    *("--dataset", "sample", "--num_frames", "16", "--num_workers", "2"),
)
EVALUATE = (sys.executable, "-m", "vidbench", "evaluate", *OPTIONS)
DATED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?[+-]\d\d:\d\d \S")
TENSORFLOW = re.compile(r"^[IWEF]\d{4} |absl::|oneDNN", re.MULTILINE)


class Clock:
    """Seconds that go on when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Gives what was logged so far."""
    with caplog.at_level(logging.INFO, "vidbench"):
        yield lambda: [record.getMessage() for record in caplog.records]


# Words ------------------------------------------------------------------------------------------


def test_a_state_tells_rate_and_time_left() -> None:
    clock = Clock()
    tally = Tally(112, "videos", clock)
    assert tally.state() == "0 of 112 videos (0 %)"
    clock.now += 4
    tally.done = 48
    assert tally.state() == "48 of 112 videos (42 %), 12.0 videos/s, 0:05 left"
    clock.now += 8
    tally.done = 112
    assert tally.result() == "112 videos in 12.0 s, 9.3 videos/s"


def test_a_state_of_unknown_length_has_no_time_left() -> None:
    clock = Clock()
    tally = Tally(None, "B", clock)
    clock.now += 7200
    tally.done = 36_000_000_000
    assert tally.state() == "36.0 GB, 5.00 MB/s"
    assert tally.result() == "36.0 GB in 2:00:00, 5.00 MB/s"


def test_the_time_left_forgets_how_fast_it_went_in_the_beginning() -> None:
    """10,000 cached clips in an instant say nothing about the other 10,000."""
    clock = Clock()
    tally = Tally(20_000, "videos", clock)
    tally.done = 10_000
    for _ in range(6):
        clock.now += 100
        tally.done += 100
        state = tally.state()
    assert state == "10600 of 20000 videos (53 %), 1.0 videos/s, 2:36:40 left"


@given(st.integers(1, 10**6), st.floats(0.01, 1e6), st.data())
def test_only_what_is_done_is_at_100_percent(
    total: int, seconds: float, data: st.DataObject
) -> None:
    clock = Clock()
    tally = Tally(total, "videos", clock)
    tally.done = data.draw(st.integers(0, total))
    clock.now += seconds
    (percent,) = re.findall(r"\((\d+) %\)", tally.state())
    assert (int(percent) == 100) == (tally.done == total)


@given(st.integers(0, 10**17))
def test_bytes_are_told_with_three_digits(number: int) -> None:
    digits, unit = format_bytes(number).split(" ")
    scale = 1000 ** ("B", "kB", "MB", "GB", "TB", "PB").index(unit)
    assert abs(float(digits) * scale - number) <= 0.005 * number
    assert len(digits.replace(".", "")) <= 3


# Lines ------------------------------------------------------------------------------------------


def test_a_short_stage_is_one_line(lines: Callable[[], list[str]]) -> None:
    clock = Clock()
    with progress("copy", 3, clock=clock) as advance:
        for _ in range(3):
            clock.now += 0.1
            advance(1)
    assert lines() == ["copy: 3 videos in 0.3 s, 10.0 videos/s"]


def test_nothing_to_do_is_no_line(lines: Callable[[], list[str]]) -> None:
    with progress("copy", 0):
        pass
    assert lines() == []


def test_a_stage_that_fails_does_not_say_that_it_is_done(lines: Callable[[], list[str]]) -> None:
    def fail(advance: Callable[[int], None]) -> None:
        advance(1)
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"), progress("copy", 2) as advance:
        fail(advance)
    assert lines() == []


def test_a_stage_that_is_slow_to_begin_is_announced() -> None:
    said = threading.Event()
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())
            said.set()

    logger, listener = logging.getLogger("vidbench.terminal.progress"), Listener(logging.INFO)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        with progress("predict", 5) as advance:
            assert said.wait(PATIENCE_SECONDS)
            advance(5)
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
    assert found[0] == "predict: 0 of 5 videos (0 %)"
    assert len(found) == 2


def test_a_long_run_leaves_a_log_that_can_be_read(lines: Callable[[], list[str]]) -> None:
    clock, times, hours = Clock(), [0.0], 14
    step, total = 5, hours * 3600 // 5
    with progress("predict", total, clock=clock) as advance:
        for _ in range(total):
            clock.now += step
            before = len(lines())
            advance(1)
            if len(lines()) > before:
                times.append(clock.now - 1000)
    assert 50 < len(lines()) < 200
    pauses = [late - early for early, late in itertools.pairwise(times)]
    assert all(30 <= pause <= 600 + step for pause in pauses)
    assert all(" videos/s, " in line and line.endswith(" left") for line in lines()[:-1])
    assert lines()[-1] == "predict: 10080 videos in 14:00:00, 0.20 videos/s"


@given(st.floats(0, 1e7))
def test_pauses_grow_within_limits(seconds: float) -> None:
    assert 30 <= pause_after(seconds) <= pause_after(seconds + 100) <= 600


def test_bytes_may_be_taken_back_by_any_thread(lines: Callable[[], list[str]]) -> None:
    with progress("fetch", 4000, "B") as advance:
        threads = [
            threading.Thread(target=lambda: [advance(n) for n in [3, -2] * 500]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert lines()[-1].startswith("fetch: 4.00 kB in ")


# The log ----------------------------------------------------------------------------------------


def logged(name: str, level: int, *, verbose: bool) -> str:
    stream = io.StringIO()
    logger = logging.Logger(name)
    logger.addHandler(log_handler(stream, verbose=verbose))
    logger.log(level, "something")
    return stream.getvalue()


def test_a_line_has_a_time_and_where_all_is_said_its_origin() -> None:
    for verbose, rest in ((False, "something"), (True, "WARNING vidbench.x: something")):
        line = logged("vidbench.x", logging.WARNING, verbose=verbose)
        day, time, found = line.rstrip("\n").split(" ", 2)
        assert datetime.fromisoformat(f"{day} {time}").tzinfo is not None
        assert found == rest


@pytest.mark.parametrize("name", ["tensorflow", "absl", "h5py._conv", "matplotlib.font_manager"])
def test_others_are_heard_where_they_fail_or_all_is_said(name: str) -> None:
    assert logged(name, logging.WARNING, verbose=False) == ""
    assert logged(name, logging.ERROR, verbose=False)
    assert logged(name, logging.WARNING, verbose=True)


def test_a_users_own_model_is_heard() -> None:
    assert logged("mypackage.mymodel", logging.WARNING, verbose=False)


# Terminals --------------------------------------------------------------------------------------


def in_terminal(
    command: tuple[str, ...], cwd: Path, columns: int = 100, interrupt_at: str = "", **env: str
) -> tuple[int, str]:
    """Exit code and all that a program sent to a real pseudo-terminal, its only stream.

    Args:
        interrupt_at: Once what this pattern matches was sent, Ctrl-C is typed.
    """
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "TERM": "xterm", **env},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(inside)
    sent, waiting = b"", interrupt_at.encode()
    with process, os.fdopen(terminal, "r+b", buffering=0) as stream:
        while piece := _read(stream):
            sent += piece
            if waiting and re.search(waiting, sent):
                stream.write(b"\x03")
                waiting = b""
    return process.returncode, sent.decode().replace("\r\n", "\n")


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell's background jobs ignore


def _read(stream: io.RawIOBase) -> bytes:
    try:
        return stream.read(1 << 16) or b""
    except OSError:  # so Linux says that nobody is left on the other side
        return b""


def screen(sent: str) -> list[str]:
    """The lines that stay visible on a terminal wide enough, without blanks at their ends."""
    lines = []
    for line in sent.rstrip("\n").split("\n"):
        shown = ""
        for text in line.split("\r"):
            shown = text + shown[len(text) :]
        lines.append(shown.rstrip())
    return lines


def script(tmp_path: Path, code: str) -> tuple[str, ...]:
    path = tmp_path / "script.py"
    path.write_text(
        "import sys, logging\n"
        "from vidbench.terminal.output import visible_output\n"
        "from vidbench.terminal.logs import set_up_logging\n"
        "from vidbench.terminal.progress import above_bar, progress\n"
        "with visible_output():\n"
        "    set_up_logging()\n"
        "    log = logging.getLogger('vidbench').warning\n" + textwrap.indent(code, "    "),
        "utf-8",
    )
    return (sys.executable, str(path))


NESTED = """
with progress("outer", 4) as advance:
    advance(2)
    log("in between")
    with progress("inner", 3) as inner:
        inner(3)
    with above_bar(sys.stdout):
        print("printed", flush=True)
    advance(2)
with progress("next", 7, "B") as advance:
    advance(7)
log("the end")
"""


def test_a_terminal_shows_one_bar_a_stage_and_lines_above_it(tmp_path: Path) -> None:
    code, sent = in_terminal(script(tmp_path, NESTED), tmp_path)
    assert code == 0
    log, inner, printed, outer, following, end = screen(sent)
    assert log == "in between"
    assert re.fullmatch(r"inner: 3 videos in \d\.\d s, [\d.]+ videos/s", inner)
    assert printed == "printed"
    assert re.fullmatch(r"outer: 100%\|█+\| 4/4 \[00:0\d<00:00, .+ videos/s\]", outer)
    assert re.fullmatch(r"next: 100%\|█+\| 7.00/7.00 \[00:0\d<00:00, .+B/s\]", following)
    assert end == "the end"
    assert "\x1b" not in sent  # no colours, and the cursor goes nowhere
    assert "u000d" not in sent


def test_a_stage_that_fails_leaves_its_bar_behind(tmp_path: Path) -> None:
    failing = 'with progress("copy", 4) as advance:\n    advance(1)\n    sys.exit("vidbench: no")\n'
    code, sent = in_terminal(script(tmp_path, failing), tmp_path)
    bar, error = screen(sent)
    assert (code, error) == (1, "vidbench: no")
    assert re.match(r"copy:  25%\|.*\| 1/4 \[", bar)


@pytest.mark.parametrize("columns", [12, 30, 60, 200])
def test_a_bar_leaves_room_for_what_is_typed(tmp_path: Path, columns: int) -> None:
    code, sent = in_terminal(
        script(tmp_path, 'with progress("predict", 9) as advance:\n    advance(9)\n'),
        tmp_path,
        columns,
    )
    assert code == 0
    assert sent.count("\n") == 1
    assert all(len(text) <= columns - 2 for text in re.split(r"[\r\n]", sent))


def test_a_terminal_without_a_cursor_gets_lines(tmp_path: Path) -> None:
    code, sent = in_terminal(script(tmp_path, NESTED), tmp_path, TERM="dumb")
    assert code == 0
    assert "\r" not in sent
    stages = [line for line in sent.splitlines() if line != "printed"]
    assert len(stages) == 5
    assert all(map(DATED.match, stages))


# Real runs --------------------------------------------------------------------------------------


def test_a_run_in_a_pipe_leaves_dated_lines(run_cli: RunCli) -> None:
    done = run_cli("evaluate", *OPTIONS, "--num_videos", 16, "--json")
    assert json.loads(done.stdout)["evaluated"] == 16
    lines = done.stderr.splitlines()
    assert all(map(DATED.match, lines)), lines
    fetch, begin, predict = (line.split(" ", 2)[2] for line in lines if "%" not in line)
    assert re.fullmatch(r"fetch \d tarballs?: [\d.]+ kB in .+ s, .+B/s", fetch)
    assert begin.endswith("16 of 16 videos to predict")
    assert re.fullmatch(r"predict: 16 videos in [\d.]+ s, [\d.]+ videos/s", predict)
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_verbose_run_says_the_rest(
    run_process: RunCli, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    arguments = ("evaluate", *OPTIONS, "--num_videos", 4, "--verbose_logging")
    done = run_process(*arguments, "--json")
    assert json.loads(done.stdout)["evaluated"] == 4
    assert TENSORFLOW.search(done.stderr)
    ours = [line for line in done.stderr.splitlines() if DATED.match(line)]
    for level, name, message in (
        ("INFO", "vidbench.terminal.progress", r"predict: 4 videos in .*"),
        ("DEBUG", "vidbench.data.loader", r"4 videos, at most 1 decoding processes"),
        ("DEBUG", "vidbench.data.clips.source", r".+\.mp4 decoded in \d\.\d+ s"),
        ("DEBUG", "vidbench.models._tensorflow.frozen", r"making a graph of .*"),
        ("DEBUG", "vidbench.cli.commands.evaluate", r"load_model took .* s"),
    ):
        assert any(re.fullmatch(rf"\S+ \S+ {level} {name}: {message}", line) for line in ours)
    again = run_cli(*arguments, "--overwrite_output_dir")
    assert len(set(re.findall(r"\S+\.mp4 is cached$", again.stderr, re.MULTILINE))) == 4
    assert "taking the graph kept as" in again.stderr


def test_a_run_in_a_terminal_shows_bars_and_nothing_of_others(tmp_path: Path) -> None:
    code, sent = in_terminal((*EVALUATE, "--num_videos", "16"), tmp_path)
    assert code == 0
    assert not TENSORFLOW.search(sent)
    assert not re.search(DATED, sent)
    fetch, begin, predict, results, *_ = screen(sent)
    assert re.match(r"fetch \d tarballs?: 100%\|█+\| ", fetch)
    assert begin.endswith("16 of 16 videos to predict")
    assert re.fullmatch(r"predict: 100%\|█+\| 16/16 \[.+<00:00, +[\d.]+ videos/s\]", predict)
    assert results.startswith("results ")


def test_ctrl_c_ends_the_bar_and_says_how_to_go_on_below_it(tmp_path: Path) -> None:
    moving = r"[1-9]\d*/112 \["  # a bar that is just being made has no line of its own yet
    code, sent = in_terminal(
        (*EVALUATE, "--batch_size", "1"), tmp_path, columns=90, interrupt_at=moving
    )
    assert code == 130
    *_, bar, told = screen(sent)
    assert re.match(r"predict: +\d+%\|.*/112 \[.*\]", bar)
    assert re.match(r"vidbench: stopped by SIGINT: \d+ of 112 videos are done; to go on: ", told)


@pytest.mark.slow
def test_ctrl_c_without_a_bar_leaves_the_line_alone(tmp_path: Path) -> None:
    code, sent = in_terminal(EVALUATE, tmp_path, interrupt_at="videos to predict")
    assert code == 130
    assert screen(sent)[-1].startswith("vidbench: stopped by SIGINT: ")


def test_check_says_at_once_what_is_not_whole(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in "abc":
        (videos / f"{name}.mp4").write_text("no video")
    command = (sys.executable, "-m", "vidbench", "check", "videos")
    code, sent = in_terminal(command, tmp_path, PYTHONPATH=str(REPOSITORY))
    assert code == 1
    *found, bar, summary, _ = screen(sent)
    assert [line.split()[1] for line in found] == [f"videos/{name}.mp4:" for name in "abc"]
    assert re.match(r"check: 100%\|█+\| 3/3 \[", bar)
    assert summary.startswith("3 videos: 0 ok")
