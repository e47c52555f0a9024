from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.frames import windows_of
from tests.helpers.videos import levels_of, write_video
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.errors import VideoError
from vidbench.footage.frames import TimedFrame
from vidbench.footage.live import Backlog, LiveReader, LiveWindow
from vidbench.footage.window_decoder import WindowDecoder, WindowTask
from vidbench.footage.windows import Grid, Window, lay_grid, slice_windows
from vidbench.storage.video_files import find_videos

UNIFORM = PreprocessSpec(num_frames=8, crop_size=16)
STRIDED = PreprocessSpec(
    num_frames=8, sampling="center", frame_stride=2, crop_size=16, too_short="loop"
)
RESAMPLED = replace(STRIDED, fps=12.5, frame_stride=1)
MANY_VIEWS = PreprocessSpec(
    num_frames=4,
    sampling="dense",
    num_clips=3,
    num_crops=3,
    resize_type="short_side",
    short_side=20,
    crop_size=16,
    too_short="repeat_last",
)
RANDOM = replace(STRIDED, sampling="random", num_clips=2, sampling_seed=3)
LARGE = replace(UNIFORM, crop_size=112)  # no pipe holds several windows of it
SPECS = [UNIFORM, STRIDED, RESAMPLED, MANY_VIEWS]


def frames_at(times: Sequence[float], lasts: float = 0.04) -> list[TimedFrame]:
    """Frames of one pixel that tells their place."""
    return [
        TimedFrame(time, np.full((1, 1, 1, 3), index % 256, np.uint8), lasts)
        for index, time in enumerate(times)
    ]


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8.4 s, whose brightness rises with each frame."""
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", [20 + i for i in range(210)])


@pytest.mark.parametrize("spec", SPECS)
def test_a_window_is_what_a_run_takes_of_that_part(long_video: Path, spec: PreprocessSpec) -> None:
    windows, footage = windows_of(long_video, spec, window_seconds=3, step_seconds=1.2)
    assert [(round(w.start, 6), round(w.end, 6)) for w in windows] == [
        (0, 3), (1.2, 4.2), (2.4, 5.4), (3.6, 6.6), (4.8, 7.8), (5.4, 8.4)
    ]  # fmt: skip
    assert footage.seconds == pytest.approx(8.4)
    for window in windows:
        section = (window.start, window.end)
        np.testing.assert_array_equal(window.views, decode_views(long_video, spec, section=section))


@pytest.mark.parametrize("spec", SPECS)
def test_a_window_is_a_copy_cut_by_ffmpeg(
    long_video: Path, tmp_path: Path, spec: PreprocessSpec
) -> None:
    """FFmpeg's own program cuts frames 60 to 119 and keeps them as they are (FFV1)."""
    cut = tmp_path / "cut.mkv"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", long_video]
    select = "trim=start_frame=60:end_frame=120,setpts=PTS-STARTPTS"
    subprocess.run([*command, "-vf", select, "-c:v", "ffv1", cut], check=True)
    windows, _ = windows_of(long_video, spec, window_seconds=2.4, step_seconds=2.4)
    np.testing.assert_array_equal(windows[1].views, decode_views(cut, spec))


def test_windows_of_real_clips_are_what_a_run_takes_of_those_parts(real_clips: Path) -> None:
    for path in find_videos(real_clips).videos[::6]:
        windows, footage = windows_of(path, UNIFORM, window_seconds=1.5, step_seconds=1)
        period = footage.grid.period
        assert len(windows) == max(1, int(np.ceil((footage.seconds - 1.5) / 1 - 1e-3)) + 1)
        assert windows[-1].end - windows[0].start == pytest.approx(footage.seconds)
        for window in windows:
            section = (max(window.start - period / 2, 0), window.end - period / 2)
            expected = decode_views(path, UNIFORM, section=section)
            np.testing.assert_array_equal(window.views, expected, err_msg=str(path))


@pytest.mark.parametrize("spec", SPECS)
def test_a_short_video_is_one_window(tmp_path: Path, spec: PreprocessSpec) -> None:
    video = write_video(tmp_path / "short.mp4", [10, 90, 170])
    (window,), footage = windows_of(video, spec, window_seconds=3)
    assert (window.start, window.end) == (0, footage.seconds)
    assert window.end == pytest.approx(0.12)
    np.testing.assert_array_equal(window.views, decode_views(video, spec))


def test_a_video_too_short_for_the_spec_is_refused(tmp_path: Path) -> None:
    video = write_video(tmp_path / "short.mp4", [10, 90, 170])
    with pytest.raises(VideoError, match="too_short: 3 frames, 15 needed"):
        windows_of(video, replace(STRIDED, too_short="skip"))


