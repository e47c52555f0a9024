"""What a run on a cluster takes: machines, hours, bytes, memory and money, and what limits it.

    python -m benchmarks.sizing --videos 19906 --tarballs 20 --classes 400 --nodes 4 --cores 16
    python -m benchmarks.sizing --all
    python -m benchmarks.sizing --check results/benchmarks/scale.json

Seconds of a video are those of docs/scale.md, which says which of them were measured. Whoever has
others gives them: --decode_seconds, --predict_seconds. Prices are to be replaced by your own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.deviation import check
from benchmarks.simulate import Cluster, Cost, Job, Outcome, simulate

MB, GB = 1e6, 1e9

CORE_GFLOPS = 150.0
"""Of I3D in fp32 on one of several cores that are all at work; measured, see docs/scale.md."""
DECODE_SPREAD = 0.9
"""Standard deviation over mean of the seconds of 49 real clips; measured."""
VIDEO_BYTES = 467e9 / 298_824
"""Kinetics-400 as it is served: 435 GiB for 298,824 videos."""
EXTRACT_SECONDS = VIDEO_BYTES / 100e6
"""Of a core: an assumption, gzip at 100 MB a second."""
DRIVER_SECONDS = 0.05
"""For a shard; measured."""
DRIVER_BYTES = 285e6
"""Of the driver without a video; measured."""
DRIVER_BYTES_OF_VIDEO = 4100.0
"""Of the driver, beside 4 bytes for each score; measured with 100 and with 700 classes.

