"""Whole videos pass, of whatever kind; those that lost a part do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.soak.conftest import Faults
from tests.soak.cut_files import Cut, make_cut
from tests.soak.healthy_files import Healthy, make_healthy
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.scan import scan_video
from vidbench.errors import VideoError

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program"),
]

_SPEC = PreprocessSpec(num_frames=8, crop_size=32)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[Healthy]:
    return make_healthy(tmp_path_factory.mktemp("healthy") / "files")


@pytest.fixture(scope="module")
def cut(healthy: list[Healthy], tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    return make_cut(tmp_path_factory.mktemp("cut"), healthy, 600)


def test_no_whole_video_is_refused(healthy: list[Healthy], faults: Faults) -> None:
    refused = {file.kind: reason for file in healthy if (reason := _refusal(file.path))}
    _note(faults, "whole videos", (file.kind for file in healthy), refused)
    assert len(healthy) >= 1000
    assert not refused


def test_every_video_that_lost_a_part_is_refused(cut: list[Cut], faults: Faults) -> None:
    passed = {file.kind: "passed" for file in cut if not _refusal(file.path)}
    _note(faults, "cut videos", (file.kind for file in cut), passed)
    assert len(cut) >= 500
    assert not passed


def _refusal(path: Path) -> str:
    """Why a check or a run refuses the video; empty where both take it."""
    scan = scan_video(path)
    try:
        decode_views(path, _SPEC)
    except VideoError as error:
        return f"{scan.status} {error}"
    return "" if scan.status == "ok" else f"{scan.status} {scan.reason}"


def _note(faults: Faults, name: str, kinds: Iterable[str], wrong: dict[str, str]) -> None:
    """Counts files by their encoder and container."""
    for kind in kinds:
        parts = kind.split(" | ")
        family = f"{name}: {parts[0].split('-')[0]}"
        faults.note(family, 1, kind not in wrong, kind in wrong)
