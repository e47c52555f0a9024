"""Thousands of damaged videos go through the workers of a run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from pebble import ProcessPool

from tests.helpers.frames import SPEC, evenly, every_frame
from tests.helpers.sample_videos import read_sample
from tests.soak.conftest import Faults
from tests.soak.mutations import MUTATIONS, mutate, parts
from vidbench.data.loader import VideoLoader, batched
from vidbench.data.records import Selection, Skip, VideoRecord, Views
from vidbench.data.video.check import check_videos
from vidbench.data.video.opening import open_container

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

NUM_FILES = 2400
_PACKETS = 48
_WORKERS = 4
_TIMEOUT_SECONDS = 30.0
_ENDED = re.compile("exit code|takes longer than|of memory|allocate memory")
_CLIPS = (
    "v_Kayaking_g12_c03.avi",
    "bolei_juggling.mp4",
    "mmaction2_demo.mp4",
    "v_Punch_g03_c01.avi",
)
_AWKWARD = ("torchcodec_av1_video.mkv", "test_video_66x50.mov", "decord_video_90.mov")


class Folder:
    """A dataset of all files of a folder; see :class:`~vidbench.data.datasets.base.Dataset`."""

    name = "folder"
    split = "val"
    classes = ("any",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        records = [VideoRecord(path.stem, path, "any") for path in self.paths_on_disk()]
        return Selection(tuple(records[:num_videos]), (), len(records))

    def paths_on_disk(self) -> list[Path]:
        return sorted(path.relative_to(self.folder) for path in self.folder.iterdir())


class Mutant(NamedTuple):
    """A damaged file, and how to make it again: ``mutate(<source>, kind, seed)``."""

    path: Path
    source: str
    kind: str
    seed: int


@pytest.fixture(scope="module")
def sources(
    real_clips: Path, awkward: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Short pieces of real videos and of the sample, in seven kinds of containers."""
    folder = tmp_path_factory.mktemp("sources")
    first, content = min(read_sample().items())
    (folder / first).write_bytes(content)
    made = [head(real_clips / name, folder / name) for name in _CLIPS]
    made += [head(awkward / "rabbit320.webm", folder / "rabbit320.webm")]
    made += [awkward / name for name in _AWKWARD]
    for suffix in (".mkv", ".ts", ".flv", ".mov"):
        made.append(head(real_clips / "mmaction2_demo.mp4", folder / f"demo{suffix}"))
    return {path.name: path.read_bytes() for path in [folder / first, *made]}


def head(path: Path, output: Path) -> Path:
    """The first packets of the video, as they are, in the container that the suffix names."""
    with av.open(str(path)) as source, av.open(str(output), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        for index, packet in enumerate(source.demux(stream)):
            if index < _PACKETS and packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    return output


@pytest.fixture(scope="module")
def mutants(sources: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> list[Mutant]:
    folder = tmp_path_factory.mktemp("mutants")
    found = []
    for number, (seed, (name, kind)) in enumerate(_recipes(sources)):
        path = folder / f"{number:05d}{Path(name).suffix}"
        path.write_bytes(mutate(sources[name], kind, seed))
        found.append(Mutant(path, name, kind, seed))
    return found


def _recipes(sources: Mapping[str, bytes]) -> Iterator[tuple[int, tuple[str, str]]]:
    kinds = list(product(sources, MUTATIONS))
    rounds = -(-NUM_FILES // len(kinds))
    return ((seed, pair) for seed in range(rounds) for pair in kinds)


@pytest.fixture(scope="module")
def results(
    mutants: Sequence[Mutant], tmp_path_factory: pytest.TempPathFactory
) -> list[Views | Skip]:
    """What a run gets of each file, in order."""
    loader = VideoLoader(
        Folder(mutants[0].path.parent),
        SPEC,
        cache_dir=tmp_path_factory.mktemp("cache"),
        num_workers=_WORKERS,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    records = loader.select().records
    assert [record.path for record in records] == [Path(m.path.name) for m in mutants]
    found: dict[int, Views | Skip] = {}
    with loader.stream(records, batched(len(records), 16)) as batches:
        for batch in batches:
            rows = {**dict(zip(batch.rows, batch.views, strict=True)), **batch.skips}
            assert len(rows) == len(batch.rows) + len(batch.skips)
            assert not rows.keys() & found.keys()
            found |= rows
    assert sorted(found) == list(range(len(mutants)))  # none is lost, none comes twice
    return [found[row] for row in range(len(mutants))]


def is_right(path: Path, views: Views) -> bool:
    """Whether these are the frames that decoding everything gives, by their number or their time.

    By time where a run left out a damaged frame that it did not need.
    """
    frames = every_frame(path)
    by_number = np.stack([frames[i][1] for i in evenly(len(frames))])
    if np.array_equal(views[0], by_number):
        return True
    with open_container(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        stamps = sorted(p.pts for p in packets if p.pts is not None and not p.is_discard)
    at = dict(frames)
    by_time = [at.get(stamps[i]) for i in evenly(len(stamps))]
    return all(
        crop is not None and np.array_equal(crop, view)
        for crop, view in zip(by_time, views[0], strict=True)
    )


def test_sources_are_whole_and_their_structure_is_known(
    sources: Mapping[str, bytes], tmp_path: Path
) -> None:
    for name, content in sources.items():
        path = tmp_path / name
        path.write_bytes(content)
        (scan,) = check_videos([path], 0)
        assert scan.status == "ok", (name, scan)
        if path.suffix in (".mp4", ".mov", ".avi"):
            assert len(parts(content)) > 8, name


def test_each_damaged_video_is_decoded_right_or_skipped(
    mutants: Sequence[Mutant], results: Sequence[Views | Skip], faults: Faults
) -> None:
    assert len(mutants) >= 2000
    scored = [row for row, result in enumerate(results) if not isinstance(result, Skip)]
    with ProcessPool(_WORKERS, context=get_context("spawn")) as pool:
        right = pool.map(
            is_right, [mutants[row].path for row in scored], [results[row] for row in scored]
        ).result()
        wrong = {row for row, ok in zip(scored, right, strict=True) if not ok}
    wrong |= {row for row, r in enumerate(results) if isinstance(r, Skip) and not r.detail}
    tried = Counter(mutant.kind for mutant in mutants)
    lost = Counter(mutants[row].kind for row in wrong)
    struck = [r for r in results if isinstance(r, Skip) and _ENDED.search(r.detail)]
    faults.note("video: decoder crashed, hung or grew", len(struck), len(struck), 0)
    for kind, number in tried.items():
        faults.note(f"video: {kind}", number, number - lost[kind], lost[kind])
    assert not [mutants[row][1:] for row in sorted(wrong)]


def test_a_check_survives_them_and_what_it_calls_whole_is_scored(
    mutants: Sequence[Mutant], results: Sequence[Views | Skip], faults: Faults
) -> None:
    scans = check_videos([mutant.path for mutant in mutants], _WORKERS, _TIMEOUT_SECONDS)
    pairs = list(zip(mutants, scans, results, strict=True))
    lost = [m[1:] for m, scan, r in pairs if scan.status == "ok" and isinstance(r, Skip)]
    faults.note("video: check", len(pairs), len(pairs) - len(lost), len(lost))
    assert not lost
