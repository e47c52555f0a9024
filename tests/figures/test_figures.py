from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import confusion_matrix as sklearn_confusion

from tests.helpers.hostile import HOSTILE
from tests.helpers.paths import REPOSITORY
from tests.helpers.runs import SKIP, change, finish_run, write_run
from vidbench.cli.commands.figures import run
from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.figures import (
    NoFigureError,
    accuracy,
    accuracy_by_latency,
    class_accuracy,
    class_counts,
    confusion,
    draw,
    look,
    reliability,
)
from vidbench.figures.classes import ENDS, MOST_CONFUSED
from vidbench.figures.runs import MOST_RUNS, find_front
from vidbench.runs.finished import FinishedRun
from vidbench.runs.predictions import Predictions

NAMES = ["accuracy", "accuracy_by_latency", "class_accuracy", "confusion", "reliability"]
NAMES += ["class_counts"]
SVG = "{http://www.w3.org/2000/svg}"


def write_big_run(path: Path, num_classes: int, per_class: int = 4, seed: int = 0) -> FinishedRun:
    rng = np.random.default_rng(seed)
    classes = tuple(f"class number {i}" for i in range(num_classes))
    labels = [i for i in range(num_classes) for _ in range(per_class)]
    records = [VideoRecord(f"v{i}", Path(f"{i}.mp4"), classes[k]) for i, k in enumerate(labels)]
    table = Predictions.pending(records, classes)
    for row, label in enumerate(labels):
        if row % 17 == 0:
            table.set_skip(row, SKIP)
            continue
        scores = rng.random(num_classes)
        scores[(label + (rng.random() < label / num_classes)) % num_classes] += 2
        table.set_scores(row, (scores / scores.sum()).astype(np.float32))
    return finish_run(path, table)


