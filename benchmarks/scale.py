"""How the same command scales on Ray with workers of one thread, and what its driver takes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from statistics import median
from threading import Barrier
from typing import Any

import numpy as np

from benchmarks.mirror import build_mirror, build_sample_mirror
from benchmarks.on_ray import RayRun, evaluate_on_ray
from benchmarks.rows import Row, interleaved, seconds_of
from benchmarks.workspace import BATCH_SIZE, SPEC, Workspace
from vidbench.data.datasets.sample import ROOT as SAMPLE
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.engines.cluster.shards import SHARD_VIDEOS
from vidbench.labels.class_lists import read_classes
from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.models.i3d import I3DLoader
from vidbench.system.machine import available_cores
from vidbench.system.runtime import Runtime

_WORKERS = (1, 2, 4)
_VIDEOS_PER_WORKER = 48  # four shards each; those behind the first take about a minute
_ALONE_VIDEOS = 12
_READY_SECONDS = 600  # until the slowest process has loaded its model
_DRIVER_VIDEOS = (1000, 4000)
_DRIVER_WORKERS = 2
_SMOKE_VIDEOS = (112, 224)
_CLASSES = 700
_SIDE = 16


class Record:
    """What was measured, by case and round; a file that is whole after each of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cases: dict[str, list[dict[str, Any]]] = {}

    def add(self, case: str, found: dict[str, Any]) -> None:
        """Notes it, the cores, and how many processes wanted them shortly before its end."""
        machine = {"cores": available_cores(), "load": os.getloadavg()[0]}
        self._cases.setdefault(case, []).append(found | machine)
        self._path.write_text(json.dumps(self._cases, indent=1) + "\n", "utf-8")


def rows(workspace: Workspace) -> Iterator[Row]:
    """Steady videos a second, warm and cold, against fewer workers and against no Ray; the driver.

    ``scale.json`` has every run with its shards.
    """
    record = Record(workspace.out / "scale.json")
    yield from _scaling(workspace, record)
    yield from _driver(workspace, record)


class _Runs:
    """The same videos with more and more workers, as many for each of them."""

    def __init__(self, workspace: Workspace, record: Record) -> None:
        cores = 2 if workspace.smoke else available_cores()
        self.counts = [n for n in _WORKERS if n <= cores]
        self.per_worker = 2 * BATCH_SIZE if workspace.smoke else _VIDEOS_PER_WORKER
        self._frames = 16 if workspace.smoke else SPEC.num_frames
        self._workspace, self._record = workspace, record
        self.home = workspace.temporary / "scale"
        self._paths = workspace.clips().paths
        most = self.per_worker * max(self.counts)
        self._mirror = build_mirror(self._paths, self.home / "mirror", most)
        self.done: dict[str, list[RayRun]] = {}

    def warm_up(self) -> None:
        """Makes clips and graph, and reads the programs from disk once."""
        self._run(self.home / "warm", max(self.counts))

    def on_ray(self, workers: int, *, cold: bool) -> float:
        """Videos a second: the steady rate; if ``cold``, with nothing cached, the whole rate."""
        home = self.home / ("cold" if cold else "warm")
        if cold:
            rmtree(home, ignore_errors=True)
        run = self._run(home, workers)
        self._keep(f"{home.name} {workers}", run)
        return run.whole_rate if cold else run.rate

    def _run(self, home: Path, workers: int) -> RayRun:
        return evaluate_on_ray(
            home,
            self.per_worker * workers,
            workers,
            "--dataset=kinetics",
            f"--kinetics_root_url={self._mirror}",
            f"--model_path={self._workspace.i3d()}",
            f"--num_frames={self._frames}",
            f"--batch_size={2 if self._workspace.smoke else BATCH_SIZE}",
        )

    def alone(self, workers: int) -> float:
        """The same without Ray, vidbench and disks: models that predict clips in memory."""
        predict = partial(
            _predict_alone,
            model=self._workspace.i3d(),
            graphs=self.home / "warm" / "cache",
            paths=self._paths[:BATCH_SIZE],
            frames=self._frames,
            videos=1 if self._workspace.smoke else _ALONE_VIDEOS,
        )
        spawn = get_context("spawn")
        with spawn.Manager() as manager, ProcessPoolExecutor(workers, spawn) as pool:
            rates = list(pool.map(predict, [manager.Barrier(workers)] * workers))
        self._record.add(f"alone {workers}", {"rates": rates})
        return sum(rates)

    def _keep(self, name: str, run: RayRun) -> None:
        self.done.setdefault(name, []).append(run)
        self._record.add(name, run.as_dict())


