from __future__ import annotations

import multiprocessing
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.helpers.loading import SPEC, garble, sample, stamps
from tests.helpers.paths import SAMPLE
from vidbench.data.kinetics_loader import KineticsLoader, LabelledBatch
from vidbench.data.loader import VideoLoader, batched


def kinetics(
    tmp_path: Path, mirror: Path, compression: str | None = None, **options: Any
) -> KineticsLoader:
    return KineticsLoader(
        "400",
        "val",
        SPEC,
        data_dir=tmp_path / "raw",
        cache_dir=tmp_path / "cache",
        root_url=str(mirror),
        num_workers=options.pop("num_workers", 2),
        compression=compression,
        **options,
    )


def batches(loader: KineticsLoader, num_videos: int | None, size: int) -> list[LabelledBatch]:
    return list(loader.get_batches(num_videos, size))


def kinds(folder: Path) -> list[str | None]:
    """How each clip below the folder is kept: its filter, or None."""
    found = []
    for path in folder.rglob("*.h5"):
        with h5py.File(path, "r") as file:
            found.append(file["views"].attrs.get("filter", b"").decode() or None)
    return found


def test_constructing_does_no_io(tmp_path: Path) -> None:
    KineticsLoader(data_dir=tmp_path / "raw", cache_dir=tmp_path / "cache")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_compressed_clips_give_the_same_batches_and_serve_other_loaders(
    tmp_path: Path, mirror: Path, num_workers: int
) -> None:
    loader = kinetics(tmp_path, mirror, "zstd", num_workers=num_workers)
    (compressed,) = loader.get_batches(3, 3)
    assert kinds(tmp_path / "cache") == ["green,up"] * 3
    before = stamps(tmp_path / "cache")
    (read,) = kinetics(tmp_path, mirror).get_batches(3, 3)
    assert stamps(tmp_path / "cache") == before
    shutil.rmtree(tmp_path / "cache")
    (plain,) = kinetics(tmp_path, mirror).get_batches(3, 3)
    assert kinds(tmp_path / "cache") == [None] * 3
    np.testing.assert_array_equal(compressed.views, plain.views)
    np.testing.assert_array_equal(read.views, plain.views)
    assert loader.num_videos_processed == kinetics(tmp_path, mirror).num_videos_processed == 3


def test_batches_hold_all_usable_videos_in_order(tmp_path: Path, mirror: Path) -> None:
    loader = kinetics(tmp_path, mirror)
    found = batches(loader, None, 8)
    records = loader.select().records
    assert [len(batch.ids) for batch in found] == [7, 8, 8, 5]
    assert all(batch.views.shape == (len(batch.ids), 8, 32, 32, 3) for batch in found)
    assert all(batch.views.dtype == np.uint8 for batch in found)
    label_of = {record.video_id: record.label for record in records}
    ids = [video_id for batch in found for video_id in batch.ids]
    assert ids == [record.video_id for record in records if record.video_id in ids]
    assert [label_of[i] for i in ids] == [label for batch in found for label in batch.labels]


def test_counts_follow_what_is_on_disk(tmp_path: Path, mirror: Path) -> None:
    loader = kinetics(tmp_path, mirror)
    assert (loader.num_videos_downloaded, loader.num_videos_processed) == (0, 0)
    loader.download_n_videos(30)
    assert (loader.num_videos_downloaded, loader.num_videos_processed) == (29, 0)
    skips = loader.load_and_cache_video_examples(12)
    assert loader.num_videos_processed == 12 - len(skips) == 11
    loader.load_and_cache_video_examples()
    assert loader.num_videos_processed == 28


def test_a_second_run_decodes_nothing_and_reads_no_video(tmp_path: Path, mirror: Path) -> None:
    first = batches(kinetics(tmp_path, mirror), 10, 4)
    before = stamps(tmp_path / "cache")
    for video in (tmp_path / "raw").rglob("*.mp4"):
        garble(video)
    second = batches(kinetics(tmp_path, mirror), 10, 4)
    assert stamps(tmp_path / "cache") == before
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.views, other.views)


def test_the_number_of_workers_changes_nothing(tmp_path: Path, mirror: Path) -> None:
    alone = batches(kinetics(tmp_path / "a", mirror, num_workers=0), 10, 4)
    together = batches(kinetics(tmp_path / "b", mirror, num_workers=3), 10, 4)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.views, other.views)
        assert one.ids == other.ids


