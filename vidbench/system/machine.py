"""Cores, memory and processor features of this machine, and the defaults derived from them."""

from __future__ import annotations

import math
import os
import resource
import sys
from pathlib import Path

import psutil

_WORKER_BYTES = 1 << 30  # a generous estimate for a decoding process with a large video
_BATCH_BYTES = 1 << 26
_BATCHES_IN_MEMORY = 256  # a batch takes at most 1/256 of the memory
_MAX_BATCH = 16


CGROUP = Path("/sys/fs/cgroup")
"""Where Linux reports the resource limits of a container, in one of two layouts."""


CPUINFO = Path("/proc/cpuinfo")
"""Where Linux reports the features of its processors."""

# Linux's names of AVX-512 and AMX on x86, and of Arm's extension.
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool | None:
    """Whether the processor has bfloat16 instructions; None if the system does not report it."""
    flags = cpu_field("flags", cpuinfo) or cpu_field("Features", cpuinfo)
    return not _BFLOAT16.isdisjoint(flags.split()) if flags else None


def cpu_field(name: str, cpuinfo: Path = CPUINFO) -> str:
    """What Linux reports of the first core, e.g. ``model name``; empty if it does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def available_cores(cgroup: Path = CGROUP) -> int:
    """Number of processor cores that this process may use; a container's share is rounded up.

    Args:
        cgroup: Folder of the limits: ``cpu.max`` or ``cpu/cpu.cfs_*``, as described in
            https://docs.kernel.org/admin-guide/cgroup-v2.html and ``scheduler/sched-bwc.html``.
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, math.ceil(min(allowed, _share_of_cores(cgroup))))


def _share_of_cores(cgroup: Path) -> float:
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        numbers = [number for name in names for number in _read_numbers(cgroup / name)]
        if len(numbers) == 2 and min(numbers) > 0:  # a quota of -1 means no limit
            return numbers[0] / numbers[1]
    return math.inf


def total_memory(cgroup: Path = CGROUP) -> int:
    """Total memory in bytes; not the free memory, so that equal runs get equal defaults.

    Args:
        cgroup: Folder of the limits: ``memory.max`` or ``memory/memory.limit_in_bytes``.
    """
    limits = (
        *_read_numbers(cgroup / "memory.max"),
        *_read_numbers(cgroup / "memory/memory.limit_in_bytes"),
    )
    return int(min(psutil.virtual_memory().total, *limits, math.inf))


def _read_numbers(path: Path) -> tuple[float, ...]:
    """Numbers in a file, with ``max`` as infinity; empty if the file cannot be read."""
    try:
        return tuple(
            math.inf if word == "max" else float(word) for word in path.read_text().split()
        )
    except (OSError, ValueError):
        return ()


def peak_memory() -> int:
    """Peak memory of this process in bytes, without its workers."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def default_num_workers() -> int:
    """Number of decoding processes: one per core, as far as memory allows."""
    return max(1, min(available_cores(), total_memory() // _WORKER_BYTES))


def default_batch_size(views_bytes: int) -> int:
    """Videos per batch, 1 to 16: 64 MiB of clips, less on a small machine.

    Args:
        views_bytes: Size of all views of one video.
    """
    limit = min(_BATCH_BYTES, total_memory() // _BATCHES_IN_MEMORY)
    return max(1, min(_MAX_BATCH, limit // views_bytes))
