from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import RunCli

from vidbench.data.cache import CacheKey, ClipCache
from vidbench.data.spec import PreprocessSpec

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
