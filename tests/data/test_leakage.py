from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer
from vidbench.data.datasets._kinetics_releases import RELEASES
from vidbench.data.datasets.base import FetchOptions
from vidbench.data.datasets.kinetics import load
from vidbench.data.leakage import (
    check_leakage,
    find_leaks,
    published_overlap,
    read_source_ids,
    training_lists,
)
from vidbench.errors import ConfigError, FetchError
from vidbench.labels.class_lists import load_classes

HEADER = "label,youtube_id,time_start,time_end,split\n"
IDS = ["-bcdefghij0", "_bcdefghij1", "abcdefghij2", "abcdefghij3"]


@pytest.fixture(scope="module")
def official(footage: Path | None) -> Path:
    if footage is None:
        pytest.skip("no official lists: set VIDBENCH_FOOTAGE")
    return footage / "annotations"


def write_list(path: Path, ids: list[str], label: str = '"a, b"') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{label},{source},1,11,train\n" for source in ids)
    path.write_text(HEADER + rows, "utf-8")
    return path


@pytest.mark.parametrize("name", ["train.csv", "train.txt"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_ids_are_read_from_the_column_of_that_name(tmp_path: Path, name: str, start: str) -> None:
    path = write_list(tmp_path / name, [*IDS, IDS[0]])
    path.write_text(start + path.read_text("utf-8"), "utf-8")
    assert read_source_ids(path) == set(IDS)


def test_a_list_may_have_no_labels_and_other_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_bytes(f"youtube_id,time_start\r\n{IDS[0]},1\r\n\r\n{IDS[1]},2".encode())
    assert read_source_ids(path) == set(IDS[:2])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "no column 'youtube_id': it begins with ''"),
        (b"abseiling,0wR5jVB-WPk,417,427,val\n", "it begins with 'abseiling,0wR5jVB-WPk,417"),
        (b"<html>not found</html>", "it begins with '<html>"),
        (b"label,youtube_id\na,0wR5jVB-WPk\nb,\n", "line 3: this row has no youtube_id"),
        (b"label,youtube_id\na\n", "line 2: this row has no youtube_id"),
        (b"label,youtube_id\n\xff\xfe,x\n", "cannot be read"),
    ],
)
def test_what_is_no_annotation_file_is_refused(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "train.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        read_source_ids(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    scored=st.lists(st.sampled_from([*IDS, ""])),
    trained=st.lists(st.sampled_from(IDS)),
    cut=st.data(),
)
def test_every_video_with_a_listed_source_is_counted(
    tmp_path_factory: pytest.TempPathFactory,
    scored: list[str],
    trained: list[str],
    cut: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    at = cut.draw(st.integers(0, len(trained)))
    lists = [
        write_list(folder / name, ids)
        for name, ids in {"a.csv": trained[:at], "b.csv": trained[at:]}.items()
    ]
    leak = find_leaks(scored, lists)
    expected = sum(source in trained for source in scored)
    assert (leak.num_videos if leak else 0) == expected
    if leak is not None:
        assert leak.of_videos == len(scored) - scored.count("")
        assert set(leak.examples) == set(scored) & set(trained)


def test_the_overlap_of_two_official_lists_is_the_known_one(official: Path) -> None:
    k400, k600 = official / "k400_val.csv", official / "k600_val.csv"
    leak = find_leaks(sorted(read_source_ids(k400)), [k600])
    assert leak is not None
    assert (leak.num_videos, leak.of_videos) == (13_569, 19_906)
    back = find_leaks(sorted(read_source_ids(k600)), [k400])
    assert back is not None
    assert (back.num_videos, back.of_videos) == (13_569, 29_994)
    for trained_on, dataset, found in [("600", "400", leak), ("400", "600", back)]:
        said = str(published_overlap(f"kinetics-{trained_on}", f"kinetics-{dataset}", "val"))
        assert f"{found.num_videos:,}" in said
        assert f"{found.of_videos:,}" in said


@pytest.mark.parametrize("other", ["k400_val.csv", "k600_val.csv"])
def test_official_lists_that_share_nothing_give_no_leak(official: Path, other: str) -> None:
    test = read_source_ids(official / "k400_test_unlabelled_head.csv")
    assert len(test) == 1999
    assert find_leaks(sorted(test), [official / other]) is None


RELEASE_NAMES = sorted(release.name for release in RELEASES.values())


@pytest.mark.parametrize("trained_on", RELEASE_NAMES)
@pytest.mark.parametrize("split", ["val", "test"])
def test_other_splits_of_the_same_release_are_no_leak(trained_on: str, split: str) -> None:
    assert published_overlap(trained_on, trained_on, split) is None
    said = published_overlap(trained_on, trained_on, "train")
    assert said is not None
    assert "what it was trained on" in said


@pytest.mark.parametrize(
    ("trained_on", "dataset", "split", "said"),
    [
        ("kinetics-600", "kinetics-400", "val", "450 in its test"),
        ("kinetics-600", "kinetics-400", "test", "27,589"),
        ("kinetics-400", "kinetics-600", "test", "27,589"),
        ("kinetics-700-2020", "kinetics-400", "val", "CVDF"),
        ("kinetics-700", "kinetics-400", "val", "CVDF"),
        ("kinetics-700", "kinetics-600", "val", "1907.06987"),
        ("kinetics-700", "kinetics-700-2020", "train", "trained on"),
    ],
)
def test_a_known_overlap_is_told(trained_on: str, dataset: str, split: str, said: str) -> None:
    assert said in str(published_overlap(trained_on, dataset, split))


@pytest.mark.parametrize("dataset", ["ucf101", "sample", "kinetics-700-2020", "kinetics-40"])
def test_where_nothing_is_known_nothing_is_told(dataset: str) -> None:
    assert published_overlap("kinetics-400", dataset, "val") is None


@pytest.mark.parametrize("variant", ["400", "600", "700"])
def test_a_training_list_is_found_where_the_dataset_puts_it(
    tmp_path: Path, file_server: FileServer, variant: str
) -> None:
    release, data = RELEASES[variant], tmp_path / "data"
    label = load_classes(f"kinetics-{variant}")[0]
    write_list(file_server.root / release.annotations["train"], IDS, label)
    path_list = file_server.root / release.path_list.format(split="train")
    path_list.parent.mkdir(parents=True, exist_ok=True)
    path_list.write_text("")
    assert training_lists(data, release.name, file_server.url) == []
    dataset = load(variant, "train", FetchOptions(data_dir=data, root_url=file_server.url))
    with suppress(FetchError):  # the archive of repaired videos is not there
        dataset.fetch()
    [found] = training_lists(data, release.name)
    assert read_source_ids(found) == set(IDS)
    assert training_lists(data, f"kinetics-{variant}") == [found]


@pytest.mark.parametrize("variant", ["400", "600", "700"])
def test_a_training_list_is_found_in_a_folder_that_videos_come_from(
    tmp_path: Path, variant: str
) -> None:
    release = RELEASES[variant]
    path = write_list(tmp_path / release.annotations["train"], IDS)
    found = training_lists(tmp_path / "data", release.name, str(tmp_path))
    assert found == [path]
    leakage = check_leakage(release.name, "mine", "val", IDS, tmp_path / "data", str(tmp_path))
    assert leakage.as_dict()["training_lists"] == [release.annotations["train"]]
    assert leakage.as_dict()["leaked_videos"] == len(IDS)


def test_scored_videos_are_counted_where_the_training_list_lies(tmp_path: Path) -> None:
    write_list(tmp_path / "kinetics-600" / "train" / "train.txt", IDS[:2])
    leakage = check_leakage("kinetics-600", "kinetics-400", "val", [*IDS, IDS[0], ""], tmp_path)
    assert leakage.warning is not None
    assert "3 of 5 videos" in leakage.warning
    assert "\n" not in leakage.warning
    assert json.loads(json.dumps(leakage.as_dict())) == {
        "trained_on": "kinetics-600",
        "training_lists": ["kinetics-600/train/train.txt"],
        "leaked_videos": 3,
        "examples": IDS[:2],
        "published_overlap": None,
    }


def test_a_list_that_was_searched_in_vain_outweighs_what_is_published(tmp_path: Path) -> None:
    write_list(tmp_path / "kinetics-600" / "train" / "train.txt", IDS[:2])
    leakage = check_leakage("kinetics-600", "kinetics-400", "val", IDS[2:], tmp_path)
    assert leakage.warning is None
    assert leakage.as_dict()["leaked_videos"] == 0


def test_without_a_list_what_is_published_is_told(tmp_path: Path) -> None:
    leakage = check_leakage("kinetics-600", "kinetics-400", "val", IDS, tmp_path)
    assert "13,569" in str(leakage.warning)
    assert leakage.as_dict()["leaked_videos"] is None
    assert leakage.as_dict()["published_overlap"] in str(leakage.warning)


@pytest.mark.parametrize("trained_on", [None, "kinetics-400", "my-videos"])
def test_nothing_is_said_where_nothing_is_known(tmp_path: Path, trained_on: str | None) -> None:
    leakage = check_leakage(trained_on, "kinetics-400", "val", IDS, tmp_path)
    assert leakage.warning is None
    assert leakage.as_dict()["leaked_videos"] is None
