"""What the numbers were measured on."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from vidbench.system.machine import available_cores

_PACKAGES = (
    "vidbench",
    "tensorflow",
    "numpy",
    "opencv-python-headless",
    "av",
    "h5py",
    "zstandard",
)


def cpu_flags() -> frozenset[str]:
    """What the processor can do, in Linux's words; nothing where it does not say."""
    return frozenset(_cpu_field("flags").split())


def describe_machine() -> dict[str, Any]:
    """The machine and the versions, for ``machine.json``."""
    return {
        "cpu": _cpu_field("model name") or platform.processor() or platform.machine(),
        "flags": sorted(flag for flag in cpu_flags() if "bf16" in flag or "amx" in flag),
        "cores": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
    }


def summary(machine: dict[str, Any]) -> str:
    """The same in one line."""
    return (
        f"{machine['cpu']} ({' '.join(machine['flags']) or 'no bf16'}), "
        f"{machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"Python {machine['python']}, TensorFlow {machine['versions']['tensorflow']}"
    )


def _cpu_field(name: str) -> str:
    """What Linux says of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    return found[0] if found else ""
