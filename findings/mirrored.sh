#!/bin/sh
# OpenCV 4.14.0 (opencv-python-headless 4.14.0.94, x86-64) rotates by the display matrix of an mp4, but does
# not mirror: a video that is mirrored from left to right, like a selfie, is shown upside down, one that is
# flipped from top to bottom is unchanged, and the two transposed orientations are only rotated. The ffmpeg
# program (9.0 in imageio-ffmpeg 0.8.1) shows all eight orientations correctly.
#
# Seen, the position of a white corner that is at the top left of the stored picture:
#   matrix -1 0 0 1   ffmpeg top right     OpenCV bottom right
#   matrix 1 0 0 -1   ffmpeg bottom left   OpenCV top left
#   matrix 0 1 1 0    ffmpeg top left      OpenCV top right
#   matrix 0 -1 -1 0  ffmpeg bottom right  OpenCV bottom left
#   matrix 0 1 -1 0   ffmpeg top right     OpenCV top right
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    opencv-python-headless==4.14.0.94 imageio-ffmpeg==0.8.1
cd "$folder"
"$folder/venv/bin/python" - <<'END'
import struct
import subprocess
import sys

import cv2
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

SEEN = {
    (-1, 0, 0, 1): ("top right", "bottom right"),
    (1, 0, 0, -1): ("bottom left", "top left"),
    (0, 1, 1, 0): ("top left", "top right"),
    (0, -1, -1, 0): ("bottom right", "bottom left"),
    (0, 1, -1, 0): ("top right", "top right"),
}
FFMPEG = [get_ffmpeg_exe(), "-v", "error", "-y"]


def corner(picture):
    """Which quarter of a square picture is white."""
    halves = picture.reshape(2, 32, 2, 32, -1).mean(axis=(1, 3, 4))
    row, column = np.unravel_index(halves.argmax(), (2, 2))
    return f"{('top', 'bottom')[row]} {('left', 'right')[column]}"


source = ["-f", "lavfi", "-i", "color=black:s=64x64:d=0.2,drawbox=w=32:h=32:color=white:t=fill"]
subprocess.run([*FFMPEG, *source, "-pix_fmt", "yuv420p", "upright.mp4"], check=True)
content = bytearray(open("upright.mp4", "rb").read())
place = content.find(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2
is_as_seen = True
for (a, b, c, d), seen in SEEN.items():
    values = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    content[place : place + 36] = struct.pack(">9i", *values)
    with open("turned.mp4", "wb") as file:
        file.write(content)
    command = [*FFMPEG, "-i", "turned.mp4", "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    shown = subprocess.run(command, check=True, capture_output=True).stdout
    found = (
        corner(np.frombuffer(shown, np.uint8).reshape(64, 64)),
        corner(cv2.VideoCapture("turned.mp4").read()[1]),
    )
    print(f"matrix {a} {b} {c} {d}".ljust(18) + f"ffmpeg {found[0]:<13} OpenCV {found[1]}")
    is_as_seen &= found == seen
sys.exit(not is_as_seen)
END
