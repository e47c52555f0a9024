from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vidbench
from vidbench.data.records import FrameFolder
from vidbench.data.spec import PIXELS_VERSION, PRESETS
from vidbench.runs.coverage import digest_videos
from vidbench.runs.identity import RunIdentity

BASE = RunIdentity(
    model="i3d/kinetics-400",
    weights="0123456789abcdef",
    dataset="kinetics-400",
    split="val",
    spec=PRESETS["hub"],
    labels="3 exact classes",
    video_ids=("a", "b", "c"),
)
CHANGES: dict[str, Any] = {
    "model": "i3d/kinetics-600",
    "weights": "0123456789abcdee",
    "dataset": "kinetics-600",
    "split": "test",
    "spec": PRESETS["paper"],
    "video_ids": ("a", "b"),
    "precision": "fp16",
    "labels": "2 exact, 1 missing of 3 classes",
    "choices": ("a", "b"),
    "truncated": "score",
    "frames": (FrameFolder(12.0), FrameFolder(None, 30)),
}

ids = st.lists(st.text(), unique=True, max_size=6).map(tuple)


@pytest.mark.parametrize("field", [field.name for field in fields(RunIdentity)])
def test_every_field_changes_the_digest_and_the_signature(field: str) -> None:
    changed = replace(BASE, **{field: CHANGES[field]})
    assert changed.digest() != BASE.digest()
    assert changed.run_name() != BASE.run_name()
    assert changed.signature() != BASE.signature()


def test_equal_identities_have_equal_digests() -> None:
    assert replace(BASE, spec=replace(PRESETS["hub"])).digest() == BASE.digest()
    assert len(BASE.digest()) == 8


@given(ids, ids)
def test_videos_and_their_order_decide_the_digest(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    digests = [replace(BASE, video_ids=videos).digest() for videos in (one, other)]
    assert (one == other) == (digests[0] == digests[1])
    assert replace(BASE, video_ids=("b", "a", "c")).digest() != BASE.digest()


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_digest_of_the_videos_ignores_their_order(order: list[str]) -> None:
    expected = digest_videos("abcd")
    assert digest_videos(order) == expected
    assert digest_videos(order[:3]) != expected


def test_the_run_name_says_model_videos_and_digest() -> None:
    assert BASE.run_name() == f"i3d-kinetics-400_kinetics-400-val_3_{BASE.digest()}"


@pytest.mark.parametrize("field", ["model", "dataset", "split"])
def test_the_run_name_is_one_plain_folder_name(field: str) -> None:
    changes: dict[str, Any] = {field: "somebodys.own/a/b"}
    name = replace(BASE, **changes).run_name()
    assert Path(name).name == name


def test_the_signature_names_all_that_a_number_depends_on() -> None:
    signature = BASE.signature()
    assert len(signature.splitlines()) == 1
    assert signature.split(" | ") == [
        "i3d/kinetics-400 0123456789abcdef",
        "kinetics-400/val",
        f"{{evaluated}} of 3 videos {digest_videos(BASE.video_ids)}",
        "3 exact classes",
        f"100 frames uniform, center_square 224, stretch {PRESETS['hub'].digest()}",
        "1x1 view",
        "fp32",
        f"vidbench {vidbench.__version__} pixels {PIXELS_VERSION}",
    ]


def test_the_description_holds_everything_but_the_videos() -> None:
    named = CHANGES.keys() - {"video_ids"} | {"pixels_version"}
    later: dict[str, Any] = {name: CHANGES[name] for name in ("truncated", "frames")}
    assert replace(BASE, **later).as_dict().keys() == named
    assert BASE.as_dict().keys() == named - later.keys()
    assert BASE.as_dict()["spec"] == PRESETS["hub"].canonical()


def test_a_model_that_reads_files_has_no_spec() -> None:
    files = replace(BASE, spec=None)
    assert files.digest() != BASE.digest()
    assert (files.spec_digest, files.views) == (None, "unknown")
    assert files.signature().split(" | ")[4:] == [
        "video files, read by the model",
        f"vidbench {vidbench.__version__}",
    ]
    assert not files.as_dict().keys() & {"spec", "pixels_version"}
