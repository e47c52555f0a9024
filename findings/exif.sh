#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1.2): the side data of a frame of Motion JPEG whose pictures have EXIF cannot be
# read, since FFmpeg attaches a kind (31, EXIF) that PyAV's enumeration lacks. `frame.rotation` is no way
# out: it is -180 for a picture that was turned upside down (3) and for one that was mirrored (2) alike,
# because the angle of a display matrix does not tell whether it mirrors. PyAV 19.0.2 reads it.
#
# Seen:
#   orientation 2: rotation -180, side data: ValueError 31 is not a valid Type
#   orientation 3: rotation -180, side data: ValueError 31 is not a valid Type
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 pillow==13.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'END'
import io
import sys

import av
from PIL import Image

is_as_seen = True
for orientation in (2, 3):
    exif, picture = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.new("RGB", (64, 48)).save(picture, "jpeg", exif=exif)
    with open("turned.mjpeg", "wb") as file:
        file.write(3 * picture.getvalue())
    with av.open("turned.mjpeg") as container:
        frame = next(container.decode(video=0))
    try:
        told = f"{len(frame.side_data)} kinds"
    except ValueError as error:
        told = f"ValueError {error}"
    print(f"orientation {orientation}: rotation {frame.rotation}, side data: {told}")
    is_as_seen &= frame.rotation == -180 and told == "ValueError 31 is not a valid Type"
sys.exit(not is_as_seen)
END
