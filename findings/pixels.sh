#!/bin/sh
# swscale in PyAV 18.1.0 (FFmpeg 8.1.2, x86-64), converting to rgb24: the flag ACCURATE_RND alone does not
# round. It does not change a grey ramp in 10-bit 4:2:0, and makes 8-bit 4:2:0 more than a level darker.
# FULL_CHR_H_INT rounds 10 bits correctly, and both flags together 8 bits.
#
# Seen, mean difference to 255 * (Y - black) / (white - black):
#   yuv420p      BICUBIC -0.49, ACCURATE_RND -1.77, FULL_CHR_H_INT -0.49, both  0.00
#   yuv420p10le  BICUBIC -1.63, ACCURATE_RND -1.63, FULL_CHR_H_INT  0.00, both  0.00
#   yuv420p12le  BICUBIC -1.74, ACCURATE_RND -1.74, FULL_CHR_H_INT  0.00, both  0.00
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'END'
import sys

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

BICUBIC, ROUND, FULL = Interpolation.BICUBIC, Interpolation.ACCURATE_RND, Interpolation.FULL_CHR_H_INT
FLAGS = (BICUBIC, BICUBIC | ROUND, BICUBIC | FULL, BICUBIC | ROUND | FULL)
SEEN = {
    "yuv420p": (-0.49, -1.77, -0.49, 0.00),
    "yuv420p10le": (-1.63, -1.63, 0.00, 0.00),
    "yuv420p12le": (-1.74, -1.74, 0.00, 0.00),
}


def ramp(pixel_format):
    """A grey frame whose pixels rise from black to white, and their exact 8-bit values."""
    frame = av.VideoFrame(64, 64, pixel_format)
    levels = 2 ** frame.format.components[0].bits
    dtype = np.dtype(np.uint8 if levels == 256 else np.uint16)
    black, white = levels * 16 // 256, levels * 235 // 256
    luma = np.linspace(black, white, 64 * 64).round().reshape(64, 64)
    for number, plane in enumerate(frame.planes):
        rows = np.zeros((plane.height, plane.line_size // dtype.itemsize), dtype)
        rows[:, : plane.width] = luma if number == 0 else levels // 2
        plane.update(rows.tobytes())
    return frame, 255 * (luma - black) / (white - black)


changed = False
for pixel_format, seen in SEEN.items():
    frame, expected = ramp(pixel_format)
    found = []
    for flags in FLAGS:
        rgb = VideoReformatter().reformat(frame, format="rgb24", interpolation=flags, threads=1)
        found.append(float((rgb.to_ndarray() - expected[..., None]).mean()))
    print(pixel_format, " ".join(f"{difference:.2f}" for difference in found))
    changed |= any(abs(one - other) > 0.05 for one, other in zip(found, seen))
sys.exit(changed)
END