def write_named_run(path: Path, classes: tuple[str, ...]) -> FinishedRun:
    """A run of two videos a class, the first right, the second taken for the next class."""
    records = [
        VideoRecord(f"v{i}", Path("x.mp4"), classes[i // 2]) for i in range(2 * len(classes))
    ]
    table = Predictions.pending(records, classes)
    for row in range(len(records)):
        scores = np.full(len(classes), 0.01, np.float32)
        scores[(row // 2 + row % 2) % len(classes)] = 0.5
        table.set_scores(row, scores)
    return finish_run(path, table)


def dots(axes: Any) -> list[tuple[float, float]]:
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines]


def texts(figure: Figure) -> list[str]:
    """All that is written in a figure."""
    figure.draw_without_rendering()
    found = figure.findobj(matplotlib.text.Text)
    return [one.get_text() for one in found if one.get_text() and one.get_visible()]


def tick_names(axes: Any, along: str = "y") -> list[str]:
    return [
        label.get_text() for label in (axes.yaxis if along == "y" else axes.xaxis).get_ticklabels()
    ]


def bars(axes: Any, side: str = "width") -> list[float]:
    return [float(getattr(bar, f"get_{side}")()) for bar in axes.patches]


def ends_of_whiskers(axes: Any, place: int = 0) -> list[tuple[float, float]]:
    """Both ends of each interval along x."""
    lines = axes.collections[place].get_segments()
    return [(float(line[0][0]), float(line[1][0])) for line in lines]


def test_accuracies_are_drawn_the_best_first_with_their_intervals(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "poor", "cbcb"), write_run(tmp_path / "good", "abac")]
    figure = accuracy(runs)
    (axes,) = figure.axes
    assert tick_names(axes) == ["good", "poor"]
    wanted = [run.metrics[f"top{k}"] for run in (runs[1], runs[0]) for k in (1, 2)]
    assert [x for x, _ in dots(axes)] == [one["value"] for one in wanted]
    drawn = [ends_of_whiskers(axes, place)[0] for place in range(4)]
    assert np.ravel(drawn) == pytest.approx([one[end] for one in wanted for end in ("low", "high")])
    low, high = axes.get_xlim()
    assert all(low <= one["low"] and one["high"] <= high for one in wanted)


def test_bars_of_classes_are_those_of_per_class_csv(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "abacccab", labels="ababcabc")
    (axes,) = class_accuracy(run).axes
    with (run.path / "per_class.csv").open() as file:
        rows = {f"{row['class']} ({row['videos']})": row for row in csv.DictReader(file)}
    names = tick_names(axes)
    assert set(names) == set(rows)
    values = bars(axes)
    assert values == sorted(values, reverse=True)
    assert values == pytest.approx([float(rows[name]["accuracy"]) for name in names], abs=1e-6)
    ends = [(float(rows[name]["low"]), float(rows[name]["high"])) for name in names]
    assert np.ravel(ends_of_whiskers(axes)) == pytest.approx(np.ravel(ends), abs=1e-6)


def test_cells_of_a_confusion_matrix_are_the_shares_that_sklearn_finds(tmp_path: Path) -> None:
    labels, firsts = "abcabcab", "abcacaab"
    figure = confusion(write_run(tmp_path / "run", firsts, labels=labels))
    (axes,) = figure.axes
    shares = sklearn_confusion(list(labels), list(firsts), normalize="true")
    drawn = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert drawn == {
        (row, column): f"{shares[row, column] * 100:.0f}"
        for row, column in np.argwhere(shares).tolist()
    }
    assert tick_names(axes) == ["a (3)", "b (3)", "c (2)"]
    assert tick_names(axes, "x") == ["a", "b", "c"]


def test_of_many_classes_the_most_confused_are_shown_and_rows_add_up(tmp_path: Path) -> None:
    run = write_big_run(tmp_path / "run", 60, per_class=200)
    figure = confusion(run)
    (axes,) = figure.axes
    assert f"the {MOST_CONFUSED} most confused of 60 classes" in figure.get_suptitle()
    rows, columns = tick_names(axes), tick_names(axes, "x")
    assert (len(rows), columns[-1]) == (MOST_CONFUSED, "any other class")
    assert run.metrics["most_confused"][0]["label"] in columns
    percent = np.zeros(len(rows))
    for text in axes.texts:
        if text.get_text() != "<1":
            percent[round(text.get_position()[1])] += int(text.get_text())
    assert percent == pytest.approx(100, abs=4)  # each is rounded


def test_reliability_draws_the_bins_of_the_metrics(tmp_path: Path) -> None:
    run = write_big_run(tmp_path / "run", 6, per_class=30)
    figure = reliability(run)
    top, strip = figure.axes
    found = run.metrics["calibration"]
    assert f"{found['error']:.1%}" in figure.get_suptitle()
    assert bars(top, "height") == [one["accuracy"]["value"] for one in found["bins"]]
    assert bars(top, "x") == [one["low"] for one in found["bins"]]
    assert bars(strip, "height") == [one["num_videos"] for one in found["bins"]]


def test_counts_are_those_of_requested_and_of_scored_videos(tmp_path: Path) -> None:
    figure = class_counts(write_run(tmp_path / "run", "aba bc", labels="aabbbc"))
    (axes,) = figure.axes
    assert tick_names(axes) == ["b (3)", "a (2)", "c (1)"]
    assert bars(axes) == [3, 2, 1, 2, 2, 1]
    assert any("5 scored. Orange: 1 more" in text for text in texts(figure))


def test_latency_is_of_the_session_that_timed_most_videos_and_runs_without_are_named(
    tmp_path: Path,
) -> None:
    runs = [
        write_run(tmp_path / name, firsts)
        for name, firsts in zip("abc", ["abab", "abcc", "abab"], strict=True)
    ]
    medians = {2: 5.0, 4: 8.0, 3: 9.0}
    sessions = [{"videos": n, "latency_ms": {"median": m}} for n, m in medians.items()]
    change(tmp_path / "a", "run.json", sessions=[*sessions, {"videos": 9}])
    change(tmp_path / "b", "run.json", sessions=[{"latency_ms": {"median": 2.0}}])
    figure = accuracy_by_latency([FinishedRun(run.path) for run in runs])
    assert dots(figure.axes[0]) == [(8, 1), (2, 0.5)]
    assert any("left out: c (no latency)" in text for text in texts(figure))
    with pytest.raises(NoFigureError, match="no run has a latency"):
        accuracy_by_latency([runs[2]])


def test_of_many_runs_the_best_are_shown_and_those_on_the_front(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"run{i}", "ab" * (MOST_RUNS + 2)) for i in range(MOST_RUNS + 1)]
    runs.append(write_run(tmp_path / "fast but poor", "ab" + "c" * 2 * (MOST_RUNS + 1)))
    for place, one in enumerate(runs):
        latency = {"median": 1.0 if place > MOST_RUNS else 10.0 + place}
        change(one.path, "run.json", sessions=[{"latency_ms": latency}])
    runs = [FinishedRun(one.path) for one in runs]
    by_latency = accuracy_by_latency(runs)
    assert f"{MOST_RUNS} of {MOST_RUNS + 2} runs" in by_latency.get_suptitle()
    assert [x for x, _ in dots(by_latency.axes[0])] == [*range(10, 9 + MOST_RUNS), 1]
    assert "fast but poor" in texts(by_latency)
    figure = accuracy(runs)
    assert f"the best {MOST_RUNS} of {MOST_RUNS + 2} runs" in figure.get_suptitle()
    assert tick_names(figure.axes[0]) == [f"run{i}" for i in range(MOST_RUNS)]


points = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(points)
def test_a_point_is_on_the_front_where_none_is_better(found: list[tuple[int, int]]) -> None:
    costs, gains = np.array(found, np.float64).T
    front = find_front(costs, gains)
    wanted = {
        i
        for i, (cost, gain) in enumerate(found)
        if not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in found)
    }
    assert set(front) == wanted
    assert [costs[i] for i in front] == sorted(costs[i] for i in front)


