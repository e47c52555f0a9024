"""Runs of the command on a Ray cluster of this machine: what their logs and processes say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from benchmarks.programs import evaluate

_LINE = re.compile(
    r"^(?P<end>\d{4}-\S+ [\d:.+]+) INFO vidbench\.engines\.cluster\.stages: "
    r"shard \S+: (?P<videos>\d+) videos (?P<what>prepared|predicted) in (?P<seconds>\S+) s",
    re.MULTILINE,
)


class Shard(NamedTuple):
    """What a worker logged of a shard.

    Attributes:
        pid: The worker's process.
        end: When it was done, in seconds since 1970.
        videos: In the shard.
        seconds: What they took, without what the worker waited before.
    """

    pid: int
    end: float
    videos: int
    seconds: float


@dataclass
class RayRun:
    """A run that ended well.

    Attributes:
        workers: Models, and decoders, of one thread each.
        began: When the command was started, in seconds since 1970.
        seconds: From there to its end.
        decoded: Shards by the decoders.
        predicted: Shards by the models.
        driver_seconds: Of the processor, in the driver's process.
        driver_bytes: Most memory of the driver's process at once.
        model_bytes: Most memory at once of the largest model's process.
        store_bytes: Most of the shared memory that the object store ever took.
    """

    workers: int
    began: float
    seconds: float
    decoded: list[Shard]
    predicted: list[Shard]
    driver_seconds: float = 0
    driver_bytes: float = 0
    model_bytes: float = 0
    store_bytes: float = 0

    @property
    def rate(self) -> float:
        """Videos a second when all models are at work: the sum of each one's own rate."""
        return steady_rate(self.predicted)

    @property
    def whole_rate(self) -> float:
        """Videos a second from the first clip's decoding to the last prediction.

        Models are loaded meanwhile; Ray's start and the tables at the end are left out.
        """
        begun = min(shard.end - shard.seconds for shard in self.decoded)
        videos = sum(shard.videos for shard in self.predicted)
        return videos / (max(shard.end for shard in self.predicted) - begun)

    @property
    def start_seconds(self) -> float:
        """From the command's start until the first model has its first clips to predict."""
        return min(shard.end - shard.seconds for shard in self.predicted) - self.began

    @property
    def end_seconds(self) -> float:
        """From the last prediction to the command's end."""
        return self.began + self.seconds - max(shard.end for shard in self.predicted)

    def as_dict(self) -> dict[str, Any]:
        """For ``scale.json``."""
        derived = {"rate": self.rate} if len(self.predicted) > self.workers else {}
        names = ("whole_rate", "start_seconds", "end_seconds")
        return asdict(self) | derived | {name: getattr(self, name) for name in names}


def steady_rate(predicted: Sequence[Shard]) -> float:
    """Videos a second: the sum over workers of those behind each one's first shard.

    A worker's time goes from the end of its first shard to the end of its last, with what it
    waited in between: loading, warming up and the wait for the slowest worker are left out.

    Raises:
        SystemExit: A worker had one shard only.
    """
    total = 0.0
    for _, shards in groupby(sorted(predicted), key=lambda shard: shard.pid):
        first, *others = shards
        if not others:
            raise SystemExit("a worker predicted a single shard: too little work to be measured")
        total += sum(shard.videos for shard in others) / (others[-1].end - first.end)
    return total


def read_shards(folder: Path) -> tuple[list[Shard], list[Shard]]:
    """Those decoded and those predicted, as the logs of a ``--verbose_logging`` run tell.

    Args:
        folder: Where Ray keeps its sessions. What it passes on to the driver lacks the last lines.
    """
    found: dict[str, list[Shard]] = {"prepared": [], "predicted": []}
    for path in folder.glob("ray/session_2*/logs/worker-*.err"):
        pid = int(path.stem.rpartition("-")[2])
        for match in _LINE.finditer(path.read_text("utf-8", "replace")):
            end = datetime.fromisoformat(match["end"]).timestamp()
            shard = Shard(pid, end, int(match["videos"]), float(match["seconds"]))
            found[match["what"]].append(shard)
    return found["prepared"], found["predicted"]


def evaluate_on_ray(home: Path, num_videos: int, workers: int, *options: object) -> RayRun:
    """What became of ``vidbench evaluate --ray_address local`` with so many workers of one thread.

    Args:
        home: Folder of all it writes, and of what it finds of earlier runs.
        num_videos: The first of the split.
        workers: Models, and decoders.
        *options: Dataset and model.

    Raises:
        SystemExit: It failed, or not all videos were evaluated.
    """
    cluster = ("--ray_address=local", f"--num_models={workers}", f"--num_workers={workers}")
    others = ("--num_threads=1", f"--num_videos={num_videos}", "--no_report", "--verbose_logging")
    asked = (*options, *cluster, *others)
    with TemporaryDirectory(prefix="r") as ray:  # sockets: short names
        finished = evaluate(home, num_videos, *asked, keep=True, watch=_look, RAY_TMPDIR=ray)
        decoded, predicted = read_shards(Path(ray))
    if (found := sum(one.videos for one in predicted)) != num_videos:
        raise SystemExit(f"the logs tell of {found} predictions of {num_videos} videos")
    return RayRun(workers, finished.began, finished.seconds, decoded, predicted, **finished.peaks)


def _look(driver: psutil.Process) -> Iterator[tuple[str, float]]:
    """What the driver, each model and the object store take."""
    with suppress(psutil.Error, OSError, KeyError):  # it has ended meanwhile
        times = driver.cpu_times()
        yield "driver_seconds", times.user + times.system
        yield "driver_bytes", _status(driver)["VmHWM"]
        for process in driver.children(recursive=True):
            with suppress(psutil.Error, OSError, KeyError):
                name = " ".join(process.cmdline()[:1])
                if "Map(Predictor)" in name:
                    yield "model_bytes", _status(process)["VmHWM"]
                elif name.endswith("/raylet"):
                    yield "store_bytes", _store_bytes(process)


def _store_bytes(raylet: psutil.Process) -> int:
    """What the object store's files in shared memory have of it; they have no names any more."""
    files = [path for path in Path(f"/proc/{raylet.pid}/fd").iterdir() if path.is_symlink()]
    shared = [path for path in files if path.readlink().is_relative_to("/dev/shm")]  # noqa: S108
    return sum(path.stat().st_blocks * 512 for path in shared)


def _status(process: psutil.Process) -> Mapping[str, int]:
    """Linux's own counts of a process's memory, in bytes; ``VmHWM`` is a peak."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}
