from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbench.data.spec import PRESETS, PreprocessSpec
from vidbench.data.video import pixels
from vidbench.data.video.pixels import Indices
from vidbench.data.video.timeline import Timeline
from vidbench.errors import VideoError

RGB = av.VideoFormat("rgb24")
UNIFORM = PreprocessSpec(num_frames=4)
EVERY_FRAME = PreprocessSpec(num_frames=4, sampling="center", too_short="skip")

seeds = st.integers(0, 2**32 - 1)


def sample_frames(timeline: Timeline, spec: PreprocessSpec) -> Indices:
    return np.asarray(pixels.sample_frames(timeline, spec)[0])


def timeline_of(pts: list[int], time_base: Fraction, last: int) -> Timeline:
    """Frames at these times, the last of which is shown for ``last`` ticks."""
    starts = np.array(pts, np.float64) * float(time_base)
    return Timeline(starts, float(starts[-1]) + last * float(time_base))


def constant(num_frames: int, rate: Fraction) -> Timeline:
    return timeline_of(list(range(num_frames)), 1 / rate, 1)


def assert_resampled(timeline: Timeline, fps: float, expected: list[int]) -> None:
    spec = replace(EVERY_FRAME, fps=fps, num_frames=len(expected))
    assert sample_frames(timeline, spec).tolist() == expected
    with pytest.raises(VideoError, match="too_short"):
        sample_frames(timeline, replace(spec, num_frames=len(expected) + 1))


