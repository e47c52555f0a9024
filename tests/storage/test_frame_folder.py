"""Folders of numbered pictures are videos: which files, which pixels, whether they are whole."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.helpers.command import RunCli
from tests.helpers.paths import SAMPLE
from tests.helpers.sample_videos import extract_sample
from vidbench.data.clips.prepare import clip_key
from vidbench.data.datasets.base import load_dataset
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.scan import scan_video
from vidbench.errors import ConfigError, VideoError
from vidbench.footage.frames import file_frames
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions
from vidbench.storage.frame_folder import find_frames
from vidbench.storage.hashes import FileIdentity, sha256_of
from vidbench.storage.video_files import survey
from vidbench.visualize.videos import make_video_table

MODEL = ("--model_type", "saved_model", "--model_path", SAMPLE / "model", "--num_frames", 16)
NAME = "img_{:05d}.png"
SPEC = PreprocessSpec(num_frames=4, crop_size=32)

Pictures = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """30 pictures of noise that differ in every pixel: (30, 45, 60, 3)."""
    return np.random.default_rng(0).integers(0, 256, (30, 45, 60, 3), np.uint8)


def put(
    folder: Path, pictures: Sequence[Any] | Pictures, name: str = "img_{:05d}.png", first: int = 1
) -> Path:
    """The pictures as files, numbered from ``first``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures, first):
        Image.fromarray(picture).save(folder / name.format(number))
    return folder


