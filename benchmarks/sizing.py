"""What a run on a cluster takes: machines, hours, bytes, memory and money, and its bottleneck.

    python -m benchmarks.sizing --videos 19906 --tarballs 20 --classes 400 --nodes 4 --cores 16
    python -m benchmarks.sizing --all

Fetching, and then decoding and predicting together, take as long as the resource that each keeps
busy longest. docs/scale.md says which seconds were measured, and how far the formula is from
measured runs. Give your own by --decode_seconds and --predict_seconds, and your own prices.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vidbench.data.fetch.tarballs import PARALLEL_TARBALLS
from vidbench.engines.cluster.shards import SHARD_VIDEOS

MB, GB, HOUR = 1e6, 1e9, 3600.0

CORE_GFLOPS = 150.0
"""Of I3D in fp32 on one of several cores that are all at work; measured, see docs/scale.md."""
VIDEO_BYTES = 467e9 / 298_824
"""Kinetics-400 as it is served: 435 GiB for 298,824 videos."""
EXTRACT_SECONDS = VIDEO_BYTES / 100e6
"""Of a core: an assumption, gzip at 100 MB a second."""
START_SECONDS, END_SECONDS = 25.0, 10.0
"""Until models are loaded, and for metrics and tables: above what was seen on one machine."""
DRIVER_SECONDS = 0.05
"""For a shard; measured."""
DRIVER_BYTES = 285e6
"""Of the driver without a video; measured."""
DRIVER_BYTES_OF_VIDEO = 4100.0
"""Of the driver, beside 4 bytes for each score; measured with 100 and with 700 classes.

