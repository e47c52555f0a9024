"""Runtime: on what a model runs, and in which precision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vidbench.errors import ConfigError

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

PRECISIONS = ("fp32", "bf16")
"""Exact, the default; and bfloat16, which is faster and shifts scores a little."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """On what a model runs, and in which precision; each model is loaded with one.

    Attributes:
        precision: Of its arithmetic, one of :data:`PRECISIONS`.
        device: ``auto`` for a GPU if there is one, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        num_threads: Processor threads; None for one a core. A framework has one number for the
            whole process: PyTorch takes that of the last model, TensorFlow that of the first.
        cache_dir: Folder for what makes the next start faster; None to keep nothing.
    """

    precision: str = "fp32"
    device: str = "auto"
    num_threads: int | None = None
    cache_dir: Path | None = None


def require_device(device: str) -> None:
    """Raise ConfigError unless this is how a device is named."""
    if not _DEVICE.fullmatch(device):
        raise ConfigError(f"--device {device!r} must be auto, cpu, cuda, cuda:<number> or mps")
