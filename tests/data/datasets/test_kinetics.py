from __future__ import annotations

import csv
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer, serve
from tests.helpers.kinetics import (
    annotation_file,
    clip,
    write_root,
    write_tarball,
)
from vidbench.data.datasets._kinetics_annotations import (
    Annotation,
    ClipKey,
    parse_name,
    read_annotations,
)
from vidbench.data.datasets._kinetics_releases import CVDF_ROOT
from vidbench.data.datasets.base import Dataset, dataset_families, load_dataset
from vidbench.data.records import Selection
from vidbench.errors import ArchiveError, ConfigError, FetchError
from vidbench.labels.class_lists import load_classes

AMERICAN = (
    "passing American football (in game)",
    "passing american football (not in game)",
    "throwing ball (not baseball or American football)",
    "massaging person's head",
    "arranging flowers",
    "yoga",
)


def small_root(root: Path, entry_root: str = CVDF_ROOT) -> Path:
    """Six videos in two tarballs, of which the one listed first has the higher number."""
    tarballs = {"part_10": [clip(5), clip(3), clip(4)], "part_2": [clip(2), clip(0), clip(1)]}
    labels = {clip(number): "yoga" for number in range(6)}
    return write_root(root, tarballs, labels, entry_root=entry_root)


def kinetics(
    data_dir: Path,
    root: Path | str,
    *,
    version: str = "400",
    split: str = "val",
    seed: int | None = None,
    num_tarballs: int | None = None,
) -> Dataset:
    return load_dataset(
        f"kinetics/{version}",
        split,
        data_dir=data_dir,
        root_url=str(root),
        seed=seed,
        num_tarballs=num_tarballs,
    )


def ids(selection: Selection) -> list[str]:
    return [record.video_id for record in selection.records]


def tarballs_fetched(server: FileServer) -> list[str]:
    gets = {request[4:].rpartition(" ")[0] for request in server.requests if request[:3] == "GET"}
    return sorted(Path(path).name for path in gets if path.endswith((".tar.gz", ".tgz")))


class Contents(NamedTuple):
    """What a mirror holds, read without vidbench."""

    tarballs: list[list[str]]
    labels: dict[str, str]

    @property
    def unlisted(self) -> list[str]:
        return [stem for part in self.tarballs for stem in part if stem not in self.labels]

    @property
    def found(self) -> list[str]:
        return [stem for part in self.tarballs for stem in part if stem in self.labels]

    @property
    def missing(self) -> list[str]:
        return sorted(self.labels.keys() - set(self.found))

    def num_tarballs(self, num_videos: int) -> int:
        """How many of the tarballs hold so many listed videos."""
        counts = [sum(stem in self.labels for stem in part) for part in self.tarballs]
        totals = [sum(counts[:number]) for number in range(len(counts))]
        return sum(total < num_videos for total in totals)


@pytest.fixture(scope="module")
def contents(mirror: Path) -> Contents:
    tarballs = []
    for entry in (mirror / "400/val/k400_val_path.txt").read_text().split():
        assert entry.startswith(CVDF_ROOT)
        with tarfile.open(mirror / entry.removeprefix(CVDF_ROOT)) as tar:
            tarballs.append(sorted(Path(name).stem for name in tar.getnames()))
    with (mirror / "400/annotations/val.csv").open() as file:
        labels = {
            f"{r['youtube_id']}_{int(r['time_start']):06d}_{int(r['time_end']):06d}": r["label"]
            for r in csv.DictReader(file)
        }
    return Contents(tarballs, labels)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Path:
    """A data folder in which all of the mirror has been fetched."""
    folder = tmp_path_factory.mktemp("data")
    kinetics(folder, mirror).fetch()
    return folder


# The mirror ------------------------------------------------------------------------------------


