from __future__ import annotations

import csv
import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.footage import each_nth
from tests.helpers.frames import opencv_frames
from tests.helpers.videos import levels_of, write_video
from vidbench.data.records import Frame
from vidbench.data.spec import PIXELS_VERSION, PRESETS, PreprocessSpec
from vidbench.data.video import pixels, resize
from vidbench.data.video.decode import decode_views
from vidbench.data.video.timeline import Timeline
from vidbench.errors import VideoError

GOLDEN = Path(__file__).parent / "golden" / "pixels.json"
HUB = PRESETS["hub"]
SMALL = PreprocessSpec(num_frames=16, crop_size=32)
EVERY_FRAME = replace(SMALL, sampling="center", too_short="skip")


def decode_clip(path: Path, spec: PreprocessSpec) -> Frame:
    return np.asarray(decode_views(path, spec)[0])


def fit_frame(frame: Frame, spec: PreprocessSpec, pixel_aspect: float = 1.0) -> Frame:
    return np.asarray(resize.fit_frame(frame, spec, pixel_aspect)[0])


def opencv_pixel_aspect(path: Path) -> float:
    capture = cv2.VideoCapture(str(path))
    width, height = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    return width / height if width and height else 1.0


def reason(path: Path, spec: PreprocessSpec = SMALL) -> str:
    with pytest.raises(VideoError) as error:
        decode_clip(path, spec)
    assert error.value.detail
    return error.value.reason


VIEWS: dict[str, dict[str, Any]] = {
    "dense": {"sampling": "dense", "num_clips": 3},
    "random": {"sampling": "random", "num_clips": 2, "sampling_seed": 7},
    "center": {"sampling": "center"},
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_clips_of_crops(real_clips: Path, name: str) -> None:
    path = real_clips / "mmaction2_demo.mp4"
    frames = opencv_frames(path)
    aspect = opencv_pixel_aspect(path)
    fixed = replace(SMALL, num_frames=8, frame_stride=3, too_short="loop", sampling="center")
    spec = replace(fixed, **VIEWS[name], num_crops=3)
    times = Timeline(np.arange(len(frames)) / 25, len(frames) / 25)
    indices = pixels.sample_frames(times, spec, "video")
    crops = np.stack([resize.fit_frame(frame, spec, aspect) for frame in frames])
    expected = np.concatenate([crops[clip].swapaxes(0, 1) for clip in indices])
    found = decode_views(path, spec, "video")
    assert found.shape == spec.views_shape
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        found[1::3], decode_views(path, replace(spec, num_crops=1), "video")
    )


@each_nth
def test_pixels_of_real_clips_equal_opencv(real_clips: Path, nth: int) -> None:
    paths = [path for path in sorted(real_clips.iterdir()) if path.suffix in (".mp4", ".avi")]
    assert len(paths) >= 40
    for path in paths[::nth]:
        frames = opencv_frames(path)
        aspect = opencv_pixel_aspect(path)
        chosen = np.rint(np.linspace(0, len(frames) - 1, 40)).astype(int)
        expected = np.stack([fit_frame(frames[i], HUB, aspect) for i in chosen])
        found = decode_clip(path, replace(HUB, num_frames=40))
        np.testing.assert_array_equal(found, expected, err_msg=path.name)


@pytest.mark.parametrize("name", ["decord_video_90.mov", "decord_video_270.mov"])
def test_rotation_in_the_metadata_is_applied_as_opencv_applies_it(awkward: Path, name: str) -> None:
    frames = opencv_frames(awkward / name)
    assert frames[0].shape[0] > frames[0].shape[1]
    spec = replace(HUB, num_frames=len(frames), resize_type="pad")
    expected = np.stack([fit_frame(frame, spec) for frame in frames])
    np.testing.assert_array_equal(decode_clip(awkward / name, spec), expected)


def test_frame_counts_are_those_that_ffprobe_decodes(footage: Path | None) -> None:
    """The counts in the manifests were made with ffprobe -count_frames."""
    if footage is None:
        pytest.skip("no real footage")
    for folder in ("clips", "awkward"):
        with (footage / folder / "manifest.csv").open() as file:
            for row in csv.DictReader(file):
                count = int(row["decoded_frames"] or 0)
                if count and "truncated" not in row["notes"] and row["n_video_streams"] == "1":
                    path = footage / row["file"]
                    spec = replace(EVERY_FRAME, num_frames=count)
                    assert len(decode_clip(path, spec)) == count
                    assert reason(path, replace(spec, num_frames=count + 1)) == "too_short"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("audio_only_gs-16b-2c-44100hz.mp4", "unreadable"),
        ("rockingrok_48byte_output.mp4", "unreadable"),
        ("lfs_pointer_archery.mp4", "unreadable"),
        ("invalid_vp9_bitstream-bug_1416.webm", "unreadable"),
        ("decord_corrupted.mp4", "truncated"),
    ],
)
def test_real_files_that_are_no_whole_video_are_refused(
    awkward: Path, name: str, expected: str
) -> None:
    assert reason(awkward / name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "torchcodec_av1_video.mkv",
        "clipvideoencode_vid1.mp4",
        "decord_unordered.mov",
        "rabbit320.webm",
        "test_video_66x50.mov",
        "torchcodec_h264_10bits.mp4",
        "torchcodec_nasa_13013.mp4",
        "mmaction2_demo_skeleton.mp4",
    ],
)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_awkward_but_healthy_files_decode(awkward: Path, name: str, preset: str) -> None:
    clip = decode_clip(awkward / name, PRESETS[preset])
    assert clip.shape == (PRESETS[preset].num_frames, 224, 224, 3)


