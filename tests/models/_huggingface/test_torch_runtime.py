"""Devices, precision and pieces of batches, with PyTorch itself."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.errors import ConfigError, ModelError
from vidbench.models._huggingface.torch_runtime import (
    choose_device,
    import_torch,
    in_pieces,
    inference,
    require_precision,
)
from vidbench.system.machine import available_cores
from vidbench.system.plugins import require_any

if os.environ.get("CI") != "true":
    pytest.importorskip("torch")


def test_products_are_exact_and_use_the_cores_of_this_process() -> None:
    assert import_torch(1).get_num_threads() == 1
    torch = import_torch()
    assert torch.get_num_threads() == available_cores()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_the_processor_is_always_there() -> None:
    torch = import_torch()
    assert choose_device(torch, "cpu") == torch.device("cpu")
    assert choose_device(torch, "auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:99", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    torch = import_torch()
    there = torch.cuda.device_count() if device.startswith("cuda") else torch.mps.device_count()
    if int(device.partition(":")[2] or 0) < there:
        assert str(choose_device(torch, device)) == device
        return
    with pytest.raises(ModelError, match=f"--device {device}: PyTorch finds no such device here"):
        choose_device(torch, device)


def test_a_device_without_autocast_has_no_bf16() -> None:
    torch = import_torch()
    require_precision(torch, torch.device("meta"), "fp32")
    require_precision(torch, torch.device("cpu"), "bf16")
    with pytest.raises(ModelError, match="--precision bf16: PyTorch has none on meta, use fp32"):
        require_precision(torch, torch.device("meta"), "bf16")


def test_bf16_rounds_products_and_keeps_sums_in_float32() -> None:
    torch = import_torch()
    torch.manual_seed(0)
    values = torch.randn(8, 64)
    layer = torch.nn.Linear(64, 4)
    cpu = torch.device("cpu")
    with inference(torch, cpu, "fp32"):
        exact = layer(values)
    with inference(torch, cpu, "bf16"):
        rounded = layer(values)
        normalised = torch.nn.functional.layer_norm(values, (64,))
    assert exact.dtype == normalised.dtype == layer.weight.dtype == torch.float32
    assert rounded.dtype == torch.bfloat16
    assert not exact.requires_grad
    torch.testing.assert_close(rounded.float(), exact, atol=0.02, rtol=0.02)


@given(count=st.integers(1, 7), frames=st.integers(1, 3))
def test_pieces_are_put_together_in_order(count: int, frames: int) -> None:
    clips = np.arange(count * frames * 12).astype(np.uint8).reshape(count, frames, 2, 2, 3)
    sizes = []

    def total(piece: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(piece))
        return np.asarray(piece.reshape(len(piece), -1).sum(axis=1)[:, None], np.float32)

    torch = import_torch()
    np.testing.assert_array_equal(in_pieces(total, clips, torch.device("cpu")), total(clips))
    assert sizes == [1] * count + [count]
    np.testing.assert_array_equal(in_pieces(total, clips, torch.device("cuda")), total(clips))
    assert sizes[count + 1] == count  # all of them fit a GPU at once


def test_a_library_that_is_not_installed_is_named_with_its_extra() -> None:
    require_any("mine", "torch", ("numpy",))
    with pytest.raises(ConfigError) as caught:
        require_any("mine", "flow", ("no_such_library",))
    assert str(caught.value) == (
        "model_type mine needs no_such_library, which is not installed: "
        'pip install "vidbench[flow]"'
    )


def test_the_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, vidbench.models.huggingface\n"
        "heavy = ('torch', 'transformers', 'tensorflow', 'huggingface_hub', 'safetensors')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert done.stdout.strip() == "[]"
