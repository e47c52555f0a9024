from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.kinetics import clip, write_root
from tests.helpers.videos import write_video
from vidbench.cli.commands.subset import run
from vidbench.data.records import VideoRecord
from vidbench.data.subset import Copier, choose, copy_subset
from vidbench.data.video.encode import shown_size
from vidbench.errors import ConfigError

CLASSES = tuple("abcde")
labels = st.lists(st.sampled_from([*CLASSES, "other", None]), max_size=40)


def make_records(found: Sequence[str | None]) -> list[VideoRecord]:
    """Every fifth video has no file."""
    return [
        VideoRecord(f"id{i}", Path(f"{i}.mp4") if i % 5 else None, label)
        for i, label in enumerate(found)
    ]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def draw(mirror: Path, folder: Path, *options: object) -> list[dict[str, str]]:
    """The manifest of a subset of the mirror."""
    output = folder / "subset.csv"
    fixed = ["--kinetics_root_url", mirror, "--data_dir", folder / "data", "--output", output]
    run([str(option) for option in [*fixed, *options]])
    return rows_of(output)


@given(labels, st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_smaller_draw_is_the_head_of_a_larger_one_in_any_order(
    found: list[str | None], seed: int, random: Random
) -> None:
    records = make_records(found)
    whole = choose(records, CLASSES, seed=seed)
    usable = {r for r in records if r.path is not None and r.label in CLASSES}
    assert len(whole) == len(usable)
    assert set(whole) == usable
    random.shuffle(records)
    for number in range(len(whole) + 2):
        assert choose(records, CLASSES[::-1], num_videos=number, seed=seed) == whole[:number]
        per_class = choose(records, CLASSES, per_class=number, seed=seed)
        assert per_class == whole[: len(per_class)]


@given(labels, st.integers(0, 40), st.integers(0, 5))
def test_classes_differ_by_one_video_where_they_have_enough(
    found: list[str | None], num_videos: int, seed: int
) -> None:
    records = make_records(found)
    supply = Counter(r.label for r in choose(records, CLASSES))
    counts = Counter(r.label for r in choose(records, CLASSES, num_videos=num_videos, seed=seed))
    assert sum(counts.values()) == min(num_videos, sum(supply.values()))
    most = max(counts.values(), default=0)
    assert all(counts[name] >= min(most - 1, supply[name]) for name in CLASSES)
    for number in range(4):
        per_class = Counter(r.label for r in choose(records, CLASSES, per_class=number, seed=seed))
        assert all(per_class[name] == min(number, supply[name]) for name in CLASSES)


def test_the_draw_is_the_same_everywhere() -> None:
    """The order by `printf 7/id1 | sha256sum` and so on: 4, 1, 2, 3."""
    records = [VideoRecord(f"id{i}", Path("x"), "a") for i in (1, 2, 3, 4)]
    assert [r.video_id for r in choose(records, ["a"], seed=7)] == ["id4", "id1", "id2", "id3"]


def test_a_manifest_lists_files_that_are_there_relative_to_itself(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = draw(mirror, tmp_path, "--num_videos", 12)
    assert list(rows[0]) == ["path", "label", "group", "source_id"]
    assert len(rows) == 12
    for row in rows:
        assert not Path(row["path"]).is_absolute()
        assert (tmp_path / row["path"]).stem == row["source_id"]
        assert (tmp_path / row["path"]).is_file()
        assert row["group"] == row["source_id"][:11]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "listed", "on_disk", "chosen"]
    (total,) = [line for line in lines if line.startswith("total")]
    assert total.split() == ["total", "30", "29", "12"]
    elsewhere = tmp_path / "elsewhere" / "m.csv"
    draw(mirror, tmp_path, "--num_videos", 12, "--output", elsewhere)
    assert all(Path(row["path"]).is_absolute() for row in rows_of(elsewhere))


def test_short_classes_are_named_with_their_counts(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = draw(mirror, tmp_path, "--num_videos", 1)[0]["label"]
    names = tmp_path / "names.txt"
    names.write_text(f"{label}\nzumba\n")
    capsys.readouterr()
    options = ["--classes", names, "--per_class", 9, "--dry_run", "--json"]
    draw(mirror, tmp_path, *options)
    out, err = capsys.readouterr()
    counts = json.loads(out)
    assert [row["class"] for row in counts] == [label, "zumba"]
    assert counts[1] == {"class": "zumba", "listed": 0, "on_disk": 0, "chosen": 0}
    assert f"{label} ({counts[0]['chosen']}), zumba (0)" in err
    assert f"chosen: {counts[0]['chosen']} videos of 18 asked for" in err


def test_a_few_videos_of_a_large_class_list_are_told_in_few_short_lines(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most of the 400 classes of Kinetics have none of the mirror's 30 videos."""
    draw(mirror, tmp_path, "--per_class", 1)
    out, err = capsys.readouterr()
    table = out.splitlines()[1:-2]
    assert 0 < len(table) <= 30
    assert all(int(line.split()[-3]) > 0 for line in table)
    assert f"which the table leaves out: {400 - len(table)}\n" in err
    assert max(map(len, err.splitlines())) < 300


def test_copies_are_anonymous_and_made_once(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--num_videos", 6, "--copy_dir", tmp_path / "copies"]
    rows = draw(mirror, tmp_path, *options)
    assert "6 made, 0 there" in capsys.readouterr().out
    plain = draw(mirror, tmp_path, "--num_videos", 6, "--output", tmp_path / "plain.csv") and (
        rows_of(tmp_path / "plain.csv")
    )
    key = {row["file"]: row for row in rows_of(tmp_path / "subset_key.csv")}
    assert {path.name for path in (tmp_path / "copies").iterdir()} == set(key)
    for row, original in zip(rows, plain, strict=True):
        name = Path(row["path"]).name
        assert name.startswith("video_")
        assert row["source_id"] not in name
        assert key[name]["source_id"] == row["source_id"] == original["source_id"]
        assert key[name]["label"] == row["label"]
        copied = (tmp_path / row["path"]).read_bytes()
        assert copied == (tmp_path / original["path"]).read_bytes()
    (tmp_path / rows[0]["path"]).unlink()
    capsys.readouterr()
    assert draw(mirror, tmp_path, *options) == rows
    assert "1 made, 5 there" in capsys.readouterr().out


def test_small_videos_are_enlarged_and_unreadable_ones_are_named(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--num_videos", 30, "--copy_dir", tmp_path / "copies", "--min_size", 130]
    rows = draw(mirror, tmp_path, *options)
    skipped = rows_of(tmp_path / "subset_skipped.csv")
    assert len(rows) + len(skipped) == 29
    assert len(skipped) == 1
    assert all(min(shown_size(tmp_path / row["path"])) >= 130 for row in rows)
    assert "videos that cannot be read: 1," in capsys.readouterr().err
    assert draw(mirror, tmp_path, *options) == rows
    assert "0 made, 28 there" in capsys.readouterr().out


def test_the_next_of_its_class_replaces_an_unreadable_video(tmp_path: Path) -> None:
    records = [VideoRecord(f"id{i}", Path(f"{i}.mp4"), "ab"[i % 2]) for i in range(8)]
    whole = choose(records, "ab")
    broken = {whole[0].video_id, whole[2].video_id}
    assert whole[0].label == whole[2].label
    for record in records:
        path = tmp_path / str(record.path)
        write_video(path, [50, 60])
        if record.video_id in broken:
            path.write_bytes(b"no video")

    def draw_three(left_out: Collection[str]) -> tuple[VideoRecord, ...]:
        usable = [record for record in records if record.video_id not in left_out]
        return choose(usable, "ab", num_videos=3)

    copies = copy_subset(draw_three, Copier(tmp_path, tmp_path / "copies", "key", 8))
    assert copies.chosen == (whole[4], whole[1], whole[6])
    assert copies.skips.keys() == broken
    assert sorted((tmp_path / "copies").iterdir()) == sorted(copies.paths.values())
    assert copies.made == 3


@pytest.mark.parametrize("number", [3, 4])
def test_another_manifest_is_refused_before_copying(
    mirror: Path, tmp_path: Path, number: int
) -> None:
    rows = draw(mirror, tmp_path, "--num_videos", 3)
    with pytest.raises(ConfigError, match="other content"):
        draw(mirror, tmp_path, "--num_videos", number, "--copy_dir", tmp_path / "copies")
    assert not (tmp_path / "copies").exists()
    assert rows_of(tmp_path / "subset.csv") == rows
    assert draw(mirror, tmp_path, "--num_videos", 4, "--overwrite")[:3] == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give --per_class or --num_videos"),
        (["--per_class", 0], "must be from 1 to"),
        (["--num_videos", 3, "--per_class", 3], "1200 videos, which contradicts"),
        (["--num_videos", 3, "--min_size", 360], "give --copy_dir"),
        (["--num_videos", 3, "--copy_dir", "."], "must not lie in --copy_dir"),
        (["--num_videos", 3, "--kinetics_version", 500], "nearest valid"),
    ],
)
def test_wrong_requests_are_refused_before_fetching(
    options: list[object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        draw(tmp_path, tmp_path, *options)


def test_an_unknown_class_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("archery\nyogga\n")
    with pytest.raises(ConfigError, match="nearest to 'yogga' is 'yoga'"):
        draw(tmp_path, tmp_path, "--classes", names, "--per_class", 1)


def test_a_split_without_labels_is_refused(tmp_path: Path) -> None:
    root = write_root(tmp_path / "root", {"part_0": [clip(0), clip(1)]}, {clip(0): "", clip(1): ""})
    with pytest.raises(ConfigError, match="has no labels"):
        draw(root, tmp_path, "--num_videos", 1)


def test_the_embedded_sample_gives_as_many_of_each_class(tmp_path: Path) -> None:
    options = ["--dataset", "sample", "--data_dir", tmp_path / "data", "--per_class", 2]
    run([*map(str, options), "--output", str(tmp_path / "m.csv")])
    counts = Counter(row["label"] for row in rows_of(tmp_path / "m.csv"))
    assert len(counts) == 14
    assert set(counts.values()) == {2}
