"""Clips per second of our decoder, against PyAV that only decodes, and against OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row, interleaved, seconds_of
from benchmarks.workspace import SPEC, Clips, Workspace
from vidbench.data.video.decode import decode_views
from vidbench.data.video.resize import fit_frame
from vidbench.system.machine import available_cores

_MEASURE = "clips per second, all cores, 100 even frames to 224"


def rows(workspace: Workspace) -> Iterator[Row]:
    """Decoding of small and of large videos; goals are for made small ones."""
    yield from _rows(workspace, workspace.clips(None), has_goals=workspace.given is None)
    large = workspace.large_clips()
    if large is not None:
        yield from _rows(workspace, large, has_goals=False)


def _rows(workspace: Workspace, clips: Clips, *, has_goals: bool) -> Iterator[Row]:
    speeds = _speeds(clips.paths, workspace.rounds)
    ours = speeds["ours"]
    for name, against, bound in (
        ("pyav", "PyAV that decodes every frame and converts none", ">= 0.95"),
        ("opencv", "OpenCV that grabs every frame and retrieves the wanted", ">= 1.10"),
    ):
        goal = workspace.goal(bound, when=has_goals)
        yield Row("decode", clips.case, f"{_MEASURE}, against {against}", ours, speeds[name], goal)
    equal, count = sum(map(_equals_opencv, clips.paths)), len(clips.paths)
    goal = workspace.goal(">= 1", when=has_goals)
    yield Row("decode", clips.case, "clips whose pixels equal OpenCV's", equal, count, goal)


def _speeds(paths: Sequence[Path], rounds: int) -> dict[str, float]:
    """Clips per second of each way; every way has as many processes as there are cores."""
    ways = {"ours": _ours, "pyav": _pyav, "opencv": _opencv}
    with ExitStack() as stack:
        return interleaved(
            {name: _speed(way, paths, stack.enter_context(_pool())) for name, way in ways.items()},
            rounds,
        )


def _speed(
    way: Callable[[Path], None], paths: Sequence[Path], pool: ProcessPoolExecutor
) -> Callable[[], float]:
    def work() -> None:
        list(pool.map(way, paths))

    work()  # starts the processes, which import what they need, and reads the files once
    return lambda: len(paths) / seconds_of(work)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(available_cores(), get_context("spawn"), cv2.setNumThreads, (1,))


def _ours(path: Path) -> None:
    decode_views(path, SPEC)


def _pyav(path: Path) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def _opencv(path: Path) -> None:
    opencv_clip(path, int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)))


def _equals_opencv(path: Path) -> bool:
    return np.array_equal(decode_views(path, SPEC)[0], opencv_clip(path, _count_frames(path)))


def opencv_clip(path: Path, num_frames: int) -> NDArray[np.uint8]:
    """The clip of a video that has so many frames, decoded by OpenCV; shorter if it has fewer."""
    indices = np.rint(np.linspace(0, num_frames - 1, SPEC.num_frames)).astype(int).tolist()
    wanted, taken = set(indices), {}
    capture = _open(path)
    shape = [capture.get(p) for p in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN)]
    aspect = shape[0] / shape[1] if all(shape) else 1.0  # 0 where the file does not say
    for index in range(num_frames):
        if capture.grab() and index in wanted:
            rgb = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
            taken[index] = fit_frame(np.asarray(rgb, np.uint8), SPEC, aspect)[0]
    return np.stack([taken[index] for index in indices if index in taken])


def _count_frames(path: Path) -> int:
    capture, count = _open(path), 0
    while capture.grab():
        count += 1
    return count


def _open(path: Path) -> cv2.VideoCapture:
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
