from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given

from tests.helpers.specs import specs
from vidbench.data.spec import PRESETS, PreprocessSpec
from vidbench.errors import ConfigError

BASE = PreprocessSpec(
    num_frames=16,
    sampling="center",
    fps=25.0,
    frame_stride=2,
    resize_type="short_side",
    short_side=256,
    crop_size=224,
    too_short="loop",
)

# Everything that differs from BASE in one field; two where one cannot change alone.
CHANGES: dict[str, dict[str, Any]] = {
    "num_frames": {"num_frames": 17},
    "sampling": {"sampling": "uniform", "fps": None, "frame_stride": 1},
    "fps": {"fps": 30.0},
    "frame_stride": {"frame_stride": 1},
    "resize_type": {"resize_type": "pad", "short_side": None},
    "short_side": {"short_side": 288},
    "resize_filter": {"resize_filter": "bicubic_antialias"},
    "side_rounding": {"side_rounding": "down"},
    "crop_size": {"crop_size": 112},
    "too_short": {"too_short": "skip"},
    "num_clips": {"sampling": "dense", "num_clips": 10},
    "sampling_seed": {"sampling": "random", "sampling_seed": 0},
    "num_crops": {"num_crops": 3},
}


# Another digest of the same spec orphans every cached clip: these stay as they are today.
def test_the_digests_of_the_presets_stay_what_they_are() -> None:
    assert {name: spec.digest() for name, spec in PRESETS.items()} == {
        "hub": "9c2e95ab6c444993",
        "paper": "7eeb9c5f42701664",
    }


@given(specs(), specs())
def test_specs_are_equal_exactly_if_their_digests_are(
    one: PreprocessSpec, other: PreprocessSpec
) -> None:
    assert (one == other) == (one.digest() == other.digest())


@given(specs(), specs())
def test_specs_are_equal_exactly_if_their_descriptions_are(
    one: PreprocessSpec, other: PreprocessSpec
) -> None:
    assert (one == other) == (one.describe() == other.describe())


def test_whole_and_decimal_rates_are_the_same() -> None:
    assert replace(BASE, fps=25).digest() == replace(BASE, fps=25.0).digest()


@pytest.mark.parametrize("field", [field.name for field in fields(PreprocessSpec)])
def test_every_field_changes_the_digest(field: str) -> None:
    assert replace(BASE, **CHANGES[field]).digest() != BASE.digest()


@pytest.mark.parametrize(
    "values",
    [
        {"fps": 25.0},
        {"frame_stride": 2},
        {"sampling": "center"},
        {"resize_type": "short_side"},
        {"short_side": 256},
        {"resize_type": "pad", "short_side": 256},
        {"resize_type": "short_side", "short_side": 223},
        {"num_frames": 0},
        {"num_frames": -1},
        {"crop_size": 0},
        {"resize_type": "short_side", "short_side": 0},
        {"sampling": "center", "too_short": "loop", "frame_stride": 0},
        {"sampling": "center", "too_short": "loop", "fps": 0.0},
        {"sampling": "center", "too_short": "loop", "fps": -25.0},
        {"sampling": "center", "too_short": "loop", "fps": float("nan")},
        {"sampling": "center", "too_short": "loop", "fps": float("inf")},
        {"sampling": "random", "too_short": "loop"},
        {"sampling": "middle"},
        {"sampling": "dense", "too_short": "loop"},
        {"sampling": "center", "too_short": "loop", "num_clips": 2},
        {"sampling_seed": 1},
        {"num_clips": 2},
        {"num_clips": 0},
        {"num_crops": 2},
        {"num_crops": 3, "resize_type": "pad"},
        {"num_crops": 3, "resize_type": "squash", "short_side": 224},
        {"resize_type": "squash"},
        {"resize_type": "crop", "short_side": 256},
        {"resize_filter": "linear"},
        {"side_rounding": "up"},
        {"side_rounding": "down"},
        {"resize_type": "centre_square"},
        {"too_short": "pad"},
    ],
    ids=str,
)
def test_a_wrong_or_contradictory_spec_is_refused_in_one_line(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        PreprocessSpec(**values)
    assert len(str(caught.value).splitlines()) == 1
    assert any(name in str(caught.value) for name in values)


def test_a_spec_describes_itself() -> None:
    assert PRESETS["hub"].describe() == "100 frames uniform, center_square 224, stretch"
    assert BASE.describe() == "16 frames center at 25 fps every 2, short_side 256 crop 224, loop"
    views = replace(BASE, sampling="dense", num_clips=10, num_crops=3)
    assert views.describe() == (
        "10 clips of 16 frames dense at 25 fps every 2, short_side 256 crop 3 crops of 224, loop"
    )
    assert (views.views_name, views.num_views) == ("10x3", 30)
    as_clip = replace(BASE, resize_filter="bicubic_antialias", side_rounding="down")
    assert as_clip.describe() == (
        "16 frames center at 25 fps every 2, short_side 256 crop 224 bicubic_antialias "
        "rounded down, loop"
    )