@pytest.mark.parametrize("num_frames", [1, 3, 7, 25, 50])
def test_the_wanted_frames_come_out_though_b_frames_are_skipped(
    tmp_path: Path, num_frames: int
) -> None:
    path = write_video(tmp_path / "ramp.mp4", [4 * i for i in range(50)])
    everything = decode_clip(path, replace(EVERY_FRAME, num_frames=50))
    spec = replace(SMALL, num_frames=num_frames)
    chosen = [25] if num_frames == 1 else np.rint(np.linspace(0, 49, num_frames)).astype(int)
    np.testing.assert_array_equal(decode_clip(path, spec), everything[chosen])
    np.testing.assert_allclose(levels_of(everything), [4 * i for i in range(50)], atol=2)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("mpeg4", ".avi"), ("libx264", ".mkv"), ("libvpx-vp9", ".webm")]
)
def test_other_codecs_and_containers_give_the_same_frames(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    path = write_video(tmp_path / f"ramp{suffix}", [5 * i for i in range(40)], codec=codec)
    spec = replace(SMALL, num_frames=40)
    expected = [fit_frame(frame, spec) for frame in opencv_frames(path)]
    np.testing.assert_array_equal(decode_clip(path, spec), np.stack(expected))
    np.testing.assert_allclose(levels_of(np.stack(expected)), [5 * i for i in range(40)], atol=6)


def write_patches(path: Path, pixel_format: str) -> NDArray[np.float64]:
    """Writes 64 patches of one colour each, losslessly; their RGB levels, (8, 8, 3).

    The levels are those of BT.601 (ITU-R BT.601-7, section 2.5), which are meant where a file says
    nothing.
    """
    levels = 2 ** av.VideoFormat(pixel_format).components[0].bits
    random_levels = np.random.default_rng(0)
    luma = random_levels.integers(levels * 16 // 256, levels * 235 // 256, (8, 8))
    chroma = random_levels.integers(levels * 7 // 16, levels * 9 // 16, (2, 8, 8))
    frame = av.VideoFrame(256, 256, pixel_format)
    for plane, patches in zip(frame.planes, (luma, *chroma), strict=True):
        pixels = np.kron(patches, np.ones((plane.height // 8, plane.width // 8)))
        dtype = np.dtype(np.uint8 if levels == 256 else np.uint16)
        rows = np.zeros((plane.height, plane.line_size // dtype.itemsize), dtype)
        rows[:, : plane.width] = pixels
        plane.update(rows.tobytes())
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 256, pixel_format
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    y, (u, v) = (luma / levels * 256 - 16) / 219, (chroma / levels * 256 - 128) / 224
    rgb = y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u
    return np.asarray(np.clip(np.stack(rgb, axis=-1) * 255, 0, 255), np.float64)


@pytest.mark.parametrize(
    "pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv444p16le"]
)
def test_more_than_8_bits_are_rounded_to_the_nearest_of_8(
    tmp_path: Path, pixel_format: str
) -> None:
    path = tmp_path / "patches.mkv"
    expected = write_patches(path, pixel_format)
    found = decode_clip(path, replace(HUB, num_frames=1, crop_size=256))[0, 16::32, 16::32]
    assert np.abs(found - expected).max() < 0.55
    assert abs((found - expected).mean()) < 0.1


def test_8_bits_stay_as_opencv_has_them(tmp_path: Path) -> None:
    for pixel_format in ("yuv420p", "yuv422p", "yuv444p"):
        path = tmp_path / f"{pixel_format}.mkv"
        write_patches(path, pixel_format)
        spec = replace(HUB, num_frames=1, crop_size=256)
        np.testing.assert_array_equal(decode_clip(path, spec), opencv_frames(path)[:1])


def test_variable_frame_rate_is_resampled_by_time_not_by_count(tmp_path: Path) -> None:
    """10 frames in the first 0.1 s, the eleventh from 0.5 s on: in between the tenth is shown.

    The first slot of 0.1 s shows the fifth frame, the last that rounds to it.
    """
    stamps = [*range(10), 50]
    levels = [20 * i for i in range(11)]
    path = write_video(tmp_path / "gap.mp4", levels, fps=100, stamps=stamps)
    spec = replace(SMALL, sampling="center", fps=10.0, num_frames=5, too_short="loop")
    np.testing.assert_allclose(levels_of(decode_clip(path, spec)), [80, 180, 180, 180, 180], atol=3)


def test_a_short_video_loops_as_the_paper_preset_says(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mp4", [10, 60, 110, 160, 210], size=(320, 240))
    found = levels_of(decode_clip(path, PRESETS["paper"]))
    np.testing.assert_allclose(found, [10, 60, 110, 160, 210] * 50, atol=3)


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    clip = decode_clip(write_video(tmp_path / "one.mp4", [99]), SMALL)
    assert set(levels_of(clip)) <= {98, 99, 100}


def test_a_file_cut_anywhere_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    levels = [random.Random(i).randrange(256) for i in range(100)]  # noqa: S311
    whole = write_video(tmp_path / "whole.mp4", levels, faststart=True).read_bytes()
    cut = tmp_path / "cut.mp4"
    for share in (0.02, 0.3, 0.6, 0.9):
        cut.write_bytes(whole[: int(len(whole) * share)])
        assert reason(cut) in ("truncated", "unreadable")


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"no video at all\n" * 100])
def test_a_file_that_is_no_video_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    assert reason(path) == "unreadable"


def test_pixels_are_those_of_this_pixels_version(sample_clip: Path) -> None:
    """If this fails on purpose, raise PIXELS_VERSION and write the new digests."""
    found = {
        name: hashlib.sha256(decode_clip(sample_clip, spec).tobytes()).hexdigest()
        for name, spec in PRESETS.items()
    }
    golden = json.loads(GOLDEN.read_text())
    assert found == golden["sha256"]
    assert golden["pixels_version"] == PIXELS_VERSION
