"""Whole videos of every kind pass, and cut ones do not."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from tests.helpers.ffmpeg import find_ffmpeg
from tests.helpers.fields import field_stream
from tests.helpers.frames import decoded
from tests.helpers.numbered import SIZE, numbers_of, picture, write_numbered
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.videos import levels_of, write_video
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import describe
from vidbench.data.video.decode import decode_views
from vidbench.data.video.layout import count_avi_chunks, ends_early
from vidbench.data.video.scan import Scan, scan_video
from vidbench.errors import VideoError
from vidbench.footage.frames import file_frames

WHOLE = Scan("ok")
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def frames_of(path: Path) -> list[int]:
    """What each frame tells that is decoded, the last of three ways that have to agree."""
    with file_frames(path, PreprocessSpec(crop_size=88, resize_type="pad")) as footage:
        crops = np.concatenate([frame.crops for frame in footage.frames])
    assert scan_video(path) == WHOLE
    spec = PreprocessSpec(num_frames=len(crops), crop_size=88, resize_type="pad")
    np.testing.assert_array_equal(decode_views(path, spec)[0], crops)
    return numbers_of(crops)


def refusal(path: Path) -> str:
    """Why check, a run and predict refuse it, all with the same words; empty if none does."""
    found = {scan_video(path), _attempt(_decode, path), _attempt(_predict, path)}
    (scan,) = found
    assert scan.status in ("ok", "truncated")
    return scan.reason


def _attempt(read: Callable[[Path], None], path: Path) -> Scan:
    try:
        read(path)
    except VideoError as error:
        return Scan("truncated" if error.reason == "truncated" else "broken", error.detail)
    return WHOLE


def _decode(path: Path) -> None:
    decode_views(path, PreprocessSpec(num_frames=4, crop_size=32))


def _predict(path: Path) -> None:
    with file_frames(path, PreprocessSpec(num_frames=4, crop_size=32)) as footage:
        for _ in footage.frames:
            pass


def remux(
    source: Path, target: Path, first: int = 0, options: dict[str, str] | None = None
) -> Path:
    """The packets from this one on, as they are, in another file."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options or {}) as written:
        copied = written.add_stream_from_template(read.streams.video[0])
        for index, packet in enumerate(read.demux(video=0)):
            if index >= first and packet.dts is not None:
                packet.stream = copied
                written.mux(packet)
    return target


def test_two_fields_that_come_in_two_packets_are_one_frame(tmp_path: Path) -> None:
    raw = tmp_path / "fields.h264"
    raw.write_bytes(field_stream(50))
    path = tmp_path / "camcorder.mts"
    with (
        av.open(str(raw), options={"framerate": "25"}) as read,
        av.open(str(path), "w", format="mpegts") as written,
    ):
        copied = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copied
                written.mux(packet)
    with av.open(str(path)) as container:
        assert sum(bool(packet.size) for packet in container.demux(video=0)) == 100
    assert scan_video(path) == WHOLE
    assert describe(path).num_frames == 50
    views = decode_views(path, PreprocessSpec(num_frames=50, crop_size=64))
    np.testing.assert_allclose(
        levels_of(views[0]), [(24.5 + 2 * i) * 255 / 219 for i in range(50)], atol=2
    )


