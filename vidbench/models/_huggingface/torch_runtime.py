"""PyTorch: imported late, because it takes seconds; devices, precision, and pieces of batches."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ModelError
from vidbench.models._precision import warn_of_slow_bf16
from vidbench.system.machine import available_cores
from vidbench.system.plugins import require_any

_GPU_PIECE_VALUES = 1 << 26
"""Input values that go through a network at once on a GPU: 27 clips of 16 frames of 224 x 224."""


def require_torch(family: str) -> None:
    """Raise ConfigError unless PyTorch and transformers are installed; imports neither."""
    for library in ("torch", "transformers"):
        require_any(family, "torch", (library,))


def import_torch(num_threads: int | None = None) -> Any:
    """PyTorch, with so many threads, and exact float32.

    Threads are those of the whole process: the last model that is loaded decides.

    TensorFloat-32 rounds the factors of float32 products to 10 bits on newer GPUs, and is
    switched off: https://docs.pytorch.org/docs/stable/notes/cuda.html.

    Args:
        num_threads: On the processor; None for one for each core that this process may use.
    """
    # Threads that wait by spinning would keep the decoding workers from the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    # PyTorch ignores the share of a container.
    torch.set_num_threads(num_threads or available_cores())
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    return torch


def choose_device(torch: Any, device: str) -> Any:
    """The ``torch.device`` to run on.

    Args:
        torch: The library.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` is the first GPU, or else the
            processor.

    Raises:
        ModelError: There is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = device.partition(":")
    found = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if int(number or 0) >= found[kind]:
        raise ModelError(f"--device {device}: PyTorch finds no such device here")
    return torch.device(device)


def require_precision(torch: Any, device: Any, precision: str) -> None:
    """Check that this device can compute in this precision.

    Raises:
        ModelError: It has no bfloat16.
    """
    if precision == "fp32":
        return
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ModelError(f"--precision {precision}: {device} has no bfloat16, use fp32")
    if not torch.amp.is_autocast_available(device.type):
        raise ModelError(f"--precision {precision}: PyTorch has none on {device}, use fp32")
    if device.type == "cpu":
        warn_of_slow_bf16(precision)


@contextmanager
def inference(torch: Any, device: Any, precision: str) -> Iterator[None]:
    """Computes without gradients, and in this precision.

    ``bf16`` is ``torch.autocast``: products of matrices and convolutions in bfloat16, the rest in
    float32, as with TensorFlow. A model that is itself turned into bfloat16 would be smaller, but
    add up its layers and its normalisations in 8 bits too.

    Args:
        torch: The library.
        device: What :func:`choose_device` gave.
        precision: ``fp32`` or ``bf16``.
    """
    bf16 = precision == "bf16"
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16),
    ):
        yield


def in_pieces(
    run: Callable[[Views], NDArray[np.float32]], clips: Views, device: Any
) -> NDArray[np.float32]:
    """What ``run`` gives for these clips, (batch, ...), a piece of them at a time.

    On a processor a piece is one clip. So its scores depend on no other, bit for bit, and a large
    batch takes no more memory than a small one.

    Args:
        run: From clips (pieces, frames, height, width, 3) to an array with as many rows.
        clips: uint8 RGB, (batch, frames, height, width, 3).
        device: What :func:`choose_device` gave.
    """
    largest = 1 if device.type == "cpu" else max(1, _GPU_PIECE_VALUES // math.prod(clips.shape[1:]))
    starts = range(0, len(clips), largest)
    return np.concatenate([run(clips[start : start + largest]) for start in starts])
