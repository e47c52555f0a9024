"""Of several video streams, the one that players show is taken, and the others are told of."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.helpers.ffmpeg import find_ffmpeg
from tests.helpers.frames import windows_of
from vidbench.data.clips.source import CachePolicy
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.datasets.flat import load
from vidbench.data.loader import Batch, VideoLoader
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.container import describe
from vidbench.data.video.decode import decode_views
from vidbench.data.video.encode import shown_size
from vidbench.data.video.scan import scan_video

SPEC = PreprocessSpec(num_frames=4, crop_size=16)


class Track(NamedTuple):
    """A stream of equal grey frames."""

    level: int
    size: tuple[int, int]
    marks: Disposition = Disposition(0)
    length: int = 12
    codec: str = "libx264"


def write_tracks(path: Path, *tracks: Track) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for track in tracks:
            stream = container.add_stream(track.codec, rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = track.size
            stream.pix_fmt = "yuvj420p" if track.codec == "mjpeg" else "yuv420p"
            stream.disposition = track.marks
            streams.append(stream)
        for index in range(max(track.length for track in tracks)):
            for track, stream in zip(tracks, streams, strict=True):
                if index < track.length:
                    pixels = np.full((*track.size[::-1], 3), track.level, np.uint8)
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                    frame.pts, frame.time_base = index, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def level_taken(path: Path) -> int:
    """The brightness of the stream that is taken: in whole videos and in windows."""
    level = round(float(decode_views(path, SPEC).mean()))
    ((window, *_), footage) = windows_of(path, SPEC, window_seconds=5)
    assert round(float(window.views.mean())) == level
    assert footage.note == scan_video(path).note
    assert scan_video(path).status == "ok"
    return level


PROXY, MAIN = Track(60, (32, 24)), Track(180, (96, 64))
DEFAULT = Disposition.default


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".nut"])
@pytest.mark.parametrize("order", [1, -1])
def test_the_largest_is_taken_where_no_mark_tells_them_apart(
    tmp_path: Path, suffix: str, order: int
) -> None:
    marked = [PROXY._replace(marks=DEFAULT), MAIN._replace(marks=DEFAULT)]
    path = write_tracks(tmp_path / f"two{suffix}", *marked[::order])
    assert level_taken(path) == pytest.approx(180, abs=3)
    assert shown_size(path) == (96, 64)
    assert (describe(path).width, describe(path).height) == (96, 64)
    assert "2 video streams: #" in scan_video(path).note
    assert "(32x24" in scan_video(path).note.partition("not ")[2]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("marked", [0, 1])
def test_the_mark_of_the_default_goes_over_size(tmp_path: Path, suffix: str, marked: int) -> None:
    tracks = [PROXY, MAIN]
    tracks[marked] = tracks[marked]._replace(marks=DEFAULT)
    path = write_tracks(tmp_path / f"two{suffix}", *tracks)
    assert level_taken(path) == pytest.approx(tracks[marked].level, abs=3)
    assert f"#{marked} " in scan_video(path).note.partition(" is taken")[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_still_is_no_video(tmp_path: Path, suffix: str, order: int) -> None:
    """Whatever its size and mark; some cameras store a picture as a stream of one frame."""
    still = Track(230, (640, 480), DEFAULT, length=1, codec="mjpeg")
    path = write_tracks(tmp_path / f"still{suffix}", *[still, MAIN][::order])
    assert level_taken(path) == pytest.approx(180, abs=3)
    assert "640x480" in scan_video(path).note


def test_a_cover_picture_goes_without_saying(tmp_path: Path) -> None:
    cover = Track(230, (640, 480), Disposition.attached_pic, length=1, codec="mjpeg")
    path = write_tracks(tmp_path / "cover.mp4", MAIN, cover)
    assert level_taken(path) == pytest.approx(180, abs=3)
    assert not scan_video(path).note


def test_what_is_for_a_few_is_not_what_players_show(tmp_path: Path) -> None:
    signed = MAIN._replace(level=100, size=(192, 128), marks=Disposition.hearing_impaired)
    path = write_tracks(tmp_path / "signed.mkv", signed, MAIN)
    assert level_taken(path) == pytest.approx(180, abs=3)


def test_marks_and_sizes_decide_as_in_the_ffmpeg_program(tmp_path: Path) -> None:
    """Which gives a mark the weight of five million pixels."""
    for marks in ((DEFAULT, Disposition(0)), (Disposition(0), DEFAULT), (DEFAULT, DEFAULT)):
        for tracks in ((PROXY, MAIN), (MAIN, PROXY)):
            marked = [t._replace(marks=m) for t, m in zip(tracks, marks, strict=True)]
            path = write_tracks(tmp_path / "two.mkv", *marked)
            command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-frames:v", "1"]
            command += ["-pix_fmt", "gray", "-f", "rawvideo", "-"]
            shown = subprocess.run(command, capture_output=True, check=True).stdout
            levels = np.frombuffer(shown, np.uint8)
            assert level_taken(path) == pytest.approx(levels.mean(), abs=4)


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_note_comes_with_the_clip_whether_or_not_it_was_cached(
    tmp_path: Path, compression: str | None
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_tracks(folder / "one.mkv", MAIN)
    path = write_tracks(folder / "two.mkv", PROXY, MAIN)
    dataset = load("", "all", FetchOptions(tmp_path, root_url=str(folder)))

    def batch(policy: CachePolicy) -> Batch:
        loader = VideoLoader(
            dataset, SPEC, cache_dir=tmp_path, num_workers=0, policy=policy, compression=compression
        )
        with loader.stream(loader.select().records, [[0, 1]]) as batches:
            (found,) = batches
        return found

    for policy in (CachePolicy(), CachePolicy(), CachePolicy(overwrite=True)):
        found = batch(policy)
        assert found.notes == {1: scan_video(path).note}
        assert list(found.keys) == [0]
