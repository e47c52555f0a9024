from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.data.spec import PRESETS, PreprocessSpec, ResizeType, TooShort
from vidbench.errors import ConfigError

BASE = PreprocessSpec(
    num_frames=16,
    sampling="stride",
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
    "crop_size": {"crop_size": 112},
    "too_short": {"too_short": "skip"},
}


def specs() -> st.SearchStrategy[PreprocessSpec]:
    """Every valid spec with small numbers."""

    def build(
        stride: tuple[float | None, int] | None,
        resize_type: ResizeType,
        sizes: tuple[int, int],
        rest: tuple[int, bool, bool],
    ) -> PreprocessSpec:
        num_frames, skip, stretch = rest
        too_short: TooShort = (
            "stretch" if stretch and stride is None else "skip" if skip else "loop"
        )
        fps, step = stride or (None, 1)
        return PreprocessSpec(
            num_frames=num_frames,
            sampling="uniform" if stride is None else "stride",
            fps=fps,
            frame_stride=step,
            resize_type=resize_type,
            short_side=sizes[0] + sizes[1] if resize_type == "short_side" else None,
            crop_size=sizes[0],
            too_short=too_short,
        )

    rates = st.none() | st.sampled_from([1.0, 12.5, 25.0, 29.97])
    return st.builds(
        build,
        st.none() | st.tuples(rates, st.integers(1, 3)),
        st.sampled_from(["center_square", "short_side", "pad"]),
        st.tuples(st.integers(1, 3), st.integers(0, 2)),
        st.tuples(st.integers(1, 3), st.booleans(), st.booleans()),
    )


# Another digest of the same spec orphans every cached clip: these stay as they are today.
def test_the_digests_of_the_presets_stay_what_they_are() -> None:
    assert {name: spec.digest() for name, spec in PRESETS.items()} == {
        "hub": "9c2e95ab6c444993",
        "paper": "465bd59a705fc002",
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
        {"sampling": "stride"},
        {"resize_type": "short_side"},
        {"short_side": 256},
        {"resize_type": "pad", "short_side": 256},
        {"resize_type": "short_side", "short_side": 223},
        {"num_frames": 0},
        {"num_frames": -1},
        {"crop_size": 0},
        {"resize_type": "short_side", "short_side": 0},
        {"sampling": "stride", "too_short": "loop", "frame_stride": 0},
        {"sampling": "stride", "too_short": "loop", "fps": 0.0},
        {"sampling": "stride", "too_short": "loop", "fps": -25.0},
        {"sampling": "stride", "too_short": "loop", "fps": float("nan")},
        {"sampling": "stride", "too_short": "loop", "fps": float("inf")},
        {"sampling": "random"},
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
    assert BASE.describe() == "16 frames stride at 25 fps every 2, short_side 256 crop 224, loop"
