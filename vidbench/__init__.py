"""How good a pretrained video classifier really is: the number, its videos, its interval.

Importing the package loads none of its heavy parts; each name below is imported at first use.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidbench.data.datasets.base import load_dataset as load_dataset
    from vidbench.data.kinetics_loader import KineticsLoader as KineticsLoader
    from vidbench.data.load import VideoLoader as VideoLoader
    from vidbench.data.spec import PRESETS as PRESETS
    from vidbench.data.spec import PreprocessSpec as PreprocessSpec
    from vidbench.errors import VidbenchError as VidbenchError
    from vidbench.metrics import compute_accuracy as compute_accuracy
    from vidbench.models.base import load_model as load_model
    from vidbench.models.i3d import I3DLoader as I3DLoader
    from vidbench.models.saved_model import SavedModelLoader as SavedModelLoader
    from vidbench.run_config import RunConfig as RunConfig
    from vidbench.statistics import Estimate as Estimate

__version__ = metadata.version("vidbench")

_HOMES = {
    "RunConfig": "vidbench.run_config",
    "load_dataset": "vidbench.data.datasets.base",
    "KineticsLoader": "vidbench.data.kinetics_loader",
    "VideoLoader": "vidbench.data.load",
    "PRESETS": "vidbench.data.spec",
    "PreprocessSpec": "vidbench.data.spec",
    "VidbenchError": "vidbench.errors",
    "compute_accuracy": "vidbench.metrics",
    "load_model": "vidbench.models.base",
    "I3DLoader": "vidbench.models.i3d",
    "SavedModelLoader": "vidbench.models.saved_model",
    "Estimate": "vidbench.statistics",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
