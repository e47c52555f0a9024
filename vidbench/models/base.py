"""What every model offers, and how one is found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

import vidbench.models
from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError

PRECISIONS = ("fp32", "bf16")
"""Exact, the default; and bfloat16, which is faster and shifts scores a little."""

GRAPH_FOLDER = "graphs"
"""Of the cache: what models keep there, to start faster next time."""


class Classifier(Protocol):
    """A loaded model. Scaling of pixels and softmax live in it, and nowhere else."""

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB."""
        ...


class Model(Protocol):
    """A model that may not be loaded yet; constructing one does no I/O.

    Attributes:
        name: ``family`` or ``family/variant``, as in the results.
        spec: What it expects to be done to pixels, where nobody says otherwise.
        trained_on: The dataset whose train split it has seen, e.g. ``kinetics-400``; None where
            nobody says.
    """

    name: str
    spec: PreprocessSpec
    trained_on: str | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores; bound to the weights."""
        ...

    def check(self, spec: PreprocessSpec) -> None:
        """Nothing, if clips of this spec fit the model; finds the weights, loads no framework.

        Raises:
            ConfigError: They do not fit, or the class list does not.
            ModelError: The weights cannot be found.
        """
        ...

    def digest(self) -> str:
        """16 hexadecimal digits of the weights' content and the class list."""
        ...

    def load(
        self, *, precision: str = "fp32", use_gpu: bool = True, graph_dir: Path | None = None
    ) -> Classifier:
        """The model, ready to predict.

        Args:
            precision: Of its arithmetic, one of :data:`PRECISIONS`.
            use_gpu: Use GPUs if there are any.
            graph_dir: Where it may keep what makes the next start faster; None for nowhere.

        Raises:
            ModelError: It has no such precision.
        """
        ...


def model_families() -> list[str]:
    """Names of the families that come with vidbench: its modules that are not private."""
    names = [module.name for module in pkgutil.iter_modules(vidbench.models.__path__)]
    return [name for name in names if name != "base" and not name.startswith("_")]


def load_model(
    name: str, *, model_path: str | None = None, classes_file: Path | None = None
) -> Model:
    """The model ``family/variant``, from ``vidbench.models.<family>.load(variant, ...)``.

    Args:
        name: E.g. ``i3d/kinetics-400``; a family with a dot is anybody's module.
        model_path: Weights to take: a folder, an archive, or a TF Hub handle (http or https).
        classes_file: Class names, one a line, for a model that does not bring its own.

    Raises:
        ConfigError: There is no such model, or its options contradict one another.
    """
    family, _, variant = name.partition("/")
    module = family if "." in family else f"vidbench.models.{family}"
    try:
        load = importlib.import_module(module).load
    except (ModuleNotFoundError, AttributeError) as error:
        known = ", ".join(model_families())
        raise ConfigError(f"there is no model family {family!r} ({error}), only {known}") from error
    return cast(Model, load(variant, model_path=model_path, classes_file=classes_file))