def ffmpeg_fps(pts: list[int], time_base: Fraction, last: int, fps: int) -> list[int]:
    """Indices of the frames that leave FFmpeg's own ``fps`` filter."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format=RGB, time_base=time_base)
    resample = graph.add("fps", f"fps={fps}")
    sink = graph.add("buffersink")
    source.link_to(resample)
    resample.link_to(sink)
    graph.configure()
    found = []

    def drain() -> None:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            high, low = frame.to_ndarray()[0, 0, :2].tolist()
            found.append(256 * high + low)

    for index, (at, until) in enumerate(zip(pts, [*pts[1:], pts[-1] + last], strict=True)):
        pixels = np.full((16, 16, 3), (index // 256, index % 256, 0), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base, frame.duration = at, time_base, until - at
        graph.vpush(frame)
        drain()
    graph.vpush(None)
    drain()
    return found


@given(st.integers(1, 2000), st.integers(2, 300))
def test_uniform_frames_go_evenly_from_the_first_to_the_last(available: int, wanted: int) -> None:
    timeline = constant(available, Fraction(30))
    indices = sample_frames(timeline, replace(UNIFORM, num_frames=wanted))
    steps = np.diff(indices)
    assert indices.shape == (wanted,)
    assert (indices[0], indices[-1]) == (0, available - 1)
    assert (steps >= 0).all()
    assert np.abs(steps - (available - 1) / (wanted - 1)).max() <= 1
    if wanted <= available:
        assert (steps > 0).all()


@given(st.integers(1, 200))
def test_as_many_frames_as_there_are_is_every_frame(available: int) -> None:
    timeline = constant(available, Fraction(30))
    every = list(range(available))
    assert sample_frames(timeline, replace(UNIFORM, num_frames=available)).tolist() == (
        every if available > 1 else [0]
    )
    assert sample_frames(timeline, replace(EVERY_FRAME, num_frames=available)).tolist() == every


@pytest.mark.parametrize(("available", "middle"), [(1, 0), (2, 1), (3, 1), (101, 50)])
def test_a_single_uniform_frame_is_the_middle_one(available: int, middle: int) -> None:
    indices = sample_frames(constant(available, Fraction(25)), replace(UNIFORM, num_frames=1))
    assert indices.tolist() == [middle]


def test_a_short_video_is_stretched_looped_or_skipped() -> None:
    short = constant(3, Fraction(25))
    stretch = replace(UNIFORM, num_frames=7)
    loop = replace(stretch, too_short="loop")
    looped_stride = replace(EVERY_FRAME, num_frames=4, frame_stride=2, too_short="loop")
    assert sample_frames(short, stretch).tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert sample_frames(short, loop).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert sample_frames(short, looped_stride).tolist() == [0, 2, 1, 0]
    for spec in (replace(stretch, too_short="skip"), EVERY_FRAME):
        with pytest.raises(VideoError, match="3 frames") as caught:
            sample_frames(short, spec)
        assert caught.value.reason == "too_short"


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 8))
def test_a_stride_is_centred(available: int, wanted: int, step: int) -> None:
    spec = replace(EVERY_FRAME, num_frames=wanted, frame_stride=step)
    timeline = constant(available, Fraction(30))
    if available < (wanted - 1) * step + 1:
        with pytest.raises(VideoError):
            sample_frames(timeline, spec)
        return
    indices = sample_frames(timeline, spec)
    before, after = indices[0], available - 1 - indices[-1]
    assert (np.diff(indices) == step).all()
    assert after - before in (0, 1)


def test_30_fps_become_25_by_dropping_every_sixth_frame() -> None:
    # Frame k is shown from slot floor(5k/6 + 1/2): 0 1 2 3 3 4 | 5 ..., so frame 3 gives way.
    assert_resampled(constant(12, Fraction(30)), 25, [0, 1, 2, 4, 5, 6, 7, 8, 10, 11])


def test_10_fps_become_25_by_repeating_frames_by_turns() -> None:
    # Frame k is shown from slot floor(5k/2 + 1/2): 0 3 5 8 10.
    assert_resampled(constant(4, Fraction(10)), 25, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3])


def test_a_variable_rate_becomes_an_even_one() -> None:
    # Starts 0, 10, 20, 100, 300 ms; slots of 40 ms: 0 0 1 3 8; the end, 340 ms, is slot 9.
    timeline = timeline_of([0, 10, 20, 100, 300], Fraction(1, 1000), 40)
    assert_resampled(timeline, 25, [1, 2, 2, 3, 3, 3, 3, 3, 4])


def test_the_own_rate_takes_every_frame() -> None:
    assert_resampled(constant(50, Fraction(25)), 25, list(range(50)))


@pytest.mark.parametrize("time_base", ["1/30", "1/15360", "1/30000", "1/90000", "1/600"])
def test_the_paper_takes_250_frames_of_ten_seconds_at_30_fps(time_base: str) -> None:
    ticks = int(Fraction(1, 30) / Fraction(time_base))
    timeline = timeline_of([ticks * k for k in range(300)], Fraction(time_base), ticks)
    expected = [6 * turn + k for turn in range(50) for k in (0, 1, 2, 4, 5)]
    assert sample_frames(timeline, PRESETS["paper"]).tolist() == expected


@pytest.mark.parametrize("rate", ["10", "12", "15", "24000/1001", "24", "25", "30000/1001", "30"])
@pytest.mark.parametrize("time_base", ["1/15360", "1/90000", "1/1000", "own"])
def test_constant_rates_are_resampled_as_ffmpeg_does(rate: str, time_base: str) -> None:
    base = 1 / Fraction(rate) if time_base == "own" else Fraction(time_base)
    pts = [round(k / Fraction(rate) / base) for k in range(301)]
    last = pts.pop() - pts[-1]
    expected = ffmpeg_fps(pts, base, last, 25)
    assert_resampled(timeline_of(pts, base, last), 25, expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 4000), min_size=2, max_size=60),
    st.sampled_from([600, 1000, 12800, 15360, 30000, 90000]),
    st.sampled_from([5, 10, 25, 30]),
)
def test_variable_rates_are_resampled_as_ffmpeg_does(
    durations: list[int], ticks_per_second: int, fps: int
) -> None:
    pts = [0, *np.cumsum(durations[:-1]).tolist()]
    base = Fraction(1, ticks_per_second)
    expected = ffmpeg_fps(pts, base, durations[-1], fps)
    if expected:
        assert_resampled(timeline_of(pts, base, durations[-1]), fps, expected)


@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 8), st.integers(2, 12))
def test_dense_clips_go_from_the_first_frame_to_the_last(
    available: int, wanted: int, step: int, num_clips: int
) -> None:
    spec = replace(
        EVERY_FRAME,
        sampling="dense",
        num_frames=wanted,
        frame_stride=step,
        num_clips=num_clips,
        too_short="loop",
    )
    indices = pixels.sample_frames(constant(available, Fraction(30)), spec)
    assert indices.shape == (num_clips, wanted)
    if available < (wanted - 1) * step + 1:
        assert (indices == np.arange(wanted) * step % available).all()
        return
    assert (np.diff(indices, axis=1) == step).all()
    assert (indices[0, 0], indices[-1, -1]) == (0, available - 1)
    gaps = np.diff(indices[:, 0])
    assert gaps.min() >= 0
    assert np.ptp(gaps) <= 1


@given(st.integers(1, 400), st.integers(1, 20), st.integers(0, 99), st.text("0123456789abcdef"))
def test_random_clips_lie_within_the_video_and_are_drawn_again_alike(
    available: int, wanted: int, seed: int, draw: str
) -> None:
    spec = replace(
        EVERY_FRAME,
        sampling="random",
        num_frames=wanted,
        num_clips=3,
        sampling_seed=seed,
        too_short="repeat_last",
    )
    timeline = constant(available, Fraction(30))
    indices = pixels.sample_frames(timeline, spec, draw)
    assert indices.shape == (3, wanted)
    assert indices.min() >= 0
    assert indices.max() < available
    np.testing.assert_array_equal(pixels.sample_frames(timeline, spec, draw), indices)
    if available >= wanted:
        assert (np.diff(indices, axis=1) == 1).all()


def test_random_clips_begin_anywhere_equally_often() -> None:
    spec = replace(EVERY_FRAME, sampling="random", num_frames=6, num_clips=40, sampling_seed=3)
    timeline = constant(10, Fraction(30))
    starts = [pixels.sample_frames(timeline, spec, str(video))[:, 0] for video in range(50)]
    counts = np.bincount(np.concatenate(starts), minlength=5)
    # 2,000 draws of 5 places: 400 each, with a standard deviation of 18.
    assert np.abs(counts - 400).max() < 90
    assert len({tuple(drawn) for drawn in starts}) == 50
    other = pixels.sample_frames(timeline, replace(spec, sampling_seed=4), "0")
    assert not np.array_equal(other[:, 0], starts[0])


def test_a_short_video_may_show_its_last_frame_on() -> None:
    short = constant(3, Fraction(25))
    spec = replace(EVERY_FRAME, num_frames=5, too_short="repeat_last")
    assert sample_frames(short, spec).tolist() == [0, 1, 2, 2, 2]
    strided = replace(spec, frame_stride=2, num_frames=3)
    assert sample_frames(short, strided).tolist() == [0, 2, 2]
