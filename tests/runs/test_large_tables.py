"""Tables of predictions larger than memory: pieces change nothing, and are all that it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.contexts import new_context
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.data.records import Skip, VideoRecord
from vidbench.errors import VidbenchError
from vidbench.runs.choices import restrict_choices
from vidbench.runs.outputs import write_outputs
from vidbench.runs.predictions import Predictions
from vidbench.storage import columns

seeds = st.integers(0, 2**32 - 1)
piece_bytes = st.sampled_from([1, 30, 64, 300])


def random_table(seed: int, videos: int, classes: int) -> Predictions:
    """Scores with ties and, seldom, NaN; skips; labels without a class; sources; sections."""
    rng = np.random.default_rng(seed)
    names = tuple(f"class {i}" for i in range(classes))
    section = (1.5, 3.0) if seed % 2 else None
    records = [
        VideoRecord(
            f"video {i}",
            Path(f"{i}.mp4") if rng.random() < 0.8 else None,
            [*names, "alien", None][rng.integers(classes + 2)],
            group=f"source {rng.integers(videos)}",
            section=section if rng.random() < 0.5 else None,
        )
        for i in range(videos)
    ]
    table = Predictions.pending(records, names, None, ["1x1", "5x1"])
    for row in range(videos):
        kind = rng.integers(8)
        scores = rng.integers(4, size=(3, classes)).astype(np.float32) / np.float32(7)
        scores[rng.random(scores.shape) < 0.02] = np.nan
        if kind:
            fewer = {"1x1": scores[1], "5x1": scores[2]}
            table.set_scores(row, scores[0], fewer, "truncated: a note" if kind == 1 else "")
        else:
            table.set_skip(row, Skip("unreadable", "é" * int(rng.integers(50))))
    return table


tables = st.builds(random_table, seeds, st.integers(0, 40), st.integers(1, 12))


def whole_columns(table: Predictions) -> dict[str, np.ndarray]:
    """What the columns of ``scores.npz`` are, all in memory."""
    found = {
        "video_id": table.video_ids,
        "path": table.paths,
        "label": table.labels,
        "target": table.targets,
        "group": table.groups,
        "scores": table.scores,
        "reason": table.reasons.astype(np.str_),
        "detail": table.details.astype(np.str_),
        "classes": np.array(table.classes, np.str_),
    }
    found |= {f"scores_{name}": scores for name, scores in table.fewer_views.items()}
    is_whole = (table.sections == (0, np.inf)).all()
    return found if is_whole else found | {"section": table.sections}


def tree(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@settings(deadline=None)
@given(tables, piece_bytes, st.booleans())
def test_a_saved_table_is_what_numpy_saves_and_reads(
    tmp_path_factory: pytest.TempPathFactory, table: Predictions, size: int, in_file: bool
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    expected = whole_columns(table)
    with (folder / "numpy.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_PIECE_BYTES", size)
        patch.setattr(columns, "_MEMORY_BYTES", 0 if in_file else 1 << 20)
        table.save(folder / "own.npz")
        read = Predictions.read(folder / "numpy.npz")
        read.save(folder / "again.npz")
    assert (folder / "own.npz").read_bytes() == (folder / "numpy.npz").read_bytes()
    assert (folder / "again.npz").read_bytes() == (folder / "numpy.npz").read_bytes()
    for name, column in whole_columns(read).items():
        np.testing.assert_array_equal(column, expected[name], name)


@settings(deadline=None)
@given(tables, piece_bytes, st.booleans(), st.data())
def test_pieces_change_no_result(
    tmp_path_factory: pytest.TempPathFactory,
    table: Predictions,
    size: int,
    in_file: bool,
    data: st.DataObject,
) -> None:
    top_n = data.draw(st.integers(1, len(table.classes)))
    choices = data.draw(st.lists(st.sampled_from(table.classes), unique=True))
    top_n = min(top_n, len(choices) or top_n)
    context = new_context("x", num_listed=50, choices=tuple(choices))
    whole, cut = (tmp_path_factory.mktemp(name) for name in ("whole", "cut"))
    write_outputs(whole, table, context, top_n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_PIECE_BYTES", size)
        patch.setattr(columns, "_MEMORY_BYTES", 0 if in_file else 1 << 20)
        write_outputs(cut, table, context, top_n)
    assert tree(cut) == tree(whole)


@settings(deadline=None)
@given(tables, piece_bytes, st.integers(1, 12))
def test_the_best_classes_are_those_of_a_stable_sort(
    table: Predictions, size: int, top_n: int
) -> None:
    expected = np.argsort(-table.scores, axis=1, kind="stable")
    ordered = np.take_along_axis(table.scores, expected, axis=1)
    unranked = ordered == ordered[:, -1:]
    unranked[:, -1] = unranked[:, -2:-1].any(axis=1)  # the lowest score has a rank if it is alone
    nothing = np.isnan(table.scores).any(axis=1, keepdims=True)
    expected = np.where(unranked | nothing, -1, expected)[:, :top_n]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_PIECE_BYTES", size)
        np.testing.assert_array_equal(table.best(top_n), expected)


@settings(deadline=None)
@given(tables, piece_bytes)
def test_rows_of_a_file_go_where_their_videos_are(
    tmp_path_factory: pytest.TempPathFactory, table: Predictions, size: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "t.npz"
    table.save(path)
    order = np.random.default_rng(len(table)).permutation(len(table))
    kept = table.only(order[::2].tolist())
    pending = replace(
        kept,
        scores=np.full_like(kept.scores, np.nan),
        reasons=np.full(len(kept), "pending", np.object_),
        details=np.full(len(kept), "", np.object_),
        fewer_views={name: np.full_like(own, np.nan) for name, own in kept.fewer_views.items()},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_PIECE_BYTES", size)
        pending.update(path)
    for name, column in whole_columns(pending).items():
        np.testing.assert_array_equal(column, whole_columns(kept)[name], name)


def test_a_large_table_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = random_table(seed=3, videos=20, classes=5)
    restricted = restrict_choices(table, ["class 1"])
    assert list(tmp_path.iterdir()) == []
    before = table.scores.copy()
    restricted.scores[3] = 0.5
    assert restricted.scores[3].tolist() == [0.5] * 5
    np.testing.assert_array_equal(table.scores, before)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("scores", np.zeros((2, 2), np.float32)),
        ("scores", np.array([["a", "b"], ["a", "b"], ["c", "d"]])),
        ("scores", np.float32(0)),
        ("reason", np.array(["", ""])),
        ("reason", np.array([1, 2, 3])),
        ("label", None),
        ("fewer", np.array([None, "objects"])),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, column: np.ndarray | None
) -> None:
    table = Predictions.pending([VideoRecord(str(i), None, None) for i in range(3)], ("a", "b"))
    content = whole_columns(table)
    content.pop(name, None)
    if column is not None:
        content[name if name != "fewer" else "scores_1x1"] = column
    with (tmp_path / "t.npz").open("wb") as file:
        np.savez(file, allow_pickle=True, **content)
    with pytest.raises(VidbenchError, match=r"t\.npz cannot be read.*remove it"):
        Predictions.read(tmp_path / "t.npz")


def ran(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(arguments[0])},
    )


FINISH = """
import resource, sys
from pathlib import Path
import numpy as np
from vidbench.data.records import VideoRecord
from vidbench.data.spec import PRESETS
from vidbench.runs.identity import RunIdentity
from vidbench.runs.predictions import Predictions
from vidbench.runs.folder import RunFolder
from tests.helpers.contexts import new_context

