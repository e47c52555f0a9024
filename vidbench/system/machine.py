"""What this machine has, and the defaults that follow from it."""

from __future__ import annotations

import math
import os
import resource
import sys
from pathlib import Path

import psutil

_WORKER_BYTES = 1 << 30  # a decoding process with a large video, generously
_BATCH_BYTES = 1 << 26
_BATCHES_IN_MEMORY = 256  # no batch takes a larger share of the memory than one of so many
_MAX_BATCH = 16


CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container what it may use of its machine, in either of two layouts."""


CPUINFO = Path("/proc/cpuinfo")
"""Where Linux tells what its processors can do."""

# AVX-512 and AMX of x86, and Arm's extension, as Linux calls them.
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool | None:
    """Whether the processor multiplies in bfloat16 itself; None where the system does not tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    flags = [line for line in lines if line.startswith(("flags", "Features"))]
    return not _BFLOAT16.isdisjoint(flags[0].split()) if flags else None


def available_cores(cgroup: Path = CGROUP) -> int:
    """Processor cores that this process may use; of a container's share, rounded up.

    Args:
        cgroup: Where limits are told: ``cpu.max`` or ``cpu/cpu.cfs_*``, as described in
            https://docs.kernel.org/admin-guide/cgroup-v2.html and ``scheduler/sched-bwc.html``.
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, math.ceil(min(allowed, _share_of_cores(cgroup))))


def _share_of_cores(cgroup: Path) -> float:
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        numbers = [number for name in names for number in _read_numbers(cgroup / name)]
        if len(numbers) == 2 and min(numbers) > 0:  # a quota of -1 is none
            return numbers[0] / numbers[1]
    return math.inf


def total_memory(cgroup: Path = CGROUP) -> int:
    """Bytes of memory; of all, not of what is free, so that equal runs get equal defaults.

    Args:
        cgroup: Where limits are told: ``memory.max`` or ``memory/memory.limit_in_bytes``.
    """
    limits = (
        *_read_numbers(cgroup / "memory.max"),
        *_read_numbers(cgroup / "memory/memory.limit_in_bytes"),
    )
    return int(min(psutil.virtual_memory().total, *limits, math.inf))


def _read_numbers(path: Path) -> tuple[float, ...]:
    """The numbers in a file, ``max`` being infinite; none where there is no such file."""
    try:
        return tuple(
            math.inf if word == "max" else float(word) for word in path.read_text().split()
        )
    except (OSError, ValueError):
        return ()


def peak_memory() -> int:
    """Most bytes of memory that this process has had at once; its workers' are not among them."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def default_num_workers() -> int:
    """Decoding processes: one a core, as far as memory allows."""
    return max(1, min(available_cores(), total_memory() // _WORKER_BYTES))


def default_batch_size(views_bytes: int) -> int:
    """Videos in a batch, 1 to 16: 64 MiB of clips, less on a small machine.

    Args:
        views_bytes: Of all views of one video.
    """
    limit = min(_BATCH_BYTES, total_memory() // _BATCHES_IN_MEMORY)
    return max(1, min(_MAX_BATCH, limit // views_bytes))