Tables of more than 256 MiB of scores lie in a temporary file, and are not counted.
"""


class Protocol(NamedTuple):
    """What one video takes.

    Attributes:
        title: Model and views.
        gflop: Of the model.
        decode: Core seconds, compression by zstd among them.
        clip_bytes: In the cache, compressed by zstd.
    """

    title: str
    gflop: float
    decode: float
    clip_bytes: float


PROTOCOLS = {
    "1x1": Protocol("I3D, 100 frames, 1 view", 347.6, 0.087 + 0.048, 0.53 * 15.05 * MB),
    "10x3": Protocol("I3D, 32 frames, 10x3 views", 30 * 111.2, 0.226 + 0.538, 0.43 * 144.5 * MB),
}


PLANS = {
    "K400 val": "--videos 19906 --tarballs 20 --classes 400",
    "K700-2020 train": "--videos 545000 --tarballs 545 --classes 700",
    "ten times that": "--videos 5450000 --tarballs 5450 --classes 700",
}
MACHINES = {
    "cpu": "--cores 16 --price_hour 0.7 --price_gb_month 0.023",
    "gpu": "--cores 16 --gpus 1 --price_hour 3.5 --price_gb_month 0.023",
}
NODES = {
    "K400 val": {"cpu": 4, "gpu": 1},
    "K700-2020 train": {"cpu": 32, "gpu": 4},
    "ten times that": {"cpu": 128, "gpu": 16},
}
_SCALE = {"1x1": 1, "10x3": 4}
_COLUMNS = (
    "job",
    "views",
    "machines",
    "hours",
    "of them fetching",
    "TB written",
    "TB read",
    "GB of scores",
    "GB of driver",
    "machines' price",
    "a month of storage",
    "bottleneck",
)


class Plan(NamedTuple):
    """A cluster, what it takes, and what that costs.

    Attributes:
        cluster: The machines.
        outcome: Of the simulation.
        sizes: Bytes, by what they are of.
        hire: Price of the machines and of what is fetched.
        storage: Price of a month in which videos and clips are kept.
    """

    cluster: Cluster
    outcome: Outcome
    sizes: Mapping[str, float]
    hire: float
    storage: float


def size(options: argparse.Namespace) -> Plan:
    """What is asked for, simulated."""
    protocol = PROTOCOLS[options.protocol]
    gflops = 1000 * options.gpu_tflops * options.gpu_share if options.gpus else CORE_GFLOPS
    predict = options.predict_seconds or protocol.gflop / gflops
    decode = options.decode_seconds or protocol.decode
    job = Job(
        videos=options.videos,
        tarballs=options.tarballs,
        video_bytes=VIDEO_BYTES,
        clip_bytes=protocol.clip_bytes,
        extract=EXTRACT_SECONDS,
        decode=Cost(decode, DECODE_SPREAD),
        predict=Cost(predict),
    )
    cluster = _cluster(options)
    outcome = simulate(job, cluster)
    scores = 4 * options.classes * job.videos
    sizes = {
        "fetched": job.videos * job.video_bytes,
        "written": job.videos * (job.video_bytes + job.clip_bytes) + scores,
        "read": job.videos * (job.video_bytes + job.clip_bytes),
        "scores": scores,
        "driver": DRIVER_BYTES + job.videos * DRIVER_BYTES_OF_VIDEO,
    }
    hire = options.price_hour * options.nodes * outcome.seconds / 3600
    hire += options.price_gb_in * sizes["fetched"] / GB
    storage = options.price_gb_month * sizes["written"] / GB
    return Plan(cluster, outcome, sizes, hire, storage)


def _cluster(options: argparse.Namespace) -> Cluster:
    """A machine for each node, with models and decoders as vidbench chooses them."""
    threads = min(4, options.cores)
    models = options.gpus or options.cores // threads
    decoders = options.cores - models if options.gpus else max(models, options.cores // 2)
    return Cluster(
        nodes=options.nodes,
        cores=options.cores,
        models=models,
        threads=threads,
        decoders=decoders,
        gpus=options.gpus,
        node_bandwidth=options.node_mb * MB,
        server_bandwidth=options.server_mb * MB,
        storage_bandwidth=options.storage_mb * MB,
        start_decoders=15.0,
        start_models=25.0,
        driver=DRIVER_SECONDS,
        end=10.0,
    )


def describe(plan: Plan) -> Iterator[str]:
    """The plan, a line for each thing."""
    cluster, outcome, sizes = plan.cluster, plan.outcome, plan.sizes
    of = (
        f"{cluster.gpus} GPUs and {cluster.cores} cores"
        if cluster.gpus
        else f"{cluster.cores} cores"
    )
    hours, fetching = outcome.seconds / 3600, outcome.fetch_seconds / 3600
    yield f"machines   {cluster.nodes} of {of}"
    yield f"each with  {cluster.models} models and {cluster.decoders} decoders"
    yield f"hours      {hours:.2f}, of which fetching {fetching:.2f}"
    yield f"fetched    {_bytes(sizes['fetched'])}"
    yield f"written    {_bytes(sizes['written'])}, of which scores {_bytes(sizes['scores'])}"
    yield f"read       {_bytes(sizes['read'])}"
    yield f"driver     {_bytes(sizes['driver'])} of memory"
    yield f"money      {plan.hire:.0f}, and {plan.storage:.0f} a month for what is kept"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in outcome.busy.items())
    yield f"bottleneck {outcome.bottleneck}; in use while predicting: {shares}"


def all_plans() -> Iterator[str]:
    """The plans of docs/scale.md, as rows of its table."""
    yield _row(_COLUMNS)
    yield _row(["---"] * len(_COLUMNS))
    for title, arguments in PLANS.items():
        for protocol in PROTOCOLS:
            for kind, machine in MACHINES.items():
                nodes = max(1, round(_SCALE[protocol] * NODES[title][kind]))
                given = f"{arguments} {machine} --nodes {nodes} --protocol {protocol}"
                yield _row([title, protocol, *_cells(size(_parser().parse_args(given.split())))])


def _cells(plan: Plan) -> Iterator[str]:
    cluster, outcome, sizes = plan.cluster, plan.outcome, plan.sizes
    yield f"{cluster.nodes} of {cluster.cores} cores" + " and a GPU" * bool(cluster.gpus)
    yield f"{outcome.seconds / 3600:.1f}"
    yield f"{outcome.fetch_seconds / 3600:.1f}"
    for name in ("written", "read"):
        yield f"{sizes[name] / 1e12:.2f}"
    for name in ("scores", "driver"):
        yield f"{sizes[name] / GB:.1f}"
    yield f"{plan.hire:,.0f}"
    yield f"{plan.storage:,.0f}"
    yield f"{outcome.bottleneck}, {outcome.busy[outcome.bottleneck]:.0%} in use"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bytes(number: float) -> str:
    return f"{number / 1e12:.2f} TB" if number >= 1e12 else f"{number / GB:.2f} GB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0."""
    options = _parser().parse_args(arguments)
    if options.check:
        lines = check(options.check)
    else:
        lines = all_plans() if options.all else describe(size(options))
    for line in lines:
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks.sizing",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--check", type=Path, metavar="FILE", help="scale.json of measured runs")
    add("--all", action="store_true", help="the plans of docs/scale.md")
    add("--protocol", choices=tuple(PROTOCOLS), default="1x1", help="views of a video")
    for name, kind, default, said in (
        ("videos", int, 19_906, "how many"),
        ("tarballs", int, 0, "to fetch first; 0 where the videos are there"),
        ("classes", int, 400, "of the model"),
        ("nodes", int, 1, "machines"),
        ("cores", int, 16, "of a machine"),
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
