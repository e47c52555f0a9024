from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.videos import levels_of, write_video
from vidbench.data.video.encode import Size, enlarge, shown_size, upscale
from vidbench.errors import VideoError


def read(path: Path) -> tuple[list[float], NDArray[np.uint8]]:
    """Times in seconds, sorted, and frames as FFmpeg stores them: (frames, height, width, 3)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        frames = list(container.decode(stream))
        times = sorted(float((f.pts or 0) * stream.time_base) for f in frames)
        return times, np.stack([f.to_ndarray(format="rgb24") for f in frames])


def write_marked(path: Path, *, rotation: int = 0, aspect: Fraction = Fraction(1)) -> Path:
    """Dark frames of 64x48, whose upper left corner as stored is white."""
    picture = np.full((48, 64, 3), 20, np.uint8)
    picture[:16, :16] = 235
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            if not hasattr(stream.codec_context, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            stream.set_display_rotation(rotation)
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


sides = st.integers(1, 5000)


@given(st.builds(Size, sides, sides), st.integers(1, 1000))
def test_enlarged_sides_are_even_long_enough_and_in_proportion(size: Size, min_size: int) -> None:
    found = enlarge(size, min_size)
    assert found.width % 2 == found.height % 2 == 0
    shorter = max(min(size), min_size)
    assert min(found) in (shorter, shorter + 1)
    assert (found.width >= found.height) == (size.width >= size.height) or max(found) == min(found)
    assert abs(max(found) - max(size) * min(found) / min(size)) <= 1


@pytest.mark.parametrize("stamps", [None, [0, 1, 2, 5, 6, 11, 12, 13]])
def test_frames_keep_their_number_their_times_and_their_brightness(
    stamps: list[int] | None, tmp_path: Path
) -> None:
    levels = [16, 48, 80, 112, 144, 176, 208, 240]
    source = write_video(tmp_path / "small.mp4", levels, stamps=stamps)
    upscale(source, tmp_path / "large.tmp", 100)
    times, frames = read(tmp_path / "large.tmp")
    assert times == read(source)[0]
    assert frames.shape == (8, 100, 134, 3)
    np.testing.assert_allclose(levels_of(frames), levels, atol=2)


@pytest.mark.parametrize(
    ("rotation", "shape", "corner"),
    [(0, (96, 128), (0, 0)), (90, (128, 96), (-1, 0)), (180, (96, 128), (-1, -1)),
     (270, (128, 96), (0, -1))],
)  # fmt: skip
def test_rotation_is_applied_counterclockwise(
    rotation: int, shape: tuple[int, int], corner: tuple[int, int], tmp_path: Path
) -> None:
    source = write_marked(tmp_path / "small.mp4", rotation=rotation)
    assert shown_size(source) == ((48, 64) if rotation % 180 else (64, 48))
    upscale(source, tmp_path / "large.mp4", 96)
    _, frames = read(tmp_path / "large.mp4")
    assert frames.shape[1:3] == shape
    corners = {(y, x): float(frames[0, y, x].mean()) for y in (0, -1) for x in (0, -1)}
    assert max(corners, key=lambda place: corners[place]) == corner
    assert sorted(value > 128 for value in corners.values()) == [False, False, False, True]


def test_pixels_become_square(tmp_path: Path) -> None:
    source = write_marked(tmp_path / "small.mp4", aspect=Fraction(3, 2))
    assert shown_size(source) == (96, 48)
    upscale(source, tmp_path / "large.mp4", 96)
    assert shown_size(tmp_path / "large.mp4") == (192, 96)
    assert read(tmp_path / "large.mp4")[1].shape == (5, 96, 192, 3)


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    source = write_marked(tmp_path / "small.mp4")
    for name in ("one.mp4", "two.mp4"):
        upscale(source, tmp_path / name, 96)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.parametrize(
    "name", ["mmaction2_demo.mp4", "v_Bowling_g22_c04.avi", "v_Shotput_g13_c03.avi"]
)
def test_real_clips_look_as_before(real_clips: Path, tmp_path: Path, name: str) -> None:
    """One of them has oblong pixels, one an avi's B-frames, all but the first have sound."""
    upscale(real_clips / name, tmp_path / "large.mp4", 360)
    (old_times, old), (times, new) = read(real_clips / name), read(tmp_path / "large.mp4")
    assert len(new) == len(old)
    np.testing.assert_allclose(times, old_times, atol=1e-6)
    assert new.shape[1] == 360
    for index in (0, len(old) // 2, len(old) - 1):
        expected = cv2.resize(old[index], new.shape[2:0:-1], interpolation=cv2.INTER_LANCZOS4)
        error = np.square(expected.astype(float) - new[index]).mean()
        assert 10 * np.log10(255**2 / error) > 32  # dB


def test_sound_is_kept_packet_by_packet(real_clips: Path, tmp_path: Path) -> None:
    source = real_clips / "v_Shotput_g13_c03.avi"
    upscale(source, tmp_path / "large.mp4", 360)

    def sound(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(container.streams.audio[0]) if p.size]

    assert sound(tmp_path / "large.mp4") == sound(source)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("decord_corrupted.mp4", "truncated"),
        ("lfs_pointer_archery.mp4", "unreadable"),
        ("audio_only_gs-16b-2c-44100hz.mp4", "unreadable"),
        ("invalid_vp9_bitstream-bug_1416.webm", "unreadable"),
    ],
)
def test_damaged_files_are_refused(awkward: Path, tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(VideoError) as error:
        upscale(awkward / name, tmp_path / "large.mp4", 360)
    assert error.value.reason == reason


def test_frames_that_would_be_too_large_are_refused(tmp_path: Path) -> None:
    source = write_video(tmp_path / "wide.mp4", [50, 60], size=(640, 16))
    with pytest.raises(VideoError, match="exceed"):
        upscale(source, tmp_path / "large.mp4", 2000)