def _predict_alone(
    together: Barrier, model: Path, graphs: Path, paths: Sequence[Path], frames: int, videos: int
) -> float:
    """Videos a second of a model with one thread in this process, once all processes are ready."""
    spec = PreprocessSpec(num_frames=frames)
    clips = np.stack([decode_views(path, spec)[0] for path in paths])
    runtime = Runtime(device="cpu", num_threads=1, cache_dir=graphs)
    classifier = I3DLoader(model_path=str(model)).load(runtime)
    classifier.predict(clips[:1])
    together.wait(_READY_SECONDS)
    calls = max(1, videos // len(clips))
    seconds = seconds_of(lambda: [classifier.predict(clips) for _ in range(calls)])
    return calls * len(clips) / seconds


def _scaling(workspace: Workspace, record: Record) -> Iterator[Row]:
    runs = _Runs(workspace, record)
    most = max(runs.counts)
    runs.warm_up()
    cases: dict[str, Callable[[], float]] = {}
    for workers in runs.counts:
        cases[f"warm {workers}"] = partial(runs.on_ray, workers, cold=False)
        cases[f"alone {workers}"] = partial(runs.alone, workers)
        cases[f"cold {workers}"] = partial(runs.on_ray, workers, cold=True)
    rates = interleaved(cases, workspace.rounds)
    per = f"{runs.per_worker} videos each"
    for workers in runs.counts[1:]:
        for state in ("warm", "cold"):
            measure = f"videos/s of {workers} workers, {per}, against {workers} times one's"
            value, one = rates[f"{state} {workers}"], rates[f"{state} 1"]
            yield Row("scale", state, measure, value, workers * one)
        measure = f"videos/s of {workers} processes without Ray, against {workers} times one's"
        value, one = rates[f"alone {workers}"], rates["alone 1"]
        yield Row("scale", "machine", measure, value, workers * one)
    for workers in runs.counts:
        for state in ("warm", "cold"):
            value, other = rates[f"{state} {workers}"], rates[f"alone {workers}"]
            measure = f"videos/s, {workers} on Ray, {per}, against as many processes without Ray"
            yield Row("scale", state, measure, value, other)
    for state in ("warm", "cold"):
        value, one = (
            median(run.start_seconds for run in runs.done[f"{state} {n}"]) for n in (most, 1)
        )
        measure = f"seconds until the first prediction, {most} workers, against 1"
        yield Row("scale", state, measure, value, one)


def _driver(workspace: Workspace, record: Record) -> Iterator[Row]:
    """With a model that costs next to nothing and as many classes as Kinetics-700."""
    few, many = _SMOKE_VIDEOS if workspace.smoke else _DRIVER_VIDEOS
    model = _light_model(workspace.temporary / "light")
    runs = {}
    for count in (few, many):
        home = workspace.temporary / f"driver_{count}"
        build_sample_mirror(home / "mirror", count)
        runs[count] = evaluate_on_ray(
            home,
            count,
            _DRIVER_WORKERS,
            "--dataset=sample",
            f"--kinetics_root_url={home / 'mirror'}",
            "--model_type=saved_model",
            f"--model_path={model}",
            f"--num_frames={_SIDE}",
            f"--crop_size={_SIDE}",
            "--batch_size=16",
        )
        record.add(f"driver {count}", runs[count].as_dict())
        rmtree(home)
    less, more = runs[few], runs[many]
    for what, value, other in (
        ("driver's peak MB", more.driver_bytes / 1e6, less.driver_bytes / 1e6),
        ("a model process's peak MB", more.model_bytes / 1e6, less.model_bytes / 1e6),
        ("MB of the object store ever used", more.store_bytes / 1e6, less.store_bytes / 1e6),
    ):
        yield Row("scale", "driver", f"{what}, {many} videos, against {few}", value, other)
    growth = (more.driver_bytes - less.driver_bytes) / (many - few)
    measure = f"driver's bytes per further video, {_CLASSES} classes, against 4 a class"
    yield Row("scale", "driver", measure, growth, 4 * _CLASSES)
    seconds = (more.driver_seconds - less.driver_seconds) / (many - few) * SHARD_VIDEOS
    wall = (more.seconds - less.seconds) / (many - few) * SHARD_VIDEOS
    measure = f"driver's CPU seconds per further {SHARD_VIDEOS} videos, against the run's seconds"
    yield Row("scale", "driver", measure, seconds, wall)


def _light_model(folder: Path) -> Path:
    """A SavedModel that looks at the mean colour, with the sample's classes and many more."""
    tf = import_tensorflow()
    names = list(read_classes(SAMPLE / "classes.txt"))
    names += [f"class {number}" for number in range(len(names), _CLASSES)]
    light = tf.Module()
    light.weights = tf.constant(np.random.default_rng(0).standard_normal((3, _CLASSES)), tf.float32)
    shape = tf.TensorSpec((None, None, None, None, 3), tf.float32)
    look = tf.function(
        lambda clips: {"logits": tf.reduce_mean(clips, (1, 2, 3)) @ light.weights},
        input_signature=[shape],
    )
    tf.saved_model.save(light, str(folder), signatures=look)
    (folder / "classes.txt").write_text("\n".join(names) + "\n", "utf-8")
    return folder