def put_lossless(path: Path, pictures: Pictures, fps: int) -> Path:
    """The same pictures as a video whose codec loses nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "bgr0"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


# Which files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["img_{:05d}.jpg", "{}.PNG", "a1_{:03d}.jpeg", "f-{}_l.webp"])
def test_frames_are_in_the_order_of_their_numbers(name: str, tmp_path: Path) -> None:
    names = [name.format(number) for number in range(8, 13)]
    touch(tmp_path, *reversed(names), "notes.txt", "poster.jpg", ".hidden_1.jpg")
    found = find_frames(tmp_path)
    assert [path.name for path in found.paths] == names
    assert (found.places, found.missing, found.first_missing) == ((0, 1, 2, 3, 4), 0, "")


@given(st.integers(0, 50), st.integers(2, 40), st.integers(1, 9), st.data())
@settings(deadline=None, max_examples=40)
def test_numbers_that_lack_are_counted(
    tmp_path_factory: pytest.TempPathFactory, first: int, count: int, step: int, data: st.DataObject
) -> None:
    """Two neighbours stay, so that the distance of all is known."""
    numbers = [first + step * place for place in range(count)]
    gone = data.draw(st.sets(st.sampled_from(numbers[2:-1]))) if count > 3 else set()
    kept = [number for number in numbers if number not in gone]
    folder = touch(tmp_path_factory.mktemp("f"), *(f"x{number:04d}.jpg" for number in kept))
    found = find_frames(folder)
    assert found.missing == len(gone)
    assert found.first_missing == (f"x{min(gone):04d}.jpg" if gone else "")
    assert list(found.places) == [(number - first) // step for number in kept]


def test_pictures_may_differ_in_their_endings(tmp_path: Path) -> None:
    names = ["f_001.jpg", "f_002.JPG", "f_003.png", "f_004.jpeg", "f_006.jpg"]
    folder = touch(tmp_path / "a", *names, "flow_x_001.jpg", "flow_x_002.png")
    found = find_frames(folder)
    assert [path.name for path in found.paths] == names
    assert (found.missing, found.first_missing) == (1, "f_005.jpg")
    (video,) = survey(folder).frames.items()
    assert [str(kind) for kind in video[1]] == ["flow_x_*.jpg", "flow_x_*.png"]
    assert survey(touch(tmp_path / "two", "1.jpg", "2.png")).videos == [tmp_path / "two"]
    touch(folder, "f_002.png")
    with pytest.raises(VideoError, match=r"several kinds: .*: keep one of them"):
        find_frames(folder)


def test_optical_flow_is_left_out_and_other_kinds_are_refused(tmp_path: Path) -> None:
    kinds = ("img_", "flow_x_", "flow_y_")
    both = touch(tmp_path / "a", *(f"{kind}{i:05d}.jpg" for kind in kinds for i in (1, 2)))
    assert [path.name for path in find_frames(both).paths] == ["img_00001.jpg", "img_00002.jpg"]
    touch(both, "thumb_1.jpg")
    with pytest.raises(VideoError, match=r"several kinds: 2 img_\*\.jpg, 1 thumb_\*\.jpg"):
        find_frames(both)
    only = touch(tmp_path / "b", "v_Kayaking_g01_c02_0001.jpg", "v_Kayaking_g01_c02_0002.jpg")
    assert len(find_frames(only).paths) == 2
    with pytest.raises(VideoError, match=r"01\.jpg and 1\.jpg have one number"):
        find_frames(touch(tmp_path / "c", "1.jpg", "01.jpg"))
    with pytest.raises(VideoError, match="holds no numbered picture"):
        find_frames(touch(tmp_path / "d", "a.jpg", "1.txt"))


# Which pixels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("section", [None, (0.5, 1.7)])
@pytest.mark.parametrize(
    "options",
    [
        {"num_frames": 7},
        {"sampling": "center", "frame_stride": 3, "too_short": "loop"},
        {"sampling": "center", "fps": 5, "too_short": "loop"},
        {"sampling": "dense", "num_clips": 3, "num_crops": 3, "too_short": "loop"},
        {"num_frames": 50, "resize_type": "pad"},
    ],
)
def test_they_are_those_of_a_video_that_loses_nothing(
    options: dict[str, Any],
    section: tuple[float, float] | None,
    pictures: Pictures,
    tmp_path: Path,
) -> None:
    spec = PreprocessSpec(**{"num_frames": 4, "crop_size": 32, **options})
    folder = put(tmp_path / "frames", pictures)
    video = put_lossless(tmp_path / "video.mkv", pictures, fps=12)
    found = decode_views(folder, spec, section=section, frames=FrameFolder(12))
    np.testing.assert_array_equal(found, decode_views(video, spec, section=section))


def test_frames_come_one_after_another_as_those_of_a_video(
    pictures: Pictures, tmp_path: Path
) -> None:
    folder = put(tmp_path / "frames", pictures)
    video = put_lossless(tmp_path / "video.mkv", pictures, fps=25)
    with file_frames(folder, SPEC) as found, file_frames(video, SPEC) as expected:
        assert found.period == expected.period
        for one, other in zip(found.frames, expected.frames, strict=True):
            assert one.seconds == pytest.approx(other.seconds, abs=1e-3)
            np.testing.assert_array_equal(one.crops, other.crops)


def test_pictures_are_read_as_opencv_reads_them(tmp_path: Path) -> None:
    """Of every kind; a turn that EXIF data ask for is made, and transparency is left out."""
    noise = np.random.default_rng(1).integers(0, 256, (16, 24, 4), np.uint8)
    smooth = cv2.resize(noise, (64, 48), interpolation=cv2.INTER_CUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    save: dict[str, Callable[[Path], None]] = {
        "jpg": lambda path: Image.fromarray(smooth[..., :3]).save(path, quality=80),
        "jpeg": lambda path: Image.fromarray(smooth[..., :3]).save(path, exif=exif),
        "png": lambda path: Image.fromarray(smooth).save(path),
        "PNG": lambda path: Image.fromarray(smooth[..., 0].astype(np.uint16) * 257).save(path),
        "bmp": lambda path: Image.fromarray(smooth[..., 0]).save(path),
        "webp": lambda path: Image.fromarray(smooth[..., :3]).save(path, quality=80),
    }
    spec = PreprocessSpec(num_frames=1, resize_type="pad", crop_size=64)
    for ending, write in save.items():
        folder = tmp_path / f"of_{ending}"
        folder.mkdir()
        write(folder / f"1.{ending}")
        oracle = cv2.imread(str(folder / f"1.{ending}"))
        assert oracle is not None
        lossless = put(folder / "oracle", [oracle[:, :, ::-1]])
        np.testing.assert_array_equal(decode_views(folder, spec), decode_views(lossless, spec))
        assert decode_views(folder, spec).any()


# Whether they are whole -----------------------------------------------------------------------


def refusal(folder: Path, spec: PreprocessSpec = SPEC, **options: Any) -> str:
    with pytest.raises(VideoError) as caught:
        decode_views(folder, spec, **options)
    return str(caught.value)


def test_frames_that_lack_make_a_truncated_video(pictures: Pictures, tmp_path: Path) -> None:
    folder = put(tmp_path / "a", pictures)
    for number in (7, 8, 20):
        (folder / f"img_{number:05d}.png").unlink()
    said = "3 of 30 frames lack, such as img_00007.png"
    assert refusal(folder) == f"truncated: {said}"
    assert scan_video(folder)[:2] == ("truncated", said)
    kept = decode_views(folder, SPEC, keep_truncated=True)
    left = put(tmp_path / "b", np.delete(pictures, [6, 7, 19], axis=0))
    np.testing.assert_array_equal(kept, decode_views(left, SPEC))
    by_time = PreprocessSpec(
        num_frames=30, sampling="center", fps=25, too_short="skip", crop_size=32
    )
    kept = decode_views(folder, by_time, keep_truncated=True)
    whole = decode_views(put(tmp_path / "c", pictures), by_time)
    same = [int(np.array_equal(*both)) for both in zip(kept[0], whole[0], strict=True)]
    assert [place + 1 for place, equal in enumerate(same) if not equal] == [7, 8, 20]


def test_a_list_may_count_frames(pictures: Pictures, tmp_path: Path) -> None:
    folder = put(tmp_path / "a", pictures)
    said = "truncated: 31 frames listed, 30 in the folder"
    assert refusal(folder, frames=FrameFolder(num_frames=31)) == said
    found = decode_views(folder, SPEC, frames=FrameFolder(num_frames=10))
    np.testing.assert_array_equal(found, decode_views(put(tmp_path / "b", pictures[:10]), SPEC))
    keys = [
        clip_key("0" * 64, spec, frames=frames)
        for spec in (SPEC, PreprocessSpec(num_frames=4, sampling="center", fps=5, too_short="loop"))
        for frames in (None, FrameFolder(12), FrameFolder(25), FrameFolder(num_frames=10))
    ]
    assert [keys.index(key) for key in keys] == [0, 0, 0, 3, 4, 5, 6, 7]  # rates count for times


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.98])
def test_cut_pictures_are_found(
    ending: str, part: float, pictures: Pictures, tmp_path: Path
) -> None:
    folder = put(tmp_path / "a", pictures[:6], f"{{}}.{ending}")
    assert scan_video(folder).status == "ok"
    path = folder / f"3.{ending}"
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    every = PreprocessSpec(num_frames=6, crop_size=32)
    assert refusal(folder, every).startswith(f"truncated: 3.{ending}: ")
    assert scan_video(folder).status == "truncated"
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    assert refusal(folder, every).startswith("unreadable: ")
    assert scan_video(folder).status == "broken"


def test_pictures_of_several_sizes_are_no_video(pictures: Pictures, tmp_path: Path) -> None:
    folder = put(tmp_path / "a", [*pictures[:3], pictures[0][:20, :30]])
    assert "img_00004.png has 30x20 pixels, and img_00001.png 60x45" in refusal(folder)


def test_a_file_that_changes_changes_the_hash(pictures: Pictures, tmp_path: Path) -> None:
    folder = put(tmp_path / "a", pictures[:5])
    twin = put(tmp_path / "b", pictures[:5])
    known, identity = sha256_of(folder), FileIdentity.of(folder)
    assert sha256_of(twin) == known
    touch(folder, "notes.txt")
    assert (sha256_of(folder), FileIdentity.of(folder)[:2]) == (known, identity[:2])
    put(folder, pictures[5:6], first=3)
    assert sha256_of(folder) != known
    assert FileIdentity.of(folder) != identity
    (twin / "img_00005.png").rename(twin / "img_00006.png")
    assert sha256_of(twin) != known


# As parts of datasets -------------------------------------------------------------------------


def records(family: str, path: Path, **options: Any) -> tuple[VideoRecord, ...]:
    found = load_dataset(family, data_dir=Path("nowhere"), root_url=str(path), **options).fetch()
    return found.records


def test_class_folders_hold_files_and_folders_of_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "a" / "v1", "1.jpg", "2.jpg", "flow_x_1.jpg")
    touch(tmp_path / "b" / "v1", "1.jpg", "2.jpg")
    touch(tmp_path / "b" / "empty")
    touch(tmp_path / "b", "c.mp4", "poster.jpg")
    frames = FrameFolder()
    expected = {"a/v1": frames, "b/v1": frames, "b/empty": frames, "b/c.mp4": None}
    assert {r.path.as_posix(): r.frames for r in records("folder", tmp_path) if r.path} == expected
    assert "FFmpeg's default of 25 frames per second: 3, such as a/v1" in caplog.text
    assert "flow_x_*.jpg left out of folders of frames, as optical flow: 1" in caplog.text
    assert "1 file left out: no known video ending, such as b/poster.jpg" in caplog.text
    caplog.clear()
    known = records("folder", tmp_path, frames_fps=12)
    assert {record.frames for record in known} == {None, FrameFolder(12)}
    assert "25 frames" not in caplog.text
    found = records("flat", tmp_path, frames_fps=12)
    assert [record.video_id for record in found] == ["a/v1", "b/c.mp4", "b/v1"]
    with pytest.raises(ConfigError, match="is one video, a folder of frames"):
        records("flat", tmp_path / "a" / "v1")


def test_rows_of_a_manifest_may_be_folders(tmp_path: Path) -> None:
    touch(tmp_path / "v1", "1.jpg", "2.jpg")
    touch(tmp_path, "c.mp4")
    path = tmp_path / "list.csv"
    path.write_text("path,fps,frames,label\nv1,12,2,x\nc.mp4,any,,x\nv2,,,x\n")
    assert records("manifest", path) == (
        VideoRecord("v1", Path("v1"), "x", frames=FrameFolder(12.0, 2)),
        VideoRecord("c.mp4", Path("c.mp4"), "x"),
        VideoRecord("v2", None, "x"),
    )
    path.write_text("path\nv1\n")
    (record,) = records("manifest", path, frames_fps=30)
    assert record.frames == FrameFolder(30)
    for cells, said in (
        ("0,", "fps is 0"), ("x,", "fps is 'x', not a rate"), (",1.5", "frames is 1.5"),
        (",inf", "frames is inf"), ("nan,", "fps is nan"),
    ):  # fmt: skip
        path.write_text(f"path,fps,frames\nv1,{cells}\n")
        with pytest.raises(ConfigError, match=f"line 2: {said}"):
            records("manifest", path)


# Through the commands -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample_as_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of each class of the sample: as files, and as PNG."""
    root = tmp_path_factory.mktemp("sample")
    with (SAMPLE / "annotations" / "val.csv").open(newline="") as file:
        labels = {row["youtube_id"]: row["label"] for row in csv.DictReader(file)}
    (root / "loose").mkdir()
    taken: dict[str, int] = {}
    for path in extract_sample(root / "loose"):
        label = labels[path.name[:11]]
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= 2:
            target = root / "files" / label / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            with av.open(str(target)) as container:
                frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            put(root / "frames" / label / path.stem, frames)
    return root