@pytest.fixture(params=["folder", "server"])
def root(request: pytest.FixtureRequest, mirror: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(mirror)
    else:
        with serve(mirror) as server:
            yield server.url


def test_a_whole_split_is_what_is_listed_with_the_missing_video_last(
    root: str, contents: Contents, tmp_path: Path
) -> None:
    selection = kinetics(tmp_path / "data", root).fetch()
    assert len(contents.missing) == len(contents.unlisted) == 1
    assert ids(selection) == contents.found + contents.missing
    assert {r.video_id: r.label for r in selection.records} == contents.labels
    assert selection.records[-1].path is None
    for record in selection.records[:-1]:
        assert record.path is not None
        assert record.path.stem == record.video_id
        assert (tmp_path / "data" / record.path).stat().st_size > 0
    assert [path.stem for path in selection.unlisted] == contents.unlisted


@pytest.mark.parametrize("num_videos", [0, 1, 10, 11, 20, 29])
def test_only_as_many_tarballs_are_fetched_as_hold_the_videos(
    num_videos: int, mirror_server: FileServer, contents: Contents, tmp_path: Path
) -> None:
    selection = kinetics(tmp_path, mirror_server.url).fetch(num_videos)
    assert ids(selection) == contents.found[:num_videos]
    needed = contents.num_tarballs(num_videos)
    assert tarballs_fetched(mirror_server) == [f"part_{part}.tar.gz" for part in range(needed)]


@pytest.mark.parametrize("num_tarballs", [None, 2])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_fewer_videos_are_the_head_of_more(
    seed: int | None, num_tarballs: int | None, mirror: Path, data_dir: Path
) -> None:
    dataset = kinetics(data_dir, mirror, seed=seed, num_tarballs=num_tarballs)
    whole = dataset.fetch().records
    for num_videos in range(len(whole) + 2):
        assert dataset.fetch(num_videos).records == whole[:num_videos]


def test_a_seed_draws_the_same_videos_on_every_machine(
    mirror: Path, mirror_server: FileServer, contents: Contents, tmp_path: Path
) -> None:
    here = kinetics(tmp_path / "here", mirror, seed=3).fetch(12)
    there = kinetics(tmp_path / "there", mirror_server.url, seed=3).fetch(12)
    assert here == there
    other = kinetics(tmp_path / "here", mirror, seed=4).fetch(12)
    assert ids(other) != ids(here)
    assert set(ids(here)) | set(ids(other)) <= contents.labels.keys()


def test_a_draw_of_all_videos_holds_the_missing_one(
    mirror: Path, contents: Contents, data_dir: Path
) -> None:
    selection = kinetics(data_dir, mirror, seed=3).fetch()
    assert sorted(ids(selection)) == sorted(contents.labels)
    assert [r.video_id for r in selection.records if r.path is None] == contents.missing


@pytest.mark.parametrize("seed", [None, 5])
def test_few_tarballs_give_their_videos_only(
    seed: int | None, mirror_server: FileServer, contents: Contents, tmp_path: Path
) -> None:
    dataset = kinetics(tmp_path, mirror_server.url, seed=seed, num_tarballs=2)
    pool = [stem for part in contents.tarballs[:2] for stem in part if stem in contents.labels]
    drawn = dataset.fetch(7)
    assert tarballs_fetched(mirror_server)[-1] != "part_2.tar.gz"
    assert set(ids(drawn)) < set(pool)
    everything = ids(dataset.fetch())
    assert sorted(everything) == sorted(pool)
    assert (everything == pool) == (seed is None)


def test_what_was_fetched_needs_no_server_any_more(mirror: Path, tmp_path: Path) -> None:
    with serve(mirror) as server:
        first = kinetics(tmp_path, server.url).fetch(12)
        server.requests.clear()
        assert kinetics(tmp_path, server.url).fetch(12) == first
        assert server.requests == []
    assert kinetics(tmp_path, server.url).fetch(12) == first


def test_the_videos_on_disk_are_the_listed_ones_that_were_fetched(
    mirror: Path, contents: Contents, tmp_path: Path
) -> None:
    dataset = kinetics(tmp_path / "data", mirror)
    assert dataset.paths_on_disk() == []
    assert not (tmp_path / "data").exists()
    dataset.fetch(1)
    on_disk = dataset.paths_on_disk()
    assert [path.stem for path in on_disk] == [
        stem for stem in contents.tarballs[0] if stem in contents.labels
    ]
    assert all((dataset.folder / path).is_file() for path in on_disk)


@pytest.mark.parametrize("version", ["400", "600", "700"])
def test_making_a_dataset_touches_neither_disk_nor_network(
    version: str, mirror_server: FileServer, tmp_path: Path
) -> None:
    for root in (mirror_server.url, str(tmp_path / "nowhere")):
        dataset = kinetics(tmp_path / "data", root, version=version, seed=1)
        assert len(dataset.classes) == int(version)
    assert list(tmp_path.iterdir()) == []
    assert mirror_server.requests == []


# Roots made for the test -----------------------------------------------------------------------


@st.composite
def layouts(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Up to four tarballs that hold clips, some of which are listed, and a list of clips."""
    numbers = st.integers(0, 12)
    listed = draw(st.lists(numbers, unique=True, min_size=1, max_size=10))
    parts = draw(st.lists(st.lists(numbers, unique=True, max_size=6), min_size=1, max_size=4))
    tarballs = {f"part_{i}": [clip(number) for number in part] for i, part in enumerate(parts)}
    return tarballs, {clip(number): "yoga" for number in listed}


@settings(max_examples=40, deadline=None)
@given(
    layout=layouts(),
    num_videos=st.none() | st.integers(0, 12),
    seed=st.none() | st.integers(),
    num_tarballs=st.none() | st.integers(1, 5),
)
def test_every_layout_gives_listed_videos_once_and_none_that_its_tarballs_hold_as_missing(
    layout: tuple[dict[str, list[str]], dict[str, str]],
    num_videos: int | None,
    seed: int | None,
    num_tarballs: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tarballs, labels = layout
    folder = tmp_path_factory.mktemp("layout")
    root = write_root(folder / "root", tarballs, labels)
    dataset = kinetics(folder / "data", root, seed=seed, num_tarballs=num_tarballs)
    selection = dataset.fetch(num_videos)

    pool = [name for part in list(tarballs.values())[:num_tarballs] for name in sorted(part)]
    found = list(dict.fromkeys(name for name in pool if name in labels))
    whole_split = num_tarballs is None or num_tarballs >= len(tarballs)
    missing = sorted(labels.keys() - set(found)) if whole_split else []
    names = [f"{video_id}.mp4" for video_id in ids(selection)]
    if seed is None:
        assert names == [*found, *missing][:num_videos]
    assert len(set(names)) == len(names) == len([*found, *missing][:num_videos])
    assert set(names) <= {*found, *missing}
    for name, record in zip(names, selection.records, strict=True):
        assert (record.path is None) == (name in missing)
        if record.path is not None:
            assert (dataset.folder / record.path).read_text() == name
    assert labels.keys().isdisjoint(path.name for path in selection.unlisted)


@pytest.mark.parametrize("entry_root", [CVDF_ROOT, ""], ids=["absolute", "relative"])
def test_tarballs_come_in_the_order_of_their_list(entry_root: str, tmp_path: Path) -> None:
    root = small_root(tmp_path / "root", entry_root)
    selection = kinetics(tmp_path, root).fetch()
    assert [int(video_id[6:11]) for video_id in ids(selection)] == [3, 4, 5, 0, 1, 2]


def test_the_draw_is_by_hash_of_seed_id_and_start(tmp_path: Path) -> None:
    # for i in 0 1 2 3 4 5; do printf 7/video-0000$i/0 | sha256sum; done | cat -n | sort -k 2
    root = small_root(tmp_path / "root")
    selection = kinetics(tmp_path, root, seed=7).fetch()
    assert [int(video_id[6:11]) for video_id in ids(selection)] == [1, 5, 3, 4, 2, 0]


def test_other_rows_and_their_order_do_not_change_a_draw(tmp_path: Path) -> None:
    names = [clip(number) for number in range(40)]
    draws = []
    for number, listed in enumerate([names, names[::-1], names[:20]]):
        folder = tmp_path / str(number)
        root = write_root(folder / "root", {"part_0": names}, dict.fromkeys(listed, "yoga"))
        draws.append(ids(kinetics(folder, root, seed=1).fetch()))
    assert draws[0] == draws[1] != sorted(draws[0])
    assert draws[2] == [video_id for video_id in draws[0] if f"{video_id}.mp4" in names[:20]]


def test_files_that_no_annotation_lists_are_reported(tmp_path: Path) -> None:
    files = [clip(0), clip(1), clip(0, start=20), "readme.txt"]
    root = write_root(tmp_path / "root", {"part_0": files}, {clip(0): "yoga"})
    selection = kinetics(tmp_path, root).fetch()
    assert ids(selection) == [Path(clip(0)).stem]
    folder = Path("kinetics-400/val/part_0")
    assert set(selection.unlisted) == {folder / name for name in files[1:]}


def test_one_id_with_two_starts_is_two_videos(tmp_path: Path) -> None:
    labels = {clip(0, start=7): "cracking knuckles", clip(0, start=83): "cracking neck"}
    root = write_root(tmp_path / "root", {"part_0": list(labels)}, labels, version="600")
    records = kinetics(tmp_path, root, version="600").fetch().records
    assert {f"{r.video_id}.mp4": r.label for r in records} == labels


@pytest.mark.parametrize("second_tarball", ["part_0", "part_1"])
def test_of_two_files_of_one_video_the_first_stays(second_tarball: str, tmp_path: Path) -> None:
    longer = clip(0).replace("10.mp4", "11.mp4")
    tarballs: dict[str, list[str]] = {"part_0": [clip(0)]}
    tarballs.setdefault(second_tarball, []).append(longer)
    root = write_root(tmp_path / "root", tarballs, {clip(0): "yoga"})
    [record] = kinetics(tmp_path, root).fetch().records
    assert record.path == Path("kinetics-400/val/part_0", clip(0))


def american_root(root: Path) -> Path:
    labels = {clip(2 * i + j): label for i, label in enumerate(AMERICAN) for j in range(2)}
    tarballs = {
        label.replace("american", "American"): [n for n in labels if labels[n] == label]
        for label in AMERICAN
    }
    return write_root(root, tarballs, labels, version="600", split="train")


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_from_one_tarball_per_class_fetches_the_classes_drawn(
    seed: int, file_server: FileServer, tmp_path: Path
) -> None:
    american_root(file_server.root)
    dataset = kinetics(tmp_path, file_server.url, version="600", split="train", seed=seed)
    records = dataset.fetch(3).records
    assert all(record.path is not None for record in records)
    drawn = {record.label for record in records}
    fetched = {name.replace("American", "american") for name in tarballs_fetched(file_server)}
    assert fetched == {f"{str(label).replace('American', 'american')}.tar.gz" for label in drawn}
    assert all(record.path for record in dataset.fetch().records)


def test_classes_are_found_whatever_their_names(file_server: FileServer, tmp_path: Path) -> None:
    american_root(file_server.root)
    dataset = kinetics(tmp_path, file_server.url, version="600", split="train")
    records = dataset.fetch().records
    assert [record.label for record in records] == [label for label in AMERICAN for _ in range(2)]
    assert all(record.path for record in records)


@pytest.fixture
def train_root(file_server: FileServer) -> str:
    """Three videos in two tarballs; a repaired one, one more, and one that nobody has."""
    root = file_server.root
    tarballs = {"part_0": [clip(0), clip(1)], "part_1": [clip(2)]}
    labels = {clip(number): "yoga" for number in range(5)}
    write_root(root, tarballs, labels, split="train")
    repaired = [f"replacement_for_corrupted_k400/{clip(number)}" for number in (1, 3)]
    write_tarball(root / "400/replacement_for_corrupted_k400.tgz", repaired, "repaired ")
    return file_server.url


@pytest.mark.parametrize("seed", [None, 1])
def test_a_repaired_video_takes_the_place_of_the_damaged_one(
    seed: int | None, train_root: str, tmp_path: Path
) -> None:
    dataset = kinetics(tmp_path, train_root, split="train", seed=seed)
    records = dataset.fetch().records
    contents = {r.video_id: r.path and (tmp_path / r.path).read_text() for r in records}
    expected = [clip(0), f"repaired {clip(1)}", clip(2), f"repaired {clip(3)}", None]
    assert contents == {Path(clip(number)).stem: expected[number] for number in range(5)}
    in_order = [int(record.video_id[6:11]) for record in records] == [0, 1, 2, 3, 4]
    assert in_order == (seed is None)


@pytest.mark.parametrize("seed", [None, 1])
def test_repaired_videos_of_other_tarballs_are_not_added_to_a_few(
    seed: int | None, train_root: str, tmp_path: Path
) -> None:
    dataset = kinetics(tmp_path, train_root, split="train", seed=seed, num_tarballs=1)
    paths = {record.video_id: record.path for record in dataset.fetch().records}
    assert sorted(f"{video_id}.mp4" for video_id in paths) == [clip(0), clip(1)]
    assert paths[Path(clip(1)).stem] == Path(
        "kinetics-400/train/replacement_for_corrupted_k400", clip(1)
    )


def test_only_training_videos_have_repaired_ones(file_server: FileServer, tmp_path: Path) -> None:
    small_root(file_server.root)
    kinetics(tmp_path, file_server.url).fetch()
    assert tarballs_fetched(file_server) == ["part_10.tar.gz", "part_2.tar.gz"]


def test_kinetics_700_is_read_in_the_layout_of_2020(
    file_server: FileServer, tmp_path: Path
) -> None:
    tarballs = {"k700_val_000": [clip(0)], "k700_val_001": [clip(1)]}
    labels = {clip(0): "zumba", clip(1): "abseiling"}
    write_root(file_server.root, tarballs, labels, version="700")
    dataset = kinetics(tmp_path, file_server.url, version="700")
    assert (dataset.name, dataset.split) == ("kinetics-700-2020", "val")
    assert [(f"{r.video_id}.mp4", r.label) for r in dataset.fetch().records] == [*labels.items()]
    assert tarballs_fetched(file_server) == ["k700_val_000.tar.gz", "k700_val_001.tar.gz"]


@pytest.mark.parametrize("seed", [None, 1])
def test_videos_of_a_split_without_labels_have_none(seed: int | None, tmp_path: Path) -> None:
    root = write_root(tmp_path / "root", {"part_0": [clip(0)]}, {}, version="600", split="test")
    row = "youtube_id,time_start,time_end,split\nvideo-00000,0,10,test\n"
    annotation_file(root, "600", "test").write_text(row)
    dataset = kinetics(tmp_path, root, version="600", split="test", seed=seed)
    [record] = dataset.fetch().records
    assert record.label is None
    assert record.path is not None


# Lists that are not what they should be ---------------------------------------------------------


@pytest.mark.parametrize(
    "first", ["abseiling,0wR5jVB-WPk,417,427,val,0", "<!DOCTYPE html>", "label,youtube_id"]
)
def test_an_annotation_file_without_the_header_is_refused_with_its_first_line(
    first: str, tmp_path: Path
) -> None:
    root = small_root(tmp_path / "root")
    annotation_file(root).write_text(f"{first}\n")
    with pytest.raises(FetchError, match=rf"val\.csv .*{first}"):
        kinetics(tmp_path, root).fetch()


@pytest.mark.parametrize("row", ["yoga,video-00000", "yoga,video-00000,a,b,val"])
def test_a_row_without_numbers_is_refused(row: str, tmp_path: Path) -> None:
    root = small_root(tmp_path / "root")
    with annotation_file(root).open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(FetchError, match=r"val\.csv"):
        kinetics(tmp_path, root).fetch()


def test_a_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    root = write_root(tmp_path / "root", {"part_0": [clip(0)]}, {clip(0): "juggling cats"})
    with pytest.raises(FetchError, match="juggling cats"):
        kinetics(tmp_path, root).fetch()


def test_a_label_as_older_lists_spell_it_is_the_class(tmp_path: Path) -> None:
    root = write_root(tmp_path / "root", {"part_0": [clip(0)]}, {clip(0): "gymnastics_tumbling"})
    assert kinetics(tmp_path, root).fetch().records[0].label == "gymnastics tumbling"


def test_one_video_with_two_labels_is_refused(tmp_path: Path) -> None:
    root = small_root(tmp_path / "root")
    with annotation_file(root).open("a") as file:
        file.write("archery,video-00003,0,10,val\n")
    with pytest.raises(FetchError, match=rf"two labels for .{Path(clip(3)).stem}"):
        kinetics(tmp_path, root).fetch()


def test_a_tarball_of_a_foreign_host_is_refused(file_server: FileServer, tmp_path: Path) -> None:
    small_root(file_server.root, entry_root="https://example.org/kinetics/")
    for root in (file_server.url, file_server.root):
        with pytest.raises(FetchError, match=r"https://example\.org/kinetics/"):
            kinetics(tmp_path, root).fetch()
    assert tarballs_fetched(file_server) == []


@pytest.mark.parametrize(
    "lost", ["400/val/part_2.tar.gz", "400/val/k400_val_path.txt", "400/annotations/val.csv"]
)
def test_what_the_root_does_not_have_is_named_with_the_way_out(
    lost: str, file_server: FileServer, tmp_path: Path
) -> None:
    small_root(file_server.root)
    (file_server.root / lost).unlink()
    for number, root in enumerate([file_server.url, str(file_server.root)]):
        with pytest.raises(FetchError, match=f"{root}/{lost}.*--dataset_path"):
            kinetics(tmp_path / str(number), root).fetch()


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_tarball_is_refused_until_it_is_repaired(
    damage: str, file_server: FileServer, tmp_path: Path
) -> None:
    small_root(file_server.root)
    path = file_server.root / "400/val/part_2.tar.gz"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    path.write_bytes(whole[:middle] if damage == "cut" else flipped)
    dataset = kinetics(tmp_path, file_server.url)
    with pytest.raises(ArchiveError, match=f"{file_server.url}/400/val/part_2"):
        dataset.fetch()
    assert not list(tmp_path.rglob("*part_2*/"))
    path.write_bytes(whole)
    for record in dataset.fetch().records:
        assert record.path is not None
        assert (tmp_path / record.path).read_text() == f"{record.video_id}.mp4"


# Names and lists --------------------------------------------------------------------------------


@given(
    key=st.builds(
        ClipKey, st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True), st.integers(0, 999_999)
    ),
    length=st.integers(0, 10),
)
def test_the_key_of_a_clip_is_read_from_its_name(key: ClipKey, length: int) -> None:
    end = min(key.start_seconds + length, 999_999)
    assert parse_name(f"{Annotation(key, end, None).video_id}.mp4") == key


@pytest.mark.parametrize(
    "name",
    [
        "",
        "readme.txt",
        "video-00000.mp4",
        "video-00000_000000_000010.mkv",
        "video-00000_000000_000010.mp4.part",
        "video-0000_000000_000010.mp4",
        "video-00000_00000_000010.mp4",
        "._ideo-00000_000000_000010.mp4\n",
    ],
)
def test_another_name_has_no_key(name: str) -> None:
    assert parse_name(name) is None


@pytest.fixture(scope="module")
def official(footage: Path | None) -> Path:
    if footage is None or not (footage / "annotations").is_dir():
        pytest.skip("no official lists: set VIDBENCH_FOOTAGE")
    return footage / "annotations"


@pytest.mark.parametrize(("version", "num_videos"), [("400", 19_906), ("600", 30_000)])
def test_the_official_lists_are_read_whole(version: str, num_videos: int, official: Path) -> None:
    annotations = read_annotations(official / f"k{version}_val.csv")
    assert len(annotations) == num_videos
    classes = load_classes(f"kinetics-{version}")
    assert {a.label for a in annotations.values()} == set(classes)
    assert list(classes) == (official / f"label_map_{version}.txt").read_text().splitlines()


def test_six_ids_of_kinetics_600_are_two_videos_each(official: Path) -> None:
    annotations = read_annotations(official / "k600_val.csv")
    assert len({key.youtube_id for key in annotations}) == 30_000 - 6
    starts = {k.start_seconds: a.label for k, a in annotations.items() if k[0] == "xnC3nngvLCo"}
    assert starts == {7: "cracking knuckles", 83: "cracking neck"}


def test_the_official_test_list_has_no_labels(official: Path) -> None:
    path = official / "k400_test_unlabelled_head.csv"
    annotations = read_annotations(path)
    assert len(annotations) == len(path.read_text().splitlines()) - 1
    assert {annotation.label for annotation in annotations.values()} == {None}


# Datasets by name -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("nonesuch", "'nonesuch'"),
        ("base", "'base'"),
        ("nonesuch.module/x", r"'nonesuch\.module'"),
        ("kinetics/401", "'401'"),
        ("kinetics/", "400, 600, 700"),
    ],
)
def test_a_dataset_that_does_not_exist_is_refused(name: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=named):
        load_dataset(name, "val", data_dir=tmp_path)


def test_a_split_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'validate'.*train, val, test"):
        kinetics(tmp_path, "/nowhere", split="validate")


def test_every_family_can_be_loaded_by_its_name() -> None:
    own = [
        *("activitynet", "diving48", "flat", "folder", "hacs", "hmdb51", "jester", "kinetics"),
        *("manifest", "moments", "sample", "ssv1", "ssv2", "ucf101"),
    ]
    assert dataset_families() == own


def test_a_module_with_a_dot_in_its_name_is_anybodys_dataset(tmp_path: Path) -> None:
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "videos.py").write_text("def load(variant, split, options):\n    return variant\n")
    program = (
        "import json, pathlib\n"
        "from vidbench.data.datasets.base import load_dataset\n"
        "print(json.dumps(load_dataset('theirs.videos/x', 'val', data_dir=pathlib.Path('.'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == "x"
