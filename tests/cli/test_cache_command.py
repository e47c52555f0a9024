from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.command import RunCli
from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.spec import PreprocessSpec
from vidbench.models._tensorflow.kept_graphs import KeptGraphs

FIRST, SECOND = PreprocessSpec(num_frames=2), PreprocessSpec(num_frames=3)


def fill(folder: Path) -> ClipCache:
    cache = ClipCache(folder)
    for spec in (FIRST, SECOND):
        for number in range(3):
            cache.write(CacheKey(f"{number:064x}", spec), np.zeros((1, 2, 8, 8, 3), np.uint8))
    return cache


def test_cache_shows_specs_and_removes_the_one_that_is_named(
    run_cli: RunCli, tmp_path: Path
) -> None:
    cache = fill(tmp_path / "data/processed")
    shown = run_cli("cache").stdout
    assert FIRST.describe() in shown
    assert SECOND.describe() in shown
    assert "6 videos" in shown.splitlines()[-1]
    (name,) = (usage.name for usage in cache.usage() if usage.spec == FIRST.describe())
    pruned = run_cli("cache", "--prune", name)
    assert pruned.returncode == 0
    assert "removed 3 videos" in pruned.stdout
    assert [usage.spec for usage in cache.usage()] == [SECOND.describe()]


def test_pruning_an_unknown_name_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    fill(tmp_path / "data/processed")
    done = run_cli("cache", "--prune", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert len(ClipCache(tmp_path / "data/processed").usage()) == 2


def test_compressed_clips_are_counted_with_the_others(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "data/processed"
    fill(folder)
    compressed = ClipCache(folder, "zstd")
    compressed.write(CacheKey("f" * 64, FIRST), np.zeros((1, 2, 8, 8, 3), np.uint8))
    assert "7 videos" in run_cli("cache").stdout.splitlines()[-1]
    (name,) = (usage.name for usage in compressed.usage() if usage.spec == FIRST.describe())
    assert "removed 4 videos" in run_cli("cache", "--prune", name).stdout


def fill_graphs(folder: Path) -> tuple[Path, Path]:
    """Graphs of this and of another version of TensorFlow, 2 MB and 3 MB."""
    (folder / "graphs").mkdir()
    paths = []
    ours = KeptGraphs.name("fp32", "0123456789abcdef")
    for name, size in ((ours, 2), ("tensorflow-2.18.0.dev1-fp32-0123456789abcdef.pb", 3)):
        path = folder / "graphs" / name
        path.write_bytes(bytes(size * 1_000_000))
        paths.append(path)
    return paths[0], paths[1]


@pytest.mark.parametrize(
    ("name", "models", "videos"),
    [(["graphs"], 2, 0), (["all"], 2, 6), ([], 1, 0), ([None], 0, 3)],
    ids=["graphs", "all", "stale", "a spec"],
)
def test_kept_models_are_shown_and_removed(
    run_cli: RunCli, tmp_path: Path, name: list[str | None], models: int, videos: int
) -> None:
    folder = tmp_path / "data/processed"
    cache = fill(folder)
    graphs = fill_graphs(folder)
    *_, listed, explained, total = run_cli("cache").stdout.splitlines()
    assert listed.split() == ["graphs", "2", "models", "5.0", "MB"]
    assert "TensorFlow" in explained
    assert "6 videos, 2 models" in total
    arguments = [cache.usage()[0].name if part is None else part for part in name]
    done = run_cli("cache", "--prune", *arguments)
    assert done.returncode == 0
    removed = f"removed {videos} videos" + (
        f", {models} model{'s' * (models > 1)}" if models else ""
    )
    assert done.stdout.splitlines()[-1].startswith(f"{removed}, ")
    assert sum(usage.videos for usage in cache.usage()) == 6 - videos
    assert [path.exists() for path in graphs] == [models < 2, models == 0]
    assert ("graphs" in run_cli("cache").stdout) == (models < 2)


def test_a_name_that_is_refused_removes_no_model(run_cli: RunCli, tmp_path: Path) -> None:
    fill(tmp_path / "data/processed")
    graphs = fill_graphs(tmp_path / "data/processed")
    assert run_cli("cache", "--prune", "nonsense").returncode == 2
    assert all(path.exists() for path in graphs)
