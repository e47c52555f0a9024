from __future__ import annotations

import os

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.data.spec import PreprocessSpec
from vidbench.machine import (
    available_cores,
    default_batch_size,
    default_num_workers,
    total_memory,
)

VIEWS_BYTES = st.integers(1, 1 << 34)


@given(VIEWS_BYTES)
def test_a_batch_has_one_to_sixteen_videos(views_bytes: int) -> None:
    assert 1 <= default_batch_size(views_bytes) <= 16


@given(VIEWS_BYTES, VIEWS_BYTES)
def test_larger_clips_never_make_larger_batches(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert default_batch_size(small) >= default_batch_size(large)


@given(VIEWS_BYTES)
def test_a_batch_of_several_videos_is_a_small_part_of_the_memory(views_bytes: int) -> None:
    size = default_batch_size(views_bytes)
    assert size == 1 or size * views_bytes <= min(1 << 26, total_memory() // 256)


@pytest.mark.skipif(total_memory() < 15 << 30, reason="a small machine has smaller batches")
def test_four_clips_of_i3d_are_a_batch() -> None:
    assert default_batch_size(PreprocessSpec().views_bytes) == 4
    assert default_batch_size(PreprocessSpec(num_frames=16).views_bytes) == 16


def test_there_is_a_worker_a_core_as_far_as_memory_allows() -> None:
    assert 1 <= default_num_workers() <= available_cores() <= (os.cpu_count() or 1)
    assert default_num_workers() <= max(1, psutil.virtual_memory().total >> 30)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_only_cores_that_the_process_may_use_are_counted() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert (available_cores(), default_num_workers()) == (1, 1)
    finally:
        os.sched_setaffinity(0, allowed)
