"""Datasets with official lists whose videos lie on this machine, each as its authors lay it out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.command import RunCli
from tests.helpers.contracts import BuildDataset, DatasetContract
from tests.helpers.paths import SAMPLE
from vidbench.data.datasets.base import Dataset, list_videos, load_dataset
from vidbench.data.records import FrameFolder, VideoRecord
from vidbench.errors import ConfigError
from vidbench.labels.alignment import align
from vidbench.labels.class_lists import load_classes

TEMPLATES = {
    "Approaching something with your camera": "Approaching [something] with your camera",
    "Putting number of something up": "Putting [number of] [something] up",
    "Putting something onto something": "Putting [something] onto [something]",
}


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def opened(name: str, root: Path, split: str | None = None, **options: Any) -> Dataset:
    return load_dataset(name, split, data_dir=Path("nowhere"), root_url=str(root), **options)


def labels(dataset: Dataset) -> dict[str, str | None]:
    return {record.video_id: record.label for record in dataset.fetch().records}


# Layouts --------------------------------------------------------------------------------------


def lay_ssv2(root: Path) -> None:
    """Two videos of each template; the lists as TwentyBN named them."""
    indices = {name: str(place) for place, name in enumerate(TEMPLATES)}
    write(root / "something-something-v2-labels.json", indices)
    items = [
        {"id": str(10 * place + n), "label": "...", "template": template, "placeholders": ["cup"]}
        for n in range(2)
        for place, template in enumerate(TEMPLATES.values())
    ]
    write(root / "something-something-v2-validation.json", items)
    write(root / "something-something-v2-test.json", [{"id": "99"}])
    put(root, *(f"20bn-something-something-v2/{item['id']}.webm" for item in items))
    put(root, "20bn-something-something-v2/99.webm")


def lay_diving48(root: Path) -> None:
    items = [
        {"vid_name": f"_8Vy3dlHg2w_0000{n}", "label": 35 - n, "start_frame": 0, "end_frame": 9}
        for n in range(5)
    ]
    write(root / "Diving48_V2_test.json", items)
    put(root, *(f"rgb/{item['vid_name']}.mp4" for item in items))


def lay_jester(root: Path) -> None:
    write(root / "jester-v1-labels.csv", "Swiping Right\nSwiping Left\nNo gesture\n")
    rows = "9;Swiping Left\n3;No gesture\n12;No gesture\n7;Swiping Right\n"
    write(root / "jester-v1-validation.csv", rows)
    put(root, *(f"20bn-jester-v1/{i}/0000{n}.jpg" for i in (9, 3, 12, 7) for n in (1, 2, 3)))


def lay_ssv1(root: Path) -> None:
    write(root / "something-something-v1-labels.csv", "Holding something\nOpening something\n")
    rows = "".join(f"{n};{('Holding', 'Opening')[n % 2]} something\n" for n in range(1, 6))
    write(root / "something-something-v1-validation.csv", rows)
    put(
        root, *(f"20bn-something-something-v1/{i}/0000{n}.jpg" for i in range(1, 6) for n in (1, 2))
    )


def lay_moments(root: Path) -> None:
    write(root / "moments_categories.txt", "clapping,1\nadult+male+singing,2\npraying,0\n")
    names = [
        "clapping/a_1.mp4",
        "clapping/b.2_1.mp4",
        "praying/a_1.mp4",
        "adult+male+singing/c.mp4",
    ]
    write(root / "validationSet.csv", "".join(f"{n},{n.split('/')[0]},3,1\n" for n in names))
    put(root, *(f"validation/{name}" for name in names), "training/praying/z.mp4")


SEGMENTS = {
    "version": "VERSION 1.3",
    "database": {
        "--0edUL8zmA": {
            "subset": "validation",
            "duration": 92.2,
            "annotations": [
                {"label": "Dodgeball", "segment": [5.4, 11.6]},
                {"label": "Dodgeball", "segment": [12, 88.16]},
                {"label": "Dodgeball", "segment": [12, 88.16]},
            ],
        },
        "abcdefghijk": {
            "subset": "validation",
            "annotations": [
                {"label": "Archery", "segment": [-0.01, 3]},
                {"label": "Archery", "segment": [7, 9]},
            ],
        },
        "ABCDEFGHIJK": {"subset": "testing", "annotations": []},
        "trainingvid": {
            "subset": "training",
            "annotations": [{"label": "Zumba", "segment": [1, 2]}],
        },
    },
}


def lay_activitynet(root: Path) -> None:
    write(root / "activity_net.v1-3.min.json", SEGMENTS)
    put(root, "v1-3/train_val/v_--0edUL8zmA.mp4", "v1-3/train_val/v_abcdefghijk.mkv")
    put(root, "v1-3/test/v_ABCDEFGHIJK.mp4")


def lay_hacs(root: Path) -> None:
    write(root / "HACS_v1.1.1" / "HACS_segments_v1.1.1.json", SEGMENTS)
    rows = [
        "classname,youtube_id,subset,start,end,label",
        "Archery,abcdefghijk,validation,15.5,17.5,1",
        "Archery,abcdefghijk,validation,77.5,79.5,-1",
        "Ironing clothes,--0edUL8zmA,validation,24.5,26.5,1",
        "Archery,trainingvid,training,24.5,26.5,1",
    ]
    write(root / "HACS_v1.1.1" / "HACS_clips_v1.1.1.csv", "".join(f"{row}\n" for row in rows))
    put(root, "Archery/v_abcdefghijk.mp4", "Dodgeball/v_--0edUL8zmA.mp4")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "activitynet": lay_activitynet,
    "diving48": lay_diving48,
    "hacs": lay_hacs,
    "jester": lay_jester,
    "moments": lay_moments,
    "ssv1": lay_ssv1,
    "ssv2": lay_ssv2,
}


@pytest.fixture(scope="module", params=sorted(LAYOUTS))
def laid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is called as its dataset and laid out so."""
    root = tmp_path_factory.mktemp("laid") / str(request.param)
    LAYOUTS[root.name](root)
    return root


