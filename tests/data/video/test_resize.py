from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vidbench.data.records import Frame
from vidbench.data.spec import (
    RESIZE_FILTERS,
    PreprocessSpec,
    ResizeFilter,
    ResizeType,
    SideRounding,
)
from vidbench.data.video import resize

RESIZE_TYPES: list[ResizeType] = ["center_square", "short_side", "pad", "squash", "crop"]

# What the programs that people train with do themselves.
FILTERS: dict[ResizeFilter, Callable[[Frame, int, int], Frame]] = {
    "bilinear": lambda frame, width, height: by_opencv(frame, width, height, cv2.INTER_LINEAR),
    "bicubic": lambda frame, width, height: by_opencv(frame, width, height, cv2.INTER_CUBIC),
    "area": lambda frame, width, height: by_opencv(frame, width, height, cv2.INTER_AREA),
    "bilinear_antialias": lambda frame, width, height: by_pillow(frame, width, height, "BILINEAR"),
    "bicubic_antialias": lambda frame, width, height: by_pillow(frame, width, height, "BICUBIC"),
    "lanczos_antialias": lambda frame, width, height: by_pillow(frame, width, height, "LANCZOS"),
}

seeds = st.integers(0, 2**32 - 1)
resize_types = st.sampled_from(RESIZE_TYPES)
lengths = st.integers(1, 90)


def by_opencv(frame: Frame, width: int, height: int, method: int) -> Frame:
    return np.asarray(cv2.resize(frame, (width, height), interpolation=method), np.uint8)


def by_pillow(frame: Frame, width: int, height: int, method: str) -> Frame:
    image = Image.fromarray(frame)
    return np.asarray(image.resize((width, height), Image.Resampling[method]))


def fit_frame(frame: Frame, spec: PreprocessSpec, pixel_aspect: float = 1.0) -> Frame:
    return np.asarray(resize.fit_frame(frame, spec, pixel_aspect)[0])


def square(
    resize_type: ResizeType, size: int = 32, short_side: int | None = None
) -> PreprocessSpec:
    side = short_side or size if resize_type in ("short_side", "squash") else None
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
    for resize_type in RESIZE_TYPES[:-1]:  # without resizing, wide pixels make a wider picture
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
    whole: list[ResizeType] = ["center_square", "short_side", "squash"]
    in_black: list[ResizeType] = ["pad", "crop"]
    for resize_type in whole:
        found = fit_frame(frame, square(resize_type, 24, 30), aspect)
        assert (found == level).all()
    for resize_type in in_black:
        assert set(np.unique(fit_frame(frame, square(resize_type, 24), aspect))) <= {0, level}


@pytest.mark.parametrize("resize_type", RESIZE_TYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (2, 3), (3, 4000)])
@pytest.mark.parametrize("aspect", [1.0, 4.0, 0.25])
def test_extreme_frames_become_squares_too(
    resize_type: ResizeType, shape: tuple[int, int], aspect: float
) -> None:
    assert fit_frame(noise(*shape), square(resize_type), aspect).shape == (32, 32, 3)


@given(st.integers(4, 40), st.integers(4, 40), seeds)
def test_three_crops_lie_along_the_longer_side(height: int, width: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    side = min(height, width)
    spec = PreprocessSpec(crop_size=side, num_crops=3)
    first, middle, last = resize.fit_frame(frame, spec)
    np.testing.assert_array_equal(first, frame[:side, :side])
    np.testing.assert_array_equal(last, frame[-side:, -side:])
    np.testing.assert_array_equal(middle, fit_frame(frame, replace(spec, num_crops=1)))
    exact = replace(spec, resize_type="short_side", short_side=side)
    np.testing.assert_array_equal(resize.fit_frame(frame, exact), [first, middle, last])


def test_which_side_is_longer_is_seen_as_the_picture_is_shown() -> None:
    frame = np.zeros((10, 12, 3), np.uint8)
    frame[:3] = 255
    spec = PreprocessSpec(crop_size=6, num_crops=3)
    # Pixels half as wide as high: 10 by 6 as shown, so the crops go from top to bottom.
    crops = resize.fit_frame(frame, spec, 0.5)
    assert crops[0, 0].min() == 255
    assert crops[2].max() == 0


def test_every_filter_has_its_oracle() -> None:
    assert FILTERS.keys() == set(RESIZE_FILTERS)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("shape", [(90, 160), (20, 30), (61, 47)])
def test_each_filter_gives_the_pixels_of_the_library_it_is_named_after(
    name: ResizeFilter, shape: tuple[int, int]
) -> None:
    frame = noise(*shape)
    squashed = replace(square("squash", 40), resize_filter=name)
    np.testing.assert_array_equal(fit_frame(frame, squashed), FILTERS[name](frame, 40, 40))
    side = min(shape)
    cut = [(n - side) // 2 for n in shape]
    centre = np.ascontiguousarray(frame[cut[0] : cut[0] + side, cut[1] : cut[1] + side])
    squares = replace(square("center_square", 40), resize_filter=name)
    np.testing.assert_array_equal(fit_frame(frame, squares), FILTERS[name](centre, 40, 40))


@pytest.mark.parametrize(
    ("shape", "short_side", "nearest", "down"),
    [
        ((256, 340), 224, 298, 297),  # 297.5
        ((480, 854), 224, 399, 398),  # 398.53
        ((240, 320), 224, 299, 298),  # 298.67
        ((720, 1280), 224, 398, 398),  # 398.22
        ((30, 91), 21, 64, 63),  # 63.7
        ((49, 21), 3, 7, 7),  # exactly 7, though 3 / 21 * 49 is a little less in binary
    ],
)
def test_the_longer_side_is_rounded_or_cut(
    shape: tuple[int, int], short_side: int, nearest: int, down: int
) -> None:
    frame = noise(*shape)
    spec = PreprocessSpec(resize_type="short_side", short_side=short_side, crop_size=short_side)
    for longer, rounding in ((nearest, spec), (down, replace(spec, side_rounding="down"))):
        height, width = (short_side, longer) if shape[0] < shape[1] else (longer, short_side)
        resized = by_opencv(frame, width, height, cv2.INTER_LINEAR)
        top, left = (height - short_side) // 2, (width - short_side) // 2
        expected = resized[top : top + short_side, left : left + short_side]
        np.testing.assert_array_equal(fit_frame(frame, rounding), expected)


@given(lengths, lengths, st.floats(0.3, 3.0), st.sampled_from(["nearest", "down"]))
def test_the_shorter_side_is_never_short_of_its_length(
    height: int, width: int, aspect: float, rounding: SideRounding
) -> None:
    """Though binary fractions may make a little less of it: then black would be beside."""
    frame = np.full((height, width, 3), 9, np.uint8)
    spec = replace(square("short_side", 24), side_rounding=rounding)
    assert (fit_frame(frame, spec, aspect) == 9).all()


def test_crop_takes_pixels_as_they_are_and_puts_black_around_few() -> None:
    frame = noise(40, 50) // 2 + 64
    np.testing.assert_array_equal(fit_frame(frame, square("crop", 32)), frame[4:36, 9:41])
    found = fit_frame(frame, square("crop", 45))
    np.testing.assert_array_equal(found[3:43], frame[:, 2:47])  # one more row above than below
    assert not found[:3].any()
    assert not found[43:].any()
