"""Pictures are turned and mirrored as the ffmpeg program shows them."""

from __future__ import annotations

import io
import math
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tests.helpers.ffmpeg import find_ffmpeg
from tests.helpers.frames import windows_of
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import describe
from vidbench.data.video.decode import decode_views
from vidbench.data.video.encode import shown_size, upscale
from vidbench.data.video.resize import fit_frame

HEIGHT, WIDTH = 48, 80
SQUARE = PreprocessSpec(num_frames=2, crop_size=HEIGHT)  # the centre as it is stored
ONE = 1 << 16

Matrix = tuple[float, float, float, float]
"""a b c d of a display matrix: where the picture's right and down go."""

QUARTERS: dict[str, Matrix] = {
    "as stored": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "flipped": (1, 0, 0, -1),
    "turned by 180": (-1, 0, 0, -1),
    "turned by 90": (0, 1, -1, 0),
    "turned by 270": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "transposed along the other diagonal": (0, -1, -1, 0),
}
OTHERS: dict[str, Matrix] = {
    "twice as large": (2, 0, 0, 2),
    "turned by 90, half as large": (0, 0.5, -0.5, 0),
    "stretched": (3, 0, 0, 1),
    "sheared": (1, 0, 0.5, 1),
    "nothing": (0, 0, 0, 0),
    "a line": (1, 0, 0, 0),
    "mirrored, turned by 45": (-math.sqrt(0.5), -math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(0.5)),
    "turned by 1": (math.cos(math.pi / 180), math.sin(math.pi / 180), -math.sin(math.pi / 180), 1),
}


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mp4 of 5 equal frames that look otherwise in any other orientation."""
    path = tmp_path_factory.mktemp("upright") / "upright.mp4"
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:16, 16:40], picture[28:, 44:] = (230, 40, 40), (40, 40, 230)
    picture[8:24, 40:60] = (40, 200, 40)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "2", "bf": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def with_matrix(video: Path, target: Path, matrix: Matrix) -> Path:
    """The video with another display matrix in the header of its track (ISO 14496-12, 8.3.2)."""
    content = bytearray(video.read_bytes())
    place = content.find(b"tkhd") + 44
    a, b, c, d = (round(ONE * value) for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    target.write_bytes(content)
    return target


def shown_by_ffmpeg(path: Path) -> tuple[NDArray[np.uint8], float]:
    """The first frame as the ffmpeg program shows it, and the shape of its pixels."""
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-frames:v", "1"]
    command += ["-f", "image2pipe", "-c:v", "png", "-"]
    picture = Image.open(
        io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout)
    )
    across, down = picture.info.get("aspect", (1, 1))
    return np.asarray(picture.convert("RGB")), across / down if across else 1.0


def assert_shown_alike(path: Path) -> None:
    """Chroma is turned before it is enlarged there and after it here, which tells at edges."""
    expected, aspect = shown_by_ffmpeg(path)
    (crop,) = fit_frame(expected, SQUARE, aspect).astype(int)
    for frame in decode_views(path, SQUARE)[0]:
        assert np.abs(frame - crop).mean() < 1.5
    facts, shape = describe(path), expected.shape[1] * aspect / len(expected)
    assert facts.width / facts.height == pytest.approx(shape, rel=0.02)


@pytest.mark.parametrize("matrix", [*QUARTERS.values(), *OTHERS.values()], ids=[*QUARTERS, *OTHERS])
def test_pictures_lie_as_the_ffmpeg_program_shows_them(
    upright: Path, tmp_path: Path, matrix: Matrix
) -> None:
    path = with_matrix(upright, tmp_path / "turned.mp4", matrix)
    ((window,), _) = windows_of(path, SQUARE, window_seconds=1)
    np.testing.assert_array_equal(window.views, decode_views(path, SQUARE))
    assert_shown_alike(path)


@given(
    st.floats(0, 360) | st.sampled_from([0.4, 0.6, 1.4, 89.4, 90.6, 179, 269.6, 359, 359.6]),
    st.sampled_from([1, -1]),
    st.sampled_from([0.5, 1, 3]),
)
@settings(deadline=None, max_examples=20)
def test_any_angle_is_taken_as_the_ffmpeg_program_takes_it(
    upright: Path, tmp_path_factory: pytest.TempPathFactory, degrees: float, sign: int, scale: float
) -> None:
    right, down = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    matrix = (sign * right, sign * down, -down, right)
    assert_shown_alike(with_matrix(upright, tmp_path_factory.mktemp("any") / "any.mp4", matrix))


@pytest.mark.parametrize("matrix", QUARTERS.values(), ids=QUARTERS)
def test_an_enlarged_video_is_upright(upright: Path, tmp_path: Path, matrix: Matrix) -> None:
    path = with_matrix(upright, tmp_path / "turned.mp4", matrix)
    upscale(path, target := tmp_path / "large.mp4", 2 * HEIGHT)
    large, _ = shown_by_ffmpeg(target)
    expected, _ = shown_by_ffmpeg(path)
    assert shown_size(target) == (2 * expected.shape[1], 2 * expected.shape[0])
    assert np.abs(large[::2, ::2].astype(int) - expected).mean() < 4


@pytest.mark.parametrize("change", ["rotate=90", "rotate=270", "flip=horizontal", "flip=vertical"])
def test_an_orientation_in_the_stream_is_that_of_its_first_frame(
    upright: Path, tmp_path: Path, change: str
) -> None:
    """It changes after 5 of 10 frames, where the ffmpeg program begins to show another shape."""
    command = [find_ffmpeg(), "-v", "error", "-i", str(upright), "-c", "copy"]
    parts = []
    for name, kept in (
        ("1.h264", f",h264_metadata=display_orientation=insert:{change}"),
        ("2.h264", ""),
    ):
        target = str(tmp_path / name)
        subprocess.run([*command, "-bsf:v", f"h264_mp4toannexb{kept}", target], check=True)
        parts.append((tmp_path / name).read_bytes())
    for order, halves in (("first", parts), ("last", parts[::-1])):
        joined, path = tmp_path / f"{order}.h264", tmp_path / f"{order}.mp4"
        joined.write_bytes(b"".join(halves))
        command = [find_ffmpeg(), "-v", "error", "-r", "25", "-i", str(joined), "-c", "copy"]
        subprocess.run([*command, str(path)], check=True)
        assert_shown_alike(path)
        assert_one_orientation(path)


def test_an_orientation_in_every_picture_is_that_of_the_first(tmp_path: Path) -> None:
    """EXIF in Motion JPEG, which FFmpeg heeds from 8.1 on."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (20, 20, 20))
    picture.paste((230, 40, 40), (16, 0, 40, 16))
    pictures = []
    for orientation in (*range(1, 9), 2):
        exif, stored = Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        picture.save(stored, "jpeg", exif=exif, quality=95)
        pictures.append(stored)
    for first in range(8):
        path = tmp_path / f"{first}.mjpeg"
        path.write_bytes(b"".join(each.getvalue() for each in pictures[first : first + 2]))
        with av.open(str(path)) as container:
            if first == 2 and not next(container.decode(video=0)).rotation:
                pytest.skip("this FFmpeg does not read EXIF")
        expected = np.asarray(ImageOps.exif_transpose(Image.open(pictures[first])))
        for frame in decode_views(path, SQUARE)[0]:
            assert np.abs(frame.astype(int) - fit_frame(expected, SQUARE)[0]).mean() < 1.5


def assert_one_orientation(path: Path) -> None:
    """All frames lie as the first one: in whole videos, sections and windows."""
    (first, last) = decode_views(path, SQUARE)[0].astype(int)
    assert np.abs(first - last).mean() < 1
    later = decode_views(path, SQUARE, section=(0.24, 0.4))[0].astype(int)
    assert np.abs(first - later).mean() < 1
    (*_, window), _ = windows_of(path, SQUARE, window_seconds=0.1)
    assert np.abs(first - window.views).mean() < 1
