"""The whole command against the plain way, each started anew, and its speed with a light model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree

from benchmarks.growth import evaluate_sample
from benchmarks.mirror import build_mirror, build_sample_mirror
from benchmarks.programs import Finished, Watch, evaluate, memory, run_module
from benchmarks.rows import Row, interleaved
from benchmarks.workspace import BATCH_SIZE, Workspace
from vidbench.system.machine import available_cores

_COUNT = 16
_BOUNDS = {
    ("cold", "fp32"): ">= 1.8",
    ("cold", "bf16"): ">= 3.0",
    ("warm", "fp32"): ">= 1.2",
    ("warm", "bf16"): ">= 2.4",
}
_LIGHT_COUNTS = (112, 1008)
_LIGHT_GOAL = 150
_LIGHT_CORES = 4


def rows(workspace: Workspace) -> Iterator[Row]:
    """Seconds, memory, and videos per second with a light model."""
    pair = _Pair(workspace)
    for state in ("cold", "warm"):
        yield from _seconds(workspace, pair, state)
    print(f"the plain way, last run: {pair.plain_stages}", flush=True)
    yield from _memory(workspace, pair)
    yield _light(workspace)


class _Pair:
    """The plain way and vidbench, on the same videos with the same model."""

    def __init__(self, workspace: Workspace) -> None:
        self._home = workspace.temporary / "pair"
        paths = workspace.clips(_COUNT).paths
        self.count = len(paths)
        self._clips = self._home / "clips"
        self._clips.mkdir(parents=True)
        for path in paths:
            (self._clips / path.name).symlink_to(path)
        self._mirror = build_mirror(paths, self._home / "mirror")
        self._model = workspace.i3d()
        self.plain_stages = ""

    def plain(
        self, state: str, *, batch_size: int = BATCH_SIZE, watch: Watch | None = None
    ) -> Finished:
        """The plain way; ``cold`` without its pickles."""
        pickles = self._home / "pickles"
        if state == "cold":
            rmtree(pickles, ignore_errors=True)
        arguments = ("--clips", self._clips, "--cache", pickles, "--model", self._model)
        finished = run_module(
            "benchmarks.plain", *arguments, "--batch_size", batch_size, watch=watch
        )
        self.plain_stages = finished.output.splitlines()[-1]
        return finished

    def ours(
        self,
        precision: str,
        state: str,
        *,
        batch_size: int = BATCH_SIZE,
        watch: Watch | None = None,
    ) -> Finished:
        """vidbench; ``cold`` without anything."""
        return evaluate(
            self._home / precision,
            self.count,
            "--dataset=kinetics",
            f"--kinetics_root_url={self._mirror}",
            f"--model_path={self._model}",
            f"--batch_size={batch_size}",
            f"--precision={precision}",
            keep=state == "warm",
            watch=watch,
        )


def _seconds(workspace: Workspace, pair: _Pair, state: str) -> Iterator[Row]:
    cases = {
        "plain": lambda: pair.plain(state).seconds,
        "fp32": lambda: pair.ours("fp32", state).seconds,
        "bf16": lambda: pair.ours("bf16", state).seconds,
    }
    seconds = interleaved(cases, workspace.rounds)
    measure = f"the plain way's seconds for {pair.count} videos, start to exit, over ours in"
    for precision in ("fp32", "bf16"):
        counts = precision == "fp32" or workspace.has_amx
        goal = workspace.goal(_BOUNDS[state, precision], when=counts)
        against = seconds[precision]
        yield Row("end_to_end", state, f"{measure} {precision}", seconds["plain"], against, goal)


def _memory(workspace: Workspace, pair: _Pair) -> Iterator[Row]:
    """Once each: a peak hardly varies."""
    for batch_size, bound in ((BATCH_SIZE, "<= 0.5"), (2 * BATCH_SIZE, "")):
        ours = pair.ours("fp32", "cold", batch_size=batch_size, watch=memory).peaks["bytes"]
        plain = pair.plain("cold", batch_size=batch_size, watch=memory).peaks["bytes"]
        measure = f"peak MB of all processes, fp32, batch {batch_size}, against the plain way's"
        goal = workspace.goal(bound)
        yield Row("end_to_end", "memory", measure, ours / 1e6, plain / 1e6, goal)


def _light(workspace: Workspace) -> Row:
    """The difference of two runs of different length, so that what both begin with cancels."""
    counts = (8, 24) if workspace.smoke else _LIGHT_COUNTS
    homes = {count: workspace.temporary / f"light_{count}" for count in counts}
    for count, home in homes.items():
        build_sample_mirror(home / "mirror", count)
        evaluate_sample(home, count, keep=False)
    cases = {str(count): partial(_warm_seconds, home, count) for count, home in homes.items()}
    seconds = interleaved(cases, workspace.rounds)
    few, many = counts
    rate = (many - few) / (seconds[str(many)] - seconds[str(few)])
    measure = f"videos per second, the sample's model, 16 frames, {many} cached, start-up excluded"
    goal = workspace.goal(">= 1", when=available_cores() >= _LIGHT_CORES)
    return Row("end_to_end", "light", measure, rate, _LIGHT_GOAL, goal)


def _warm_seconds(home: Path, count: int) -> float:
    return evaluate_sample(home, count, keep=True).seconds
