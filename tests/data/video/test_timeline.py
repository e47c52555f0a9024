"""When frames are shown: the last one's own duration, joined recordings, the clock of a player."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.ffmpeg import find_ffmpeg
from tests.helpers.frames import windows_of
from tests.helpers.videos import levels_of, write_video
from vidbench.data.records import Section
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import describe
from vidbench.data.video.decode import decode_views
from vidbench.data.video.encode import upscale
from vidbench.data.video.scan import scan_video
from vidbench.data.video.timeline import Clock, Stamp, StreamTime, lay_timeline
from vidbench.errors import VideoError

RATE = 10
SIDE = 16
CODECS = {".mpg": "mpeg1video", ".webm": "libvpx", ".wmv": "wmv2", ".mxf": "mpeg2video"}
CONTAINERS = [".mp4", ".mov", ".mkv", ".avi", ".nut", ".flv", ".ts", *CODECS]


def levels(count: int) -> list[int]:
    """Brightness of frames, each far from that of the others nearby."""
    return [20 + 37 * i % 200 for i in range(count)]


def shown_by_ffmpeg(path: Path, *filters: str) -> list[int]:
    """The brightness of each frame behind these filters; time 0 is where the file begins.

    Sound is read too: the clock of MPEG-TS begins with the first stream that is used.
    """
    chain = ",".join([*filters, f"scale={SIDE}:{SIDE},format=rgb24"])
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-map", "0:v:0", "-vf", chain]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    command += ["-map", "0:a?", "-map", "0:v:0", "-c", "copy", "-f", "null", "/dev/null"]
    written = subprocess.run(command, capture_output=True, check=True).stdout
    return levels_of(np.frombuffer(written, np.uint8).reshape(-1, SIDE, SIDE, 3))


def assert_shown(
    path: Path,
    expected: list[int],
    *,
    fps: float | None = None,
    section: Section | None = None,
    atol: float = 4,
) -> None:
    """These frames are shown and no other; FFmpeg's versions guess some stamps of MPEG-PS."""
    assert expected

    def spec_of(number: int) -> PreprocessSpec:
        return PreprocessSpec(
            num_frames=number, crop_size=SIDE, sampling="center", fps=fps, too_short="skip"
        )

    found = levels_of(decode_views(path, spec_of(len(expected)), section=section)[0])
    is_alike = np.isclose(found, expected, rtol=0, atol=atol)
    assert is_alike.mean() >= (0.95 if path.suffix == ".mpg" else 1), (found, expected)
    with pytest.raises(VideoError, match="too_short"):
        decode_views(path, spec_of(len(expected) + 1), section=section)