def test_a_default_window_holds_just_the_frames_of_a_clip(long_video: Path) -> None:
    windows, footage = windows_of(long_video, replace(STRIDED, too_short="skip"))
    assert footage.grid.window_seconds == pytest.approx(15 / 25)
    assert footage.grid.step_seconds == pytest.approx(7.5 / 25)
    for window in windows:
        first = round(window.start * 25)
        levels = np.array(levels_of(window.views[0]))
        assert np.abs(levels - (20 + first + 2 * np.arange(8))).max() <= 2  # lossy


def test_random_clips_differ_from_window_to_window_but_not_from_time_to_time(
    long_video: Path,
) -> None:
    windows, _ = windows_of(long_video, RANDOM, window_seconds=4)
    again, _ = windows_of(long_video, RANDOM, window_seconds=4)
    offsets = {tuple(np.array(levels_of(w.views[0])) - round(25 * w.start)) for w in windows}
    assert len(offsets) > 1
    for window, other in zip(windows, again, strict=True):
        np.testing.assert_array_equal(window.views, other.views)


@given(
    st.lists(st.floats(0.001, 3), min_size=1, max_size=60),
    st.floats(0.2, 30),
    st.floats(0.05, 1),
)
def test_windows_cover_every_frame_whatever_its_time(
    gaps: list[float], length: float, step: float
) -> None:
    times = np.cumsum([0, *gaps])
    period = float(np.mean(gaps))
    grid = Grid(length, step * length, period)
    windows = list(slice_windows(frames_at(times.tolist(), period), grid, SPEC_OF_ONE))
    starts, ends = [w.start for w in windows], [w.end for w in windows]
    assert starts == sorted(set(starts))
    assert ends == sorted(ends)
    assert starts[0] == 0
    assert ends[-1] == pytest.approx(times[-1] + period)
    longest = max(length, period) + period
    assert all(0 < end - start <= longest for start, end in zip(starts, ends, strict=True))
    if length >= period:
        assert all(
            any(start <= shown < end for start, end in zip(starts, ends, strict=True))
            for shown in times
        )


SPEC_OF_ONE = PreprocessSpec(num_frames=1, crop_size=1)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 100), st.integers(10, 120), st.data())
def test_times_in_milliseconds_lose_no_frame_of_a_window(
    frames: int, step: int, more: int, rate: int, data: st.DataObject
) -> None:
    """As Matroska rounds times: each window holds as many frames as exact times would give."""
    step = min(step, frames)
    grid = Grid(frames / rate, step / rate, 1 / rate)
    spec = replace(SPEC_OF_ONE, num_frames=frames, sampling="center", too_short="skip")
    shift = data.draw(st.floats(-0.0005, 0.0005))
    times = [round(max(0, i / rate + shift), 3) for i in range(frames + more)]
    times = [time - times[0] for time in times]
    windows = list(slice_windows(frames_at(times, 1 / rate), grid, spec))
    firsts = [int(window.views[0, 0].mean()) for window in windows]
    expected = list(range(0, more + 1, step))
    assert firsts == (expected if expected[-1] == more else [*expected, more])


def test_a_gap_of_days_makes_no_windows_of_nothing() -> None:
    frames = frames_at([0, 0.04, 1e6, 1e6 + 0.04])
    windows = list(slice_windows(frames, Grid(10, 5, 0.04), SPEC_OF_ONE))
    assert len(windows) <= 3
    assert windows[-1].end == pytest.approx(1e6 + 0.08)


@pytest.mark.parametrize(
    ("spec", "period", "seconds"),
    [
        (UNIFORM, 0.04, 10),
        (STRIDED, 0.04, 15 * 0.04),
        (RESAMPLED, 0.01, 8 / 12.5),
        (MANY_VIEWS, 0.04, 10),
        (RANDOM, 0.04, 10),
        (replace(MANY_VIEWS, frame_stride=100), 0.04, 301 * 0.04),
    ],
)
def test_default_windows(spec: PreprocessSpec, period: float, seconds: float) -> None:
    grid = lay_grid(spec, period)
    assert tuple(grid) == pytest.approx((seconds, seconds / 2, period))


def test_steps_that_leave_gaps_are_refused() -> None:
    with pytest.raises(VideoError, match=r"windows of 0\.6 s every 2 s leave gaps"):
        lay_grid(STRIDED, 0.04, step_seconds=2)