def test_vp8_frames_that_are_never_shown_are_not_missed(tmp_path: Path) -> None:
    """Its encoder hides frames in the second of two passes only, which PyAV does not offer."""
    program = find_ffmpeg()
    source = write_numbered(tmp_path / "source.nut", "ffv1", 120, is_busy=True)
    path = tmp_path / "hidden.webm"
    hiding = ["-c:v", "libvpx", "-b:v", "300k", "-cpu-used", "5"]
    hiding += ["-auto-alt-ref", "1", "-lag-in-frames", "25"]
    for number in ("1", "2"):
        command = [program, "-v", "error", "-y", "-i", str(source), *hiding, "-pass", number]
        subprocess.run([*command, str(path)], cwd=tmp_path, check=True, timeout=PATIENCE_SECONDS)
    with av.open(str(path)) as container:
        assert sum(bool(packet.size) for packet in container.demux(video=0)) > 121
    assert frames_of(path) == list(range(120))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_empty_chunks_of_an_avi_are_no_lost_frames(tmp_path: Path, codec: str) -> None:
    """The muxer writes one wherever no frame has that time."""
    stamps = [i + i // 9 + 20 * (i >= 30) for i in range(40)]
    path = write_video(
        tmp_path / "drop.avi", [6 * i for i in range(40)], codec=codec, stamps=stamps
    )
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 60
    assert count_avi_chunks(path, 0) == 40
    assert scan_video(path) == WHOLE
    views = decode_views(path, PreprocessSpec(num_frames=40, crop_size=32))
    np.testing.assert_allclose(levels_of(views[0]), [6 * i for i in range(40)], atol=6)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"idx1") * 9 // 10])
    assert refusal(path)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_the_header_of_an_ivf_may_count_moments_without_a_frame(tmp_path: Path, codec: str) -> None:
    """FFmpeg 5.1 writes how long the video is in units of its clock, where others count frames."""
    stamps = [i + i // 9 + 20 * (i >= 30) for i in range(40)]
    levels = [6 * i for i in range(40)]
    path = write_video(tmp_path / "drop.ivf", levels, codec=codec, stamps=stamps)
    content = bytearray(path.read_bytes())
    for counted in (40, 64):
        struct.pack_into("<I", content, 24, counted)
        path.write_bytes(content)
        assert refusal(path) == ""
    path.write_bytes(content[: len(content) * 3 // 4])
    assert refusal(path)


def edited(content: bytes, begin: float, seconds: float) -> bytes:
    """An mp4 whose edit list shows this part of it."""
    found = bytearray(content)
    entry = content.index(b"elst") + 12
    (movie,) = struct.unpack_from(">I", content, content.index(b"mvhd") + 16)
    (media,) = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)
    (start,) = struct.unpack_from(">i", content, entry + 4)
    struct.pack_into(">Ii", found, entry, round(seconds * movie), start + round(begin * media))
    return bytes(found)


@pytest.mark.parametrize(("begin", "seconds"), [(1.2, 1.2), (0, 0.8), (2.6, 9), (0.1, 0.4)])
def test_what_an_edit_list_hides_is_not_missed(
    tmp_path: Path, begin: float, seconds: float
) -> None:
    groups = {"g": "10", "bf": "2"}
    path = write_numbered(tmp_path / "whole.mp4", "libx264", 100, options=groups)
    path.write_bytes(edited(path.read_bytes(), begin, seconds))
    numbers = frames_of(path)
    assert numbers == decoded(path)
    assert len(numbers) < 100
    first, last = 25 * begin, min(100, 25 * (begin + seconds))
    assert abs(numbers[0] - first) <= 1
    assert abs(numbers[-1] - last) <= 1
    content = path.read_bytes()
    if content.index(b"mdat") < content.index(b"moov"):
        return
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path)


def test_a_decoder_that_shows_few_frames_of_an_edit_list_cuts_no_file(tmp_path: Path) -> None:
    """FFmpeg skips B-frames of interlaced MPEG-4 after what an edit list hides, without a word."""
    options = {"g": "12", "bf": "2", "flags": "+ildct+ilme"}
    path = write_numbered(tmp_path / "whole.mp4", "mpeg4", 50, options=options)
    path.write_bytes(edited(path.read_bytes(), 0.9, 0.5))
    assert frames_of(path) == decoded(path)


def test_a_hole_where_an_edit_list_begins_is_missed(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "whole.mp4", "libx264", 60, options={"g": "60", "bf": "0"})
    content = bytearray(edited(path.read_bytes(), 1.2, 1.0))
    path.write_bytes(content)
    assert scan_video(path) == WHOLE
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[20:40]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    assert refusal(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".wmv"])
def test_times_may_begin_below_zero(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"early{suffix}"
    codec = "wmv2" if suffix == ".wmv" else "libx264"
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream(codec, rate=25, options={"g": "10", "bf": "0"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number - 15, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert frames_of(path) == decoded(path)
    if suffix != ".mp4":  # the index of which lies at its end
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 4 // 5])
        assert refusal(path)


def test_a_matroska_that_begins_below_zero_is_seen_to_be_cut(tmp_path: Path) -> None:
    """Its header says when it ends, not how long it lasts."""
    source = write_numbered(tmp_path / "source.nut", "ffv1", 50)
    path = tmp_path / "early.mkv"
    early = ["-output_ts_offset", "-0.6", "-avoid_negative_ts", "disabled"]
    command = [find_ffmpeg(), "-v", "error", "-i", str(source), "-c", "copy", *early, str(path)]
    subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
    assert refusal(path) == ""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 4 // 5])
    assert refusal(path)


def test_a_recording_may_begin_amid_a_group(tmp_path: Path) -> None:
    whole = write_numbered(tmp_path / "whole.ts", "libx264", 100, options={"g": "40"})
    content = whole.read_bytes()
    packets = [content[i : i + 188] for i in range(0, len(content), 188)]
    numbers = [(packet[1] & 31) << 8 | packet[2] for packet in packets]
    begins = [i for i, p in enumerate(packets) if numbers[i] == 0x100 and p[1] & 0x40]
    tables = [p for p, number in zip(packets, numbers, strict=True) if number in (0, 0x11, 0x1000)]
    path = tmp_path / "amid.ts"
    path.write_bytes(b"".join(tables[:3] + packets[begins[20] :]))
    numbers = frames_of(path)
    assert numbers == decoded(path) == list(range(numbers[0], 100))
    assert numbers[0] > 20
    assert describe(path).num_frames == len(numbers)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_pictures_before_an_open_group_are_not_missed(tmp_path: Path, suffix: str) -> None:
    groups = {"x265-params": "open-gop=1:keyint=20:min-keyint=20:bframes=4:log-level=none"}
    whole = write_numbered(tmp_path / f"whole{suffix}", "libx265", 80, options=groups)
    with av.open(str(whole)) as container:
        keys = [i for i, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
    path = remux(whole, tmp_path / f"open{suffix}", first=keys[1])
    numbers = frames_of(path)
    assert numbers == decoded(path)
    assert numbers[-1] == 79
    with av.open(str(path)) as container:
        assert sum(bool(p.size) for p in container.demux(video=0)) > len(numbers) + 1


CUT = {
    "mp4": ("libx264", {"movflags": "faststart"}),
    "fragments.mp4": ("libx264", FRAGMENTS),
    "mov": ("mpeg4", {"movflags": "faststart"}),
    "partly.mov": ("mpeg4", {"movflags": "frag_keyframe"}),
    "avi": ("mpeg4", {}),
    "bframes.avi": ("libx264", {}),
    "mkv": ("libx264", {}),
    "webm": ("libvpx", {}),
    "flv": ("libx264", {}),
    "wmv": ("wmv2", {}),
    "mxf": ("mpeg2video", {}),
}


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, found = tmp_path_factory.mktemp("whole"), {}
    for suffix, (codec, options) in CUT.items():
        encoded = write_numbered(folder / "encoded.nut", codec, 120, options={"g": "30"})
        path = remux(encoded, folder / f"whole.{suffix}", options=options)
        assert scan_video(path) == WHOLE
        found[suffix] = path.read_bytes()
    return found


@pytest.mark.parametrize("suffix", CUT)
def test_a_file_that_was_cut_is_refused_where_the_container_can_tell(
    tmp_path: Path, whole_files: dict[str, bytes], suffix: str
) -> None:
    content = whole_files[suffix]
    path = tmp_path / f"cut.{suffix}"
    for share in (0.5, 0.7, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        assert refusal(path), share
        frames = decode_views(
            path, PreprocessSpec(num_frames=9, crop_size=88, resize_type="pad"), keep_truncated=True
        )
        numbers = numbers_of(frames[0])
        assert numbers == sorted(numbers)


TAILS = {"zeros": bytes(4096), "a few zeros": bytes(2), "a title": b"TAG" + b"title".ljust(125)}


@pytest.mark.parametrize(
    ("suffix", "tail"), sorted(set(product(CUT, TAILS)) - {("flv", "zeros")})
)  # FFmpeg reports zeros behind an flv as an error
def test_what_lies_behind_the_end_of_a_video_cuts_no_file(
    tmp_path: Path, whole_files: dict[str, bytes], suffix: str, tail: str
) -> None:
    """Devices fill a block of their disk up, and music players put titles there."""
    path = tmp_path / f"longer.{suffix}"
    path.write_bytes(whole_files[suffix] + TAILS[tail])
    assert refusal(path) == ""


def test_a_stream_kept_as_flv_may_have_bytes_behind_its_end(tmp_path: Path) -> None:
    encoded = write_numbered(tmp_path / "encoded.nut", "libx264", 40, options={"bf": "0"})
    live = {"flvflags": "no_duration_filesize"}
    path = remux(encoded, tmp_path / "live.flv", options=live)
    content = path.read_bytes()
    for tail in ("a few zeros", "a title"):
        path.write_bytes(content + TAILS[tail])
        assert refusal(path) == ""
    path.write_bytes(content[: len(content) * 2 // 3])
    assert ends_early(path, "flv")
    assert refusal(path)


def test_a_stream_kept_as_matroska_is_seen_to_be_cut_within_a_part(tmp_path: Path) -> None:
    encoded = write_numbered(tmp_path / "encoded.nut", "libx264", 100, options={"g": "20"})
    path = remux(encoded, tmp_path / "live.mkv", options={"live": "1"})
    content = path.read_bytes()
    assert ends_early(path, "matroska,webm") is False
    assert refusal(path) == ""
    path.write_bytes(content[: len(content) // 2])
    assert "breaks off" in refusal(path)


HOLES: dict[str, Callable[[bytes], bytes]] = {
    "removed": lambda lost: b"",
    "zeros": lambda lost: bytes(len(lost)),
    "other bytes": lambda lost: np.random.default_rng(5).bytes(len(lost)),
}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("suffix", ["fragments.mp4", "mkv", "wmv", "flv"])
@pytest.mark.parametrize("at", [0.1, 0.35, 0.6])
def test_a_hole_anywhere_is_missed(
    tmp_path: Path, whole_files: dict[str, bytes], suffix: str, hole: str, at: float
) -> None:
    content = whole_files[suffix]
    begin, end = int(len(content) * at), int(len(content) * (at + 0.3))
    path = tmp_path / f"hole.{suffix}"
    path.write_bytes(content[:begin] + HOLES[hole](content[begin:end]) + content[end:])
    try:
        lost = 120 - len(decoded(path))
    except (av.FFmpegError, IndexError):
        lost = 120
    assert lost < 3 or scan_video(path) != WHOLE


def test_frames_lost_behind_the_first_one_are_missed(tmp_path: Path) -> None:
    """They are no pictures that an open group shows before its first, though as few."""
    groups = {"g": "20", "bf": "0"}
    encoded = write_numbered(tmp_path / "encoded.nut", "libx264", 60, options=groups)
    path = remux(encoded, tmp_path / "whole.mp4", options=FRAGMENTS)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[1:15]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    assert refusal(path)


def test_a_duration_alone_refuses_no_file(tmp_path: Path) -> None:
    """ffmpeg writes that of its input into an mkv behind a pipe, whatever part it copied."""
    program = find_ffmpeg()
    whole = write_numbered(tmp_path / "whole.mkv", "libx264", 100, options={"g": "10"})
    command = [program, "-v", "error", "-ss", "2", "-i", str(whole), "-c", "copy"]
    done = subprocess.run(
        [*command, "-f", "matroska", "pipe:1"],
        capture_output=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    path = tmp_path / "piped.mkv"
    path.write_bytes(done.stdout)
    with av.open(str(path)) as container:
        assert container.duration == 4_000_000
    assert ends_early(path, "matroska,webm") is False
    assert frames_of(path) == list(range(40, 100))  # from the key frame on


@pytest.mark.parametrize("suffix", [".flv", ".mkv", ".mov", ".avi"])
def test_a_last_frame_that_stays_is_no_end_that_was_cut(tmp_path: Path, suffix: str) -> None:
    """An flv states the duration with it, and keeps no duration of the frame itself."""
    path = tmp_path / f"still{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        packets = []
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets[-1].duration = 75
        for packet in packets:
            container.mux(packet)
    assert frames_of(path) == list(range(30))


def test_lengths_are_read_from_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    boxes = struct.pack(">I4s4x", 12, b"ftyp") + struct.pack(">I4sQ4x", 1, b"mdat", 20)
    segment = bytes.fromhex("1a45dfa3 81 00 18538067 4004") + bytes(4)
    cases: list[tuple[str, bytes, bool | None]] = [
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes, False),
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes[:-1], True),
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes[:18], True),
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes + struct.pack(">I4s", 90, b"free"), False),
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes + struct.pack(">I4s", 0, b"mdat"), None),
        ("matroska,webm", segment, False),
        ("matroska,webm", segment[:-1], True),
        ("matroska,webm", segment[:10] + b"\xff" + bytes(9), False),
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes + bytes(40), False),
        ("mov,mp4,m4a,3gp,3g2,mj2", boxes + bytes(40) + boxes, True),
        ("mpegts", b"G" * 188, None),
    ]
    for name, content, expected in cases:
        path.write_bytes(content)
        assert ends_early(path, name) is expected, (name, content)
