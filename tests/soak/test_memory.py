"""What a long, large video costs: no more than one of the usual length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

pytestmark = pytest.mark.soak

PROGRAM = """
import resource, sys
from pathlib import Path
from vidbench.data.video.decode import decode_views
from vidbench.data.spec import PreprocessSpec
for path in sys.argv[1:]:
    views = decode_views(Path(path), PreprocessSpec())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def write_moving(path: Path, num_frames: int, bit_rate: int) -> Path:
    """A 1920x1080 video of noise that moves, so that it takes its bits."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (1080, 2400, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=60, options={"preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.bit_rate = bit_rate
        for index in range(num_frames):
            shift = 4 * index % 480
            pixels = np.ascontiguousarray(ground[:, shift : shift + 1920])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def peak_bytes(path: Path) -> int:
    command = [sys.executable, "-c", PROGRAM, str(path)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_minute_of_1080p_takes_the_memory_of_two_seconds(tmp_path: Path) -> None:
    short = write_moving(tmp_path / "short.mp4", 120, 20_000_000)
    long = write_moving(tmp_path / "long.mp4", 3600, 20_000_000)
    assert long.stat().st_size > 100e6
    kept = 1 << 26  # bytes of packets that the decoder may keep
    assert peak_bytes(long) < peak_bytes(short) + kept + 16e6