Tables of more than 256 MiB of scores lie in a temporary file, and are not counted.
"""


class Protocol(NamedTuple):
    """What I3D takes for a video: GFLOP, core seconds of decoding and zstd, bytes of clips."""

    gflop: float
    decode: float
    clip_bytes: float


PROTOCOLS = {
    "1x1": Protocol(347.6, 0.087 + 0.048, 0.53 * 15.05 * MB),  # 100 frames
    "10x3": Protocol(30 * 111.2, 0.226 + 0.538, 0.43 * 144.5 * MB),  # 32 frames
}
PLANS = {  # with nodes of cores alone and nodes with a GPU, for 1x1; four times as many for 10x3
    "K400 val": ("--videos 19906 --tarballs 20 --classes 400", 4, 1),
    "K700-2020 train": ("--videos 545000 --tarballs 545 --classes 700", 32, 4),
    "ten times that": ("--videos 5450000 --tarballs 5450 --classes 700", 128, 16),
}
MACHINES = (
    "--cores 16 --price_hour 0.7 --price_gb_month 0.023",
    "--cores 16 --gpus 1 --price_hour 3.5 --price_gb_month 0.023",
)
_COLUMNS = (
    *("job", "views", "machines", "hours", "of them fetching", "TB written", "TB read"),
    *("GB of scores", "GB of driver", "machines' price", "a month of storage", "bottleneck"),
)


@dataclass(frozen=True)
class Plan:
    """What is asked for, and what it takes.

    Args:
        options: Of :func:`main`.
    """

    options: argparse.Namespace

    @property
    def machine(self) -> str:
        gpus = {0: "", 1: " and a GPU"}.get(self.options.gpus, f" and {self.options.gpus} GPUs")
        return f"{self.options.nodes} of {self.options.cores} cores{gpus}"

    @property
    def models(self) -> int:
        """Of a node, as vidbench chooses: one a GPU, or as many as find room for their threads."""
        return int(self.options.gpus or max(1, self.options.cores // self.options.threads))

    @property
    def decoders(self) -> int:
        """Of a node, as vidbench chooses: a core each of those left, or half as many as cores."""
        cores: int = self.options.cores
        return max(1, cores - self.models) if self.options.gpus else max(self.models, cores // 2)

    @property
    def fetched(self) -> float:
        """Bytes of videos."""
        return float(self.options.videos * VIDEO_BYTES)

    @property
    def clips(self) -> float:
        """Bytes of decoded clips, compressed."""
        return float(self.options.videos * PROTOCOLS[self.options.protocol].clip_bytes)

    @property
    def scores(self) -> float:
        """Bytes of the table of scores."""
        return float(4.0 * self.options.classes * self.options.videos)

    @property
    def driver_bytes(self) -> float:
        """Memory of the driver."""
        return float(DRIVER_BYTES + self.options.videos * DRIVER_BYTES_OF_VIDEO)

    @property
    def fetch_seconds(self) -> float:
        """Until the last tarball is extracted into the data folder; 0 without tarballs."""
        asked = self.options
        if not asked.tarballs:
            return 0.0
        at_once = min(asked.tarballs, asked.nodes * min(PARALLEL_TARBALLS, asked.cores))
        seconds: list[float] = [
            self.fetched / (asked.server_mb * MB),
            2 * self.fetched / (asked.nodes * asked.node_mb * MB),  # from the server, to storage
            self.fetched / (asked.storage_mb * MB),
            asked.videos * EXTRACT_SECONDS / at_once,
        ]
        return max(seconds)

    @property
    def busy_seconds(self) -> dict[str, float]:
        """How long decoding and predicting keep each resource busy that they share."""
        asked, (gflop, usual_decode, _) = self.options, PROTOCOLS[self.options.protocol]
        gflops = 1000 * asked.gpu_tflops * asked.gpu_share if asked.gpus else CORE_GFLOPS
        predict = asked.videos * (asked.predict_seconds or gflop / gflops)
        decode = asked.videos * (asked.decode_seconds or usual_decode)
        on_cores = decode if asked.gpus else decode + predict
        moved: float = self.fetched + 2 * self.clips  # videos are read, clips are written and read
        at_work: int = asked.gpus or min(asked.cores, self.models * asked.threads)
        return {
            "decoders": decode / (asked.nodes * min(asked.cores, self.decoders)),
            "GPUs" if asked.gpus else "models": predict / (asked.nodes * at_work),
            "cores": on_cores / (asked.nodes * asked.cores),
            "nodes' network": moved / (asked.nodes * asked.node_mb * MB),
            "shared storage": moved / (asked.storage_mb * MB),
            "driver": asked.videos / SHARD_VIDEOS * DRIVER_SECONDS,
        }

    @property
    def seconds(self) -> float:
        """Of the whole command."""
        work = max(self.busy_seconds.values())
        return self.fetch_seconds + START_SECONDS + work + END_SECONDS

    @property
    def bottleneck(self) -> str:
        """The resource that is busy longest."""
        return max(self.busy_seconds, key=lambda name: self.busy_seconds[name])

    @property
    def hire(self) -> float:
        """Price of the machines and of what is fetched."""
        machines = self.options.price_hour * self.options.nodes * self.seconds / HOUR
        return float(machines + self.options.price_gb_in * self.fetched / GB)

    @property
    def storage(self) -> float:
        """Price of a month in which videos, clips and scores are kept."""
        kept = self.fetched + self.clips + self.scores
        return float(self.options.price_gb_month * kept / GB)


def describe(plan: Plan) -> Iterator[str]:
    """The plan, a line for each thing."""
    read = plan.fetched + plan.clips
    yield f"machines   {plan.machine}"
    yield f"each with  {plan.models} models and {plan.decoders} decoders"
    yield f"hours      {plan.seconds / HOUR:.2f}, of which fetching {plan.fetch_seconds / HOUR:.2f}"
    yield f"fetched    {_bytes(plan.fetched)}"
    yield f"written    {_bytes(read + plan.scores)}, of which scores {_bytes(plan.scores)}"
    yield f"read       {_bytes(read)}"
    yield f"driver     {_bytes(plan.driver_bytes)} of memory"
    yield f"money      {plan.hire:.0f}, and {plan.storage:.0f} a month for what is kept"
    longest = plan.busy_seconds[plan.bottleneck]
    shares = ", ".join(f"{name} {busy / longest:.0%}" for name, busy in plan.busy_seconds.items())
    yield f"bottleneck {plan.bottleneck}; in use while predicting: {shares}"


def all_plans() -> Iterator[str]:
    """The plans of docs/scale.md, as rows of its table."""
    yield _row(_COLUMNS)
    yield _row(["---"] * len(_COLUMNS))
    for title, (asked, *nodes) in PLANS.items():
        for protocol, times in (("1x1", 1), ("10x3", 4)):
            for number, machine in zip(nodes, MACHINES, strict=True):
                given = f"{asked} {machine} --nodes {times * number} --protocol {protocol}"
                plan = Plan(_parser().parse_args(given.split()))
                yield _row([title, protocol, *_cells(plan)])


def _cells(plan: Plan) -> Iterator[str]:
    read = plan.fetched + plan.clips
    yield plan.machine
    yield from (f"{seconds / HOUR:.1f}" for seconds in (plan.seconds, plan.fetch_seconds))
    yield from (f"{number / 1e12:.2f}" for number in (read + plan.scores, read))
    yield from (f"{number / GB:.1f}" for number in (plan.scores, plan.driver_bytes))
    yield from (f"{price:,.0f}" for price in (plan.hire, plan.storage))
    yield plan.bottleneck


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bytes(number: float) -> str:
    return f"{number / 1e12:.2f} TB" if number >= 1e12 else f"{number / GB:.2f} GB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0."""
    options = _parser().parse_args(arguments)
    for line in all_plans() if options.all else describe(Plan(options)):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks.sizing",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--all", action="store_true", help="the plans of docs/scale.md")
    add("--protocol", choices=tuple(PROTOCOLS), default="1x1", help="views of a video")
    for name, kind, default, said in (
        ("videos", int, 19_906, "how many"),
        ("tarballs", int, 0, "to fetch first; 0 where the videos are there"),
        ("classes", int, 400, "of the model"),
        ("nodes", int, 1, "machines"),
        ("cores", int, 16, "of a machine"),
        ("threads", int, 4, "of a model"),
        ("gpus", int, 0, "of a machine"),
        ("gpu_tflops", float, 19.5, "peak of a GPU in fp32"),
        ("gpu_share", float, 0.3, "of the peak that I3D reaches"),
        ("decode_seconds", float, 0.0, "of a core for a video (default: measured)"),
        ("predict_seconds", float, 0.0, "of a core, or GPU, for a video"),
        ("node_mb", float, 1250.0, "MB a second that a machine's network gives"),
        ("server_mb", float, 500.0, "MB a second of the server with the tarballs"),
        ("storage_mb", float, 20000.0, "MB a second of the shared storage"),
        ("price_hour", float, 0.0, "of a machine"),
        ("price_gb_in", float, 0.0, "of a GB fetched"),
        ("price_gb_month", float, 0.0, "of a GB of videos and clips that is kept for a month"),
    ):
        add(f"--{name}", type=kind, default=default, metavar="N", help=f"{said} ({default:g})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
