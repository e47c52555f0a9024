"""The bare model in a process of its own: what N of them do at once without Ray.

    python -m benchmarks.alone --model i3d --graphs DIR --clips DIR --videos 12 --frames 100

Loads the model with one thread, says ``ready``, waits for a line, predicts clips that lie in
memory, and says how many videos a second it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.clips import found_clips
from benchmarks.rows import seconds_of
from benchmarks.workspace import BATCH_SIZE
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.models.i3d import I3DLoader
from vidbench.system.runtime import Runtime


def main() -> int:
    """Exit code: 0."""
    options = _parser().parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    paths = found_clips(options.clips)[:BATCH_SIZE]
    spec = PreprocessSpec(num_frames=options.frames)
    clips = np.stack([decode_views(path, spec)[0] for path in paths])
    classifier = I3DLoader(model_path=str(options.model)).load(
        Runtime(device="cpu", num_threads=1, cache_dir=options.graphs)
    )
    classifier.predict(clips[:1])
    print("ready", flush=True)
    sys.stdin.readline()
    calls = max(1, options.videos // len(clips))
    seconds = seconds_of(lambda: [classifier.predict(clips) for _ in range(calls)])
    print(calls * len(clips) / seconds, flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.alone", description=__doc__)
    for name in ("--model", "--graphs", "--clips"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--videos", "--frames"):
        parser.add_argument(name, type=int, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
