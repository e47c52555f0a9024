"""Standard streams that are closed, full, without a reader, or without the letters of a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.patience import PATIENCE_SECONDS

COMMAND = f"{sys.executable} -m vidbench"
NO_TRACEBACK = ("Traceback", "Exception ignored", "BrokenPipe")


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    found = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    for word in NO_TRACEBACK:
        assert word not in (found.stdout + found.stderr).decode(errors="replace")
    return found


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder of two files that are no videos, one of which not every encoding can name."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a.mp4", "klär 日本.mp4"):
        (folder / name).write_bytes(b"no video")
    return folder


def with_reader_gone(arguments: str, folder: Path) -> tuple[int, str]:
    """Exit code and standard error of a command whose reader is gone from the start."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = subprocess.run(
            [sys.executable, "-m", "vidbench", *arguments.split()],
            cwd=folder,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    finally:
        os.close(writer)
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "models",
        "check videos --num_workers 1",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("--help", "datasets --json", "evaluate --help")
        ),
    ],
)
def test_a_command_whose_reader_is_gone_ends_quietly(
    arguments: str, videos: Path, tmp_path: Path
) -> None:
    code, said = with_reader_gone(arguments, tmp_path)
    assert code == 141
    assert not any(word in said for word in NO_TRACEBACK)


def test_a_lost_standard_error_does_not_stop_a_command(videos: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = subprocess.run(
            [sys.executable, "-m", "vidbench", "check", "videos"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=writer,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    finally:
        os.close(writer)
    assert found.returncode == 1
    assert b"2 videos: 0 ok, 2 broken, 0 truncated" in found.stdout


@pytest.mark.parametrize(
    "closed",
    [
        ">&-",
        "<&- >&- 2>&-",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("2>&-", ">&- 2>&-")),
    ],
)
def test_closed_streams_change_nothing_but_what_is_said(
    closed: str, videos: Path, tmp_path: Path
) -> None:
    found = shell(f"{COMMAND} check videos --csv found.csv {closed}", tmp_path)
    assert found.returncode == 1
    rows = (tmp_path / "found.csv").read_text("utf-8").splitlines()
    assert len(rows) == 3
    assert rows[0] == "path,status,reason,note"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    found = shell(f"{COMMAND} models > /dev/full", tmp_path)
    assert found.returncode == 1
    assert found.stderr.decode() == "vidbench: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, rb"kl\xe4r \u65e5\u672c.mp4"),
        ({"PYTHONIOENCODING": "latin-1"}, b"kl\xe4r \\u65e5\\u672c.mp4"),
        ({"PYTHONIOENCODING": "utf-8"}, "klär 日本.mp4".encode()),
        (
            {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            rb"kl\udcc3\udca4r \udce6\udc97\udca5\udce6\udc9c\udcac.mp4",
        ),
    ],
)
def test_letters_that_a_terminal_lacks_are_escaped(
    environment: dict[str, str], shown: bytes, videos: Path, tmp_path: Path
) -> None:
    found = shell(f"{COMMAND} check videos", tmp_path, **environment)
    assert found.returncode == 1
    assert shown in found.stdout
