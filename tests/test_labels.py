from __future__ import annotations

from pathlib import Path

import pytest

from vidbench.errors import ConfigError
from vidbench.labels import load_classes, read_classes, require_known_labels

SIZES = [400, 600, 700]


@pytest.mark.parametrize("size", SIZES)
def test_a_published_list_has_its_classes_once_and_sorted(size: int) -> None:
    names = load_classes(f"kinetics-{size}")
    assert len(names) == len(set(names)) == size
    assert list(names) == sorted(names)
    assert all(name == name.strip() for name in names)


@pytest.mark.parametrize("size", SIZES)
def test_a_published_list_equals_the_official_class_map(size: int, footage: Path | None) -> None:
    if footage is None:
        pytest.skip("no real footage: set VIDBENCH_FOOTAGE")
    official = (footage / "annotations" / f"label_map_{size}.txt").read_text("utf-8")
    assert load_classes(f"kinetics-{size}") == tuple(official.splitlines())


@pytest.mark.parametrize("text", ["b\nä, 'c'\na\n", "b\r\nä, 'c'\r\na", "\ufeffb\nä, 'c'\na\n"])
def test_the_line_number_is_the_class_index(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(text.encode())
    assert read_classes(path) == ("b", "ä, 'c'", "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "one class name a line"),
        (b"a\n\nb\n", "none of them empty"),
        (b"a\n \nb\n", "none of them empty"),
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


def test_a_model_may_know_more_classes_in_another_order() -> None:
    require_known_labels(("c", "b", "a"), ("a", "c"))


@pytest.mark.parametrize("model", [("a", "b"), ("A", "b", "c"), ("a ", "b", "c")])
def test_a_class_that_the_model_does_not_know_is_refused(model: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="does not know 1 of the dataset's 3"):
        require_known_labels(model, ("a", "b", "c"))


def test_few_of_many_unknown_classes_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        require_known_labels(load_classes("kinetics-400"), load_classes("kinetics-700"))
    assert len(str(caught.value)) < 250
