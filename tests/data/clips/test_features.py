"""Features that a model made of clips: kept whole or not at all, and no score depends on them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tests.helpers.command import RunCli
from tests.helpers.videos import write_video
from tests.helpers.zero_shot_models import save_model
from vidbench.data.clips.cache import CacheKey, ClipCache
from vidbench.data.clips.features import FeatureCache, feature_usage, prune_features
from vidbench.data.clips.source import CachePolicy
from vidbench.data.datasets.base import load_dataset
from vidbench.data.loader import VideoLoader
from vidbench.data.spec import PIXELS_VERSION, PreprocessSpec
from vidbench.data.views import fewer_views
from vidbench.engines.clip_scorers import ClipScorer, FeatureScorer
from vidbench.engines.scoring import predict, unfinished_batches
from vidbench.models.base import load_model
from vidbench.runs.folder import RunFolder
from vidbench.runs.identity import RunIdentity
from vidbench.runs.predictions import Predictions
from vidbench.storage.seal import USER_BLOCK, seal
from vidbench.system.stopwatch import Stopwatch

SPEC = PreprocessSpec(num_frames=2, crop_size=8)
KEY = CacheKey("ab" * 32, SPEC)

Array = NDArray[np.float32]

arrays = hnp.arrays(np.float32, hnp.array_shapes(max_dims=4, max_side=5))


# On disk --------------------------------------------------------------------------------------


@given(arrays)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, array: Array
) -> None:
    folder = tmp_path_factory.mktemp("features")
    features = FeatureCache(folder, "model")
    features.write(KEY, array)
    found = features.read(KEY)
    assert found is not None
    assert (found.shape, found.tobytes()) == (array.shape, array.tobytes())
    for other in (
        (FeatureCache(folder, "other"), KEY),
        (features, KEY._replace(sha256="cd" * 32)),
        (features, KEY._replace(spec=PreprocessSpec(num_frames=3, crop_size=8))),
    ):
        assert not other[0].has(other[1])
        assert other[0].read(other[1]) is None


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_damaged_or_another_file_is_not_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    features = FeatureCache(folder := tmp_path_factory.mktemp("features"), "model")
    features.write(KEY, np.arange(6, dtype=np.float32))
    (path,) = folder.rglob("*.npy")
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        content[data.draw(st.integers(0, len(content) - 1), "place")] ^= 1 << data.draw(
            st.integers(0, 7), "bit"
        )
    path.write_bytes(content)
    assert features.read(KEY) is None
    features.write(KEY, np.ones(2, np.float32))
    other = KEY._replace(sha256="ab" * 31 + "cd")
    shutil.copy(path, path.with_name(f"{other.sha256}.npy"))
    assert features.read(other) is None
    assert features.read(KEY) is not None


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    features = FeatureCache(tmp_path, "model")
    features.write(KEY, np.zeros(1, np.float32))
    (path,) = tmp_path.rglob("*.npy")
    name = path.read_bytes()[USER_BLOCK:].partition(b"\n")[0]
    with path.open("wb") as file:
        file.write(bytes(USER_BLOCK) + name + b"\n")
        np.save(file, np.array([print], object), allow_pickle=True)
    content = bytearray(path.read_bytes())
    seal(memoryview(content))
    path.write_bytes(content)
    assert features.read(KEY) is None


def test_features_are_counted_and_pruned(run_cli: RunCli, tmp_path: Path) -> None:
    cache_dir = tmp_path / "data/processed"
    clips, features = ClipCache(cache_dir), FeatureCache(cache_dir, "0" * 16)
    clips.write(KEY, np.zeros((1, 2, 8, 8, 3), np.uint8))
    for number in range(3):
        features.write(KEY._replace(sha256=f"{number:064x}"), np.zeros(250_000, np.float32))
    features.write_text("1" * 16, np.zeros((2, 3), np.float32))
    old = cache_dir / f"features/{'0' * 16}-{SPEC.digest()}-px{PIXELS_VERSION - 1}/00"
    old.mkdir(parents=True)
    shutil.copy(next((cache_dir / "features").rglob(f"{0:064x}.npy")), old)
    shown = run_cli("cache")
    assert "features of 4" in shown.stdout.splitlines()[-1]
    assert "removed 0 videos, features of 1" in run_cli("cache", "--prune").stdout
    assert not old.parent.exists()
    name = f"{SPEC.digest()}-px{PIXELS_VERSION}"
    assert "removed 1 videos" in run_cli("cache", "--prune", name).stdout
    assert feature_usage(cache_dir)[:2] == (3, 1)
    pruned = run_cli("cache", "--prune", "features", "--json")
    assert '"videos": 3' in pruned.stdout, pruned.stderr
    assert feature_usage(cache_dir) == (0, 0, 0)
    assert prune_features(tmp_path / "no", "all") == (0, 0, 0)


# In runs --------------------------------------------------------------------------------------

NUM_VIDEOS = 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a CLIP and an X-CLIP model; skips without their libraries, but never where CI is set."""
    if not os.environ.get("CI"):
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models")
    for kind in ("clip", "xclip"):
        save_model(folder / kind, kind)
    return folder


