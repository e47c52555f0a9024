#!/usr/bin/env bash
# FFmpeg's time stamps and durations, seen with PyAV 18.1.0 (FFmpeg 8.0):
#
# 1. H.264 with B-frames in an AVI: frames come in the right order, but with the stamps of other frames,
#    1 3 ... instead of 0 1 2 ..., because an AVI has only decoding times. Looking a frame up by its stamp
#    gives another picture, without an error.
# 2. A Matroska file written to a pipe states the duration of the metadata that it was given, regardless of
#    its content: here 60 s for a second of video.
#
# Exits with 1 if either has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'END'
import sys
from fractions import Fraction

import av
import numpy as np


def write(target, name, options=None, metadata=None):
    with av.open(target, "w", format=name, options=options or {}) as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        if metadata:
            stream.metadata.update(metadata)
        for number in range(25):
            pixels = np.full((64, 64, 3), 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class Pipe:
    """A file that cannot be rewound."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def write(self, content):
        return self.file.write(content)

    def close(self):
        self.file.close()


write("b.avi", "avi")
with av.open("b.avi") as container:
    frames = list(container.decode(video=0))
stamps = [frame.pts for frame in frames]
levels = [frame.to_ndarray(format="rgb24").mean() / 10 for frame in frames]
print("avi: pictures", [round(level) for level in levels[:8]], "stamps", stamps[:8])
is_mixed = stamps != sorted(stamps) and np.allclose(levels, range(25), atol=0.4)

pipe = Pipe("piped.mkv")
write(pipe, "matroska", metadata={"DURATION": "00:01:00.000000000"})
pipe.close()
with av.open("piped.mkv") as container:
    stated = container.duration / av.time_base
print("mkv behind a pipe: states", stated, "s for 1 s of video")
sys.exit(not (is_mixed and stated == 60))
END