class TestContract(DatasetContract):
    @pytest.fixture
    def build(self, laid: Path) -> BuildDataset:
        extra = {"annotations": str(laid / "HACS_v1.1.1")} if laid.name == "hacs" else {}
        return lambda **options: load_dataset(
            laid.name, **{"root_url": str(laid), **extra, **options}
        )


# Each of them ---------------------------------------------------------------------------------


def test_something_something_v2(tmp_path: Path) -> None:
    lay_ssv2(tmp_path)
    dataset = opened("ssv2", tmp_path)
    assert dataset.split == "val"
    assert dataset.classes == tuple(TEMPLATES)
    first, *_ = dataset.fetch().records
    path = Path("20bn-something-something-v2/0.webm")
    assert first == VideoRecord("0", path, "Approaching something with your camera")
    assert [r.video_id for r in dataset.fetch().records] == ["0", "10", "20", "1", "11", "21"]
    assert labels(opened("ssv2", tmp_path, "test")) == {"99": None}
    heads = align(dataset.classes, tuple(TEMPLATES.values()))  # as V-JEPA 2 names them
    assert dict(heads.targets) == TEMPLATES
    assert align(dataset.classes, dataset.classes).exact == dataset.classes


def test_something_something_v2_as_qualcomm_packs_it(tmp_path: Path) -> None:
    """Short names in a folder of labels, and answers of the test split."""
    write(
        tmp_path / "labels" / "labels.json", {"Moving something up": "1", "Showing something": "0"}
    )
    write(tmp_path / "labels" / "train.json", [{"id": "5", "template": "Moving [something] up"}])
    write(tmp_path / "labels" / "test.json", [{"id": "7"}])
    put(tmp_path, "20bn-something-something-v2/5.webm", "20bn-something-something-v2/7.webm")
    train = opened("ssv2", tmp_path / "20bn-something-something-v2", "train")
    assert train.classes == ("Showing something", "Moving something up")
    assert labels(train) == {"5": "Moving something up"}
    write(tmp_path / "labels" / "test-answers.csv", "7;Showing something\n")
    assert labels(opened("ssv2", tmp_path, "test")) == {"7": "Showing something"}


def test_diving48(tmp_path: Path) -> None:
    lay_diving48(tmp_path)
    dataset = opened("diving48", tmp_path)
    classes = load_classes("diving48")
    assert dataset.classes == classes
    # As https://github.com/huggingface/transformers checks them in convert_vjepa2_classifier_to_hf.
    assert classes[35] == "['Inward', '35som', 'NoTwis', 'TUCK']"
    assert classes[22] == "['Forward', '25som', '2Twis', 'PIKE']"
    first = dataset.fetch().records[0]
    path = Path("rgb/_8Vy3dlHg2w_00000.mp4")
    assert first == VideoRecord("_8Vy3dlHg2w_00000", path, classes[35], "_8Vy3dlHg2w")
    write(tmp_path / "Diving48_vocab.json", [["A", "b"]] * 36)
    with pytest.raises(ConfigError, match="twice"):
        opened("diving48", tmp_path).fetch()
    write(tmp_path / "Diving48_vocab.json", [["A", str(n)] for n in range(36)])
    assert opened("diving48", tmp_path).fetch().records[0].label == "['A', '35']"
    write(tmp_path / "Diving48_vocab.json", [["A", "b"]])
    with pytest.raises(ConfigError, match="class index outside of 1 classes"):
        opened("diving48", tmp_path).fetch()


