"""What the numbers were measured on."""

from __future__ import annotations

import platform
from typing import Any

import psutil

from vidbench.system.machine import cpu_field
from vidbench.system.provenance import provenance


def cpu_flags() -> frozenset[str]:
    """What the processor can do, in Linux's words; nothing where it does not say."""
    return frozenset(cpu_field("flags").split())


def describe_machine() -> dict[str, Any]:
    """The machine and the versions, for ``machine.json``."""
    known = provenance()
    return {
        "cpu": cpu_field("model name") or platform.processor() or platform.machine(),
        "flags": sorted(flag for flag in cpu_flags() if "bf16" in flag or "amx" in flag),
        "memory_bytes": psutil.virtual_memory().total,
        **known["machine"],
        "versions": known["versions"],
    }


def summary(machine: dict[str, Any]) -> str:
    """The same in one line."""
    return (
        f"{machine['cpu']} ({' '.join(machine['flags']) or 'no bf16'}), "
        f"{machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"Python {machine['python']}, TensorFlow {machine['versions']['tensorflow']}"
    )
