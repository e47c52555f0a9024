"""Any program as a model: real programs, the embedded sample, and what such programs do wrong."""

from __future__ import annotations

import json
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.helpers.command import RunCli
from tests.helpers.evaluating import outcome, read_csv, read_json
from tests.helpers.paths import SAMPLE
from vidbench.config.run_config import RunConfig
from vidbench.data.records import Skip
from vidbench.errors import ConfigError, ModelError
from vidbench.evaluate import evaluate
from vidbench.models.base import Answer, FileClassifier, load_file_model, load_model
from vidbench.runs.finished import FinishedRun

CLASSES = tuple((SAMPLE / "classes.txt").read_text().split("\n")[:-1])

HEAD = """
import json, os, sys, time
CLASSES = {classes!r}

def tell(path, **said):
    print(json.dumps({{"path": path, **said}}), flush=True)

for place, path in enumerate(sys.argv[1:]):
    size = os.path.getsize(path)
    first = size % len(CLASSES)
    order = CLASSES[first:] + CLASSES[:first]
"""

Program = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Writes a program whose last lines, for each file, are given."""

    def write(body: str, name: str = "judge.py") -> Path:
        path = tmp_path / name
        lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
        path.write_text(HEAD.format(classes=list(CLASSES)) + lines)
        return path

    return write


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{place}.mp4" for place in range(3)]
    for place, path in enumerate(found):
        path.write_bytes(b"x" * (place + 1))
    return found


def opened(program: Path) -> FileClassifier:
    options = {"model_path": str(program), "classes_file": SAMPLE / "classes.txt"}
    model = load_file_model("command", **options)
    model.check()
    return model.load()


def config_of(program: Path, tmp_path: Path, **options: Any) -> RunConfig:
    values: dict[str, Any] = {
        "model_type": "command",
        "model_path": str(program),
        "classes_file": SAMPLE / "classes.txt",
        "dataset": "sample",
        "num_videos": 12,
        "batch_size": 5,
        "data_dir": tmp_path / "data",
        "cache_dir": tmp_path / "cache",
        "results_dir": tmp_path / "results",
        "no_report": True,
    }
    return RunConfig(**(values | options))


LABEL = "tell(path, classes=order[:1])"
RANKING = "tell(path, classes=order[:3])"
SHARES = "tell(path, classes=order, scores=[(14 - rank) / 105 for rank in range(14)])"
POINTS = "tell(path, classes=order, scores=[20.5 - rank for rank in range(14)])"
SOME = "tell(path, classes=order[:3], scores=[0.5, 0.25, 0.125])"
MIXED = "tell(path, classes=order[:1 + size % 3])"


# What it says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "evidence", "top5", "calibrated"),
    [
        (LABEL, "label", False, False),
        (RANKING, "ranking", False, False),
        ("tell(path, classes=order)", "ranking", True, False),
        (SOME, "ranking", False, False),
        (MIXED, "ranking", False, False),
        (SHARES, "probabilities", True, True),
        (POINTS, "similarity", True, False),
    ],
)
def test_what_it_gives_decides_what_is_computed(
    body: str, evidence: str, top5: bool, calibrated: bool, program: Program, tmp_path: Path
) -> None:
    folder, metrics, *_ = evaluate(config_of(program(body), tmp_path))
    assert metrics["evidence"] == evidence
    assert metrics["evaluated"] == metrics["requested"] == 12
    assert metrics["top1"]["value"] is not None
    assert (metrics["top5"]["value"] is not None) == top5
    assert (metrics["calibration"]["error"] is not None) == calibrated
    rows = read_csv(folder / "predictions.csv")
    sizes = {row["path"]: (tmp_path / "data" / row["path"]).stat().st_size for row in rows}
    assert [row["pred_1"] for row in rows] == [CLASSES[sizes[row["path"]] % 14] for row in rows]
    has_scores = evidence in ("probabilities", "similarity")
    assert all(bool(row["score_1"]) == has_scores for row in rows)
    again = evaluate(config_of(program(body), tmp_path))
    assert again.folder == folder
    assert again.metrics == metrics


def test_no_video_is_decoded_for_it(program: Program, tmp_path: Path) -> None:
    folder = evaluate(config_of(program(LABEL), tmp_path)).folder
    assert not list((tmp_path / "cache").rglob("*.h5"))
    run = read_json(folder / "run.json")
    assert run["identity"]["model"] == "command/judge"
    assert run.get("spec_digest") is None
    assert "spec" not in run["identity"]


def test_the_program_and_the_class_list_name_the_run(program: Program, tmp_path: Path) -> None:
    first = evaluate(config_of(program(LABEL), tmp_path)).folder
    other = evaluate(config_of(program(RANKING), tmp_path)).folder
    fewer = tmp_path / "fewer.txt"
    fewer.write_text("\n".join([*CLASSES, "standing still"]))
    third = evaluate(config_of(program(LABEL), tmp_path, classes_file=fewer)).folder
    assert len({first.name, other.name, third.name}) == 3


def test_an_executable_needs_no_python(tmp_path: Path, files: list[Path]) -> None:
    script = tmp_path / "judge; rm -rf $HOME"
    script.write_text(
        "#!/bin/sh\n"
        'for path in "$@"; do printf \'{"path": "%s", "classes": ["growing"]}\\n\' "$path"; done\n'
    )
    script.chmod(0o755)
    assert opened(script).judge(files, 60) == [Answer(("growing",))] * 3


def test_a_script_without_its_first_line_is_told(tmp_path: Path, files: list[Path]) -> None:
    script = tmp_path / "judge"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    with pytest.raises(ModelError, match=r"judge cannot be started: .*: its first line must be"):
        opened(script).judge(files, 60)


def test_many_long_paths_are_given_in_several_calls(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "/".join(["n" * 200] * 4)
    folder.mkdir(parents=True)
    files = [folder / f"{place:0200}.mp4" for place in range(300)]
    for path in files:
        path.write_bytes(b"x")
    calls = tmp_path / "calls"
    count = f"open({str(calls)!r}, 'a').write('.') if place == 0 else None"
    assert opened(program(f"{count}\n{LABEL}")).judge(files, 60) == [Answer((CLASSES[1],))] * 300
    assert 2 < len(calls.read_text()) < 10


def test_lines_come_in_any_order_between_empty_ones(program: Program, files: list[Path]) -> None:
    body = "if place == 0:\n    for path in reversed(sys.argv[1:]):\n        print()\n"
    body += "        tell(path, classes=[CLASSES[os.path.getsize(path)]])"
    assert opened(program(body)).judge(files, 60) == [Answer((CLASSES[n],)) for n in (1, 2, 3)]


# What goes wrong for one video -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("print('no such codec', file=sys.stderr); sys.exit(3)", "code 3: no such codec"),
        ("os.kill(os.getpid(), 11)", "signal 11"),
        ("raise ValueError('moov atom')", "code 1: .*ValueError: moov atom"),
        ("tell(path, error='too dark\\nto see'); continue", "^too dark to see$"),
        ("time.sleep(1000)", "took longer than 1 s"),
    ],
)
def test_a_video_that_it_cannot_judge_is_skipped(
    wrong: str, said: str, program: Program, files: list[Path]
) -> None:
    classifier = opened(program(f"if size == 2:\n    {wrong}\n{LABEL}"))
    seconds = 1 if "sleep" in wrong else 60
    one, other, last = classifier.judge(files, seconds)
    assert (one, last) == (Answer((CLASSES[1],)), Answer((CLASSES[3],)))
    assert isinstance(other, Skip)
    assert other.reason == "failed"
    assert re.search(said, other.detail)


def test_missing_and_failed_videos_are_skipped_and_tried_again_when_asked(
    program: Program, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    mark = f"open(os.path.join({str(marks)!r}, os.path.basename(path)), 'a').write('.')"
    path = program(f"{mark}\nif size % 5 == 0:\n    sys.exit('broken')\n{LABEL}")
    config = config_of(path, tmp_path)
    evaluate(config_of(program(LABEL, "other.py"), tmp_path))  # fetches the videos
    lost = sorted((tmp_path / "data").rglob("*.mp4"))[3]
    kept = lost.rename(tmp_path / "kept.mp4")
    folder, metrics, *_ = evaluate(config)
    skipped = read_csv(folder / "skipped.csv")
    broken = {row["path"] for row in skipped if row["reason"] == "failed"}
    assert broken == {
        str(video.relative_to(tmp_path / "data"))
        for video in (tmp_path / "data").rglob("*.mp4")
        if video.stat().st_size % 5 == 0 and video.name in {m.name for m in marks.iterdir()}
    }
    assert metrics["evaluated"] + len(skipped) == 12
    before = {mark.name: mark.stat().st_size for mark in marks.iterdir()}
    assert evaluate(config).metrics == metrics
    assert {mark.name: mark.stat().st_size for mark in marks.iterdir()} == before
    kept.rename(lost)
    found = evaluate(RunConfig(**(vars(config) | {"retry_skipped": True})))
    assert {row["reason"] for row in read_csv(found.folder / "skipped.csv")} <= {"failed"}


def test_what_fails_for_every_video_ends_the_run(program: Program, tmp_path: Path) -> None:
    config = config_of(program("sys.exit('no GPU')"), tmp_path, num_videos=40)
    with pytest.raises(ModelError, match=r"failed for the first 16 videos.*code 1: no GPU$"):
        evaluate(config)


# What ends the run -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('ready')", "line 1, 'ready': it is no JSON"),
        ("print('[' * 100000)", "it is no JSON"),
        ("print(b'\\xff'.decode('latin1').encode('latin1'))", "it is no JSON"),
        ("sys.stdout.buffer.write(b'\\xff\\n')", "its output is no UTF-8"),
        ("tell(path, classes=['flying'])", "class 'flying' is not in --classes_file"),
        ("tell(path, classes=[7])", "class 7 is not in --classes_file"),
        ("tell(path, classes=[])", "it names no class"),
        ("tell(path, classes=order[0])", "it names no class"),
        ("tell(path)", "it names no class"),
        ("print(json.dumps([path]))", "it has no path"),
        ("tell(path, classes=order[:1] * 2)", "it names a class twice"),
        ("tell(path, classes=order[:2], scores=[1])", "2 classes, and not as many scores"),
        ("tell(path, classes=order[:2], scores=0.5)", "2 classes, and not as many scores"),
        ("tell(path, classes=order[:2], scores=[0.1, 0.2])", "its scores rise"),
        ("tell(path, classes=order[:1], scores=[float('nan')])", "no finite number"),
        ("tell(path, classes=order[:1], scores=[10**400])", "no finite number"),
        ("tell(path, classes=order[:1], scores=[True])", "score True is no number"),
        ("tell(path, classes=order[:1], score=[1])", "'score' is unknown"),
        ("tell(path, classes=order[:1], error='x')", '"error" stands alone'),
        ("tell('elsewhere.mp4', classes=order[:1])", "is none of those that it was given"),
        ("tell(path, classes=order[:1]);" * 2, "has a line already"),
        ("if place: tell(path, classes=order[:1])", "there is no line for 1 of 3 videos, e.g."),
        ("print('x' * (1 << 22))", "prints more than 1 MiB for each video"),
        ("while True: print('x' * 1000)", "prints more than 1 MiB for each video"),
    ],
)
def test_an_answer_that_is_not_as_agreed_ends_the_run(
    body: str, message: str, program: Program, files: list[Path]
) -> None:
    with pytest.raises(ModelError) as caught:
        opened(program(body)).judge(files, 60)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(files[0].parent / "judge.py"))
    assert len(str(caught.value)) < 1200


def test_a_flood_for_persons_harms_nobody(program: Program, files: list[Path]) -> None:
    body = f"sys.stderr.write('\\x1b[31m' + 'warning ' * 200000 + 'the end')\n{LABEL}"
    assert len(opened(program(body)).judge(files, 60)) == 3
    with pytest.raises(ModelError) as caught:
        opened(program(body + "\nprint('and so on')")).judge(files, 60)
    assert str(caught.value).endswith("warning the end")
    assert "\x1b" not in str(caught.value)


def test_whatever_it_started_ends_with_it(program: Program, files: list[Path]) -> None:
    pids = files[0].parent / "pids"
    child = "import subprocess\nchild = subprocess.Popen(['sleep', '1000'])\n"
    child += f"open({str(pids)!r}, 'a').write(f'{{child.pid}} ')\n"
    assert len(opened(program(child + LABEL)).judge(files, 60)) == 3
    assert isinstance(opened(program(child + "time.sleep(1000)")).judge(files[:1], 1)[0], Skip)
    for pid in pids.read_text().split():
        while psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != "zombie":
            time.sleep(0.05)


# Before work ----------------------------------------------------------------------------------


def test_a_program_that_cannot_be_run_is_refused(
    program: Program, tmp_path: Path, run_cli: RunCli
) -> None:
    text = program(LABEL, "judge.txt")
    for path, message in (
        (tmp_path / "nowhere.py", "nowhere.py"),
        (tmp_path, "is not a file: name a file"),
        (text, "is not executable: chmod +x it"),
    ):
        done = run_cli(
            *("evaluate", "--dataset", "sample", "--model_type", "command", "--model_path", path),
            *("--classes_file", SAMPLE / "classes.txt"),
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 8}, "--num_frames does not apply to --model_type command"),
        ({"preset": "hub"}, "--preset does not apply"),
        ({"precision": "bf16"}, "--precision does not apply"),
        ({"no_cuda": True}, "--no_cuda does not apply"),
        ({"truncated": "score"}, "--truncated does not apply"),
        (
            {"classes": "kinetics-400", "restrict_choices": True},
            "--restrict_choices does not apply",
        ),
        ({"classes_file": None}, "needs --classes_file"),
        ({"model_path": None}, "needs --model_path"),
        ({"prompts": SAMPLE / "classes.txt"}, "takes no --prompts"),
        ({"top_n": 15}, "only 14 classes"),
    ],
)
def test_options_of_clips_are_refused(
    options: dict[str, Any], message: str, program: Program, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(config_of(program(LABEL), tmp_path, **options))
    assert not (tmp_path / "data").exists()


def test_sections_of_videos_are_refused(program: Program, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "a.mp4").write_bytes(b"x")
    (videos / "list.csv").write_text("path,label,start,end\na.mp4,growing,1,2\n")
    with pytest.raises(ConfigError, match=r"has sections of videos"):
        evaluate(
            config_of(
                program(LABEL),
                tmp_path,
                dataset="manifest",
                dataset_path=str(videos / "list.csv"),
                top_n=1,
            )
        )


def test_it_takes_no_clips() -> None:
    with pytest.raises(ConfigError, match=r"only `vidbench evaluate` runs it"):
        load_model("command", model_path="x.py", classes_file=Path("x"))
    with pytest.raises(ConfigError, match=r"takes clips of frames"):
        load_file_model("i3d")


# Whole runs -------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_where_it_was(program: Program, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    note = f"open({str(calls)!r}, 'a').write(path + '\\n')"
    begun = f"os.path.exists({str(calls)!r}) and len(open({str(calls)!r}).readlines()) >= 4"
    wait = f"while os.path.exists({str(tmp_path / 'wait')!r}) and {begun}: time.sleep(0.05)"
    judge = program(f"{wait}\n{note}\n{RANKING}")
    whole = evaluate(config_of(judge, tmp_path, results_dir=tmp_path / "whole", batch_size=2))
    calls.unlink()
    (tmp_path / "wait").touch()
    config = config_of(judge, tmp_path, batch_size=2)
    code = (
        "import sys, pickle\nfrom vidbench.evaluate import evaluate\n"
        "evaluate(pickle.load(open(sys.argv[1], 'rb')))"
    )
    (tmp_path / "config").write_bytes(pickle.dumps(config))
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "config")])
    batches = tmp_path / "results" / whole.folder.name / "batches"
    while not list(batches.glob("[0-9]*.npz")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "wait").unlink()
    kept = calls.read_text().splitlines()
    done = evaluate(config)
    assert outcome(done.folder) == outcome(whole.folder)
    assert kept
    counts = calls.read_text().splitlines()
    assert len(set(counts)) == 12
    assert len(counts) < 12 + 6


def test_a_run_has_its_page_and_can_be_compared(
    program: Program, tmp_path: Path, run_cli: RunCli
) -> None:
    runs = [
        str(evaluate(config_of(program(body), tmp_path, no_report=False)).folder)
        for body in (LABEL, SHARES)
    ]
    page = Path(runs[0], "report.html").read_text()
    assert "command/judge" in page
    assert "one class a video" in page
    assert FinishedRun(Path(runs[1])).predictions.evidence == "probabilities"
    assert np.isfinite(FinishedRun(Path(runs[1])).predictions.scores).all()
    compared = run_cli("compare", *runs, "--json")
    assert compared.returncode == 0, compared.stderr
    listed = run_cli("leaderboard", tmp_path / "results", "--json")
    assert listed.returncode == 0, listed.stderr
    assert {row["model"] for row in json.loads(listed.stdout)} == {"command/judge"}
