"""SIGKILL at any moment of a run that fetches, decodes and predicts: nothing is lost."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Protocol

import pytest

from tests.helpers.http_server import FileServer, dripping, serve
from tests.helpers.paths import SAMPLE
from tests.helpers.stopping import OPTIONS, Run, contents, left_behind

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

KILLS = 50
SEED = 20_260_101


class Faults(Protocol):
    def note(self, kind: str, tried: int, survived: int, lost: int) -> None: ...


def begin(root: Path, server: FileServer) -> Run:
    """A run whose tarballs come slowly enough to be killed meanwhile."""
    for part in range(2):
        server.faults.answers[f"/val/part_{part}.tar.gz"] = [dripping(10_000, 0.03)]
    return Run(root, *OPTIONS, "--kinetics_root_url", server.url)


def kill(root: Path, server: FileServer, seconds: float) -> bool:
    """Whether the run was killed so many seconds after its start, before it was done."""
    run = begin(root, server)
    time.sleep(seconds)
    run.send(signal.SIGKILL, group=False)
    exit_code, _ = run.end()
    return exit_code == -signal.SIGKILL


def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(
    tmp_path: Path, faults: Faults
) -> None:
    rng = random.Random(SEED)  # noqa: S311 - chooses moments
    tried, lost, kills = 0, [], 0
    with serve(SAMPLE) as server:
        (tmp_path / "whole").mkdir()
        started = time.monotonic()
        assert begin(tmp_path / "whole", server).end() == (0, [])
        duration = time.monotonic() - started
        expected = contents(tmp_path / "whole")
        while kills < KILLS:
            tried += 1
            root = tmp_path / str(tried)
            root.mkdir()
            moments = [rng.uniform(0, duration) for _ in range(rng.choice((1, 1, 2, 3)))]
            killed = [kill(root, server, moment) for moment in moments]
            kills += sum(killed)
            if not killed[0]:
                duration = moments[0]  # a whole run takes less
            exit_code, lines = begin(root, server).end()
            if exit_code != 0 or contents(root) != expected or left_behind(root):
                lost.append((moments, killed, exit_code, "\n".join(lines), left_behind(root)))
    faults.note("SIGKILL", kills, kills - len(lost), len(lost))
    assert not lost, "\n".join(map(str, lost))
