"""What this machine has, and the defaults that follow from it."""

from __future__ import annotations

import os
import resource
import sys

import psutil

_WORKER_BYTES = 1 << 30  # a decoding process with a large video, generously
_BATCH_BYTES = 1 << 26
_BATCHES_IN_MEMORY = 256  # no batch takes a larger share of the memory than one of so many
_MAX_BATCH = 16


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int:
    """Bytes of memory; of all, not of what is free, so that equal runs get equal defaults."""
    return int(psutil.virtual_memory().total)


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
