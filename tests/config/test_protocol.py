"""What follows from the options of a protocol, and the pictures that explain them."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.paths import REPOSITORY
from tests.helpers.specs import specs
from vidbench.config.protocol import PROTOCOL_OPTIONS, change, find_preset, fixed_by
from vidbench.data.spec import (
    PRESETS,
    RESIZE_FILTERS,
    RESIZE_TYPES,
    SAMPLINGS,
    SIDE_ROUNDINGS,
    TOO_SHORT,
    PreprocessSpec,
)
from vidbench.errors import ConfigError
from vidbench.models.base import load_model

HUB, PAPER = PRESETS["hub"], PRESETS["paper"]
DENSE = replace(PAPER, sampling="dense", num_clips=10)
RANDOM = replace(PAPER, sampling="random", sampling_seed=7, num_clips=4)
SHORT_SIDE = replace(HUB, resize_type="short_side", short_side=320)
DOWN = replace(SHORT_SIDE, side_rounding="down")

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "num_frames": st.integers(1, 64),
    "sampling": st.sampled_from(SAMPLINGS),
    "fps": st.sampled_from([5.0, 12.5, 25.0]),
    "frame_stride": st.integers(1, 8),
    "num_clips": st.integers(1, 10),
    "sampling_seed": st.integers(0, 9),
    "resize_type": st.sampled_from(RESIZE_TYPES),
    "short_side": st.sampled_from([112, 256, 320]),
    "resize_filter": st.sampled_from(RESIZE_FILTERS),
    "side_rounding": st.sampled_from(SIDE_ROUNDINGS),
    "crop_size": st.sampled_from([112, 224, 288]),
    "num_crops": st.sampled_from([1, 3]),
    "too_short": st.sampled_from(TOO_SHORT),
}
OF_CLIPS = {"sampling", "fps", "frame_stride", "num_clips", "too_short", "sampling_seed"}

asked_for = st.fixed_dictionaries({}, optional=VALUES)


def changed(spec: PreprocessSpec, asked: dict[str, Any]) -> PreprocessSpec | None:
    """The changed spec; None where it is refused, which takes one line that names an option."""
    refusal = ""
    try:
        return change(spec, asked)
    except ConfigError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) == 1
    assert any(name in refusal for name in PROTOCOL_OPTIONS)
    return None


def differing(one: PreprocessSpec, other: PreprocessSpec) -> set[str]:
    values = asdict(other)
    return {name for name, value in asdict(one).items() if value != values[name]}


def test_the_values_tried_here_are_those_of_every_option() -> None:
    assert VALUES.keys() == set(PROTOCOL_OPTIONS)


@given(specs(), asked_for)
def test_what_is_asked_for_is_what_comes_or_else_a_refusal(
    spec: PreprocessSpec, asked: dict[str, Any]
) -> None:
    found = changed(spec, asked)
    if found is not None:
        assert {name: getattr(found, name) for name in asked} == asked


@given(specs(), asked_for)
def test_nothing_else_changes_than_what_follows(
    spec: PreprocessSpec, asked: dict[str, Any]
) -> None:
    found = changed(spec, asked)
    allowed = set(asked)
    if asked.keys() & {"sampling", "num_clips"}:
        allowed |= OF_CLIPS
    if "resize_type" in asked:
        allowed |= {"short_side", "side_rounding"}
    assert found is None or differing(found, spec) <= allowed


@given(specs(), asked_for)
def test_asking_twice_is_asking_once(spec: PreprocessSpec, asked: dict[str, Any]) -> None:
    found = changed(spec, asked)
    assert found is None or change(found, asked) == found


@given(specs(), st.sets(st.sampled_from(PROTOCOL_OPTIONS)))
def test_asking_for_what_is_already_so_changes_nothing(
    spec: PreprocessSpec, names: set[str]
) -> None:
    own = {name: value for name, value in asdict(spec).items() if value is not None}
    assert change(spec, {name: own[name] for name in names & own.keys()}) == spec


@given(specs().filter(lambda spec: spec.fps is None), specs())
def test_any_protocol_can_be_asked_for_from_any_that_does_not_resample(
    spec: PreprocessSpec, wanted: PreprocessSpec
) -> None:
    given_options = {name: value for name, value in asdict(wanted).items() if value is not None}
    assert change(spec, given_options) == wanted


@pytest.mark.parametrize(
    ("spec", "asked", "follows"),
    [
        (HUB, {"sampling": "center"}, {"too_short": "loop"}),
        (HUB, {"sampling": "center", "too_short": "skip"}, {}),
        (HUB, {"sampling": "dense", "num_clips": 10}, {"too_short": "loop"}),
        (HUB, {"sampling": "random"}, {"too_short": "loop", "sampling_seed": 0}),
        (HUB, {"sampling": "random", "sampling_seed": 5}, {"too_short": "loop"}),
        (PAPER, {"num_clips": 10}, {"sampling": "dense"}),
        (PAPER, {"num_clips": 1}, {}),
        (PAPER, {"sampling": "uniform"}, {"fps": None}),
        (DENSE, {"num_clips": 1}, {"sampling": "center"}),
        (DENSE, {"num_clips": 4}, {}),
        (DENSE, {"sampling": "center"}, {"num_clips": 1}),
        (DENSE, {"sampling": "uniform"}, {"fps": None, "num_clips": 1}),
        (DENSE, {"sampling": "random"}, {"sampling_seed": 0}),
        (replace(PAPER, frame_stride=2), {"sampling": "uniform"}, {"fps": None, "frame_stride": 1}),
        (RANDOM, {"num_clips": 1}, {}),
        (RANDOM, {"sampling": "dense"}, {"sampling_seed": None}),
        (RANDOM, {"sampling": "center"}, {"sampling_seed": None, "num_clips": 1}),
        (HUB, {"resize_type": "short_side"}, {"short_side": 256}),
        (HUB, {"resize_type": "short_side", "short_side": 320}, {}),
        (SHORT_SIDE, {"resize_type": "short_side"}, {}),
        (SHORT_SIDE, {"resize_type": "pad"}, {"short_side": None}),
        (SHORT_SIDE, {"resize_type": "squash"}, {"short_side": 224}),
        (SHORT_SIDE, {"resize_type": "squash", "crop_size": 112}, {"short_side": 112}),
        (SHORT_SIDE, {"crop_size": 112}, {}),
        (DOWN, {"resize_type": "pad"}, {"short_side": None}),
        (DOWN, {"resize_type": "crop"}, {"short_side": None, "side_rounding": "nearest"}),
        (DOWN, {"resize_filter": "area"}, {}),
    ],
    ids=str,
)
def test_what_follows_from_an_option(
    spec: PreprocessSpec, asked: dict[str, Any], follows: dict[str, Any]
) -> None:
    assert change(spec, asked) == replace(spec, **asked, **follows)


@pytest.mark.parametrize(
    ("spec", "asked", "named"),
    [
        (HUB, {"num_clips": 2}, "num_clips"),
        (HUB, {"fps": 25.0}, "fps"),
        (HUB, {"frame_stride": 2}, "frame_stride"),
        (HUB, {"sampling": "dense"}, "dense"),
        (HUB, {"sampling": "center", "num_clips": 2}, "num_clips"),
        (HUB, {"sampling": "center", "too_short": "stretch"}, "stretch"),
        (HUB, {"sampling_seed": 1}, "sampling_seed"),
        (HUB, {"short_side": 256}, "short_side"),
        (HUB, {"resize_type": "pad", "num_crops": 3}, "num_crops"),
        (HUB, {"resize_type": "squash", "num_crops": 3}, "num_crops"),
        (HUB, {"side_rounding": "down"}, "side_rounding"),
        (HUB, {"resize_type": "crop", "short_side": 256}, "short_side"),
        (HUB, {"resize_type": "short_side", "crop_size": 288}, "short_side"),
        (PAPER, {"sampling": "uniform", "fps": 25.0}, "fps"),
        (PAPER, {"crop_size": 320}, "short_side"),
        (DENSE, {"sampling": "dense", "num_clips": 1}, "dense"),
        (RANDOM, {"sampling": "dense", "sampling_seed": 7}, "sampling_seed"),
    ],
    ids=str,
)
def test_contradictions_are_refused_in_one_line(
    spec: PreprocessSpec, asked: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        change(spec, asked)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_by_its_name(name: str) -> None:
    assert find_preset(name) == PRESETS[name]


@pytest.mark.parametrize("name", ["i3d/kinetics-400", "i3d/kinetics-600"])
def test_the_name_of_a_model_is_a_preset_too(name: str) -> None:
    assert find_preset(name) == load_model(name).spec


@pytest.mark.parametrize("name", ["i4d/kinetics-400", "i3d/kinetics-4000", "my.models/x"])
def test_an_unknown_model_is_no_preset(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_preset(name)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("preset", "left_open"),
    [
        ("hub", {"num_frames", "num_clips", "num_crops"}),
        ("paper", {"num_clips", "num_crops"}),
        ("i3d/kinetics-600", {"num_frames", "num_clips", "num_crops"}),
    ],
)
def test_a_preset_fixes_all_but_how_much_is_seen(preset: str, left_open: set[str]) -> None:
    assert set(PROTOCOL_OPTIONS) - fixed_by(preset) == left_open


@pytest.mark.docs
def test_the_pictures_of_the_manual_show_what_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = REPOSITORY / "docs" / "draw_protocol.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--out", str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    committed = sorted((REPOSITORY / "docs" / "images").glob("protocol-*.png"))
    assert [path.name for path in committed] == sorted(path.name for path in tmp_path.iterdir())
    page = (REPOSITORY / "docs" / "protocol.md").read_text()
    for path in committed:
        assert read_picture(path) == read_picture(tmp_path / path.name)
        assert f"](images/{path.name})" in page
        assert path.stat().st_size < 150_000


def read_picture(path: Path) -> tuple[tuple[int, int], Any]:
    """Its size in pixels, and what it says that it shows."""
    with Image.open(path) as picture:
        return picture.size, json.loads(picture.info["Description"])
