"""Run folders of the version before ``run.json`` had a format, and what is refused of others."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from tests.helpers.paths import REPOSITORY
from vidbench.errors import ConfigError
from vidbench.metrics.intervals import Estimate
from vidbench.runs.finished import FinishedRun
from vidbench.runs.metrics_record import Missing
from vidbench.runs.outputs import write_outputs
from vidbench.runs.record import FORMAT, RunRecord
from vidbench.storage.typed_json import decode_value

RUNS = REPOSITORY / "tests" / "golden" / "runs"
EARLIER = sorted(path.name for path in RUNS.iterdir())
TABLES = ("predictions.csv", "skipped.csv", "per_class.csv", "confusion.csv", "metrics.json")


def content(name: str, file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RUNS / name / file).read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", EARLIER)
def test_an_earlier_run_is_read_and_nothing_of_it_is_lost(name: str) -> None:
    run = FinishedRun(RUNS / name)
    described = content(name, "run.json")
    if name == "external":
        del described["spec_digest"]  # null, which is left out now
    described.setdefault("unlisted", [])  # which fusions did not say
    assert run.record.as_json() == {"format": FORMAT} | described
    assert list(run.metrics.as_json().items()) == list(content(name, "metrics.json").items())
    assert dict(run.metrics) == content(name, "metrics.json")


@pytest.mark.parametrize("name", EARLIER)
def test_an_earlier_run_is_scored_again_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    run = FinishedRun(shutil.copytree(RUNS / name, tmp_path / name))
    for file in TABLES:
        (run.path / file).unlink()
    top_n = FinishedRun(RUNS / name).metrics.largest_k
    write_outputs(run.path, run.predictions, run.context, top_n)
    for file in TABLES:
        assert (run.path / file).read_bytes() == (RUNS / name / file).read_bytes(), file


def test_numbers_have_types() -> None:
    views, external = FinishedRun(RUNS / "views"), FinishedRun(RUNS / "external")
    assert views.metrics.accuracy(1) == Estimate(**content("views", "metrics.json")["top1"])
    assert views.metrics.scored is not None
    assert isinstance(views.metrics.scored.fewer_views["1x1 of 2x3"].tops[1], Estimate)
    assert isinstance(external.metrics.tops[3], Missing)
    assert external.metrics.accuracy(3) is None
    why = "the model has none of the classes of the scored videos"
    assert FinishedRun(RUNS / "unlabelled").metrics.not_scored == why
    session = FinishedRun(RUNS / "cluster").record.timed_session
    assert session is not None
    assert session.cluster is not None
    assert (session.videos, session.cluster.models) == (24, 2)
    spec = views.record.identity.preprocessing
    assert spec is not None
    assert spec.digest() == views.record.spec_digest
    fusion = FinishedRun(RUNS / "fusion").record.identity
    assert [member.weight for member in fusion.members] == [0.25, 0.75]


def test_predictions_are_judged_among_the_choices() -> None:
    run = FinishedRun(RUNS / "choices")
    assert run.judged.choices == run.context.choices == ("a", "b")
    assert run.judged is run.judged
    assert run.predictions.choices == ()


def changed(folder: Path, file: str, change: Callable[[dict[str, Any]], object]) -> FinishedRun:
    run = FinishedRun(shutil.copytree(RUNS / "views", folder / "run"))
    found = content("views", file)
    change(found)
    (run.path / file).write_text(json.dumps(found), "utf-8")
    return run


def test_what_a_later_minor_version_adds_is_kept_and_ignored(tmp_path: Path) -> None:
    def add(run: dict[str, Any]) -> None:
        run |= {"format": FORMAT, "weather": "mild", "cost_usd": 0.5}
        run["sessions"][0]["joules"] = 7

    run = changed(tmp_path, "run.json", add)
    assert run.record.cost_usd == 0.5
    written = run.record.as_json()
    assert (written["weather"], written["sessions"][0]["joules"]) == ("mild", 7)
    assert RunRecord.from_json(written) == run.record


def test_a_later_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = changed(tmp_path, "run.json", lambda run: run.update(format=FORMAT + 1, digest=3))
    with pytest.raises(ConfigError, match=rf"run\.json .*format {FORMAT + 1}.*update vidbench"):
        _ = run.record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.pop("digest"), r"digest is missing"),
        (lambda run: run.update(digest=7), r"digest is 7, not text"),
        (lambda run: run.update(format="1"), r"format is '1', not a whole number"),
        (lambda run: run.update(format=True), r"format is True, not a whole number"),
        (
            lambda run: run["identity"].update(choices="ab"),
            r"choices is 'ab', not a list",
        ),
        (lambda run: run["identity"].update(choices=[1]), r"identity\.choices\[0\] is 1, not text"),
        (lambda run: run["sessions"][0].update(videos=-1), r"sessions\[0\]\.videos is -1, not 0"),
        (lambda run: run["sessions"][0].update(seconds=[]), r"seconds is \[\], not an object"),
        (lambda run: run["facts"]["labels"].pop("missing"), r"facts\.labels\.missing is missing"),
        (lambda run: run["facts"].update(leakage=None), r"facts\.leakage is None, not an object"),
        (lambda run: run["config"].update(num_workers="2"), r"config\.num_workers is '2'"),
    ],
)
def test_a_damaged_description_names_file_and_field(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    run = changed(tmp_path, "run.json", change)
    with pytest.raises(ConfigError, match=message) as caught:
        _ = run.record
    assert str(caught.value).startswith(str(run.path / "run.json"))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("top1"), r"not_scored is missing"),
        (lambda found: found.update(top1=3), r"top1 is 3, not an object"),
        (lambda found: found["top5"].update(low=1.5), r"top5\.low is 1\.5, not 0 to 1"),
        (lambda found: found["top1"].update(value=None), r"top1\.value is None, not a number"),
        (lambda found: found["calibration"].update(bins=[]), r"calibration\.bins is empty"),
        (lambda found: found["bounds"].update(listed=[0, 1]), r"bounds\.listed is \[0, 1\]"),
        (lambda found: found["coverage"].update(scored=True), r"coverage\.scored is True"),
        (
            lambda found: found["fewer_views"]["1x1 of 2x3"].pop("signature"),
            r"signature is missing",
        ),
    ],
)
def test_damaged_numbers_name_file_and_field(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    run = changed(tmp_path, "metrics.json", change)
    with pytest.raises(ConfigError, match=message) as caught:
        _ = run.metrics
    assert str(caught.value).startswith(str(run.path / "metrics.json"))
    assert "vidbench report" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"run"', "[" * 100_000, "\udcff"])
@pytest.mark.parametrize("file", ["run.json", "metrics.json"])
def test_what_is_no_object_is_refused(file: str, text: str, tmp_path: Path) -> None:
    run = FinishedRun(shutil.copytree(RUNS / "views", tmp_path / "run"))
    (run.path / file).write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError, match="is damaged, or vidbench did not write it"):
        _ = (run.metrics, run.record)


def test_a_spec_of_another_version_leaves_the_run_readable(tmp_path: Path) -> None:
    run = changed(tmp_path, "run.json", lambda run: run["identity"]["spec"].update(sharpen=2))
    assert run.record.identity.preprocessing is None


ROOMS = ("runs", "report", "figures", "visualize", "external", "config", "cli", "evaluate.py")
OF_RUNS = {"metrics", "record", "context", "identity", "coverage", "session"}


def test_no_module_reads_keys_of_a_run_but_the_records() -> None:
    """What is read by key has no type; ``record``, too, is a row of ``vidbench predict``."""
    found = []
    for path in sorted((REPOSITORY / "vidbench").rglob("*.py")):
        name = path.relative_to(REPOSITORY / "vidbench")
        if name.parts[0] in ROOMS and name.name != "predict.py":
            tree = ast.parse(path.read_text("utf-8"))
            found += [f"{name}:{node.lineno}" for node in ast.walk(tree) if reads_key(node)]
    assert not found


def reads_key(node: ast.AST) -> TypeGuard[ast.expr]:
    """Whether this is ``metrics["top1"]``, ``run.record.get("digest")`` or their like."""
    if isinstance(node, ast.Subscript):
        owner, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        owner, key = node.func.value, node.args[0]
        if node.func.attr not in ("get", "pop"):
            return False
    else:
        return False
    name = getattr(owner, "attr", getattr(owner, "id", None))
    return name in OF_RUNS and isinstance(key, ast.Constant | ast.JoinedStr)


def test_run_folders_are_read_in_one_place() -> None:
    names = ("vidbench/runs", "vidbench/report", "vidbench/figures", "vidbench/cli")
    sources = [path for name in names for path in (REPOSITORY / name).rglob("*.py")]
    assert not [path for path in sources if "json.load" in path.read_text("utf-8")]


def test_annotations_are_followed() -> None:
    assert decode_value(str | int, 3, "x") == 3
    assert decode_value(list[float], [1, 2.5], "x") == [1, 2.5]
