"""Names that are not quite a model's, and class lists that are not quite lists."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.paths import SAMPLE
from vidbench.cli.arguments import parse_config
from vidbench.config.label_matching import match_labels
from vidbench.config.opening import find_model, open_dataset
from vidbench.config.option_groups import DEFAULT_TOP_N
from vidbench.config.run_config import RunConfig
from vidbench.errors import ConfigError
from vidbench.labels.aliases import near_misses, read_aliases
from vidbench.labels.alignment import align
from vidbench.labels.class_list_forms import other_form
from vidbench.labels.class_lists import fold_name, list_names, load_classes, read_classes

SHAPES = (SAMPLE / "classes.txt").read_text().splitlines()


def config(tmp_path: Path, *labels: str, **options: Any) -> RunConfig:
    """A run of the sample's model on a list of videos with these labels."""
    rows = [(f"{number}.mp4", label) for number, label in enumerate(labels)]
    for name, _ in rows:
        (tmp_path / name).touch()
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return RunConfig(
        model_type="saved_model",
        model_path=str(SAMPLE / "model"),
        dataset="manifest",
        dataset_path=str(tmp_path / "list.csv"),
        **options,
    )


def matched(asked: RunConfig) -> Any:
    return match_labels(asked, find_model(asked), open_dataset(asked))


# Near misses --------------------------------------------------------------------------------------


def test_near_misses_are_told_and_never_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spelt = [name.replace(" ", "_").upper() for name in SHAPES]
    with pytest.raises(ConfigError) as error:
        matched(config(tmp_path, *spelt))
    said = f"{sorted(spelt)[0]}: did you mean "
    assert said in str(error.value)
    assert "and 11 more; --class_aliases FILE accepts such names" in str(error.value)
    labels = matched(config(tmp_path, SHAPES[0], spelt[1], "quite another"))
    assert labels.alignment.missing == (*sorted([spelt[1], "quite another"]),)
    assert f"{spelt[1]}: did you mean {SHAPES[1]!r}?" in caplog.text
    assert "quite another: did" not in caplog.text


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("moving_down", "moving down"),
        ("Moving Down", "moving down"),
        ("moving-down", "moving down"),
        (" moving  down ", "moving down"),
        ("moving dwon", "moving down"),
        ("movingdown", "moving down"),
        ("punching_person_boxing", "punching person (boxing)"),
        ("massaging persons head", "massaging person's head"),
        ("yoga", None),
        ("moving", None),
        ("", None),
    ],
)
def test_what_is_near(name: str, near: str | None) -> None:
    classes = ["moving down", "moving up", "punching person (boxing)", "massaging person's head"]
    assert near_misses([name], classes).get(name) == near


@pytest.mark.parametrize("name", list_names())
def test_every_class_is_near_its_own_spellings(name: str) -> None:
    classes = load_classes(name)
    spelt = [label.upper().replace(" ", "_") for label in classes]
    assert near_misses(spelt, classes) == dict(zip(spelt, classes, strict=True))


@given(st.text())
def test_folding_twice_changes_nothing(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)


# Aliases ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "header", "json", "semicolons", "tabs", "blanks"])
def test_aliases_are_accepted(form: str, tmp_path: Path) -> None:
    spelt = {name.replace(" ", "_").upper(): name for name in SHAPES[1:]}
    path = tmp_path / f"aliases.{form}"
    if form == "json":
        path.write_text(json.dumps(spelt))
    else:
        with path.open("w", newline="") as file:
            rows = [("dataset", "model")] if form == "header" else []
            delimiter = {"semicolons": ";", "tabs": "\t"}.get(form, ",")
            csv.writer(file, delimiter=delimiter).writerows([*rows, *spelt.items()])
        if form == "blanks":
            path.write_text(path.read_text().replace(",", ", "))
    assert read_aliases(path) == spelt
    labels = matched(config(tmp_path, SHAPES[0], *spelt, class_aliases=path))
    assert dict(labels.alignment.targets) == {SHAPES[0]: SHAPES[0], **spelt}
    assert labels.alignment.missing == labels.alignment.unused == ()
    assert labels.alignment.describe().startswith("1 exact, 13 by aliases ")
    assert labels.alignment.as_dict()["aliases"] == spelt
    assert labels.alignment.as_dict()["num_renamed"] == 0


def test_other_aliases_are_another_run() -> None:
    one, other = {"a": "x", "b": "y"}, {"a": "y", "b": "x"}
    texts = {align(["a", "b"], ["x", "y"], aliases).describe() for aliases in (one, other)}
    assert len(texts) == 2
    assert align(["x", "y"], ["x", "y"]).describe() == "2 exact classes"


def test_an_alias_goes_over_an_equal_name_and_no_class_is_meant_twice() -> None:
    alignment = align(["x", "y", "z"], ["x", "y", "w"], {"z": "x"})
    assert dict(alignment.targets) == {"z": "x", "y": "y"}
    assert alignment.missing == ("x",)
    assert alignment.only(["z"]).aliases == {"z": "x"}
    assert align(["x", "y"], ["x", "y"], {"x": "x"}).describe().startswith("1 exact, 1 by aliases")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "names no class"),
        ("a,b,c\n", "two columns"),
        ("a b\n", "two columns"),
        ("a;b\na,b;c\n", "'a' is not a class of the dataset"),
        ("{", "not valid JSON"),
        ('{"a": 1}', "strings to strings"),
        ('{"a": "x", "a": "y"}', "the name 'a' twice"),
        ("a,x\nb,x\n", "the class 'x' twice"),
        ("movingdown,moving down\n", "'movingdown' is not a class of the dataset"),
        (f"up,{SHAPES[0]}\n", "'up' and .* mean the same class"),
        (f"up,{SHAPES[0].upper()}\n", "is not a class of the model: did you mean"),
    ],
)
def test_aliases_that_lead_nowhere_are_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "aliases"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said) as error:
        matched(config(tmp_path, "up", SHAPES[0], class_aliases=path))
    assert len(str(error.value).splitlines()) == 1


