"""The sample's accuracy does not depend on the container in which its videos lie."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.paths import SAMPLE
from tests.helpers.sample_videos import extract_sample
from vidbench.config.run_config import RunConfig
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.evaluate import evaluate

FORMATS = {
    "mp4": ".mp4",
    "mov": ".mov",
    "matroska": ".mkv",
    "avi": ".avi",
    "flv": ".flv",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "asf": ".wmv",
    "nut": ".nut",
    "ismv": ".ismv",
    "wtv": ".wtv",
    "3gp": ".3gp",
}
"""By FFmpeg's name, with the suffix of its files."""

LOSSLESS = {"qp": "0", "bf": "3", "preset": "fast"}
UNIFORM = PreprocessSpec(num_frames=16)
CENTER = PreprocessSpec(num_frames=16, sampling="center", frame_stride=3, too_short="loop")


def encode_again(source: Path, target: Path, container_format: str) -> Path:
    """The same frames as H.264 with B-frames, without loss."""
    with (
        av.open(str(source)) as read,
        av.open(str(target), "w", format=container_format) as written,
    ):
        video = read.streams.video[0]
        rate = Fraction(video.average_rate or 25)
        stream = written.add_stream("libx264", rate=rate, options=dict(LOSSLESS))
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(read.decode(video)):
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return extract_sample(tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("container_format", FORMATS)
def test_the_sample_is_the_same_in_every_container(
    videos: Sequence[Path], tmp_path: Path, container_format: str
) -> None:
    for video in videos[:: len(videos) // 4]:
        path = tmp_path / f"{video.stem}{FORMATS[container_format]}"
        encode_again(video, path, container_format)
        for spec in (UNIFORM, CENTER):
            np.testing.assert_array_equal(decode_views(path, spec), decode_views(video, spec))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("container_format", FORMATS)
def test_the_sample_scores_the_same_in_every_container(
    videos: Sequence[Path], tmp_path: Path, container_format: str
) -> None:
    with (SAMPLE / "annotations" / "val.csv").open(newline="") as file:
        labels = {row["youtube_id"]: row["label"] for row in csv.DictReader(file)}
    for video in videos:
        folder = tmp_path / "videos" / labels[video.name[:11]]
        folder.mkdir(parents=True, exist_ok=True)
        encode_again(video, folder / f"{video.stem}{FORMATS[container_format]}", container_format)
    scores = [score(tmp_path, None, None), score(tmp_path, "center", 3)]
    assert scores == [pytest.approx(104 / 112), pytest.approx(106 / 112)]


def score(folder: Path, sampling: str | None, frame_stride: int | None) -> float:
    """Top-1 accuracy of the sample's model on the videos in the folder."""
    run = evaluate(
        RunConfig(
            model_type="saved_model",
            model_path=str(SAMPLE / "model"),
            dataset="folder",
            dataset_path=str(folder / "videos"),
            num_frames=16,
            data_dir=folder / "raw",
            cache_dir=folder / "cache",
            results_dir=folder / "results",
            sampling=sampling,
            frame_stride=frame_stride,
        )
    )
    return float(run.metrics["top1"]["value"])