def test_jester_as_frames(tmp_path: Path) -> None:
    lay_jester(tmp_path)
    dataset = opened("jester", tmp_path)
    assert dataset.classes == ("Swiping Right", "Swiping Left", "No gesture")
    first = dataset.fetch().records[0]
    frames = FrameFolder(12.0)
    assert first == VideoRecord("9", Path("20bn-jester-v1/9"), "Swiping Left", frames=frames)
    assert opened("jester", tmp_path, frames_fps=30).fetch().records[0].frames == FrameFolder(30)
    write(tmp_path / "jester-v1-test.csv", "3\n12\n")
    assert labels(opened("jester", tmp_path, "test")) == {"3": None, "12": None}


def test_jester_as_mirrors_pack_it(tmp_path: Path) -> None:
    """A header, commas, and counts of frames; ids of the test split without a class."""
    header = "video_id,label,frames,label_id,shape,format\n"
    row = '34870,Drumming Fingers,2,1,"(176, 100)",jpg\n'
    write(tmp_path / "Train.csv", f"{header}{row}")
    write(tmp_path / "Test.csv", f"{header.replace('video_id', 'id')}7,,,,,\n")
    put(tmp_path, *(f"Train/34870/0000{n}.jpg" for n in (1, 3)), "Test/7/1.jpg", "Test/7/2.jpg")
    (record,) = opened("jester", tmp_path, "train").fetch().records
    frames = FrameFolder(12.0, 2)
    assert record == VideoRecord("34870", Path("Train/34870"), "Drumming Fingers", frames=frames)
    assert labels(opened("jester", tmp_path, "test")) == {"7": None}


def test_moments_in_time(tmp_path: Path) -> None:
    lay_moments(tmp_path)
    dataset = opened("moments", tmp_path)
    assert dataset.classes == ("praying", "clapping", "adult+male+singing")
    found = {r.video_id: (str(r.path), r.label) for r in dataset.fetch().records}
    assert found["clapping/b.2_1"] == ("validation/clapping/b.2_1.mp4", "clapping")
    assert found["praying/a_1"] == ("validation/praying/a_1.mp4", "praying")


def test_segments_of_activitynet(tmp_path: Path) -> None:
    lay_activitynet(tmp_path)
    dataset = opened("activitynet", tmp_path, "validation")
    assert dataset.classes == ("Archery", "Dodgeball", "Zumba")
    ids = [record.video_id for record in dataset.fetch().records]
    first = ["--0edUL8zmA@5.4-11.6", "--0edUL8zmA@12-88.16"]
    assert ids == [*first, "abcdefghijk@0-3", "abcdefghijk@7-9"]
    path = Path("v1-3/train_val/v_abcdefghijk.mkv")
    last = VideoRecord("abcdefghijk@7-9", path, "Archery", "abcdefghijk", (7.0, 9.0))
    assert dataset.fetch().records[-1] == last
    (test,) = opened("activitynet", tmp_path, "test").fetch().records
    assert test == VideoRecord("ABCDEFGHIJK", Path("v1-3/test/v_ABCDEFGHIJK.mp4"), None)


def test_segments_and_clips_of_hacs(tmp_path: Path) -> None:
    lay_hacs(tmp_path)
    given = str(tmp_path / "HACS_v1.1.1" / "HACS_clips_v1.1.1.csv")
    clips = opened("hacs/clips", tmp_path, annotations=given)
    assert clips.name == "hacs-clips"
    assert clips.classes == ("Archery", "Ironing clothes")
    assert labels(clips) == {
        "abcdefghijk@15.5-17.5": "Archery",
        "--0edUL8zmA@24.5-26.5": "Ironing clothes",
    }
    segments = opened("hacs/segments", tmp_path, annotations=str(tmp_path / "HACS_v1.1.1"))
    assert len(labels(segments)) == 4
    with pytest.raises(ConfigError, match="use hacs/segments or hacs/clips"):
        opened("hacs/x", tmp_path)


