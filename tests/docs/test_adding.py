"""The examples of docs/adding_a_model.md and docs/adding_a_dataset.md, run as the pages say."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.sample_videos import extract_sample
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.errors import ConfigError, ModelError
from vidbench.models.base import load_model
from vidbench.system.runtime import Runtime

DIRECTIONS = {
    "moving down": (0, 1),
    "moving left": (-1, 0),
    "moving right": (1, 0),
    "moving up": (0, -1),
}


def block(page: str, language: str) -> str:
    """The one block of the page in this language."""
    text = (REPOSITORY / "docs" / f"adding_a_{page}.md").read_text()
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that holds ``mypackage``, as the pages have it; modules are found there."""
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "flow.py").write_text(block("model", "python"))
    (package / "directions.csv").write_text(block("model", "csv"))
    (package / "folders.py").write_text(block("dataset", "python"))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypackage"]:
        del sys.modules[name]


def run_page(page: str, place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command of the page, word by word, with options behind it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", f'{block(page, "sh").strip()} "$@"', "sh", *options],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def metrics_of_both_runs(page: str, place: Path) -> dict[str, Any]:
    """Metrics of the page's command, after a second run has found the first one finished."""
    first = run_page(page, place)
    assert first.returncode == 0, first.stderr
    assert "videos to predict" in first.stderr
    (folder,) = (place / "results").iterdir()
    scores = (folder / "scores.npz").stat()
    second = run_page(page, place)
    assert second.returncode == 0, second.stderr
    assert f"results/{folder.name} is finished" in second.stderr
    assert "to predict" not in second.stderr
    assert second.stdout == first.stdout
    assert (folder / "scores.npz").stat().st_mtime_ns == scores.st_mtime_ns
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics | {"stdout": first.stdout, "unlisted": _unlisted(folder)}


def _unlisted(folder: Path) -> list[str]:
    found: list[str] = json.loads((folder / "run.json").read_text())["unlisted"]
    return found


@pytest.fixture(scope="module")
def labels() -> dict[str, str]:
    """Labels of the sample's videos, by the first 11 characters of a file's name."""
    with (SAMPLE / "annotations" / "val.csv").open(newline="") as file:
        return {row["youtube_id"]: row["label"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sample's videos, extracted by tar alone."""
    return extract_sample(tmp_path_factory.mktemp("videos"))


def read_clip(path: Path, num_frames: int, size: int) -> NDArray[np.uint8]:
    """Frames spread over the whole video, the centre square of each resized, by OpenCV alone."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    side = min(frames[0].shape[:2])
    top, left = ((length - side) // 2 for length in frames[0].shape[:2])
    chosen = np.rint(np.linspace(0, len(frames) - 1, num_frames)).astype(int)
    squares = [frames[i][top : top + side, left : left + side] for i in chosen]
    return np.asarray([cv2.resize(square, (size, size)) for square in squares], np.uint8)


def mean_flow(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Minus the mean products of the slope in time with those in x and y, by finite differences."""
    light = clip.astype(np.float64).mean(axis=-1)
    light -= light.mean(axis=0)

    def slope(axis: int) -> NDArray[np.float64]:
        padded = np.moveaxis(light, axis, 0)
        inner = (padded[2:] - padded[:-2]) / 2
        ends = padded[1] - padded[0], padded[-1] - padded[-2]
        return np.moveaxis(np.concatenate([ends[:1], inner, ends[1:]]), 0, axis)

    return np.array([-(slope(0) * slope(2)).mean(), -(slope(0) * slope(1)).mean()])


# The model ------------------------------------------------------------------------------------


def test_the_model_of_the_page_gets_the_accuracy_computed_without_vidbench(
    place: Path, videos: list[Path], labels: dict[str, str]
) -> None:
    metrics = metrics_of_both_runs("model", place)
    right = []
    for path in videos:
        if (label := labels[path.name[:11]]) in DIRECTIONS:
            flow = mean_flow(read_clip(path, num_frames=25, size=16))
            best = max(DIRECTIONS, key=lambda name: float(flow @ DIRECTIONS[name]))
            right.append(best == label)
    assert metrics["top1"]["num_videos"] == len(right) == 32
    assert metrics["top1"]["value"] == pytest.approx(np.mean(right))
    printed = [line for line in metrics["stdout"].splitlines() if line[:6] in ("videos", "top-1 ")]
    shown = (REPOSITORY / "docs" / "adding_a_model.md").read_text()
    assert "```\n{}\n```".format("\n".join(printed)) in shown


def test_other_weights_are_another_run(place: Path) -> None:
    assert run_page("model", place, "--num_videos", "8").returncode == 0
    weights = place / "mypackage" / "directions.csv"
    weights.write_text(weights.read_text().replace("moving up,0,-1", "moving up,0,-2"))
    assert run_page("model", place, "--num_videos", "8").returncode == 0
    assert len(list((place / "results").iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model_path", "nowhere.csv"], "nowhere.csv"),
        (["--model_trained_on", "x"], "no variant 'x'"),
        (["--num_frames", "1"], "--num_frames 2"),
        (["--top_n", "5"], "only 4 classes"),
    ],
)
def test_a_wrong_request_of_the_model_is_refused_before_any_work(
    options: list[str], said: str, place: Path
) -> None:
    done = run_page("model", place, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in place.iterdir()] == ["mypackage"]


def test_the_model_keeps_the_contract(place: Path) -> None:
    nowhere = load_model("mypackage.flow", model_path="nowhere.csv")
    with pytest.raises(ConfigError, match=r"nowhere\.csv"):
        nowhere.check(nowhere.spec)
    weights = place / "mypackage" / "directions.csv"
    model = load_model("mypackage.flow", model_path=str(weights))
    model.check(model.spec)
    assert model.classes == tuple(DIRECTIONS)
    with pytest.raises(ModelError, match="bf16"):
        model.load(Runtime(precision="bf16"))
    copy = shutil.copy(weights, place / "copy.csv")
    assert load_model("mypackage.flow", model_path=str(copy)).digest() == model.digest()
    assert re.fullmatch("[0-9a-f]{16}", model.digest())
    clips = np.random.default_rng(0).integers(0, 256, (5, 25, 16, 16, 3), np.uint8)
    classifier = model.load()
    scores = classifier.predict(clips)
    assert scores.shape == (5, 4)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    for alone, together in zip(clips[:, None], scores, strict=True):
        np.testing.assert_allclose(classifier.predict(alone)[0], together, atol=1e-5)


def test_a_model_that_is_loaded_with_keywords_is_told_what_to_write(place: Path) -> None:
    path = place / "mypackage" / "former.py"
    path.write_text(
        "class Model:\n"
        "    def load(self, *, precision='fp32', num_threads=None, cache_dir=None):\n"
        "        return self\n\n\n"
        "def load(variant):\n"
        "    return Model()\n"
    )
    with pytest.raises(ConfigError, match=r"former is loaded with .*num_threads.*\.Runtime"):
        load_model("mypackage.former")


def test_a_clip_run_backwards_moves_the_other_way(place: Path, videos: list[Path]) -> None:
    weights = place / "mypackage" / "directions.csv"
    classifier = load_model("mypackage.flow", model_path=str(weights)).load()
    clips = np.stack([read_clip(path, num_frames=25, size=16) for path in videos[:8]])
    forwards, backwards = classifier.predict(clips), classifier.predict(clips[:, ::-1])
    down, left, right, up = forwards.T.astype(np.float64)
    np.testing.assert_allclose((backwards[:, 0] * down) / (backwards[:, 3] * up), 1, rtol=1e-2)
    np.testing.assert_allclose((backwards[:, 1] * left) / (backwards[:, 2] * right), 1, rtol=1e-2)


# The dataset ----------------------------------------------------------------------------------


@pytest.fixture
def class_folders(place: Path, videos: list[Path], labels: dict[str, str]) -> list[Path]:
    """Three videos of each class in ``videos/val``, a class of nobody's, and what is no video."""
    (place / "data").mkdir()
    (place / "data" / "sample").symlink_to(SAMPLE)
    copied: list[Path] = []
    for name in sorted(set(labels.values())):
        folder = place / "videos" / "val" / name
        folder.mkdir(parents=True)
        of_class = [path for path in videos if labels[path.name[:11]] == name]
        copied += [Path(shutil.copy(path, folder)) for path in of_class[:3]]
    (place / "videos" / "val" / "juggling").mkdir()
    copied.append(Path(shutil.copy(videos[0], place / "videos" / "val" / "juggling")))
    (place / "videos" / "val" / "growing" / "notes.txt").write_text("no video")
    shutil.copy(videos[0], place / "videos" / "val" / "stray.mp4")
    shutil.copytree(place / "videos" / "val" / "growing", place / "videos" / "train" / "growing")
    return copied


def test_class_folders_get_the_accuracy_computed_without_vidbench(
    place: Path, class_folders: list[Path]
) -> None:
    import tensorflow as tf

    metrics = metrics_of_both_runs("dataset", place)
    names = (SAMPLE / "model" / "classes.txt").read_text().splitlines()
    known = [path for path in class_folders if path.parent.name in names]
    signature = tf.saved_model.load(str(SAMPLE / "model")).signatures["default"]
    clips = np.stack([read_clip(path, num_frames=16, size=224) for path in known])
    logits = signature(tf.constant(clips / np.float32(255), tf.float32))["default"].numpy()
    right = [
        names[best] == path.parent.name
        for best, path in zip(logits.argmax(axis=1), known, strict=True)
    ]
    assert metrics["requested"] == metrics["evaluated"] == 43
    assert metrics["top1"]["num_videos"] == len(right) == 42
    assert metrics["top1"]["value"] == pytest.approx(np.mean(right))
    assert metrics["over_all"]["top1"]["value"] == pytest.approx(sum(right) / 43)
    assert metrics["labels"]["missing"] == ["juggling"]
    assert metrics["unlisted"] == ["val/growing/notes.txt", "val/stray.mp4"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data_dir", "nowhere"], "nowhere/val has no class folder"),
        (["--split", "test"], "videos/test has no class folder"),
        (["--num_tarballs", "2"], "drop the variant"),
        (["--dataset_path", "videos"], "drop the variant"),
    ],
)
def test_a_wrong_request_of_the_dataset_is_refused_before_any_work(
    options: list[str], said: str, place: Path, class_folders: list[Path]
) -> None:
    done = run_page("dataset", place, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path.name for path in place.iterdir()} == {"mypackage", "videos", "data"}


def test_the_dataset_keeps_the_contract(place: Path, class_folders: list[Path]) -> None:
    def open_dataset(folder: str, **options: Any) -> Dataset:
        return load_dataset("mypackage.folders", "val", data_dir=place / folder, **options)

    nowhere = open_dataset("nowhere")
    with pytest.raises(ConfigError, match="nowhere"):
        _ = nowhere.classes
    assert not (place / "nowhere").exists()
    shutil.copytree(place / "videos", place / "copy")
    everything = open_dataset("videos").fetch()
    assert everything == open_dataset("copy").fetch()
    assert [place / "videos" / str(record.path) for record in everything.records] == sorted(
        class_folders
    )
    assert everything.num_listed == len({record.video_id for record in everything.records}) == 43
    for seed in (None, 1):
        dataset = open_dataset("videos", seed=seed)
        assert set(dataset.fetch().records) == set(everything.records)
        assert dataset.fetch(5).records == dataset.fetch(10).records[:5]
    assert open_dataset("videos", seed=1).fetch(9) != open_dataset("videos", seed=2).fetch(9)
    chosen = open_dataset("videos").fetch(classes=["growing"])
    assert [record.label for record in chosen.records] == ["growing"] * chosen.num_listed
    assert {r.label for r in everything.records} == set(open_dataset("videos").classes)
