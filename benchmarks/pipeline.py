"""What the loop around the model costs: reading, decoding and writing while it predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from shutil import rmtree

from benchmarks.mirror import copy_distinct
from benchmarks.rows import Row, interleaved, seconds_of
from benchmarks.workspace import BATCH_SIZE, SPEC, Clips, Workspace
from vidbench.data.datasets._local_videos import Listing, LocalVideos
from vidbench.data.loader import VideoLoader, batched
from vidbench.data.records import VideoRecord, Views
from vidbench.engines.clip_scorers import ClipScorer
from vidbench.engines.scoring import predict
from vidbench.labels.class_lists import load_classes
from vidbench.models.base import Classifier
from vidbench.runs.folder import RunFolder
from vidbench.runs.identity import RunIdentity
from vidbench.runs.predictions import Predictions
from vidbench.system.stopwatch import Stopwatch

_COUNT = 24
_CLASSES = load_classes("kinetics-400")
_COLD_BOUNDS = {"fp32": "<= 1.15", "bf16": "<= 1.35"}


def rows(workspace: Workspace) -> Iterator[Row]:
    """The loop with cached clips, and with nothing cached, in each precision."""
    clips = workspace.clips(_COUNT)
    loop = _Loop(workspace.temporary / "loop", clips.paths, workspace.views(clips.paths))
    yield _warm(workspace, clips, loop)
    for precision, bound in _COLD_BOUNDS.items():
        counts = workspace.given is None and (precision == "fp32" or workspace.has_amx)
        goal = workspace.goal(bound, when=counts)
        yield _cold(workspace, clips.case, loop, precision, goal)
    large = workspace.large_clips()
    if large is not None:
        paths = copy_distinct(large.paths, workspace.temporary / "large", len(clips.paths))
        loop = _Loop(workspace.temporary / "loop", paths, workspace.views(paths))
        yield _cold(workspace, large.case, loop, "fp32", "")


class _Loop:
    """vidbench's own loop over some videos, and its parts; each gives its seconds.

    Args:
        home: Folder for the cache and the results.
        paths: The videos, in one folder.
        views: Their clips.
    """

    def __init__(self, home: Path, paths: Sequence[Path], views: Views) -> None:
        self._home = home
        names = [Path(path.name) for path in paths]
        listing = Listing(tuple(VideoRecord(name.stem, name, None) for name in names))
        self._records = listing.records
        self._dataset = LocalVideos("clips", "val", paths[0].parent, None, lambda: listing)
        self._batches = batched(len(paths), BATCH_SIZE)
        self._preloaded = [views[rows.start : rows.stop] for rows in self._batches]

    def whole(self, classifier: Classifier, *, cold: bool) -> float:
        """Everything from the videos, or from their cached clips, to predictions on disk."""
        loader, folder = self._loader(cold=cold), self._folder()
        predictions = Predictions.pending(self._records, _CLASSES)
        seconds = seconds_of(
            lambda: predict(
                ClipScorer(loader, _CLASSES, lambda: classifier),
                self._records,
                predictions,
                self._batches,
                folder,
                Stopwatch(),
            )
        )
        if not predictions.scored.all():
            raise SystemExit(f"not all videos were predicted: {predictions.details.tolist()}")
        return seconds

    def decode(self) -> float:
        """Decoding and caching alone, on all cores."""
        loader = self._loader(cold=True)
        return seconds_of(lambda: loader.prepare(self._records))

    def model(self, classifier: Classifier) -> float:
        """The model alone, on arrays in memory."""
        return seconds_of(lambda: [classifier.predict(views) for views in self._preloaded])

    def _loader(self, *, cold: bool) -> VideoLoader:
        cache_dir = self._home / "cache"
        if cold:
            rmtree(cache_dir, ignore_errors=True)
        return VideoLoader(self._dataset, SPEC, cache_dir=cache_dir)

    def _folder(self) -> RunFolder:
        """A new one."""
        rmtree(self._home / "run", ignore_errors=True)
        identity = RunIdentity(
            model="i3d/kinetics-400",
            weights="random",
            dataset=self._dataset.name,
            split=self._dataset.split,
            spec=SPEC,
            video_ids=tuple(record.video_id for record in self._records),
        )
        return RunFolder(self._home / "run", identity)


def _warm(workspace: Workspace, clips: Clips, loop: _Loop) -> Row:
    loop.decode()
    loop.whole(workspace.classifier("fp32"), cold=False)
    seconds = _measure(workspace, loop, "fp32", cold=False)
    measure = f"seconds, {len(clips.paths)} cached {clips.case}, fp32, against the model alone"
    goal = workspace.goal("<= 1.10")
    return Row("pipeline", "warm", measure, seconds["loop"], seconds["model"], goal)


def _cold(workspace: Workspace, case: str, loop: _Loop, precision: str, goal: str) -> Row:
    loop.model(workspace.classifier(precision))
    seconds = _measure(workspace, loop, precision, cold=True)
    slower = max("decode", "model", key=lambda name: seconds[name])
    measure = f"seconds, {case}, nothing cached, {precision}, against the {slower} alone, slower"
    return Row("pipeline", "cold", measure, seconds["loop"], seconds[slower], goal)


def _measure(workspace: Workspace, loop: _Loop, precision: str, *, cold: bool) -> dict[str, float]:
    classifier = workspace.classifier(precision)
    cases: dict[str, Callable[[], float]] = {
        "loop": partial(loop.whole, classifier, cold=cold),
        "model": partial(loop.model, classifier),
    }
    return interleaved(cases | ({"decode": loop.decode} if cold else {}), workspace.rounds)
