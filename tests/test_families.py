"""What families declare; and that no other module knows them by name or probes what they offer."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vidbench
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import (
    DatasetFamily,
    all_dataset_families,
    dataset_families,
    find_dataset_family,
    load_dataset,
)
from vidbench.data.spec import PRESETS
from vidbench.errors import ConfigError
from vidbench.models.base import (
    CLIPS,
    FEATURES,
    ModelFamily,
    all_model_families,
    find_model_family,
    load_model,
    model_families,
)

ROOT = Path(vidbench.__file__).parent
FAMILIES = frozenset({*model_families(), *dataset_families()})
SPEC = Path("data", "spec.py")  # where presets are at home
HOMES = (ROOT / "models", ROOT / "data" / "datasets")
PROBED = ("model", "dataset", "family", "classifier", "module")
"""What names of variables begin or end with that hold a model, a dataset or a family."""


def test_every_family_declares_itself_under_its_own_name() -> None:
    assert [family.name for family in all_model_families()] == model_families()
    assert [family.name for family in all_dataset_families()] == dataset_families()


def test_names_that_are_listed_are_those_that_may_be_asked_for() -> None:
    families: list[ModelFamily | DatasetFamily] = [*all_model_families(), *all_dataset_families()]
    for family in families:
        for entry in family.entries:
            name, _, variant = entry.name.partition("/")
            assert name == family.name
            assert not variant or variant in (family.variants or ())
        assert family.default_variant in ("", *(family.variants or ()))


def test_a_default_variant_is_the_one_that_is_opened() -> None:
    assert load_model("i3d").name == "i3d/kinetics-400"
    assert load_dataset("kinetics", data_dir=Path("nowhere")).name == "kinetics-400"
    split = load_dataset("ucf101", data_dir=Path("nowhere")).split
    assert split == find_dataset_family("ucf101").default_split == "test"


def test_what_embeds_says_so() -> None:
    inputs = {family.name: family.input for family in all_model_families()}
    assert {name for name, given in inputs.items() if given == FEATURES} == {"clip", "xclip"}


MODEL = "def load(variant, *, model_path=None, prompts=None): raise NotImplementedError\n"
DATASET = "DEFAULT_SPLIT = 'test'\ndef load(variant, split, options): raise NotImplementedError\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file to write ``mine.families`` to, which can be imported once."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    yield tmp_path / "mine" / "families.py"
    for name in ("mine.families", "mine"):
        sys.modules.pop(name, None)


def test_a_module_of_yours_need_not_declare_anything(module: Path) -> None:
    module.write_text(MODEL + DATASET.partition("def")[0])
    model = find_model_family("mine.families/large")
    assert (model.input, model.variants) == (CLIPS, None)
    assert model.options == {"model_path", "prompts"}
    dataset = find_dataset_family("mine.families")
    assert (dataset.default_split, dataset.variants) == ("test", None)
    assert not dataset.options
    assert not dataset.read_in_place


def test_a_module_of_yours_may_declare_what_it_is(module: Path) -> None:
    module.write_text(
        DATASET
        + "from vidbench.data.datasets.base import DatasetFamily\n"
        + "FAMILY = DatasetFamily(name='mine.families', options=frozenset({'videos_path'}))\n"
    )
    path = module.parent
    config = RunConfig(dataset="mine.families", videos_path=path)
    assert config.dataset_family.options == {"videos_path"}
    with pytest.raises(ConfigError, match=r"^--dataset mine.families takes no --annotations: omit"):
        RunConfig(dataset="mine.families", annotations=str(path))


def test_a_declaration_of_another_kind_is_refused(module: Path) -> None:
    module.write_text(MODEL + "FAMILY = {'input': 'clips'}\n")
    with pytest.raises(ConfigError, match=r"mine.families.FAMILY is a dict: make it a ModelFamily"):
        find_model_family("mine.families")


def test_a_declaration_says_only_what_there_is() -> None:
    with pytest.raises(ValueError, match="declares what no model can be"):
        ModelFamily(name="mine", input="pixels")
    with pytest.raises(ValueError, match=r"options that no dataset has: \['seed'\]"):
        DatasetFamily(name="mine", options=frozenset({"seed"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "onnx", "model_trained_on": "x"}, "--model_trained_on contradicts"),
        ({"model_type": "i3d", "model_trained_on": "kinetics-401"}, "the nearest valid one is"),
        ({"dataset": "sample", "kinetics_version": "400"}, "--kinetics_version contradicts"),
        ({"dataset": "folder", "annotations": "x"}, "--dataset folder takes no --annotations"),
        ({"dataset": "sample", "videos_path": Path()}, "--dataset sample takes no --videos_path"),
    ],
)
def test_what_a_family_does_not_take_is_refused_before_work(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig(**options)  # type: ignore[arg-type]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """The modules of the package that are no family's own."""
    for path in sorted(ROOT.rglob("*.py")):
        if not any(path.is_relative_to(home) for home in HOMES) or path.name == "base.py":
            yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def constants(node: ast.AST | None) -> set[str]:
    """The texts that a comparison's side, a tuple or a set names; not those of calls below it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value.partition("/")[0]}
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return set().union(*map(constants, node.elts))
    if isinstance(node, ast.Starred):
        return constants(node.value)
    if isinstance(node, ast.Dict):
        return set().union(*map(constants, node.keys)) - {"folder"}  # of a run, in JSON
    return set()


def decisions(tree: ast.Module) -> Iterator[tuple[int, set[str]]]:
    """The lines that may decide by a text, with the texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield node.lineno, set().union(*map(constants, (node.left, *node.comparators)))
        elif isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set):
            yield node.lineno, constants(node)
        elif isinstance(node, ast.MatchValue):
            yield node.lineno, constants(node.value)
        elif isinstance(node, ast.Subscript):
            yield node.lineno, constants(node.slice)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith", "removeprefix", "get")
        ):
            yield node.lineno, set().union(*map(constants, node.args))


def test_no_other_module_decides_by_the_name_of_a_family() -> None:
    wrong = [
        f"{path}:{line} {sorted(found)}"
        for path, tree in modules()
        for line, texts in decisions(tree)
        if (found := texts & (FAMILIES if path == SPEC else FAMILIES | PRESETS.keys()))
    ]
    assert not wrong


def test_no_other_module_probes_a_model_or_a_dataset() -> None:
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "hasattr")
        and any(word in PROBED for word in ast.unparse(node.args[0]).replace(".", "_").split("_"))
    ]
    assert not wrong


def test_the_guard_sees_what_it_is_to_see() -> None:
    code = "if name == 'kinetics/400': pass\nx = {'sample': 1}[name]\ny = name in (*a, 'i3d')"
    found = [texts & FAMILIES for _, texts in decisions(ast.parse(code)) if texts & FAMILIES]
    assert set().union(*found) == {"kinetics", "sample", "i3d"}
