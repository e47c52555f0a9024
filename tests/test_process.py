from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidbench.data import process
from vidbench.data.process import Indices, Timeline
from vidbench.data.records import Frame
from vidbench.data.spec import PRESETS, PreprocessSpec, ResizeType
from vidbench.errors import VideoError

RGB = av.VideoFormat("rgb24")
UNIFORM = PreprocessSpec(num_frames=4)
EVERY_FRAME = PreprocessSpec(num_frames=4, sampling="center", too_short="skip")
RESIZE_TYPES: list[ResizeType] = ["center_square", "short_side", "pad"]

seeds = st.integers(0, 2**32 - 1)
resize_types = st.sampled_from(RESIZE_TYPES)
lengths = st.integers(1, 90)


def sample_frames(timeline: Timeline, spec: PreprocessSpec) -> Indices:
    return np.asarray(process.sample_frames(timeline, spec)[0])


def fit_frame(frame: Frame, spec: PreprocessSpec, pixel_aspect: float = 1.0) -> Frame:
    return np.asarray(process.fit_frame(frame, spec, pixel_aspect)[0])


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


def square(
    resize_type: ResizeType, size: int = 32, short_side: int | None = None
) -> PreprocessSpec:
    side = short_side or size if resize_type == "short_side" else None
    return PreprocessSpec(resize_type=resize_type, crop_size=size, short_side=side)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def stripes(*colours_and_widths: tuple[int, int], height: int) -> NDArray[np.uint8]:
    """Vertical stripes of (level, width)."""
    row = np.concatenate([np.full(width, level) for level, width in colours_and_widths])
    return np.broadcast_to(row[None, :, None], (height, len(row), 3)).astype(np.uint8)


@given(lengths, lengths, st.integers(1, 40), st.integers(0, 20), resize_types)
def test_every_frame_becomes_a_square_of_the_crop_size(
    height: int, width: int, size: int, margin: int, resize_type: ResizeType
) -> None:
    frame = noise(height, width)
    before = frame.copy()
    found = fit_frame(frame, square(resize_type, size, size + margin))
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("resize_type", RESIZE_TYPES)
def test_a_frame_that_fits_is_copied_and_not_changed(resize_type: ResizeType) -> None:
    frame = noise(32, 32)
    found = fit_frame(frame, square(resize_type))
    np.testing.assert_array_equal(found, frame)
    assert not np.shares_memory(found, frame)


@pytest.mark.parametrize("resize_type", ["center_square", "short_side"])
def test_the_centre_is_taken_and_nothing_beside_it(resize_type: ResizeType) -> None:
    frame = stripes((10, 20), (200, 32), (90, 20), height=32)
    assert (fit_frame(frame, square(resize_type)) == 200).all()
    assert (fit_frame(frame.swapaxes(0, 1).copy(), square(resize_type)) == 200).all()


def test_padding_keeps_all_of_the_frame_in_its_shape_at_the_centre() -> None:
    frame = stripes((100, 32), (200, 32), height=32)
    found = fit_frame(frame, square("pad", 64))
    assert (found[:16] == 0).all()
    assert (found[48:] == 0).all()
    np.testing.assert_array_equal(found[16:48], frame)
    halved = fit_frame(frame, square("pad", 32))[..., 0]
    assert (halved[8:24, :15] == 100).all()
    assert (halved[8:24, 17:] == 200).all()
    assert (halved[:8] == 0).all()
    assert (halved[24:] == 0).all()


def test_short_side_256_crops_224_of_the_resized_frame() -> None:
    # 512 x 1024 becomes 256 x 512; columns 144 to 368 of it are 288 to 736 of the frame.
    frame = stripes((10, 288), (200, 448), (90, 288), height=512)
    found = fit_frame(frame, square("short_side", 224, 256))
    assert (found[:, 1:-1] == 200).all()
    shifted = fit_frame(np.roll(frame, 4, axis=1), square("short_side", 224, 256))
    assert (shifted[:, 0] == 10).all()
    assert (shifted[:, 3:] == 200).all()


def test_wide_pixels_widen_the_picture() -> None:
    # 64 x 32 pixels of 2:1 show a square, 32 x 32 of them its left and right cut off.
    narrow = stripes((100, 16), (200, 16), height=64)
    for resize_type in RESIZE_TYPES:
        columns = fit_frame(narrow, square(resize_type, 64), 2.0)[32, :, 0]
        assert (columns[:31] == 100).all()
        assert (columns[33:] == 200).all()
    cut = fit_frame(stripes((10, 8), (200, 16), (90, 8), height=32), square("center_square"), 2.0)
    assert (cut == 200).all()


