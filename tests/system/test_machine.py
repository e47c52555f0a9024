from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.data.spec import PreprocessSpec
from vidbench.models._precision import warn_of_slow_bf16
from vidbench.system.machine import (
    available_cores,
    default_batch_size,
    default_num_workers,
    has_bfloat16,
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


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, available_cores()),
        ({"cpu.max": "max 100000"}, available_cores()),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "110000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "99000000 100000"}, available_cores()),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, available_cores()),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "nonsense"}, available_cores()),
    ],
)
def test_a_container_has_its_share_of_the_cores(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert available_cores(tmp_path) == min(cores, available_cores())


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_its_share_of_the_memory(tmp_path: Path, name: str) -> None:
    everything = psutil.virtual_memory().total
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for content, limit in (
        ("1073741824", 1 << 30),
        ("max", everything),
        ("9223372036854771712", everything),
    ):
        (tmp_path / name).write_text(f"{content}\n")
        assert total_memory(tmp_path) == limit


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_only_cores_that_the_process_may_use_are_counted() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert (available_cores(), default_num_workers()) == (1, 1)
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("flags\t\t: fpu sse2 avx512f avx512_vnni\n", False),
        ("flags\t\t: fpu sse2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_tile amx_bf16\n", True),
        ("Features\t: fp asimd sha512 bf16\n", True),
        ("Features\t: fp asimd sha512\n", False),
        ("processor\t: 0\n", None),
        (None, None),
    ],
)
def test_a_processor_without_bfloat16_is_known_and_warned_of(
    told: str | None, expected: bool | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if told is not None:
        cpuinfo.write_text(told)
    assert has_bfloat16(cpuinfo) is expected
    warn_of_slow_bf16("fp32", cpuinfo)
    assert not caplog.messages
    warn_of_slow_bf16("bf16", cpuinfo)
    assert [message[:45] for message in caplog.messages] == (
        ["--precision bf16: this processor has no bfloa"] if expected is False else []
    )