# A file from the wild ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("audio_only_gs-16b-2c-44100hz.mp4", "unreadable"),
        ("decord_corrupted.mp4", "truncated"),
        ("invalid_vp9_bitstream-bug_1416.webm", "unreadable"),
        ("lfs_pointer_archery.mp4", "unreadable"),
        ("rockingrok_48byte_output.mp4", "unreadable"),
        ("torchcodec_nasa_13013.mp4", None),
        ("torchcodec_av1_video.mkv", None),
        ("decord_video_90.mov", None),
    ],
)
def test_awkward_files_are_refused_as_a_run_does(
    awkward: Path, name: str, reason: str | None
) -> None:
    """Reasons are those of `vidbench check`; whole ones look as in a run, rotation included."""
    if reason is not None:
        with pytest.raises(VideoError, match=f"^{reason}: "):
            windows_of(awkward / name, UNIFORM)
        return
    (window, *_), footage = windows_of(awkward / name, UNIFORM, window_seconds=1000)
    np.testing.assert_array_equal(window.views, decode_views(awkward / name, UNIFORM))
    assert window.end == footage.seconds


def test_what_decodes_of_a_truncated_file_counts_where_it_is_asked_for(awkward: Path) -> None:
    (window,), footage = windows_of(
        awkward / "decord_corrupted.mp4", UNIFORM, window_seconds=1000, keep_truncated=True
    )
    assert footage.damage.startswith("truncated: ")
    expected = decode_views(awkward / "decord_corrupted.mp4", UNIFORM, keep_truncated=True)
    np.testing.assert_array_equal(window.views, expected)


def test_a_process_decodes_what_this_one_does(long_video: Path, tmp_path: Path) -> None:
    task = WindowTask(MANY_VIEWS, 3, 2)
    expected, footage = windows_of(long_video, MANY_VIEWS, window_seconds=3, step_seconds=2)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with closing(WindowDecoder(task)) as decoder:
        for _ in range(2):  # one process for all of them
            found: list[Window] = []
            assert decoder.windows(long_video, found.append) == footage
            for window, other in zip(found, expected, strict=True):
                assert window[:2] == other[:2]
                np.testing.assert_array_equal(window.views, other.views)
            with pytest.raises(VideoError, match=r"^unreadable: "):
                decoder.windows(broken, found.append)
        (child,) = spawned()
    assert not child.is_running()


def spawned() -> list[psutil.Process]:
    """Decoders that are alive."""
    found = [c for c in psutil.Process().children() if c.status() != psutil.STATUS_ZOMBIE]
    return [child for child in found if "spawn_main" in " ".join(child.cmdline())]


def test_a_decoder_that_crashes_costs_its_one_video(long_video: Path) -> None:
    with closing(WindowDecoder(WindowTask(LARGE, 1))) as decoder:

        def crash(_: Window) -> None:
            for child in spawned():
                os.kill(child.pid, signal.SIGSEGV)

        with pytest.raises(VideoError, match="process ended with exit code -11"):
            decoder.windows(long_video, crash)
        found: list[Window] = []
        assert decoder.windows(long_video, found.append).seconds == pytest.approx(8.4)
        assert len(found) == 16


def test_a_decoder_that_hangs_costs_its_one_video(long_video: Path) -> None:
    with closing(WindowDecoder(WindowTask(LARGE, 1), timeout_seconds=1)) as decoder:

        def stop(_: Window) -> None:
            for child in spawned():
                os.kill(child.pid, signal.SIGSTOP)

        with pytest.raises(VideoError, match="takes longer than 1 s"):
            decoder.windows(long_video, stop)
        assert not spawned()


def test_a_window_too_large_for_the_memory_of_a_decoder_is_refused(tmp_path: Path) -> None:
    video = write_video(tmp_path / "many.mp4", [i % 200 for i in range(60)])
    spec = replace(UNIFORM, crop_size=4000)  # 48 MB a frame
    too_large = pytest.raises(VideoError, match="more than 2048 MiB: lower --window_seconds")
    with closing(WindowDecoder(WindowTask(spec))) as decoder, too_large:
        decoder.windows(video, lambda _: None)


# A source that goes on ------------------------------------------------------------------------