class Run:
    """Runs of the sample's first videos, as ``evaluate`` makes them, with one cache."""

    def __init__(self, root: Path, model: Path, data: str = "raw") -> None:
        self.root, self.model, self.cache = root, model, root / "cache"
        self.dataset = load_dataset("sample", "val", data_dir=root / data)
        self.records = self.dataset.fetch(NUM_VIDEOS, None).records
        self.count = 0

    def scores(
        self,
        classes: Sequence[str],
        *,
        kept: bool = True,
        batch_size: int = 4,
        stop_after: int | None = None,
        predictions: Predictions | None = None,
        **policy: bool,
    ) -> Predictions:
        """Predictions of a run; ``stop_after`` so many batches it leaves the others pending."""
        self.count += 1
        prompts = self.root / "prompts.txt"
        prompts.write_text("\n".join(classes))
        model: Any = load_model(self.model.name, model_path=str(self.model), prompts=prompts)
        digest = model.embedding_digest("fp32")
        loader = VideoLoader(
            self.dataset,
            model.spec,
            cache_dir=self.cache,
            num_workers=0,
            policy=CachePolicy(**policy),
            features=FeatureCache(self.cache, digest) if kept else None,
        )
        fewer = fewer_views(loader.spec)
        table = predictions or Predictions.pending(self.records, model.classes, {}, fewer)
        scorer = (
            FeatureScorer(loader, model.classes, model.load, loader.features)
            if loader.features
            else ClipScorer(loader, model.classes, model.load)
        )
        batches = unfinished_batches(table, self.records, scorer.skip_is_final, batch_size)
        batches = batches[:stop_after]
        identity = RunIdentity(
            model=model.name,
            weights=model.digest(),
            dataset="sample",
            split="val",
            spec=model.spec,
            video_ids=tuple(record.video_id for record in self.records),
        )
        folder = RunFolder(self.root / f"run{self.count}", identity)
        predict(scorer, self.records, table, batches, folder, Stopwatch())
        return table

    def clips(self) -> list[Path]:
        return sorted(self.cache.rglob("*.h5"))

    def features(self) -> list[Path]:
        return sorted(self.cache.glob("features/*-px*/*/*.npy"))


@pytest.fixture
def run(tmp_path: Path, folders: Path) -> Run:
    return Run(tmp_path, folders / "clip")


ONE, OTHER = ("moving up", "moving down", "blinking"), ("a", "b", "c", "d")


@pytest.mark.parametrize("kind", ["clip", "xclip"])
def test_other_classes_need_no_clip_and_get_the_scores_of_an_uncached_run(
    kind: str, folders: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path, folders / kind)
    plain = run.scores(ONE, kept=False)
    other = run.scores(OTHER, kept=False)
    assert plain.scored.all()
    assert not run.features()
    first = run.scores(ONE)
    assert np.array_equal(first.scores, plain.scores)
    assert len(run.features()) == len(run.clips()) == NUM_VIDEOS
    ClipCache(run.cache).prune("all")
    stamps = [path.stat().st_mtime_ns for path in run.features()]
    for batch_size in (4, 1, 6):
        again = run.scores(OTHER, batch_size=batch_size)
        assert np.array_equal(again.scores, other.scores)
        assert again.classes == OTHER
        assert again.scored.all()
    assert run.clips() == []
    assert [path.stat().st_mtime_ns for path in run.features()] == stamps


def test_features_are_what_is_scored(run: Run) -> None:
    """Those of two videos change places, and so do their scores: no tower saw the clips."""
    before = run.scores(ONE)
    model: Any = load_model(
        run.model.name, model_path=str(run.model), prompts=run.root / "prompts.txt"
    )
    kept = FeatureCache(run.cache, model.embedding_digest("fp32"))
    keys = [CacheKey(path.stem, model.spec) for path in run.features()[:2]]
    one, other = (kept.read(key) for key in keys)
    assert one is not None
    assert other is not None
    assert not np.array_equal(one, other)
    kept.write(keys[0], other)
    kept.write(keys[1], one)
    after = run.scores(ONE)
    changed = [
        i for i in range(NUM_VIDEOS) if not np.array_equal(before.scores[i], after.scores[i])
    ]
    assert len(changed) == 2
    assert np.array_equal(before.scores[changed], after.scores[changed[::-1]])