def write_stamped(path: Path, stamps: Sequence[int], lasts: int, ticks: int = 1000) -> Path:
    """A video without B-frames, whose packets say how long each frame is shown.

    Args:
        path: Its suffix decides the container.
        stamps: When frames are shown, in ticks.
        lasts: How long the last one is shown, likewise.
        ticks: In a second.
    """
    durations = dict(zip(stamps, [*np.diff(stamps).tolist(), lasts], strict=True))
    with av.open(str(path), "w") as container:
        codec = CODECS.get(path.suffix, "libx264")
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.options = {"bf": "0", "crf": "10"} if codec == "libx264" else {}
        packets = []
        for stamp, level in zip(stamps, levels(len(stamps)), strict=True):
            pixels = np.full((48, 64, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp, Fraction(1, ticks)
            packets += stream.encode(frame)
        for packet in [*packets, *stream.encode(None)]:
            packet.duration = durations[packet.pts or 0]
            container.mux(packet)
    return path


# The last frame --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_all_of_a_video_is_shown_as_the_fps_filter_shows_it(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"even{suffix}", levels(53), codec=CODECS.get(suffix, "libx264"))
    assert describe(path).seconds == pytest.approx(53 / 25, abs=2e-3)
    assert describe(path).fps == pytest.approx(25, rel=2e-3)
    assert_shown(path, shown_by_ffmpeg(path, "setpts=PTS-STARTPTS", f"fps={RATE}"), fps=RATE)


@pytest.mark.parametrize("lasts", [20, 350, 3000])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".nut", ".flv", ".ts", ".webm"])
def test_the_last_frame_is_shown_as_long_as_by_the_fps_filter(
    tmp_path: Path, suffix: str, lasts: int
) -> None:
    """Not every container says how long the last frame is shown; then the fps filter guesses."""
    stamps = [40 * i + 100 * (i // 5) for i in range(40)]
    path = write_stamped(tmp_path / f"lasts{suffix}", stamps, lasts)
    assert_shown(path, shown_by_ffmpeg(path, "setpts=PTS-STARTPTS", f"fps={RATE}"), fps=RATE)


def test_what_is_told_of_a_still_at_the_end(tmp_path: Path) -> None:
    """One second of 30 frames, and a last frame that stays for three more."""
    path = write_stamped(tmp_path / "still.mp4", range(0, 31 * 3000, 3000), 270000, 90000)
    assert describe(path).seconds == pytest.approx(4)
    windows, footage = windows_of(path, PreprocessSpec(crop_size=SIDE), window_seconds=20)
    assert footage.seconds == pytest.approx(4)
    assert footage.grid.period == pytest.approx(1 / 30)
    ((start, end, _),) = windows
    assert (start, end) == pytest.approx((0, 4))
    upscale(path, tmp_path / "large.mp4", 96)
    assert describe(tmp_path / "large.mp4").seconds == pytest.approx(4)


def test_a_frame_that_is_left_out_is_shown_once_more(tmp_path: Path) -> None:
    """Theora at a low rate of bits writes empty packets, which the ffmpeg program passes over."""
    path, made = tmp_path / "dropped.ogv", write_video(tmp_path / "made.mp4", levels(75))
    command = [find_ffmpeg(), "-v", "error", "-i", str(made), "-vf", "noise=alls=40:allf=t"]
    command += ["-s", "160x160", "-c:v", "libtheora", "-b:v", "20k", str(path)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this ffmpeg has no encoder of Theora")
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.pts is not None]
    assert 0 in sizes
    assert scan_video(path).status == "ok"
    assert describe(path).num_frames == len(sizes) - sizes.count(0)
    expected = shown_by_ffmpeg(path, "setpts=PTS-STARTPTS", f"fps={RATE}")
    assert_shown(path, expected, fps=RATE, atol=15)
    upscale(path, tmp_path / "large.mp4", 256)


# Joined recordings -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
@pytest.mark.parametrize(
    "begins", [(0, 40000), (40000, 0), (0, 0), (0, 3, 1), (0, 12.5), (95440, 20, 95440)]
)
def test_joined_recordings_follow_one_another_as_by_ffmpeg(
    tmp_path: Path, suffix: str, begins: tuple[float, ...]
) -> None:
    """As `cat` joins what a recorder wrote in parts; the clock of MPEG goes round at 95443.7 s."""
    path, whole = tmp_path / f"joined{suffix}", b""
    for number, begin in enumerate(begins):
        part = write_video(tmp_path / "part.mp4", levels(150)[50 * number :][:50], codec="mpeg4")
        codec = ["-c:v", CODECS.get(suffix, "libx264"), "-q:v", "2"]
        command = [find_ffmpeg(), "-v", "error", "-y", "-i", str(part), *codec]
        target = tmp_path / f"part{suffix}"
        subprocess.run([*command, "-output_ts_offset", str(begin), str(target)], check=True)
        whole += target.read_bytes()
    path.write_bytes(whole)
    expected = shown_by_ffmpeg(path, "setpts=PTS-STARTPTS", f"fps={RATE}")
    assert_shown(path, expected, fps=RATE)
    assert describe(path).seconds == pytest.approx(len(expected) / RATE, abs=0.06)
    _, footage = windows_of(path, PreprocessSpec(crop_size=SIDE), window_seconds=20)
    assert footage.seconds == pytest.approx(len(expected) / RATE, abs=0.06)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".nut"])
def test_a_jump_of_hours_is_the_joint_of_two_recordings(tmp_path: Path, suffix: str) -> None:
    stamps = [*range(0, 2000, 40), *range(40_000_000, 40_002_000, 40)]
    path = write_stamped(tmp_path / f"hours{suffix}", stamps, 40)
    assert describe(path).seconds == pytest.approx(4)
    spec = PreprocessSpec(crop_size=SIDE)
    windows, footage = windows_of(path, spec, window_seconds=1, step_seconds=1)
    assert footage.seconds == pytest.approx(4)
    assert [window.start for window in windows] == pytest.approx([0, 1, 2, 3])
    assert footage.grid.period == pytest.approx(0.04)
    assert_shown(path, levels(100), fps=25)


def test_a_pause_of_minutes_is_one(tmp_path: Path) -> None:
    """As in the recording of a screen on which nothing moves."""
    stamps = [*range(0, 2000, 40), *range(600_000, 602_000, 40)]
    path = write_stamped(tmp_path / "pause.mkv", stamps, 40)
    assert describe(path).seconds == pytest.approx(602)