def test_every_figure_names_model_dataset_and_videos(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "aba bb")
    change(tmp_path / "run", "run.json", sessions=[{"latency_ms": {"median": 5.0}}])
    run = FinishedRun(tmp_path / "run")
    signature = run.metrics["signature"].split(" | ")[:3]
    found = dict(draw([run]))
    assert list(found) == NAMES
    for figure in found.values():
        assert isinstance(figure, Figure)
        written = "\n".join(texts(figure))
        assert all(fact in written for fact in signature), figure.get_suptitle()


def test_runs_of_other_videos_are_not_ranked(tmp_path: Path) -> None:
    same = [write_run(tmp_path / "a", "abab"), write_run(tmp_path / "b", "abcb")]
    other = write_run(tmp_path / "c", "aba ")
    assert not any("did not score the same" in text for text in texts(accuracy(same)))
    assert any("did not score the same" in text for text in texts(accuracy([*same, other])))


def test_without_labels_or_scored_videos_figures_are_skipped_with_a_reason(tmp_path: Path) -> None:
    table = Predictions.pending([VideoRecord("v", Path("v.mp4"), None)], ("a", "b", "c"))
    table.set_scores(0, np.array([0.2, 0.6, 0.2], np.float32))
    unlabelled = finish_run(tmp_path / "no label", table)
    for one_run, why in (
        (unlabelled, "the split has no labels"),
        (write_run(tmp_path / "nothing", "   "), "no video could be evaluated"),
    ):
        found = dict(draw([one_run]))
        assert list(found) == NAMES
        skipped = {name: str(one) for name, one in found.items() if isinstance(one, NoFigureError)}
        assert set(skipped) >= set(NAMES) - {"class_counts"}
        assert all(why in text for text in skipped.values())
    assert isinstance(found["class_counts"], Figure)


@pytest.mark.parametrize("firsts", ["a", "b"])
def test_one_video_is_enough(tmp_path: Path, firsts: str) -> None:
    run = write_run(tmp_path / "run", firsts)
    found = dict(draw([run]))
    assert [name for name, one in found.items() if isinstance(one, NoFigureError)] == [NAMES[1]]
    for name, figure in found.items():
        if isinstance(figure, Figure):
            check_files(look.save(figure, tmp_path / name))


def check_files(paths: list[Path]) -> ET.Element:
    """The root of the SVG; both files are whole and valid."""
    png, svg = paths
    with Image.open(png) as image:
        image.verify()
    return ET.fromstring(svg.read_text("utf-8"))  # noqa: S314 - written by ourselves


def test_seven_hundred_classes_stay_readable(tmp_path: Path) -> None:
    run = write_big_run(tmp_path / "run", 700)
    found = dict(draw([run]))
    for name in ("class_accuracy", "class_counts", "confusion"):
        figure = found[name]
        assert isinstance(figure, Figure)
        check_files(look.save(figure, tmp_path / name))
        assert figure.get_size_inches()[1] < 10
        labels = [name for axes in figure.axes for name in tick_names(axes)]
        assert len([label for label in labels if "class number" in label]) <= 2 * ENDS
        assert "700 classes" in figure.get_suptitle()
    drawn: Any = found["class_accuracy"]
    curve, worst, best = drawn.axes
    values = curve.lines[0].get_ydata()
    assert len(values) == 700
    assert bars(best) == list(values[:ENDS])
    assert bars(worst) == list(values[::-1][:ENDS])


NAMES_TO_SHOW = (
    "$x^{2$",
    "$$",
    "a_b%c",
    "\\frac{1}{",
    "שלום עולם",
    "日本語の動作",
    "👍🏽",
    "<script>alert(1)</script>&amp;",
    "\u202eevil",
    "nul\0 bell\a",
    "\ufffe\U0001ffff",
    "x" * 300,
    "W" * 300,
    *(name for name in HOSTILE if name.rstrip("\0") == name),  # numpy cuts the others
)


def test_hostile_names_are_plain_text(tmp_path: Path) -> None:
    finished = write_named_run(tmp_path / "run", NAMES_TO_SHOW)
    for show in (class_accuracy, class_counts, confusion):
        root = check_files(look.save(show(finished), tmp_path / show.__name__))
        said = {(one.text or "").removesuffix(" (2)") for one in root.iter(f"{SVG}text")}
        assert not list(root.iter(f"{SVG}script"))
        if show is not confusion:
            assert said >= {look.shorten(name, 38) for name in NAMES_TO_SHOW}


