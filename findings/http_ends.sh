#!/bin/sh
# PyAV 19.0.2 (FFmpeg 9.0.2) over HTTP: a chunked response that ends correctly, with an empty chunk, gives
# OSError 5 (Input/output error), and the frames still in the decoder are lost; a response that is cut
# before that chunk gives all frames without an error. PyAV 18.1.0 (FFmpeg 8.1.2) reads both to the end. A
# closed connection without a stated length is an error in both versions, even with "Connection: close".
#
# Seen, frames of 50 in MPEG-TS with B-frames, and the error number:
#              chunked  chunked, cut  closed  with a length
#   av 18.1.0  50, -    50, -         49, 5   50, -
#   av 19.0.2  49, 5    50, -         49, 5   50, -
#
# Needs Python 3.12 or later, like PyAV 19: PYTHON=python3.13 sh http_ends.sh
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/read.py" <<'END'
import sys
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np

path, expected = sys.argv[1], sys.argv[2:]
with av.open(path, "w", format="mpegts") as container:
    stream = container.add_stream("mpeg2video", rate=25, options={"bf": "2"})
    stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
    noise = np.random.default_rng(0)
    for index in range(50):
        picture = noise.integers(0, 255, (128, 128, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
with open(path, "rb") as file:
    video = file.read()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        way = self.path.strip("/")
        self.send_response(200)
        if way == "length":
            self.send_header("Content-Length", str(len(video)))
        elif way == "closed":
            self.send_header("Connection", "close")
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if way in ("length", "closed"):
            self.wfile.write(video)
        else:
            for at in range(0, len(video), 4000):
                piece = video[at : at + 4000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if way == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = way != "length"

    def log_message(self, *_):
        pass


def read(address):
    frames, error = 0, "-"
    with av.open(address) as container:
        try:
            for _ in container.decode(video=0):
                frames += 1
        except av.error.OSError as raised:
            error = raised.errno
    return f"{frames},{error}"


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
ways = ("chunked", "cut", "closed", "length")
seen = [read(f"http://127.0.0.1:{server.server_port}/{way}") for way in ways]
print(f"av {av.__version__}", dict(zip(ways, seen)))
sys.exit(seen != expected)
END
check() {
    "${PYTHON:-python3.12}" -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "av==$1" numpy==2.4.6
    version=$1
    shift
    "$folder/$version/bin/python" "$folder/read.py" "$folder/video.ts" "$@"
}
changed=0
check 18.1.0 50,- 50,- 49,5 50,- || changed=1
check 19.0.2 49,5 50,- 49,5 50,- || changed=1
exit $changed