def test_a_run_over_frames_is_that_over_the_files(
    run_cli: RunCli, tmp_path: Path, sample_as_frames: Path
) -> None:
    runs = {}
    for kind in ("files", "frames"):
        path = sample_as_frames / kind
        options = ("--dataset", "folder", "--dataset_path", path, "--frames_fps", 12, "--json")
        done = run_cli("evaluate", *MODEL, *options)
        assert done.returncode == 0, done.stderr
        runs[kind] = FinishedRun(tmp_path / json.loads(done.stdout)["folder"])
    files, frames = runs["files"], runs["frames"]
    assert frames.metrics["top1"] == files.metrics["top1"]
    order = frames.predictions.labels.tolist()
    assert order == files.predictions.labels.tolist()
    np.testing.assert_array_equal(frames.predictions.scores, files.predictions.scores)
    for run in (files, frames):
        strips = run.path / "thumbnails.zip"
        assert strips.is_file()
    assert (files.path / "thumbnails.zip").read_bytes() == strips.read_bytes()


def test_check_predict_and_subset_take_folders_of_frames(
    run_cli: RunCli, tmp_path: Path, sample_as_frames: Path
) -> None:
    shutil.copytree(sample_as_frames / "frames", tmp_path / "frames")
    video = sorted((tmp_path / "frames").glob("*/*"))[0]
    (video / "img_00005.png").unlink()
    checked = run_cli("check", "frames")
    assert checked.returncode == 1
    assert "28 videos: 27 ok, 0 broken, 1 truncated" in checked.stdout
    assert "such as img_00005.png" in checked.stdout
    predicted = run_cli("predict", "frames", *MODEL, "--frames_fps", 5, "--json")
    videos = json.loads(predicted.stdout)["videos"]
    assert [video.get("failed", "")[:9] for video in videos].count("truncated") == 1
    count = len(find_frames(Path(tmp_path, videos[-1]["video"])).paths)
    assert videos[-1]["seconds"] == pytest.approx(count / 5)
    options = ("--dataset", "folder", "--dataset_path", "frames", "--frames_fps", 5)
    drawn = run_cli("subset", *options, "--per_class", 1, "--output", "s/list.csv", "--copy_dir",
                    "s/copies")  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    found = records("manifest", tmp_path / "s" / "list.csv")
    assert len(found) == 14
    for record in found:
        assert record.frames == FrameFolder(5.0)
        assert record.path is not None
        source = tmp_path / "frames" / record.video_id.removeprefix("frames/")
        assert sha256_of(tmp_path / "s" / record.path) == sha256_of(source)
    again = run_cli("subset", *options, "--per_class", 1, "--output", "s/list.csv", "--copy_dir",
                    "s/copies")  # fmt: skip
    assert "0 made, 14 there already" in again.stdout


