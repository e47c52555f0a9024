"""The mirror that stands in for real footage has the same kinds of trouble in the same places."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import av
import pytest

from tests.helpers.mirror import NUM_TARBALLS, build_mirror
from tests.helpers.paths import SAMPLE


def readable(root: Path) -> list[list[bool]]:
    """Of each tarball, in the order of names: whether each video opens."""
    return [_readable(root / f"400/val/part_{part}.tar.gz") for part in range(NUM_TARBALLS)]


def _readable(tarball: Path) -> list[bool]:
    found = []
    with tarfile.open(tarball) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            content = tar.extractfile(member)
            assert content is not None
            try:
                av.open(io.BytesIO(content.read())).close()
                found.append(True)
            except av.FFmpegError:
                found.append(False)
    return found


def test_the_same_videos_are_damaged_as_in_the_real_mirror(
    tmp_path: Path, footage: Path | None
) -> None:
    if footage is None:
        pytest.skip("no real footage: set VIDBENCH_FOOTAGE")
    stand_in = build_mirror(SAMPLE, tmp_path / "mirror")
    assert readable(stand_in) == readable(footage / "mirror" / "kinetics")


def test_tests_that_use_footage_are_marked(request: pytest.FixtureRequest, mirror: Path) -> None:
    assert mirror.is_dir()
    assert request.node.get_closest_marker("footage")