classes = st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=4, unique=True)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(classes.filter(lambda names: not any(name.endswith("\0") for name in names)))
@example(["$", "\r", "\u2028"])
def test_any_names_can_be_drawn(tmp_path_factory: Any, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("run")
    figure = class_accuracy(write_named_run(folder, tuple(names)))
    check_files(look.save(figure, folder / "figure"))


@given(st.text(max_size=80), st.integers(3, 60))
def test_shortened_names_are_one_short_line_of_xml(text: str, length: int) -> None:
    found = look.shorten(text, length)
    assert len(found) <= length
    assert len(found.splitlines()) <= 1
    assert ET.fromstring(f"<a>{found.translate({60: '', 38: ''})}</a>") is not None  # noqa: S314
    if text.isascii() and text.isprintable():
        head, _, tail = found.partition("…")
        assert found == text if len(text) <= length else text.startswith(head) and tail in text


def test_equal_runs_give_equal_bytes_whatever_the_callers_settings(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "abacbb")
    change(tmp_path / "run", "run.json", sessions=[{"latency_ms": {"median": 5.0}}])
    written = []
    for theme in ("default", "dark_background"):
        with (
            matplotlib.style.context(theme),
            mpl.rc_context({"font.size": 30, "svg.hashsalt": "x"}),
        ):
            before = dict(mpl.rcParams)
            for name, figure in draw([FinishedRun(run.path)]):
                assert isinstance(figure, Figure)
                look.save(figure, tmp_path / theme / name)
            assert dict(mpl.rcParams) == before
        written.append({path.name: path.read_bytes() for path in (tmp_path / theme).iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) == 2 * len(NAMES)


def test_a_figure_keeps_its_look_in_a_dark_notebook(tmp_path: Path) -> None:
    figure = reliability(write_run(tmp_path / "run", "abacbb"))
    with matplotlib.style.context("dark_background"):
        figure.savefig(io.BytesIO(), format="png")
        labels = [label for axes in figure.axes for label in axes.get_xticklabels()]
    assert {label.get_color() for label in labels} == {look.MUTED}
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_pyplot_is_not_used() -> None:
    import subprocess
    import sys

    code = "import sys, vidbench.figures; print('matplotlib.pyplot' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=REPOSITORY)
    assert found.stdout.strip() == b"False"


def test_the_command_writes_into_the_runs_folder_and_lists_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", "abab")
    run([str(tmp_path / "run")])
    out, err = capsys.readouterr()
    assert err == "no accuracy_by_latency: no run has a latency\n"
    files = sorted((tmp_path / "run" / "figures").iterdir())
    assert sorted(out.splitlines()) == [str(file) for file in files]
    assert len(files) == 2 * (len(NAMES) - 1)


def test_several_runs_share_two_figures_and_have_the_others_in_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, firsts in {"a": "abab", "b": "cccc"}.items():
        write_run(tmp_path / name, firsts)
        change(tmp_path / name, "run.json", sessions=[{"latency_ms": {"median": 5.0}}])
    out = tmp_path / "out"
    run([str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out), "--json"])
    rows = json.loads(capsys.readouterr().out)
    wanted = [*NAMES[:2], *(f"{name}/{figure}" for name in "ab" for figure in NAMES[2:])]
    assert [row["figure"] for row in rows[::2]] == wanted
    assert {row["file"] for row in rows} == {str(path) for path in out.rglob("*.*")}
    assert [path for path in (tmp_path / "a").iterdir() if path.name == "figures"] == []


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (["good", "good"], ["--out", "out"], "names two runs"),
        (["good", "other"], [], "--out is needed"),
        (["good", "missing"], ["--out", "out"], "is not a run folder"),
        (["good", "unfinished"], ["--out", "out"], "is unfinished"),
        (["good", "damaged"], ["--out", "out"], "damaged.metrics.json is damaged"),
        (["good", "no bins"], ["--out", "out"], "calibration.bins is missing"),
        (["good", "no share"], ["--out", "out"], "top1.value is nan"),
        (["good", "no time"], ["--out", "out"], "median is inf"),
        (["good"], ["--out", "file"], "is not a folder"),
        (["good"], ["--nothing"], "nothing"),
        ([], [], "required"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for name in ("good", "other", "unfinished", "damaged", "no bins", "no share", "no time"):
        write_run(tmp_path / name, "abab")
    (tmp_path / "unfinished" / "metrics.json").unlink()
    change(tmp_path / "damaged", "metrics.json", top1=3)
    change(tmp_path / "no bins", "metrics.json", calibration={"error": 0.5})
    nan = {"value": float("nan"), "low": 0.1, "high": 0.9, "num_videos": 4}
    change(tmp_path / "no share", "metrics.json", top1=nan)
    change(tmp_path / "no time", "run.json", sessions=[{"latency_ms": {"median": float("inf")}}])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=said) as caught:
        run([*names, *more])
    assert len(str(caught.value).splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
