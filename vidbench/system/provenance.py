"""Provenance of a run: time, software versions and machine."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from vidbench.system.machine import available_cores

_PACKAGES = (
    *("vidbench", "tensorflow", "torch", "transformers", "onnxruntime"),
    *("numpy", "opencv-python-headless", "av", "h5py"),
)


def provenance() -> dict[str, Any]:
    """For ``run.json``: time, versions of packages, revision of the checkout, and the machine."""
    return {
        "started": now(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "git_revision": _git_revision(),
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": available_cores(),
        },
    }


def now() -> str:
    """Current time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Commit of the checkout that vidbench runs from, with ``+`` if files are modified."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
