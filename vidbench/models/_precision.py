"""Warn if a precision is slow on this processor."""

from __future__ import annotations

import logging
from pathlib import Path

from vidbench.system.machine import CPUINFO, has_bfloat16

logger = logging.getLogger(__name__)


def warn_of_slow_bf16(precision: str, cpuinfo: Path = CPUINFO) -> None:
    """Warn if bfloat16 is requested and the processor does not support it.

    Libraries then convert back and forth: with AVX-512 only, PyTorch 2.13 took 1.8 and TensorFlow
    2.21 took 4.2 times as long as with float32.

    Args:
        precision: ``fp32`` or ``bf16``.
        cpuinfo: See :func:`~vidbench.system.machine.has_bfloat16`.
    """
    if precision == "bf16" and has_bfloat16(cpuinfo) is False:
        logger.warning(
            "--precision bf16: this processor has no bfloat16 of its own (avx512_bf16, amx_bf16 or "
            "bf16), so this is slower than fp32, twice or more"
        )
