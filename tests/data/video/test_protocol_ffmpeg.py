"""Which frames a protocol takes, against the ffmpeg program: its frames, its count of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.ffmpeg import find_ffmpeg
from tests.helpers.videos import write_video
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.resize import fit_frame

Frames = NDArray[np.uint8]
Extract = Callable[[Path, PreprocessSpec], Frames]

# Mean difference of frames, in levels. One frame converted to RGB by another build of FFmpeg
# differs by rounding; another frame of the videos below differs by more.
SAME = 0.75

SPECS = {
    "uniform": PreprocessSpec(num_frames=9, crop_size=64),
    "center": PreprocessSpec(
        num_frames=9, crop_size=64, sampling="center", frame_stride=3, too_short="skip"
    ),
    "center at 25": PreprocessSpec(
        num_frames=13, crop_size=64, sampling="center", fps=25, too_short="skip"
    ),
    "center at 12 every 2": PreprocessSpec(
        num_frames=7, crop_size=64, sampling="center", fps=12, frame_stride=2, too_short="skip"
    ),
    "dense": PreprocessSpec(
        num_frames=8, crop_size=64, sampling="dense", num_clips=4, frame_stride=2, too_short="skip"
    ),
    "dense at 25 every 2": PreprocessSpec(
        num_frames=6,
        crop_size=64,
        sampling="dense",
        num_clips=3,
        fps=25,
        frame_stride=2,
        too_short="skip",
    ),
}


@pytest.fixture(scope="module")
def extract() -> Extract:
    """Every frame of a video at a protocol's rate, as ffmpeg writes them, cropped as it says."""
    program = find_ffmpeg()

    def run(path: Path, spec: PreprocessSpec) -> Frames:
        width, height, aspect = measure(path)
        # Here time counts from the first frame, which begins later than 0 in many an avi.
        rate = "null" if spec.fps is None else f"setpts=PTS-STARTPTS,fps={spec.fps}"
        command = [program, "-v", "error", "-threads", "1", "-i", str(path), "-map", "0:v:0"]
        command += ["-vf", rate, "-fps_mode", "passthrough", "-pix_fmt", "rgb24"]
        command += ["-f", "rawvideo", "-"]
        written = subprocess.run(command, capture_output=True, check=True).stdout
        frames = np.frombuffer(written, np.uint8).reshape(-1, height, width, 3)
        return np.stack([fit_frame(frame, spec, aspect)[0] for frame in frames])

    return run


def measure(path: Path) -> tuple[int, int, float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height, float(stream.sample_aspect_ratio or 1)


def places(spec: PreprocessSpec, available: int) -> list[list[int]]:
    """The frames of each clip among the available ones, by the words of docs/protocol.md."""
    if spec.sampling == "uniform":
        last = spec.num_frames - 1
        return [[round(Fraction(i * (available - 1), last)) for i in range(last + 1)]]
    room = available - 1 - (spec.num_frames - 1) * spec.frame_stride
    starts = [room // 2]
    if spec.sampling == "dense":
        starts = [i * room // (spec.num_clips - 1) for i in range(spec.num_clips)]
    return [[start + i * spec.frame_stride for i in range(spec.num_frames)] for start in starts]


def difference(one: Frames, other: Frames) -> NDArray[np.float64]:
    """Mean absolute difference of each frame, in levels."""
    return np.asarray(np.abs(one.astype(int) - other).mean(axis=(-3, -2, -1)))


def assert_same_frames(path: Path, spec: PreprocessSpec, extract: Extract) -> None:
    every = extract(path, spec)
    chosen = np.array(places(spec, len(every)))
    found = decode_views(path, spec)
    assert difference(found, every[chosen]).max() < SAME
    for step in (-1, 1):
        beside = np.clip(chosen + step, 0, len(every) - 1)
        apart = difference(every[beside], every[chosen])
        assert ((apart >= 2 * SAME) | (apart == 0)).all()  # a resampled gap repeats a frame
        assert (apart > 0).mean() > 0.5


VIDEOS: dict[str, dict[str, Any]] = {
    "constant.mp4": {"fps": 30},
    "constant.mkv": {"fps": 24},
    "constant.avi": {"fps": 25, "codec": "mpeg4"},
    "variable.mp4": {"fps": 50, "stamps": [k + k // 3 + 2 * (k // 7) for k in range(60)]},
    "variable.mkv": {"fps": 40, "stamps": [k + k // 2 + 3 * (k // 10) for k in range(60)]},
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", VIDEOS)
def test_made_videos(name: str, spec: PreprocessSpec, tmp_path: Path, extract: Extract) -> None:
    levels = [20 + 83 * k % 199 for k in range(60)]  # up to 5 frames apart, 17 or more
    path = write_video(tmp_path / name, levels, **VIDEOS[name])
    assert_same_frames(path, spec, extract)


# Moving all the time, so that no frame looks like the next; the mp4 has oblong pixels.
CLIPS = [
    "v_Biking_g01_c04.avi",
    "v_JavelinThrow_g21_c03.avi",
    "v_Punch_g03_c01.avi",
    "paddlevideo_example.avi",
    "mmaction2_test.mp4",
]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips(name: str, spec: PreprocessSpec, real_clips: Path, extract: Extract) -> None:
    assert_same_frames(real_clips / name, spec, extract)