def write_live(target: Path, video: Path, speed: str = "-re") -> subprocess.Popen[bytes]:
    """FFmpeg's own program writes MPEG-TS to a pipe or a file, at the speed of showing."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", speed, "-i", video]
    return subprocess.Popen([*command, "-c", "copy", "-f", "mpegts", target])


End = Literal["chunked", "closed", "cut off"]


@contextmanager
def http_stream(video: Path, end: End) -> Iterator[str]:
    """The address of a server that streams MPEG-TS in real time.

    It says in chunks that it has ended, or only closes the connection, or closes it before as many
    bytes have come as it promised.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            if end == "chunked":
                self.send_header("Transfer-Encoding", "chunked")
            elif end == "cut off":
                self.send_header("Content-Length", "100000000")
            self.end_headers()
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "quiet", "-re", "-i", video]
            with subprocess.Popen(
                [*command, "-c", "copy", "-f", "mpegts", "-"], stdout=subprocess.PIPE
            ) as program:
                assert program.stdout is not None
                while data := os.read(program.stdout.fileno(), 1 << 16):
                    chunk = b"%x\r\n%b\r\n" % (len(data), data)
                    self.wfile.write(chunk if end == "chunked" else data)
            if end == "chunked":
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = end != "chunked"

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/live.ts"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read_live(reader: LiveReader, pause: float = 0.0) -> list[tuple[LiveWindow, float]]:
    """All windows, and how long after their newest frame they were there."""
    found = []
    with reader:
        while live := reader.next_window():
            found.append((live, time.monotonic() - live.arrived))
            time.sleep(pause)
    return found


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s at 25 fps, whose brightness rises by 4 with each frame."""
    return write_video(
        tmp_path_factory.mktemp("live") / "live.mp4", [20 + 4 * i for i in range(50)]
    )


def assert_windows_of_stream(found: Sequence[tuple[LiveWindow, float]], reader: LiveReader) -> None:
    """Where the machine is busy, some frames are dropped."""
    assert reader.frames == 50
    slack = 10 + 4 * reader.dropped
    ends = [live.window.end for live, _ in found]
    assert ends == sorted(set(ends))
    assert ends[-1] == pytest.approx(2, abs=0.05 * (1 + reader.dropped))
    for live, _ in found:
        last = round((live.window.end - 0.04) * 25)
        levels = np.array(levels_of(live.window.views[0]))
        assert levels[-1] == pytest.approx(20 + 4 * last, abs=slack)
        assert levels[-1] - levels[0] == pytest.approx(4 * 24, abs=slack)  # a window of 25 frames


@pytest.mark.parametrize("end", ["chunked", "closed"])
def test_a_server_in_real_time(stream: Path, end: End) -> None:
    with http_stream(stream, end) as address:
        reader = LiveReader(address, UNIFORM, 1, 0.5)
        found = read_live(reader)
    assert_windows_of_stream(found, reader)
    assert 1 <= len(found) <= 4


def test_a_server_that_ends_before_the_length_it_gave_is_an_error(stream: Path) -> None:
    with http_stream(stream, "cut off") as address, pytest.raises(VideoError, match="Input/output"):
        read_live(LiveReader(address, UNIFORM, 1, 0.5))


def test_a_pipe_in_real_time(stream: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with write_live(pipe, stream):
        reader = LiveReader(str(pipe), UNIFORM, 1, 0.5)
        found = read_live(reader)
    assert_windows_of_stream(found, reader)
    assert 1 <= len(found) <= 4


def test_a_recording_is_read_as_fast_as_it_is_shown(stream: Path) -> None:
    begun = time.monotonic()
    reader = LiveReader(str(stream), UNIFORM, 1, 0.5)
    found = read_live(reader)
    assert time.monotonic() - begun >= 49 / 25
    assert_windows_of_stream(found, reader)


def test_whoever_is_slower_than_the_source_gets_the_newest_window(stream: Path) -> None:
    reader = LiveReader(str(stream), UNIFORM, 0.4, 0.2)
    found = read_live(reader, pause=0.7)
    assert 1 <= len(found) <= 4
    assert reader.frames == 50
    ends = [live.window.end for live, _ in found]
    assert ends[-1] == pytest.approx(2, abs=0.05 * (1 + reader.dropped))
    held = set[int]()
    for live, _ in found:
        held |= set(range(round(25 * live.window.start), round(25 * live.window.end)))
    assert reader.dropped == 50 - len(held) > 0


def test_a_source_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no video")
    for source in (str(text), "http://127.0.0.1:9/", "0"):
        with pytest.raises(VideoError), LiveReader(source, UNIFORM) as reader:
            reader.next_window()


@given(st.floats(0.005, 0.1), st.floats(-0.0005, 0.0005))
def test_a_reader_that_keeps_up_keeps_all_frames(period: float, drift: float) -> None:
    """Also where the clocks of source and reader differ a little, for hours, and after a burst."""
    backlog = Backlog(period)
    times = np.arange(2000) * max(period, 5.0)
    assert all(backlog.keeps(1000 + time * (1 + drift * period / 5), time) for time in times)
    assert all(backlog.keeps(1000 + times[-1] + 0.2, time) for time in times[-1] + np.arange(9))


def test_a_reader_that_falls_behind_keeps_one_frame_of_ten() -> None:
    backlog = Backlog(0.04)
    kept = [backlog.keeps(0.08 * i, 0.04 * i) for i in range(500)]  # half as fast as it should be
    assert all(kept[:12])
    assert sum(kept[20:]) == 48
