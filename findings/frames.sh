#!/bin/sh
# FFmpeg's image2 demuxer in PyAV 18.1.0, on folders of 30 numbered pictures with one missing: the number of the
# missing picture decides whether the result is an error or silently a shorter video.
#
# Seen: without number 4, 6, 7, 8, 10 to 16, 20, 22 to 24 or 28, the frames before it and an error
# (FileNotFoundError); without 2, 3, 5, 9, 17 to 19, 21, 25 to 27 or 29, the frames before it without an error or
# a message. These are the numbers that its search for the last picture tests. The complete folder gives 30 frames.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 pillow==12.3.0
cd "$folder"
"$folder/venv/bin/python" - <<'END'
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

SILENT = [2, 3, 5, 9, 17, 18, 19, 21, 25, 26, 27, 29]
av.logging.set_level(av.logging.WARNING)
silent, wrong = [], []
for missing in [None, *range(2, 30)]:
    folder = Path(f"without_{missing}")
    folder.mkdir()
    for number in range(1, 31):
        if number != missing:
            picture = np.full((16, 16, 3), 8 * number, np.uint8)
            Image.fromarray(picture).save(folder / f"img_{number:05d}.png")
    frames = 0
    try:
        with av.logging.Capture() as messages, av.open(f"{folder}/img_%05d.png") as container:
            for _ in container.decode(video=0):
                frames += 1
        outcome = f"no error, {len(messages)} messages"
        silent += [missing] if missing is not None and not messages else []
    except av.FFmpegError as error:
        outcome = type(error).__name__
    print(f"without {missing}: {frames} frames, {outcome}")
    wrong += [] if frames == (30 if missing is None else missing - 1) else [missing]
sys.exit(silent != SILENT or bool(wrong))
END