def test_indices_without_a_list_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the labels are numbers: .* --classes_file"):
        matched(config(tmp_path, "0", "13"))
    asked = config(tmp_path, "0", "13", classes_file=SAMPLE / "classes.txt")
    assert matched(asked).alignment.exact == (*sorted([SHAPES[0], SHAPES[13]]),)


def test_a_list_may_name_its_indices_where_the_model_has_classes_of_its_own(tmp_path: Path) -> None:
    asked = RunConfig(**{**config(tmp_path, "0").__dict__, "model_type": "i3d", "model_path": None,
                         "classes_file": "kinetics-400"})  # fmt: skip
    assert find_model(asked).classes[0] == "abseiling"
    assert open_dataset(asked).classes == ("abseiling",)


# Class lists --------------------------------------------------------------------------------------


def lines(*texts: str) -> str:
    return "".join(f"{text}\n" for text in texts)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (lines("1 A", "2 B c", "3 D"), "numbers from 1 in front of its 3 names"),
        (lines("0\tA", "1\tB c", "2\tD"), "numbers from 0 in front of its 3 names"),
        (lines("0,A", "1,B", "2,C"), "numbers from 0 in front of its 3 names"),
        (lines("1. A", "2. B", "3. C"), "numbers from 1 in front of its 3 names"),
        (lines("0: A", "1: B", "2: C"), "numbers from 0 in front of its 3 names"),
        (lines("A,0", "B,1", "C,2"), "numbers from 0 behind its 3 names"),
        (lines("A 1", "B 2", "C 3"), "numbers from 1 behind its 3 names"),
        (lines("id,name", "0,A", "1,B"), "a table with the header 'id,name' and 2 classes"),
        (lines("name", "A"), None),
        (json.dumps({"0": "A", "1": "B"}), "a JSON object of 2 entries"),
        (json.dumps(["A", "B", "C"], indent=1), "a JSON array of 3 entries"),
        (lines("[A]", "B"), None),
        (lines("1 finger", "2 fingers", "3 fingers"), None),
        (lines("1 A", "2 B"), None),
        (lines("1 A", "2 B", "4 C"), None),
        (lines("2 A", "3 B", "4 C"), None),
        (lines("0", "1", "2"), None),
        (lines("A, b", "C", "D, e"), None),
    ],
)
def test_other_forms_of_class_lists_are_told(text: str, form: str | None, tmp_path: Path) -> None:
    found = other_form(text)
    assert found is None if form is None else found is not None and form in found
    path = tmp_path / "classes.txt"
    path.write_text(text)
    if form is None:
        assert read_classes(path) == tuple(text.splitlines())
    else:
        with pytest.raises(ConfigError, match=r"is a .*: write one name per line"):
            read_classes(path)


@pytest.mark.parametrize("name", list_names())
def test_lists_that_ship_have_the_right_form(name: str) -> None:
    assert other_form(lines(*load_classes(name))) is None


# The k of the second accuracy ---------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "classes", "k"), [(None, 2, 2), (None, 9, 5), (3, 9, 3)])
def test_top_n_follows_the_number_of_classes(asked: int | None, classes: int, k: int) -> None:
    assert DEFAULT_TOP_N == 5
    assert RunConfig(top_n=asked).choose_top_n(tuple(map(str, range(classes)))) == k


@pytest.mark.parametrize("family", ["saved_model", "onnx"])
def test_a_wrong_class_list_is_told_how_many_classes_the_model_has(
    family: str, tmp_path: Path
) -> None:
    numbered = lines(*(f"{number} {name}" for number, name in enumerate(SHAPES, 1)))
    (tmp_path / "classes.txt").write_text(numbered)
    model = SAMPLE / "model"
    if family == "onnx":
        onnx = pytest.importorskip("onnx")
        model = tmp_path / "model.onnx"
        onnx.save(tiny_onnx(onnx, len(SHAPES)), model)
    with pytest.raises(ConfigError, match=r"in front of its 14 names.*; the model has 14 classes"):
        parse_config(
            [
                *("--model_type", family, "--model_path", str(model), "--dataset", "sample"),
                *("--classes_file", str(tmp_path / "classes.txt"), "--num_frames", "16"),
            ],
            {},
        )


def tiny_onnx(onnx: Any, num_classes: int) -> Any:
    """A graph that says what it takes and gives, and means nothing."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    clips = helper.make_tensor_value_info("clips", kind, [None, 16, 224, 224, 3])
    scores = helper.make_tensor_value_info("scores", kind, [None, num_classes])
    node = helper.make_node("ReduceMean", ["clips"], ["scores"], axes=[1, 2, 3], keepdims=0)
    return helper.make_model(helper.make_graph([node], "tiny", [clips], [scores]))
