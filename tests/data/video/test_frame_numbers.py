"""Frame i of a video is frame i, whatever wrote it: the pictures tell their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.codec import codecs_available

from tests.helpers.frames import decoded
from tests.helpers.numbered import numbers_of, write_numbered
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.pixels import sample_frames
from vidbench.data.video.scan import Scan, scan_video
from vidbench.data.video.timeline import Timeline
from vidbench.footage.frames import file_frames

NUM_FRAMES = 40
SPECS = {
    "uniform": PreprocessSpec(num_frames=NUM_FRAMES, crop_size=88, resize_type="pad"),
    "a few": PreprocessSpec(num_frames=7, crop_size=88, resize_type="pad"),
    "center every 3": PreprocessSpec(
        num_frames=10,
        sampling="center",
        frame_stride=3,
        crop_size=88,
        resize_type="pad",
        too_short="loop",
    ),
    "dense": PreprocessSpec(
        num_frames=8,
        sampling="dense",
        num_clips=3,
        frame_stride=2,
        crop_size=88,
        resize_type="pad",
        too_short="loop",
    ),
}
REORDERING = ("libx264", "libx265", "mpeg2video", "mpeg4", "libvpx", "libvpx-vp9", "libsvtav1")
OPTIONS = {
    "mpeg2video": {"bf": "2"},
    "mpeg4": {"bf": "2"},
    "libvpx": {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"},
    "libvpx-vp9": {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"},
}
CONTAINERS = {
    "mp4": ".mp4",
    "mov": ".mov",
    "matroska": ".mkv",
    "webm": ".webm",
    "avi": ".avi",
    "flv": ".flv",
    "asf": ".wmv",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "nut": ".nut",
    "ogg": ".ogv",
    "mxf": ".mxf",
    "ismv": ".ismv",
    "wtv": ".wtv",
    "gxf": ".gxf",
    "h264": ".h264",
    "hevc": ".hevc",
}


def encoders() -> Iterator[str]:
    """FFmpeg's video encoders that write more than single pictures."""
    for name in sorted(codecs_available):
        with suppress(av.FFmpegError, ValueError):
            codec = av.Codec(name, "w")
            if codec.type == "video" and codec.canonical_name != "wrapped_avframe":
                yield name


def expected(numbers: list[int], spec: PreprocessSpec) -> list[list[int]]:
    """What a spec without a rate takes of frames with these numbers: (clips, frames)."""
    count = len(numbers)
    indices = sample_frames(Timeline(np.arange(count) / 25, count / 25), spec)
    return [[numbers[index] for index in clip] for clip in indices]


def require_right(path: Path) -> None:
    numbers = decoded(path)
    assert scan_video(path) == Scan("ok")
    for name, spec in SPECS.items():
        found = [numbers_of(clip) for clip in decode_views(path, spec)]
        assert found == expected(numbers, spec), (path.name, name)
    with file_frames(path, SPECS["a few"]) as footage:
        frames = list(footage.frames)
    assert [number for f in frames for number in numbers_of(f.crops)] == numbers, path.name
    seconds = [frame.seconds for frame in frames]
    assert seconds == sorted(seconds), path.name


def try_all(folder: Path, codec: str) -> int:
    """How many containers take this codec; in each of them every frame is right."""
    whole = 0
    for muxer, suffix in CONTAINERS.items():
        path = folder / f"{codec}{suffix}"
        try:
            write_numbered(
                path, codec, NUM_FRAMES, container_format=muxer, options=OPTIONS.get(codec)
            )
            numbers = decoded(path)
        except (av.FFmpegError, ValueError, IndexError):
            continue  # this container does not take this codec
        if numbers == list(range(NUM_FRAMES)):  # or FFmpeg does not read what it wrote
            require_right(path)
            whole += 1
        path.unlink()
    return whole


@pytest.mark.parametrize("codec", REORDERING)
def test_codecs_that_reorder_or_hide_frames(tmp_path: Path, codec: str) -> None:
    assert try_all(tmp_path, codec) >= 3


@pytest.mark.slow
def test_every_encoder_in_every_container(tmp_path: Path) -> None:
    assert sum(try_all(tmp_path, codec) for codec in encoders()) > 200