# Times of a player -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[".mp4", ".mkv", ".ts", ".mov", ".nut"])
def late(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound from 0 to 6 s, and a picture from 2 to 6 s."""
    folder = tmp_path_factory.mktemp("late")
    video = write_video(folder / "video.mp4", levels(100))
    path = folder / f"late{request.param}"
    command = [find_ffmpeg(), "-v", "error", "-itsoffset", "2", "-i", str(video)]
    command += ["-f", "lavfi", "-i", "sine=duration=6", "-c:v", "copy", "-c:a", "mp2"]
    subprocess.run([*command, str(path)], check=True)
    return path


@pytest.mark.parametrize(
    "section", [(2, 4), (0, 3), (2.48, 3.02), (5, math.inf), (0, math.inf), (1.9, 2.1)]
)
def test_a_section_is_what_a_player_shows_then(late: Path, section: tuple[float, float]) -> None:
    begin, end = section
    trim = f"trim=start={begin}" + ("" if end == math.inf else f":end={end}")
    assert_shown(late, shown_by_ffmpeg(late, trim), section=section)


def test_windows_are_where_a_player_shows_them(late: Path) -> None:
    spec = PreprocessSpec(num_frames=5, crop_size=SIDE)
    windows, footage = windows_of(late, spec, window_seconds=2, step_seconds=1)
    assert footage.seconds == pytest.approx(4, abs=0.03)
    starts = [window.start for window in windows]
    assert starts == pytest.approx([2, 3, 4], abs=0.03)
    assert windows[-1].end == pytest.approx(6, abs=0.03)
    for window in windows:
        np.testing.assert_array_equal(
            window.views, decode_views(late, spec, section=(window.start, window.end))
        )


def test_a_section_before_the_picture_begins_is_refused(late: Path) -> None:
    with pytest.raises(VideoError, match=r"no frame from 0 s to 1\.5 s: .* from (2\.0|1\.9)"):
        decode_views(late, PreprocessSpec(crop_size=SIDE), section=(0, 1.5))


# The rule --------------------------------------------------------------------------------------

periods = st.sampled_from([Fraction(1, 25), Fraction(1, 30), Fraction(1, 5), Fraction(2)])
recordings = st.lists(
    st.tuples(st.integers(0, 10**7), st.lists(st.integers(2, 9), min_size=1, max_size=20)),
    min_size=1,
    max_size=5,
)


@given(recordings, st.booleans(), st.integers(0, 100))
def test_recordings_lie_end_to_end(
    parts: list[tuple[int, list[int]]], may_restart: bool, origin: int
) -> None:
    """Frames last 1 to 9 ticks of 0.1 s; recordings are hours apart, or go back by minutes."""
    time = StreamTime(Fraction(1, 10), 0.5, origin, may_restart)
    stamps, expected, end, at = list[Stamp](), list[int](), 0, origin
    for number, (jump, lasts) in enumerate(parts):
        begin = at + (0 if not number else 40_000 + jump if number % 2 else -1000 - jump)
        for each in lasts:
            stamps.append(Stamp(begin, begin, each))
            expected.append(end)
            begin, end = begin + each, end + each
        at = begin
    timeline = lay_timeline(stamps, time)
    np.testing.assert_allclose(timeline.starts_seconds, np.array(expected) / 10, atol=1e-9)
    assert timeline.duration_seconds == pytest.approx(end / 10)
    assert timeline.begin_seconds == pytest.approx(0)
    clock = Clock(time)
    found = [clock.seconds(stamp) for stamp in stamps]
    np.testing.assert_allclose(found, timeline.starts_seconds, atol=1e-9)
    assert found[-1] + clock.lasts_seconds == pytest.approx(timeline.duration_seconds)


@given(st.permutations(range(12)), periods)
def test_stamps_that_are_mixed_up_are_of_one_recording(order: list[int], period: Fraction) -> None:
    """As those of an avi with B-frames: each frame has the stamp of another nearby."""
    time = StreamTime(period, float(period), 0)
    timeline = lay_timeline([Stamp(row, row, 1) for row in order], time)
    np.testing.assert_allclose(timeline.starts_seconds, np.arange(12) * float(period))
    assert timeline.duration_seconds == pytest.approx(12 * float(period))


@given(st.lists(st.none() | st.integers(-(10**9), 10**9), min_size=1, max_size=30))
def test_times_never_go_back_far(stamps: list[int | None]) -> None:
    clock = Clock(StreamTime(Fraction(1, 1000), 0.04))
    times = [clock.seconds(Stamp(stamp, stamp)) for stamp in stamps]
    assert times[0] == 0
    assert (np.diff(times) >= -1).all()


def test_frames_without_stamps_go_by_the_rate() -> None:
    time = StreamTime(Fraction(1, 1000), 0.04, 0)
    timeline = lay_timeline([Stamp(None), Stamp(1040), Stamp(None)], time)
    np.testing.assert_allclose(timeline.starts_seconds, [0, 0.04, 0.08])
    assert timeline.begin_seconds == pytest.approx(1)
    clock = Clock(time)
    stamps = [Stamp(None), Stamp(40), Stamp(None), Stamp(120)]
    assert [clock.seconds(stamp) for stamp in stamps] == pytest.approx([0, 0.04, 0.08, 0.12])