# All of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.1", "1.1.1"])
def test_hacs_as_its_archives_unpack(version: str, tmp_path: Path) -> None:
    """The archive of lists beside the videos or above them; a test split without classes."""
    lay_hacs(tmp_path / "a")
    folder = tmp_path / "a" / f"HACS_v{version}"
    (tmp_path / "a" / "HACS_v1.1.1").rename(folder)
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("v1.1.1", f"v{version}")))
    with next(folder.glob("*clips*")).open("a") as file:
        file.write(",testingvide,testing,1.5,3.5,\n")
    clips = opened("hacs/clips", tmp_path / "a")
    assert clips.classes == ("Archery", "Ironing clothes")
    assert len(opened("hacs/segments", tmp_path / "a").fetch().records) == 4
    folder.rename(tmp_path / folder.name)
    assert opened("hacs/clips", tmp_path / "a").fetch() == clips.fetch()


def test_a_listed_video_that_is_not_there_has_no_path(tmp_path: Path) -> None:
    write(tmp_path / "labels.json", {"Holding something": 0})
    items = [{"id": str(i), "template": "Holding [something]"} for i in range(3)]
    write(tmp_path / "validation.json", items)
    put(tmp_path, "1.mp4")
    found = opened("ssv2", tmp_path).fetch()
    assert [str(record.path) for record in found.records] == ["None", "1.mp4", "None"]
    (tmp_path / "1.mp4").rename(tmp_path / "x1.mp4")
    with pytest.raises(
        ConfigError, match=r"none of the 3 listed videos, such as 0; it has x1\.mp4"
    ):
        opened("ssv2", tmp_path).fetch()
    assert len(list_videos(opened("ssv2", tmp_path)).records) == 3


def test_what_is_wrong_with_a_list_is_said_in_one_line(tmp_path: Path) -> None:
    put(tmp_path, "1.webm")

    def refusal(name: str = "ssv2", split: str | None = None, **options: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            opened(name, tmp_path, split, **options).fetch()
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    assert "no something-something-v2-labels.json or labels.json in" in refusal()
    write(tmp_path / "labels.json", '{"a": "x"}')
    assert "does not map classes to indices" in refusal()
    write(tmp_path / "labels.json", {"a": 0})
    write(tmp_path / "validation.json", "{")
    assert "cannot be read as JSON" in refusal()
    write(tmp_path / "validation.json", {"id": 1})
    assert "is not a list of videos" in refusal()
    write(tmp_path / "validation.json", [{"template": "a"}])
    assert "a video without id" in refusal()
    write(tmp_path / "validation.json", [{"id": 1, "template": "b"}])
    listed = tmp_path / "validation.json"
    assert f"{listed} lists '1' as 'b', which is not a class" in refusal()
    write(tmp_path / "validation.json", [{"id": 1, "template": "a"}] * 2)
    assert "lists '1' twice" in refusal()
    assert "no split 'all', only train, val, test" in refusal(split="all")
    assert "must be a file or a folder" in refusal(annotations="https://example.org/x.json")
    write(tmp_path / "activity_net.v1-3.min.json", {"database": {"x": {"subset": "validation"}}})
    assert "has no segments of x" in refusal("activitynet")


def test_files_and_frames_of_one_video(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The form that the authors published is taken, and the other one is told of."""
    lay_jester(tmp_path)
    put(tmp_path, "videos/9.mp4")
    assert str(opened("jester", tmp_path).fetch().records[0].path) == "20bn-jester-v1/9"
    assert "files and as folders of frames: 1; using those like 20bn-jester-v1/9" in caplog.text


def test_frames_of_jester_are_evaluated(run_cli: RunCli, tmp_path: Path, sample_clip: Path) -> None:
    """With the model of the sample: its classes, its frames, the layout of Jester."""
    import av

    names = (SAMPLE / "classes.txt").read_text("utf-8").splitlines()
    write(tmp_path / "d" / "jester-v1-labels.csv", "".join(f"{name}\n" for name in names))
    write(tmp_path / "d" / "jester-v1-validation.csv", f"1;{names[0]}\n2;{names[1]}\n")
    (tmp_path / "d" / "20bn-jester-v1" / "1").mkdir(parents=True)
    with av.open(str(sample_clip)) as container:
        for number, frame in enumerate(container.decode(video=0), 1):
            path = tmp_path / "d" / "20bn-jester-v1" / "1" / f"{number:05d}.jpg"
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(path)
    model = ("--model_type", "saved_model", "--model_path", SAMPLE / "model", "--num_frames", 16)
    done = run_cli("evaluate", "--dataset", "jester", "--dataset_path", "d", *model, "--json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["skipped"] == {"missing": 1}
    assert metrics["top1"]["num_videos"] == 1
