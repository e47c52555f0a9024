"""Sections of videos: which frames they are, and that each is a video of its own everywhere."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.ffmpeg import find_ffmpeg
from tests.helpers.footage import each_nth
from tests.helpers.paths import REPOSITORY
from tests.helpers.videos import levels_of, write_video
from vidbench.data.clips.cache import CacheKey
from vidbench.data.clips.prepare import Workers, clip_key
from vidbench.data.clips.source import CachePolicy, ClipSource
from vidbench.data.records import Section, Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.pixels import sample_frames
from vidbench.data.video.timeline import Timeline, cut_section
from vidbench.errors import VideoError
from vidbench.report.thumbnails import central_view, collect_thumbnails
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions
from vidbench.storage.files import write_json
from vidbench.visualize.videos import encode_jpeg, frame_strip

SMALL = PreprocessSpec(num_frames=6, crop_size=32)
EVERY_FRAME = replace(SMALL, sampling="center", too_short="skip")
SPECS = {
    "uniform": SMALL,
    "center": replace(SMALL, sampling="center", too_short="loop"),
    "dense": replace(SMALL, sampling="dense", num_clips=3, frame_stride=2, too_short="repeat_last"),
    "fps": replace(SMALL, sampling="center", fps=7.0, too_short="loop"),
    "random": replace(
        SMALL, sampling="random", num_clips=2, sampling_seed=3, fps=12.5, too_short="loop"
    ),
}
UNEVEN = [*range(0, 40, 2), *range(41, 60), 75, 76, 90, 91, 92, 99]  # gaps of up to 0.6 s


@cache
def times_of(path: Path) -> tuple[Fraction, ...]:
    """When each frame is shown, from the start of the file on, as PyAV tells them, exactly."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        assert container.start_time is not None
        begin = round(Fraction(container.start_time, av.time_base) / stream.time_base)
        stamps = sorted(frame.pts for frame in container.decode(stream) if frame.pts is not None)
        return tuple((stamp - begin) * stream.time_base for stamp in stamps)