def test_tall_pixels_are_wide_pixels_turned() -> None:
    for resize_type in RESIZE_TYPES:
        frame = noise(40, 60)
        wide = fit_frame(frame, square(resize_type), 2.0)
        tall = fit_frame(frame.swapaxes(0, 1).copy(), square(resize_type), 0.5).swapaxes(0, 1)
        assert np.abs(wide.astype(int) - tall).max() <= 1


@given(lengths, lengths, seeds, resize_types)
def test_portrait_is_landscape_turned(
    height: int, width: int, seed: int, resize_type: ResizeType
) -> None:
    frame = noise(height, width, seed)
    spec = square(resize_type, 24, 30)
    turned = fit_frame(frame.swapaxes(0, 1).copy(), spec).swapaxes(0, 1)
    assert np.abs(fit_frame(frame, spec).astype(int) - turned).max() <= 1


@given(lengths, lengths, st.integers(0, 255), st.sampled_from([0.5, 0.9, 1.0, 1.4, 2.0]))
def test_a_frame_of_one_level_stays_so(height: int, width: int, level: int, aspect: float) -> None:
    frame = np.full((height, width, 3), level, np.uint8)
    for resize_type in ("center_square", "short_side"):
        found = fit_frame(frame, square(resize_type, 24, 30), aspect)
        assert (found == level).all()
    assert set(np.unique(fit_frame(frame, square("pad", 24), aspect))) <= {0, level}


@pytest.mark.parametrize("resize_type", RESIZE_TYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (2, 3), (3, 4000)])
@pytest.mark.parametrize("aspect", [1.0, 4.0, 0.25])
def test_extreme_frames_become_squares_too(
    resize_type: ResizeType, shape: tuple[int, int], aspect: float
) -> None:
    assert fit_frame(noise(*shape), square(resize_type), aspect).shape == (32, 32, 3)


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
    indices = process.sample_frames(constant(available, Fraction(30)), spec)
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
    indices = process.sample_frames(timeline, spec, draw)
    assert indices.shape == (3, wanted)
    assert indices.min() >= 0
    assert indices.max() < available
    np.testing.assert_array_equal(process.sample_frames(timeline, spec, draw), indices)
    if available >= wanted:
        assert (np.diff(indices, axis=1) == 1).all()


def test_random_clips_begin_anywhere_equally_often() -> None:
    spec = replace(EVERY_FRAME, sampling="random", num_frames=6, num_clips=40, sampling_seed=3)
    timeline = constant(10, Fraction(30))
    starts = [process.sample_frames(timeline, spec, str(video))[:, 0] for video in range(50)]
    counts = np.bincount(np.concatenate(starts), minlength=5)
    # 2,000 draws of 5 places: 400 each, with a standard deviation of 18.
    assert np.abs(counts - 400).max() < 90
    assert len({tuple(drawn) for drawn in starts}) == 50
    other = process.sample_frames(timeline, replace(spec, sampling_seed=4), "0")
    assert not np.array_equal(other[:, 0], starts[0])


def test_a_short_video_may_show_its_last_frame_on() -> None:
    short = constant(3, Fraction(25))
    spec = replace(EVERY_FRAME, num_frames=5, too_short="repeat_last")
    assert sample_frames(short, spec).tolist() == [0, 1, 2, 2, 2]
    strided = replace(spec, frame_stride=2, num_frames=3)
    assert sample_frames(short, strided).tolist() == [0, 2, 2]


@given(st.integers(4, 40), st.integers(4, 40), seeds)
def test_three_crops_lie_along_the_longer_side(height: int, width: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    side = min(height, width)
    spec = PreprocessSpec(crop_size=side, num_crops=3)
    first, middle, last = process.fit_frame(frame, spec)
    np.testing.assert_array_equal(first, frame[:side, :side])
    np.testing.assert_array_equal(last, frame[-side:, -side:])
    np.testing.assert_array_equal(middle, fit_frame(frame, replace(spec, num_crops=1)))
    exact = replace(spec, resize_type="short_side", short_side=side)
    np.testing.assert_array_equal(process.fit_frame(frame, exact), [first, middle, last])


def test_which_side_is_longer_is_seen_as_the_picture_is_shown() -> None:
    frame = np.zeros((10, 12, 3), np.uint8)
    frame[:3] = 255
    spec = PreprocessSpec(crop_size=6, num_crops=3)
    # Pixels half as wide as high: 10 by 6 as shown, so the crops go from top to bottom.
    crops = process.fit_frame(frame, spec, 0.5)
    assert crops[0, 0].min() == 255
    assert crops[2].max() == 0
