"""What a precision costs on this processor."""

from __future__ import annotations

import logging
from pathlib import Path

from vidbench.system.machine import CPUINFO, has_bfloat16

logger = logging.getLogger(__name__)


def warn_of_slow_bf16(precision: str, cpuinfo: Path = CPUINFO) -> None:
    """Says so where bfloat16 is asked for and the processor has none of its own.

    The libraries then convert forth and back: with AVX-512 alone, PyTorch 2.13 took 1.8 and
    TensorFlow 2.21 took 4.2 times as long as with float32.

    Args:
        precision: ``fp32`` or ``bf16``.
        cpuinfo: See :func:`~vidbench.system.machine.has_bfloat16`.
    """
    if precision == "bf16" and has_bfloat16(cpuinfo) is False:
        logger.warning(
            "--precision bf16: this processor has no bfloat16 of its own (avx512_bf16, amx_bf16 or "
            "bf16), so this is slower than fp32, twice or more"
        )