def test_a_table_of_videos_has_them(pictures: Pictures, tmp_path: Path) -> None:
    folder = put(tmp_path / "a", pictures)
    row = make_video_table([folder]).iloc[0]
    assert (row["frames"], row["width"], row["height"], row["codec"]) == (30, 60, 45, "png")
    assert (row["seconds"], row["problem"]) == (pytest.approx(1.2), "")


def test_predictions_keep_what_is_known_of_frames(tmp_path: Path) -> None:
    """So that thumbnails find the clips that were scored."""
    known = (None, FrameFolder(12.0, 30), FrameFolder(None, 7), FrameFolder())
    found = [VideoRecord(str(i), Path(str(i)), None, frames=f) for i, f in enumerate(known)]
    Predictions.pending(found, ("a", "b")).save(tmp_path / "scores.npz")
    table = Predictions.read(tmp_path / "scores.npz").only([3, 1, 2, 0])
    kept = [table.frame_folder(row) for row in range(4)]
    assert kept == [FrameFolder(), FrameFolder(12.0, 30), FrameFolder(None, 7), FrameFolder()]
    assert clip_key("0" * 64, SPEC, frames=kept[0]) == clip_key("0" * 64, SPEC)
    Predictions.pending(found[:1], ("a", "b")).save(tmp_path / "scores.npz")
    with np.load(tmp_path / "scores.npz") as file:
        assert "frames" not in file
