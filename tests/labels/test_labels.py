from __future__ import annotations

import csv
from collections import Counter
from importlib import resources
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.errors import ConfigError
from vidbench.labels.alignment import Alignment, align, load_renames
from vidbench.labels.class_lists import (
    find_classes,
    list_names,
    load_classes,
    load_sources,
    read_classes,
    restrict,
)

SIZES = [400, 600, 700]
K400, K600, K700 = (load_classes(f"kinetics-{size}") for size in SIZES)
NAMES = [name for rename in load_renames() for name in rename[:2]]

# Kinetics-400 classes that no Kinetics-600 class continues: no video that both val lists hold has
# one of these labels. Only digging has 3, which is too few.
NOT_IN_600 = """cleaning floor, cooking chicken, digging, drinking, drinking beer, exercising arm,
filling eyebrows, gargling, playing cards, riding mountain bike, shredding paper,
skiing (not slalom or crosscountry), sniffing, spraying, strumming guitar, swinging legs,
taking a shower, tossing salad, using computer, vault"""


@pytest.fixture(scope="module")
def official(footage: Path | None) -> Path:
    if footage is None:
        pytest.skip("no official lists: set VIDBENCH_FOOTAGE")
    return footage / "annotations"


@pytest.fixture(scope="module")
def shared_labels(official: Path) -> Counter[tuple[str, str]]:
    """How many videos both val lists hold, by their two labels in Kinetics-400 and 600."""
    labels_600: dict[str, set[str]] = {}
    for row in read_rows(official / "k600_val.csv"):
        labels_600.setdefault(row["youtube_id"], set()).add(row["label"])
    return Counter(
        (row["label"], other)
        for row in read_rows(official / "k400_val.csv")
        for other in labels_600.get(row["youtube_id"], ())
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("size", SIZES)
def test_a_published_list_has_its_classes_once_and_sorted(size: int) -> None:
    names = load_classes(f"kinetics-{size}")
    assert len(names) == len(set(names)) == size
    assert list(names) == sorted(names)
    assert all(name == name.strip() for name in names)


@pytest.mark.parametrize("size", SIZES)
def test_a_published_list_equals_the_official_class_map(size: int, official: Path) -> None:
    text = (official / f"label_map_{size}.txt").read_text("utf-8")
    assert load_classes(f"kinetics-{size}") == tuple(text.splitlines())


def test_ucf101_has_the_official_indices_less_one(official: Path) -> None:
    lines = (official / "ucf101" / "classInd.txt").read_text("utf-8").split("\n")
    indexed = dict(line.split() for line in lines if line)
    assert {str(i): name for i, name in enumerate(load_classes("ucf101"), 1)} == indexed


def test_hmdb51_has_the_classes_of_the_official_splits(official: Path) -> None:
    split = "_test_split2.txt"
    files = sorted(path.name for path in (official / "hmdb51").glob(f"*{split}"))
    assert sorted(load_classes("hmdb51")) == sorted(name.removesuffix(split) for name in files)


@pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
def test_a_list_equals_the_one_that_mmaction2_has(name: str, official: Path) -> None:
    theirs = read_classes(official / f"mmaction2_label_map_{name}.txt")
    assert load_classes(name) == theirs


def test_the_example_is_60_classes_of_kinetics_400_in_its_order() -> None:
    example = load_classes("example-60")
    assert len(example) == 60
    assert restrict(K400, example) == example


def test_the_source_of_every_list_is_named() -> None:
    sources = load_sources()
    folder = resources.files("vidbench.labels").joinpath("classes")
    files = {entry.name for entry in folder.iterdir()} - {"sources.json"}
    assert set(sources) == files
    assert all(source["source"].startswith(("https://", "http://")) for source in sources.values())


@pytest.mark.parametrize("text", ["b\nä, 'c'\na\n", "b\r\nä, 'c'\r\na", "\ufeffb\nä, 'c'\na\n"])
def test_the_line_number_is_the_class_index(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(text.encode())
    assert read_classes(path) == ("b", "ä, 'c'", "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "one class name per line"),
        (b"a\n\nb\n", "no empty line"),
        (b"a\n \nb\n", "no empty line"),
        (b"a\nb\na\n", "'a' more than once"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_bad_class_list_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "classes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        read_classes(path)
    assert str(path) in str(caught.value)


def test_a_list_is_found_by_name_or_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("b\na\n")
    assert find_classes(str(path)) == ("b", "a")
    assert {name: len(find_classes(name)) for name in list_names()} == {
        "diving48": 48,
        "example-60": 60,
        "hmdb51": 51,
        "kinetics-400": 400,
        "kinetics-600": 600,
        "kinetics-700": 700,
        "ucf101": 101,
    }


@pytest.mark.parametrize("name", ["kinetics-401", "", ".", "../kinetics-400", "example-60.txt"])
def test_an_unknown_list_is_refused_with_what_ships(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no class list .* example-60, hmdb51, kinetics-400"):
        find_classes(name)


@given(st.lists(st.sampled_from(K600), min_size=1))
def test_a_subset_takes_the_order_of_the_dataset(subset: list[str]) -> None:
    found = restrict(K600, subset)
    assert set(found) == set(subset)
    assert list(found) == sorted(found)


def test_a_subset_with_unknown_names_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        restrict(K400, ["archery", "Playing chess", "squatt", "0"])
    said = str(caught.value)
    assert said.startswith("3 of the 4 names")
    assert "'Playing chess' (did you mean 'playing chess'?)" in said
    assert "'squatt' (did you mean 'squat'?)" in said
    assert "'0' (no similar class)" in said
    assert "archery" not in said


def test_few_of_many_unknown_names_are_spelt_out() -> None:
    with pytest.raises(ConfigError, match=r"101 of the 101 names .*; and 91 more$"):
        restrict(K400, load_classes("ucf101"))


def test_an_empty_subset_is_refused() -> None:
    with pytest.raises(ConfigError, match="subset of classes is empty"):
        restrict(K400, [])


def test_a_rename_is_proven_by_the_videos_that_both_lists_hold(
    shared_labels: Counter[tuple[str, str]],
) -> None:
    changed = {pair: n for pair, n in shared_labels.items() if pair[0] != pair[1]}
    kept_apart = {
        ("digging", "archaeological excavation"): 3,
        ("cracking neck", "cracking knuckles"): 1,
        ("peeling apples", "cutting apple"): 1,
    }
    assert changed == {r[:2]: r.shared_videos for r in load_renames()} | kept_apart
    assert {"digging", "archaeological excavation"} <= set(K700)


@pytest.mark.parametrize("side", [0, 1])
def test_no_shared_video_of_a_renamed_class_has_a_third_label(
    shared_labels: Counter[tuple[str, str]], side: int
) -> None:
    for rename in load_renames():
        with_name = {pair for pair in shared_labels if pair[side] == rename[side]}
        assert with_name == {rename[:2]}


def test_shared_videos_bear_the_whole_alignment_out(
    shared_labels: Counter[tuple[str, str]],
) -> None:
    targets = align(K400, K600).targets
    agreeing = sum(n for pair, n in shared_labels.items() if targets.get(pair[0]) == pair[1])
    assert shared_labels.total() - agreeing == 5  # digging and the two mixed-up pairs


def test_no_name_is_in_two_renames_and_each_is_of_kinetics() -> None:
    assert len(NAMES) == len(set(NAMES)) == 24
    assert set(NAMES[::2]) <= set(K400)
    assert set(NAMES[1::2]) <= set(K600)
    assert set(NAMES[1::2]) - set(K700) == {"passing american football (not in game)"}


def test_kinetics_400_against_600() -> None:
    alignment = align(K400, K600)
    assert alignment.missing == tuple(" ".join(NOT_IN_600.split()).split(", "))
    assert alignment.describe() == "368 exact, 12 renamed, 20 missing of 400 classes"
    assert len(alignment.unused) == 600 - 380


def test_kinetics_400_against_700() -> None:
    alignment = align(K400, K700)
    assert alignment.describe() == "378 exact, 10 renamed, 12 missing of 400 classes"
    assert set(alignment.renamed) < set(align(K400, K600).renamed)
    assert alignment.targets["baby waking up"] == "baby waking up"


def test_kinetics_600_against_700() -> None:
    alignment = align(K600, K700)
    assert alignment.renamed == (
        ("passing american football (not in game)", "passing American football (not in game)"),
    )
    assert alignment.missing == ("bull fighting", "chopping vegetables", "picking fruit")
    assert alignment.describe() == "596 exact, 1 renamed, 3 missing of 600 classes"


def test_a_list_with_both_names_tells_them_apart() -> None:
    alignment = align(K700, K600)
    assert alignment.targets["waking up"] == "waking up"
    assert "baby waking up" in alignment.missing


@pytest.mark.parametrize("classes", [K400, K600, K700])
def test_a_list_means_itself(classes: tuple[str, ...]) -> None:
    alignment = align(classes, classes[::-1])
    assert alignment.exact == tuple(alignment.targets) == classes
    assert alignment.missing == alignment.unused == ()
    assert alignment.describe() == f"{len(classes)} exact classes"


@pytest.mark.parametrize("spelling", ["Abseiling", "abseiling ", "abseil", "_abseiling"])
def test_a_name_is_never_matched_loosely(spelling: str) -> None:
    assert align([spelling], ["abseiling"]).missing == (spelling,)


some_classes = st.lists(st.sampled_from([*NAMES, "archery", "squat", "vault"]), unique=True)


@given(some_classes, some_classes)
def test_every_class_is_accounted_for_once(dataset: list[str], model: list[str]) -> None:
    alignment = align(dataset, model)
    used = list(alignment.targets.values())
    assert len(used) == len(set(used))
    assert sorted([*used, *alignment.unused]) == sorted(model)
    renamed = [label for label, _ in alignment.renamed]
    assert sorted([*alignment.exact, *renamed, *alignment.missing]) == sorted(dataset)
    assert set(alignment.exact) == set(dataset) & set(model)


@given(some_classes, some_classes)
def test_an_alignment_is_the_same_in_both_directions(dataset: list[str], model: list[str]) -> None:
    there, back = align(dataset, model), align(model, dataset)
    assert {(b, a) for a, b in there.targets.items()} == set(back.targets.items())
    assert (set(there.missing), set(there.unused)) == (set(back.unused), set(back.missing))


@given(some_classes, some_classes)
def test_only_a_known_rename_joins_two_names(dataset: list[str], model: list[str]) -> None:
    renamed = align(dataset, model).renamed
    known = {rename[:2] for rename in load_renames()}
    assert all(pair in known or pair[::-1] in known for pair in renamed)


@pytest.mark.parametrize(
    ("alignment", "said"),
    [
        (Alignment({"a": "a"}, (), ("b",)), "1 exact classes"),
        (Alignment({"a": "a", "b": "c"}, (), ()), "1 exact, 1 renamed of 2 classes"),
        (Alignment({}, ("a", "b"), ("c",)), "0 exact, 2 missing of 2 classes"),
    ],
)
def test_an_alignment_is_put_in_a_phrase(alignment: Alignment, said: str) -> None:
    assert alignment.describe() == said


def test_an_alignment_as_json() -> None:
    assert align(["tying tie", "vault", "squat"], ["squat", "tying necktie", "yoga"]).as_dict() == {
        "num_classes": 3,
        "num_exact": 1,
        "num_renamed": 1,
        "num_missing": 1,
        "num_unused": 1,
        "renamed": {"tying tie": "tying necktie"},
        "missing": ["vault"],
        "unused": ["yoga"],
    }


def test_all_pairs_of_lists_that_share_nothing_align_to_nothing() -> None:
    for one, other in permutations(["ucf101", "hmdb51", "example-60"], 2):
        assert align(load_classes(one), load_classes(other)).targets == {}


def test_the_part_of_an_alignment_that_concerns_some_classes() -> None:
    whole = align(K400, K600)
    part = whole.only(["vault", "abseiling", "hugging"])
    assert dict(part.targets) == {"abseiling": "abseiling", "hugging": "hugging (not baby)"}
    assert part.missing == ("vault",)
    assert len(part.targets) + len(part.unused) == len(K600)
    assert whole.only(K400) == whole


def test_square_brackets_of_templates_are_no_part_of_a_name() -> None:
    assert align(["Moving a up"], ["Moving [a] up"]).targets == {"Moving a up": "Moving [a] up"}
    assert align(["Moving [a] up"], ["Moving a up"]).targets == {"Moving [a] up": "Moving a up"}
    for labels, classes in (
        (["a [b]", "[a] b"], ["a b"]),  # no two labels mean one class
        (["a b"], ["a [b]", "[a] b"]),  # nor one label two
    ):
        assert align(labels, classes).targets == {}
    assert align(["a b", "a [b]"], ["a [b]", "c"]).targets == {"a [b]": "a [b]"}