def test_another_number_of_frames_is_another_cache_entry(tmp_path: Path, mirror: Path) -> None:
    loader = kinetics(tmp_path, mirror)
    list(loader.get_batches(3, 3))
    before = stamps(tmp_path / "cache")
    (batch,) = loader.get_batches(3, 3, num_frames=5)
    assert batch.views.shape[1] == 5
    after = stamps(tmp_path / "cache")
    assert len(after) == 2 * len(before)
    assert before.items() <= after.items()


def test_a_damaged_clip_is_decoded_again(tmp_path: Path, mirror: Path) -> None:
    first = batches(kinetics(tmp_path, mirror), 4, 4)
    for clip in (tmp_path / "cache").rglob("*.h5"):
        clip.write_bytes(clip.read_bytes()[:3000])
    again = batches(kinetics(tmp_path, mirror), 4, 4)
    np.testing.assert_array_equal(first[0].views, again[0].views)


def test_a_changed_video_is_decoded_again(tmp_path: Path) -> None:
    loader = sample(tmp_path)
    records = loader.select(2).records
    assert not loader.prepare(records)
    one, other = (tmp_path / "raw" / (record.path or "") for record in records)
    shutil.copy(other, one)
    with loader.stream(records, batched(2, 2)) as stream:
        (batch,) = stream
    np.testing.assert_array_equal(batch.views[0], batch.views[1])


def test_a_skip_stands_until_asked_or_until_the_file_changes(tmp_path: Path) -> None:
    loader = sample(tmp_path)
    records = loader.select(1).records
    video = tmp_path / "raw" / (records[0].path or "")
    whole = video.read_bytes()
    video.write_bytes(whole[:1000])
    assert loader.prepare(records)[0].reason in ("unreadable", "truncated")
    assert loader.skip_is_final(records[0])
    assert not sample(tmp_path, retry_skipped=True).skip_is_final(records[0])
    video.write_bytes(whole)
    assert not loader.skip_is_final(records[0])
    assert not loader.prepare(records)


def test_overwriting_decodes_only_what_is_read(tmp_path: Path) -> None:
    loader = sample(tmp_path)
    loader.prepare(loader.select(6).records)
    before = stamps(tmp_path / "cache")
    sample(tmp_path, overwrite=True).prepare(loader.select(2).records)
    after = stamps(tmp_path / "cache")
    assert sum(before[path] != after[path] for path in before) == 2


def test_leaving_early_stops_all_workers(tmp_path: Path, mirror: Path) -> None:
    loader = kinetics(tmp_path, mirror)
    with pytest.raises(ZeroDivisionError):
        _fail_at_the_first_batch(loader)
    assert not multiprocessing.active_children()
    assert not list((tmp_path / "cache").rglob(".*.tmp"))


def _fail_at_the_first_batch(loader: VideoLoader) -> None:
    records = loader.select().records
    with loader.stream(records, batched(len(records), 2)) as stream:
        next(stream)
        raise ZeroDivisionError


def test_one_video_in_two_places_is_decoded_once(tmp_path: Path) -> None:
    loader = sample(tmp_path)
    records = loader.select(2).records
    one, other = (tmp_path / "raw" / (record.path or "") for record in records)
    shutil.copy(one, other)
    loader.prepare(records)
    assert len(stamps(tmp_path / "cache")) == 1


def test_the_same_spec_serves_every_dataset_and_model(tmp_path: Path, mirror: Path) -> None:
    loader = kinetics(tmp_path, mirror)
    loader.load_and_cache_video_examples(3)
    before = stamps(tmp_path / "cache")
    other = VideoLoader(loader.dataset, replace(SPEC), cache_dir=tmp_path / "cache", num_workers=0)
    other.prepare(loader.select(3).records)
    assert stamps(tmp_path / "cache") == before


def test_the_sample_is_what_its_annotations_list(tmp_path: Path) -> None:
    records = sample(tmp_path).select().records
    members = 0
    for part in SAMPLE.glob("val/part_*.tar.gz"):
        with tarfile.open(part) as tar:
            members += len(tar.getnames())
    assert len(records) == members >= 96
    assert all(record.path is not None for record in records)