def test_damaged_and_missing_features_are_made_again(run: Run) -> None:
    before = run.scores(ONE)
    features = run.features()
    features[0].write_bytes(features[0].read_bytes()[:-1])
    features[1].unlink()
    for path in run.clips():  # of one of each, also the clip is gone
        if path.stem in (features[0].stem, features[1].stem, features[2].stem):
            path.unlink()
    after = run.scores(ONE)
    assert np.array_equal(before.scores, after.scores)
    assert run.features() == features
    assert len(run.clips()) == NUM_VIDEOS - 1


def test_a_run_that_was_stopped_goes_on_to_the_same_scores(run: Run) -> None:
    whole = run.scores(ONE, kept=False)
    begun = run.scores(ONE, stop_after=1)
    assert begun.scored.sum() == len(run.features()) == 4
    done = run.scores(ONE, predictions=begun)
    assert np.array_equal(done.scores, whole.scores)
    some_kept = Run(run.root, run.model)
    for path in run.features()[::2]:
        path.unlink()
    assert np.array_equal(some_kept.scores(ONE).scores, whole.scores)


def test_a_video_that_is_gone_or_changed_is_not_scored_by_what_was_kept(run: Run) -> None:
    before = run.scores(ONE)
    gone, changed, *_ = (run.dataset.folder / str(record.path) for record in run.records)
    gone.unlink()
    shutil.copy(run.dataset.folder / str(run.records[2].path), changed)
    after = run.scores(ONE)
    assert after.reasons[0] == "missing"
    assert not np.array_equal(before.scores[1], before.scores[2])
    assert np.array_equal(after.scores[1], before.scores[2])
    assert np.array_equal(after.scores[2:], before.scores[2:])


def test_overwriting_the_cache_makes_features_anew(run: Run) -> None:
    before = run.scores(ONE)
    stamps = [path.stat().st_mtime_ns for path in run.features()]
    after = run.scores(ONE, overwrite=True)
    assert np.array_equal(before.scores, after.scores)
    new = [path.stat().st_mtime_ns for path in run.features()]
    assert all(later > earlier for earlier, later in zip(stamps, new, strict=True))


def test_nothing_is_said_of_features_that_were_never_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert FeatureCache(tmp_path, "model").read(KEY) is None
    assert FeatureCache(tmp_path, "model").read_text("prompts") is None
    assert caplog.records == []


def test_of_truncated_videos_nothing_is_kept(run: Run) -> None:
    """Whether they are scored is asked anew in each run, with the note that says so."""
    cut = run.dataset.folder / str(run.records[0].path)
    write_video(cut, range(0, 250, 5), faststart=True)
    os.truncate(cut, cut.stat().st_size * 3 // 4)
    skipped = run.scores(ONE)
    scored = run.scores(ONE, score_truncated=True)
    again = run.scores(ONE, score_truncated=True)
    assert len(run.features()) == NUM_VIDEOS - 1
    assert skipped.reasons[0] == "truncated"
    assert again.details[0] == scored.details[0] != ""
    assert np.array_equal(again.scores, scored.scores)
    assert np.array_equal(again.scores[1:], skipped.scores[1:])
    assert not run.scores(ONE).scored[0]


def test_the_command_scores_other_prompts_without_clips(
    folders: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    common = ["--model_type", "clip", "--model_path", folders / "clip", "--dataset", "sample"]
    common += ["--num_videos", 6, "--no_report", "--num_workers", 0]
    for name, classes in (("one", ONE), ("two", ("pulsing", *ONE[::-1]))):
        (tmp_path / f"{name}.txt").write_text("\n".join(classes))
    asked = [*common, "--top_n", 2, "--prompts", "two.txt"]
    apart = run_cli("evaluate", *asked, "--cache_dir", "apart", "--run_name", "apart")
    assert apart.returncode == 0, apart.stderr
    run_cli("evaluate", *common, "--top_n", 2, "--prompts", "one.txt")
    ClipCache(tmp_path / "data/processed").prune("all")
    kept = run_cli("evaluate", *asked, "--run_name", "kept")
    assert kept.returncode == 0, kept.stderr
    assert not list((tmp_path / "data/processed").rglob("*.h5"))
    one, other = (tmp_path / "results" / name / "predictions.csv" for name in ("apart", "kept"))
    assert one.read_bytes() == other.read_bytes()