@cache
def last_of(path: Path) -> Fraction:
    """For how long the last frame is shown, by what its packet says."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert stream.time_base is not None
        last = max(packets, key=lambda packet: packet.pts or 0)
        return (last.duration or 0) * stream.time_base


@cache
def frames_of(path: Path) -> Views:
    """Every frame of the whole video."""
    return np.asarray(decode_views(path, replace(EVERY_FRAME, num_frames=len(times_of(path))))[0])


def rows_in(path: Path, begin: Fraction, end: Fraction | float) -> list[int]:
    return [row for row, time in enumerate(times_of(path)) if begin <= time < end]


def assert_section_is_cut(path: Path, begin: Fraction, end: Fraction | float, name: str) -> None:
    """What is decoded is sampled from the frames of the whole video whose times lie in it."""
    section = (float(begin), float(end))
    rows, times = rows_in(path, begin, end), times_of(path)
    if not rows:
        with pytest.raises(VideoError, match="too_short: no frame from"):
            decode_views(path, SPECS[name], section=section)
        return
    after = times[rows[-1] + 1] if rows[-1] + 1 < len(times) else times[-1] + last_of(path)
    starts = np.array([float(times[row] - times[rows[0]]) for row in rows])
    part = Timeline(starts, float(min(after, end) - times[rows[0]]))
    indices = np.array(rows)[sample_frames(part, SPECS[name], "drawn")]
    found = decode_views(path, SPECS[name], "drawn", section=section)
    np.testing.assert_array_equal(found, frames_of(path)[indices])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """B-frames whose count is known, uneven times, a container that counts nothing, no B-frames."""
    folder = tmp_path_factory.mktemp("made")
    levels = [(7 * i) % 250 for i in range(60)]
    uneven = [(7 * i) % 250 for i in range(len(UNEVEN))]
    return {
        "even": write_video(folder / "even.mp4", levels, fps=30),
        "uneven": write_video(folder / "uneven.mp4", uneven, fps=50, stamps=UNEVEN),
        "uncounted": write_video(folder / "uncounted.mkv", levels),
        "mpeg4": write_video(folder / "mpeg4.avi", levels, codec="mpeg4"),
    }


# Which frames ---------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True).map(sorted),
    st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(1000, 33)]),
    st.integers(0, 400),
    st.one_of(st.integers(1, 400), st.none()),
)
@settings(deadline=None)
def test_a_section_is_the_frames_whose_exact_times_lie_in_it(
    stamps: list[int], rate: Fraction, begin: int, length: int | None
) -> None:
    """Bounds that are times of frames: in binary fractions they can be a little off."""
    stamps = [stamp - stamps[0] for stamp in stamps]
    times = [stamp / rate for stamp in stamps]
    timeline = Timeline(np.array([float(t) for t in times]), float(times[-1] + 1 / rate))
    end = math.inf if length is None else float((begin + length) / rate)
    stop = math.inf if length is None else begin + length
    expected = [row for row, stamp in enumerate(stamps) if begin <= stamp < stop]
    section = (float(begin / rate), end)
    if not expected:
        with pytest.raises(VideoError, match="too_short"):
            cut_section(timeline, section)
        return
    first, part = cut_section(timeline, section)
    assert list(range(first, first + part.num_frames)) == expected
    np.testing.assert_allclose(
        part.starts_seconds, [float(times[row] - times[first]) for row in expected], atol=1e-9
    )
    last = float(part.starts_seconds[-1])
    assert last < part.duration_seconds <= timeline.duration_seconds - float(times[first]) + 1e-9
    assert float(times[first]) + part.duration_seconds <= end + 1e-6


@given(
    st.sampled_from(["even", "uneven", "uncounted", "mpeg4"]),
    st.sampled_from(sorted(SPECS)),
    st.integers(0, 130),
    st.one_of(st.integers(1, 130), st.none()),
)
@settings(deadline=None, max_examples=150)
def test_frames_of_a_section_are_those_of_the_whole_video(
    made: dict[str, Path], video: str, name: str, begin: int, length: int | None
) -> None:
    end = math.inf if length is None else Fraction(begin + length, 50)
    assert_section_is_cut(made[video], Fraction(begin, 50), end, name)


@each_nth
def test_sections_of_real_clips_are_those_of_the_whole(
    real_clips: Path, awkward: Path, nth: int
) -> None:
    paths = [p for p in sorted(real_clips.iterdir()) if p.suffix in (".mp4", ".avi")]
    assert len(paths) >= 40
    paths = paths[::nth]
    paths += [awkward / name for name in ("decord_unordered.mov", "rabbit320.webm")]
    paths += [awkward / "mmaction2_demo_skeleton.mp4", awkward / "torchcodec_av1_video.mkv"]
    for number, path in enumerate(paths):
        begin, length = Fraction(number % 7, 10), Fraction(3 + number % 11, 10)
        assert_section_is_cut(path, begin, begin + length, list(SPECS)[number % len(SPECS)])


def test_all_of_the_time_is_all_of_the_video(made: dict[str, Path]) -> None:
    for path in made.values():
        for spec in SPECS.values():
            whole = decode_views(path, spec, "drawn")
            found = decode_views(path, spec, "drawn", section=(0, math.inf))
            np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("video", ["even", "uneven"])
@pytest.mark.parametrize(("begin", "end"), [(0.5, 1.1), (0.0, 0.7), (0.9, 1.5)])
def test_frames_at_a_rate_are_those_of_the_trim_and_fps_filters_of_ffmpeg(
    made: dict[str, Path], video: str, begin: float, end: float
) -> None:
    """https://ffmpeg.org/ffmpeg-filters.html#trim keeps times from start on and before end.

    It shows a last frame as long as the file does; here no frame is shown across an end.
    """
    filters = (
        f"setpts=PTS-STARTPTS,trim=start={begin}:end={end},setpts=PTS-STARTPTS,fps=10,"
        "scale=32:32,format=rgb24"
    )
    command = [find_ffmpeg(), "-v", "error", "-i", str(made[video]), "-vf", filters]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    written = subprocess.run(command, capture_output=True, check=True).stdout
    expected = levels_of(np.frombuffer(written, np.uint8).reshape(-1, 32, 32, 3))
    spec = replace(SPECS["fps"], fps=10.0, num_frames=4)
    found = levels_of(decode_views(made[video], spec, section=(begin, end))[0])
    middle = (len(expected) - 4) // 2
    np.testing.assert_allclose(found, expected[middle : middle + 4], atol=2)


def test_a_truncated_file_is_truncated_whatever_section_is_meant(awkward: Path) -> None:
    path = awkward / "decord_corrupted.mp4"
    for section in ((0.0, 0.2), (0.0, math.inf)):
        with pytest.raises(VideoError, match="truncated"):
            decode_views(path, SMALL, section=section)
    kept = decode_views(path, SMALL, section=(0.0, 0.2), keep_truncated=True)
    assert kept.shape == SMALL.views_shape
    with pytest.raises(VideoError, match="too_short: no frame from 100 s on"):
        decode_views(path, SMALL, section=(100.0, math.inf), keep_truncated=True)


# Its own clip ---------------------------------------------------------------------------------


def test_the_name_of_a_clip_is_that_of_file_and_section() -> None:
    """The name is from `printf '%064d 1.5 inf' 0 | sha256sum`."""
    file = "0" * 64
    assert clip_key(file, SMALL) == CacheKey(file, SMALL)
    named = "8082d2bcc805417deb1b3f9bbe0fc2e57a1191d246fd900371cbe4678b43fd40"
    assert clip_key(file, SMALL, (1.5, math.inf)) == CacheKey(named, SMALL)
    sections: list[Section] = [(0.0, 1.5), (1.5, 3.0), (1.5, math.inf), (0.0, 1.5000001)]
    assert len({clip_key(file, SMALL, section) for section in sections}) == len(sections)


RECORDS = [
    VideoRecord("whole", Path("even.mp4"), None),
    VideoRecord("head", Path("even.mp4"), None, section=(0.0, 0.5)),
    VideoRecord("tail", Path("even.mp4"), None, section=(1.5, math.inf)),
    VideoRecord("nothing", Path("even.mp4"), None, section=(9.0, 10.0)),
]


def read_all(source: ClipSource) -> Iterator[tuple[CacheKey | Skip, Views | Skip]]:
    with closing(Workers(0)) as workers:
        for record, result in zip(RECORDS, source.prepare(RECORDS, workers, 0), strict=True):
            yield result, source.read(record, result, workers)


def test_each_section_is_cached_found_and_skipped_alone(
    made: dict[str, Path], tmp_path: Path
) -> None:
    folder = made["even"].parent
    policy = CachePolicy()
    first = ClipSource(folder, SMALL, tmp_path, policy)
    assert not any(first.is_cached(r) for r in RECORDS)
    found = list(read_all(first))
    for record, (_, clip) in zip(RECORDS[:3], found, strict=False):
        expected = decode_views(made["even"], SMALL, section=record.section)
        assert isinstance(clip, np.ndarray)
        np.testing.assert_array_equal(clip, expected)
    nothing = found[3][1]
    detail = "no frame from 9 s to 10 s: frames begin from 0.000 s to 1.967 s"
    assert nothing == Skip("too_short", detail)
    again = ClipSource(folder, SMALL, tmp_path, policy)
    assert [again.is_cached(r) for r in RECORDS] == [True] * 3 + [False]
    assert [again.skip_is_final(record) for record in RECORDS] == [False] * 3 + [True]
    assert [result for result, _ in read_all(again)] == [result for result, _ in found]
    assert "decode" not in again.work.seconds


def test_a_damaged_clip_of_a_section_is_decoded_again(
    made: dict[str, Path], tmp_path: Path
) -> None:
    def source() -> ClipSource:
        return ClipSource(made["even"].parent, SMALL, tmp_path, CachePolicy())

    clips = [clip for _, clip in read_all(source())]
    for path in tmp_path.rglob("*.h5"):
        path.write_bytes(b"damaged")
    for found in ([clip for _, clip in read_all(source())] for _ in range(2)):
        for one, other in zip(clips[:3], found, strict=False):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert len(list(tmp_path.rglob("*.h5"))) == 3


# What is kept of it ---------------------------------------------------------------------------


def table(records: list[VideoRecord]) -> Predictions:
    predictions = Predictions.pending(records, ("a", "b"))
    for row in range(len(records)):
        predictions.set_scores(row, np.array([0.25, 0.75], np.float32))
    return predictions


def columns(path: Path) -> NDArray[np.str_]:
    with np.load(path, allow_pickle=False) as file:
        return np.array(sorted(file.files))


def test_predictions_keep_their_sections(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    table(RECORDS).save(path)
    found = Predictions.read(path)
    assert [found.section(row) for row in range(4)] == [record.section for record in RECORDS]
    assert found.only([2, 0]).section(0) == (1.5, math.inf)
    assert len(found.only([])) == 0


def test_predictions_without_sections_are_as_before(tmp_path: Path) -> None:
    with_sections, without = tmp_path / "a.npz", tmp_path / "b.npz"
    table(RECORDS).save(with_sections)
    table(RECORDS[:1]).save(without)
    assert set(columns(with_sections)) - set(columns(without)) == {"section"}
    assert Predictions.read(without).section(0) is None


def test_thumbnails_show_the_section(made: dict[str, Path], tmp_path: Path) -> None:
    table(RECORDS[:3]).save(tmp_path / "scores.npz")
    run = json.loads((REPOSITORY / "tests/golden/runs/views/run.json").read_text("utf-8"))
    run["identity"]["spec"] = SMALL.canonical()
    run["places"] = {"videos": str(made["even"].parent), "cache": str(tmp_path / "cache")}
    run["config"]["num_workers"] = 0
    write_json(tmp_path / "run.json", run)
    strips = collect_thumbnails(FinishedRun(tmp_path), [0, 1, 2])
    assert len(set(strips.values())) == 3
    for row, record in enumerate(RECORDS[:3]):
        views = decode_views(made["even"], SMALL, section=record.section)
        assert strips[row] == encode_jpeg(frame_strip(central_view(views, SMALL)))
