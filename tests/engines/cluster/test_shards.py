"""Shards: what goes to workers and comes back, without Ray."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidbench.data.loader import batched
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.spec import PreprocessSpec
from vidbench.engines.cluster.shards import (
    SHARD_VIDEOS,
    Shard,
    cut_shards,
    dump_outcomes,
    take_outcomes,
)
from vidbench.runs.predictions import PENDING, Predictions

SPEC = PreprocessSpec(num_frames=4)

sections = st.none() | st.tuples(st.floats(0, 100), st.floats(101, 200) | st.just(math.inf))
paths = st.none() | st.text(min_size=1, max_size=8).filter(lambda t: "\0" not in t).map(Path)


def records_of(count: int) -> list[VideoRecord]:
    return [VideoRecord(f"v{row}", Path(f"v{row}.mp4"), "a") for row in range(count)]


@given(st.integers(1, 300), st.integers(1, 100), st.data())
def test_shards_hold_all_open_batches_once_and_in_order(
    count: int, batch_size: int, data: st.DataObject
) -> None:
    batches = batched(count, batch_size)
    chosen = [rows for rows in batches if data.draw(st.booleans())]
    records = records_of(count)
    shards = cut_shards(chosen, records)
    assert [rows for shard in shards for rows in shard.batches] == chosen
    for shard in shards:
        assert len(shard.batches) == 1 or len(shard.records) <= SHARD_VIDEOS
        assert shard.records == [records[row] for row in shard.rows]
    assert len({shard.name for shard in shards}) == len(shards)


@given(st.lists(st.tuples(paths, sections), min_size=1, max_size=9), st.integers(1, 4))
def test_a_worker_gets_the_files_and_sections_that_are_meant(
    videos: list[tuple[Path | None, tuple[float, float] | None]], batch_size: int
) -> None:
    records = [
        VideoRecord(str(row), path, "label", section=section)
        for row, (path, section) in enumerate(videos)
    ]
    shard = Shard(
        [range(7 + r.start, 7 + r.stop) for r in batched(len(records), batch_size)], records
    )
    found = Shard.load(shard.dump())
    assert found.batches == shard.batches
    assert found.name == shard.name == f"shard 7-{6 + len(records)}"
    assert [(r.path, r.section) for r in found.records] == [(r.path, r.section) for r in records]


@given(st.data(), st.integers(1, 6), st.integers(0, 2))
def test_outcomes_come_back_bit_for_bit(data: st.DataObject, count: int, num_fewer: int) -> None:
    fewer = [f"{number}x1" for number in range(num_fewer)]
    records, classes = records_of(count), ("a", "b", "c")
    part = Predictions.pending(records, classes, {}, fewer)
    numbers = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)
    for row in range(count):
        if data.draw(st.booleans()):
            scores = np.array(data.draw(numbers), np.float32)
            views = {name: np.array(data.draw(numbers), np.float32) for name in fewer}
            part.set_scores(row, scores, views, data.draw(st.text()))
        else:
            part.set_skip(row, Skip("unreadable", data.draw(st.text())))
    whole = Predictions.pending(records_of(2 * count + 1), classes, {}, fewer)
    rows = [2 * place + 1 for place in range(count)]
    take_outcomes(whole, rows, dump_outcomes(part))
    assert whole.scores[rows].tobytes() == part.scores.tobytes()
    for name in fewer:
        assert whole.fewer_views[name][rows].tobytes() == part.fewer_views[name].tobytes()
    assert whole.reasons[rows].tolist() == part.reasons.tolist()
    assert whole.details[rows].tolist() == part.details.tolist()
    others = sorted(set(range(len(whole))) - set(rows))
    assert set(whole.reasons[others]) == {PENDING}


def test_a_score_is_not_lost_with_its_video() -> None:
    whole = Predictions.pending(records_of(1), ("a", "b"))
    whole.set_scores(0, np.array([0.25, 0.75], np.float32))
    part = Predictions.pending(records_of(1), ("a", "b"))
    part.set_skip(0, Skip("missing", "gone"))
    take_outcomes(whole, [0], dump_outcomes(part))
    assert whole.scored.all()
    assert whole.scores[0].tolist() == [0.25, 0.75]
