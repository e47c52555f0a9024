#!/bin/sh
# A Matroska file that begins below zero, written by the FFmpeg 7.0.2 of imageio-ffmpeg 0.6.0 and read
# with PyAV 18.1.0 (FFmpeg 8.0): its header states the end time of the video, not its duration. For two
# seconds that begin at -0.6 s the stated duration (also container.duration) is 1.4 s, although the
# frames have times from -0.6 to 1.36 s. Compared with the header, the file seems too long, even if its
# last half second is missing.
#
# Exits with 1 if this has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.6.0 av==18.1.0
cd "$folder"
"$folder/venv/bin/python" - <<'END'
import subprocess
import sys

import av
import imageio_ffmpeg

program = imageio_ffmpeg.get_ffmpeg_exe()
source = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-t", "2", "-c:v", "ffv1")
early = ("-output_ts_offset", "-0.6", "-avoid_negative_ts", "disabled", "early.mkv")
subprocess.run([program, "-v", "error", *source, *early], check=True)
with av.open("early.mkv") as container:
    stated = container.duration / av.time_base
    times = [frame.time for frame in container.decode(video=0)]
lasts = times[-1] - times[0] + 1 / 25
print(f"stated {stated:.2f} s; frames from {times[0]:.2f} s, over {lasts:.2f} s")
sys.exit((round(stated, 2), round(lasts, 2)) != (1.4, 2.0))
END
