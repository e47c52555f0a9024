"""Evaluate pretrained video classifiers: accuracies with confidence intervals, video by video.

Importing the package is cheap: each name below is imported at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vidbench._version import __version__

if TYPE_CHECKING:
    from vidbench.config.opening import open_loader as open_loader
    from vidbench.config.opening import open_model as open_model
    from vidbench.config.run_config import RunConfig as RunConfig
    from vidbench.data.datasets.base import FetchOptions as FetchOptions
    from vidbench.data.datasets.base import load_dataset as load_dataset
    from vidbench.data.kinetics_loader import KineticsLoader as KineticsLoader
    from vidbench.data.loader import VideoLoader as VideoLoader
    from vidbench.data.records import Selection as Selection
    from vidbench.data.records import VideoRecord as VideoRecord
    from vidbench.data.records import Views as Views
    from vidbench.data.spec import PRESETS as PRESETS
    from vidbench.data.spec import PreprocessSpec as PreprocessSpec
    from vidbench.data.video.decode import decode_views as decode_views
    from vidbench.errors import ConfigError as ConfigError
    from vidbench.errors import ModelError as ModelError
    from vidbench.errors import VidbenchError as VidbenchError
    from vidbench.metrics.classification import compute_accuracy as compute_accuracy
    from vidbench.metrics.intervals import Estimate as Estimate
    from vidbench.models.base import load_model as load_model
    from vidbench.models.i3d import I3DLoader as I3DLoader
    from vidbench.models.saved_model import SavedModelLoader as SavedModelLoader
    from vidbench.runs.compare import compare as compare
    from vidbench.runs.finished import FinishedRun as FinishedRun
    from vidbench.runs.outcomes import outcomes_of as outcomes_of
    from vidbench.system.runtime import Runtime as Runtime

_HOMES = {
    "open_loader": "vidbench.config.opening",
    "open_model": "vidbench.config.opening",
    "RunConfig": "vidbench.config.run_config",
    "FetchOptions": "vidbench.data.datasets.base",
    "load_dataset": "vidbench.data.datasets.base",
    "KineticsLoader": "vidbench.data.kinetics_loader",
    "VideoLoader": "vidbench.data.loader",
    "Selection": "vidbench.data.records",
    "VideoRecord": "vidbench.data.records",
    "Views": "vidbench.data.records",
    "PRESETS": "vidbench.data.spec",
    "PreprocessSpec": "vidbench.data.spec",
    "decode_views": "vidbench.data.video.decode",
    "ConfigError": "vidbench.errors",
    "ModelError": "vidbench.errors",
    "VidbenchError": "vidbench.errors",
    "compute_accuracy": "vidbench.metrics.classification",
    "Estimate": "vidbench.metrics.intervals",
    "load_model": "vidbench.models.base",
    "I3DLoader": "vidbench.models.i3d",
    "SavedModelLoader": "vidbench.models.saved_model",
    "compare": "vidbench.runs.compare",
    "FinishedRun": "vidbench.runs.finished",
    "outcomes_of": "vidbench.runs.outcomes",
    "Runtime": "vidbench.system.runtime",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
