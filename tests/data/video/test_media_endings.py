"""Each ending that is taken for a video's decodes: one of each, made by the ffmpeg program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.scan import scan_video
from vidbench.storage.video_files import MEDIA_SUFFIXES, find_videos

FRAMES = 10
OPTIONS = {
    ".264": "-c:v libx264 -f h264",
    ".265": "-c:v libx265 -x265-params log-level=none -f hevc",
    ".3g2": "-c:v libx264",
    ".3gp": "-c:v libx264",
    ".3gpp": "-c:v h263 -f 3gp",
    ".av1": "-c:v libaom-av1 -cpu-used 8 -f obu",
    ".divx": "-c:v mpeg4 -f avi",
    ".dv": "-s 720x576 -c:v dvvideo",
    ".f4v": "-c:v libx264",
    ".gif": "-pix_fmt pal8",
    ".gxf": "-s 720x576 -c:v mpeg2video",
    ".h265": "-c:v libx265 -x265-params log-level=none -f hevc",
    ".hevc": "-c:v libx265 -x265-params log-level=none",
    ".ismv": "-c:v libx264",
    ".ivf": "-c:v libvpx",
    ".m2p": "-c:v mpeg2video -f vob",
    ".m2t": "-c:v mpeg2video -f mpegts",
    ".mjpeg": "-pix_fmt yuvj420p",
    ".mjpg": "-pix_fmt yuvj420p -f mjpeg",
    ".mk3d": "-f matroska",
    ".mod": "-c:v mpeg2video -f vob",
    ".mpe": "-f mpeg",
    ".mts": "-c:v libx264 -f mpegts",
    ".mxf": "-s 720x576 -c:v mpeg2video",
    ".obu": "-c:v libaom-av1 -cpu-used 8",
    ".ogm": "-c:v libtheora -f ogg",
    ".qt": "-f mov",
    ".rmvb": "-f rm",
    ".tod": "-c:v mpeg2video -f mpegts",
    ".tp": "-f mpegts",
    ".trp": "-f mpegts",
    ".webm": "-c:v libvpx -deadline realtime",
}
"""What the ffmpeg program is told, where it does not choose by the ending."""


def make(path: Path, options: str) -> bool:
    """Whether the ffmpeg program makes such a video."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no ffmpeg program")
    source = f"testsrc2=size=176x144:rate=25:duration={FRAMES / 25}"
    sound = ["-f", "lavfi", "-i", "sine=duration=0.4:sample_rate=22050"]
    amv = [*sound, "-ac", "1", "-block_size", "882", "-shortest"] if path.suffix == ".amv" else []
    command = [program, "-v", "error", "-y", "-f", "lavfi", "-i", source, *amv, *options.split()]
    pixels = [] if "-pix_fmt" in options else ["-pix_fmt", "yuv420p"]
    pixels = [] if path.suffix in (".amv", ".apng", ".gif") else pixels
    done = subprocess.run([*command, *pixels, str(path)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("ending", sorted(MEDIA_SUFFIXES))
def test_a_video_of_each_ending_is_found_and_decoded(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    if not make(path, OPTIONS.get(ending, "")):
        pytest.skip(f"this ffmpeg program makes no {ending}")
    named = path.rename(path.with_suffix(ending.upper()))
    (tmp_path / "a.txt").touch()
    found = find_videos(tmp_path)
    assert found.videos == [named]
    assert found.left_out(tmp_path) == ["1 file left out: no known video ending, such as a.txt"]
    assert scan_video(named).status == "ok"
    every = PreprocessSpec(num_frames=FRAMES, crop_size=32)
    views = decode_views(named, every)
    assert all((views[0, i] != views[0, i + 1]).any() for i in range(FRAMES - 1))
