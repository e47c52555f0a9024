"""How far the simulation is from runs that were measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, pstdev
from typing import Any

from benchmarks.simulate import Cluster, Cost, Job, Outcome, simulate


def check(path: Path) -> Iterator[str]:
    """Each measured case against what the simulation makes of one worker's figures.

    Of the others' measurements it takes only how much slower as many processes without Ray were,
    each, than one alone, which is the machine's part.
    """
    measured = json.loads(path.read_text("utf-8"))
    yield "| case | workers | measured s | simulated s | deviation | whole: measured | simulated |"
    yield "|---|---|---|---|---|---|---|"
    for state in ("warm", "cold"):
        if f"{state} 1" not in measured:
            continue
        one = measured[f"{state} 1"]
        for name in (name for name in measured if name.startswith(state)):
            workers = int(name.split()[1])
            slower = workers * _rate(measured["alone 1"]) / _rate(measured[f"alone {workers}"])
            found = _simulated(one, workers, slower)
            work, whole = (median(f(run) for run in measured[name]) for f in (_work, _whole))
            yield (
                f"| {state} | {workers} | {work:.1f} | {found.work_seconds:.1f} | "
                f"{found.work_seconds / work - 1:+.1%} | {whole:.1f} | {found.seconds:.1f} |"
            )


def _simulated(one: Sequence[Mapping[str, Any]], workers: int, slower: float) -> Outcome:
    """Of runs with one worker, what so many workers would take for as much work each."""
    videos = sum(shard[2] for shard in one[0]["predicted"])
    decode, predict = (_cost([run[kind] for run in one]) for kind in ("decoded", "predicted"))
    job = Job(
        videos=videos * workers,
        decode=Cost(decode.mean * slower, decode.spread),
        predict=Cost(predict.mean * slower, predict.spread),
    )
    cluster = Cluster(
        nodes=1,
        cores=one[0]["cores"],
        models=workers,
        decoders=workers,
        start_decoders=median(_first(run, "decoded") for run in one),
        start_models=median(_first(run, "predicted") for run in one),
        end=median(run["end_seconds"] for run in one),
    )
    return simulate(job, cluster)


def _cost(runs: Sequence[Sequence[Sequence[float]]]) -> Cost:
    """Of a video, from shards (process, end, videos, seconds)."""
    per_video = [seconds / videos for shards in runs for _, _, videos, seconds in shards]
    videos = mean(shard[2] for shards in runs for shard in shards)
    average = mean(per_video)
    return Cost(average, pstdev(per_video) / average * videos**0.5 if average else 0.0)


def _first(run: Mapping[str, Any], kind: str) -> float:
    return float(min(end - seconds for _, end, _, seconds in run[kind]) - run["began"])


def _work(run: Mapping[str, Any]) -> float:
    return float(run["seconds"] - run["start_seconds"] - run["end_seconds"])


def _whole(run: Mapping[str, Any]) -> float:
    return float(run["seconds"])


def _rate(runs: Sequence[Mapping[str, Any]]) -> float:
    return float(median(sum(run["rates"]) for run in runs))
