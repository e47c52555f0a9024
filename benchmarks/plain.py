"""The plain way, the thing to beat: what one writes first to evaluate a model on some videos.

OpenCV reads every frame of a video once; the whole video is kept as float32 in a pickle; one
thread; the SavedModel as TensorFlow gives it; one batch after another. Run again, it takes the
pickles that are there. It ends with the seconds of each stage.

    python -m benchmarks.plain --clips DIR --cache DIR --model DIR --batch_size 4
"""

import argparse
import pickle
import time
from pathlib import Path

started = time.perf_counter()

import cv2  # noqa: E402 - imports are a stage of their own
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

NUM_FRAMES, SIZE = 100, 224


def read_video(path: Path) -> NDArray[np.float32]:
    """Every frame: (frames, 224, 224, 3), RGB in [0, 1], the centre square resized."""
    frames = []
    capture = cv2.VideoCapture(str(path))
    while True:
        found, frame = capture.read()
        if not found:
            break
        height, width = frame.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        frame = cv2.resize(frame[top : top + side, left : left + side], (SIZE, SIZE))
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.float32) / 255)
    return np.stack(frames)


def main() -> None:
    """Evaluates, and prints the seconds of each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--clips", "--cache", "--model"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--batch_size", type=int, default=8)
    options = parser.parse_args()
    seconds = {"import": time.perf_counter() - started}

    begun = time.perf_counter()
    options.cache.mkdir(parents=True, exist_ok=True)
    pickles = []
    for path in sorted(options.clips.iterdir()):
        pickles.append(options.cache / f"{path.stem}.pickle")
        if not pickles[-1].exists():
            with pickles[-1].open("wb") as file:
                pickle.dump(read_video(path), file, protocol=pickle.HIGHEST_PROTOCOL)
    seconds["decode"] = time.perf_counter() - begun

    begun = time.perf_counter()
    model = tf.saved_model.load(str(options.model))
    classify = model.signatures["default"]
    seconds["load_model"] = time.perf_counter() - begun

    seconds["read"], seconds["predict"] = 0.0, 0.0
    top = []
    for start in range(0, len(pickles), options.batch_size):
        begun = time.perf_counter()
        clips = []
        for path in pickles[start : start + options.batch_size]:
            with path.open("rb") as file:
                video = pickle.load(file)  # noqa: S301 - written above, by this program
            clips.append(video[np.rint(np.linspace(0, len(video) - 1, NUM_FRAMES)).astype(int)])
        batch = np.stack(clips)
        seconds["read"] += time.perf_counter() - begun
        begun = time.perf_counter()
        logits = classify(tf.constant(batch))["default"]
        top += tf.argsort(tf.nn.softmax(logits), direction="DESCENDING")[:, :5].numpy().tolist()
        seconds["predict"] += time.perf_counter() - begun

    print(f"{len(top)} videos, the first one's best classes: {top[0]}")
    print(", ".join(f"{stage} {value:.2f} s" for stage, value in seconds.items()))


if __name__ == "__main__":
    main()
