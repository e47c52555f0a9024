#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1.2): the side data of a Motion JPEG frame with EXIF cannot be read, because
# FFmpeg attaches a kind (31, EXIF) that PyAV's enumeration lacks. `frame.rotation` does not help: it is
# -180 for a picture that is upside down (3) and also for one that is mirrored (2), because the angle of
# a display matrix does not show whether it mirrors. PyAV 19.0.2 reads the side data.
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
        result = f"{len(frame.side_data)} kinds"
    except ValueError as error:
        result = f"ValueError {error}"
    print(f"orientation {orientation}: rotation {frame.rotation}, side data: {result}")
    is_as_seen &= frame.rotation == -180 and result == "ValueError 31 is not a valid Type"
sys.exit(not is_as_seen)
END