resource.setrlimit(resource.RLIMIT_DATA, (240 << 20, 240 << 20))
classes = tuple(f"class {i}" for i in range(2000))
records = [VideoRecord(f"v{i}", Path(f"{i}.mp4"), classes[i % 90]) for i in range(35_000)]
identity = RunIdentity(model="m/x", weights="0", dataset="d", split="val", spec=PRESETS["hub"],
                       video_ids=tuple(record.video_id for record in records))
folder = RunFolder(Path(sys.argv[1]) / "run", identity)
folder.open({}, new_context("x", num_listed=35_000))
table = Predictions.pending(records, classes)
ramp = np.linspace(0, 1, len(classes), dtype=np.float32)
for row in range(len(records)):
    table.set_scores(row, np.roll(ramp, row % 97))
print(folder.finish(table, 5)["top1"]["num_videos"])
again = folder.load(Predictions.pending(records, classes))
print(folder.finish(again, 5)["top1"]["value"])
"""


def test_a_table_larger_than_memory_is_finished_and_loaded(tmp_path: Path) -> None:
    """It takes 267 MiB, and the program may have 240 for all it does."""
    done = ran(FINISH, tmp_path)
    assert done.returncode == 0, done.stderr
    # The highest score lies just before the ramp begins: at class row % 97 - 1.
    rows = np.arange(35_000)
    right = np.mean((rows % 97 - 1) % 2000 == rows % 90)
    assert done.stdout.split() == ["35000", str(right)]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


FULL = """
import resource, sys
from vidbench.data.records import VideoRecord
from vidbench.errors import DiskFullError
from vidbench.runs.predictions import Predictions

resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 20, 100 << 20))
records = [VideoRecord(str(i), None, None) for i in range(35_000)]
try:
    Predictions.pending(records, tuple(map(str, range(2000))))
except DiskFullError as error:
    print(error)
"""


def test_a_folder_without_room_for_a_large_table_is_said_at_once(tmp_path: Path) -> None:
    done = ran(FULL, tmp_path)
    assert str(tmp_path) in done.stdout, done.stderr
    assert "280.0 MB are needed" in done.stdout
    assert "TMPDIR" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(VidbenchError, match="TMPDIR"):
        random_table(seed=3, videos=20, classes=5)
