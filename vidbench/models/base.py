"""What every model offers, and how one is found by its name."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

import vidbench.models
from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.system.plugins import import_family, list_families

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

PRECISIONS = ("fp32", "bf16")
"""Exact, the default; and bfloat16, which is faster and shifts scores a little."""

GRAPH_FOLDER = "graphs"
"""Of the cache: what models keep there, to start faster next time."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a model without its library and its weights.

    Attributes:
        name: As ``--model_type`` takes it, ``family`` or ``family/variant``.
        source: Where its weights come from.
        classes: Name of its class list, or what decides it.
        top1: Accuracy that its authors published, 0 to 1; None where they did not.
        top5: Likewise.
        published: Of what, and by which protocol: dataset, split, views, frames, size.
        reference: Where that stands.
        needs: The extra that installs its library, e.g. ``torch``.
    """

    name: str
    source: str
    classes: str
    top1: float | None = None
    top5: float | None = None
    published: str = ""
    reference: str = ""
    needs: str = "tensorflow"


class Classifier(Protocol):
    """A loaded model. Scaling of pixels and softmax live in it, and nowhere else."""

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB."""
        ...


class EmbeddingClassifier(Classifier, Protocol):
    """A classifier whose features of clips do not depend on its classes, and may be kept."""

    def embed(self, clips: Views) -> NDArray[np.float32]:
        """Features, (batch, ...), of clips as :meth:`predict` takes them."""
        ...

    def classify(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of what :meth:`embed` gave."""
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
        """Check that clips of this spec fit the model; finds the weights, loads no framework.

        Raises:
            ConfigError: They do not fit, or the class list does not.
            ModelError: The weights cannot be found.
        """
        ...

    def digest(self) -> str:
        """16 hexadecimal digits of the weights' content and the class list."""
        ...

    def load(
        self,
        *,
        precision: str = "fp32",
        device: str = "auto",
        num_threads: int | None = None,
        cache_dir: Path | None = None,
    ) -> Classifier:
        """The model, ready to predict.

        Args:
            precision: Of its arithmetic, one of :data:`PRECISIONS`.
            device: ``auto`` for a GPU if there is one, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
            num_threads: Processor threads; None for one a core. A framework has one number for
                the whole process: of PyTorch the last model decides, of TensorFlow the first.
            cache_dir: Where it may keep what makes the next start faster; None for nowhere.

        Raises:
            ConfigError: The framework computes in another number of threads already.
            ModelError: It has no such precision, or there is no such device.
        """
        ...


class EmbeddingModel(Model, Protocol):
    """A model whose classes are asked for, so that the features of clips outlive them."""

    def embedding_digest(self, precision: str) -> str:
        """16 hexadecimal digits of what decides features: weights and precision, not classes."""
        ...

    def load(
        self,
        *,
        precision: str = "fp32",
        device: str = "auto",
        num_threads: int | None = None,
        cache_dir: Path | None = None,
    ) -> EmbeddingClassifier:
        """As :meth:`Model.load`."""
        ...


def model_families() -> list[str]:
    """Names of the families that come with vidbench."""
    return list_families(vidbench.models)


def require_device(device: str) -> None:
    """Check that this is how a device is named.

    Raises:
        ConfigError: It is not.
    """
    if not _DEVICE.fullmatch(device):
        raise ConfigError(f"--device {device!r} must be auto, cpu, cuda, cuda:<number> or mps")


def model_cards() -> list[ModelCard]:
    """What comes with vidbench: the ``CARDS`` of each family, whose libraries may be absent."""
    families = [import_family("model_type", name, vidbench.models) for name in model_families()]
    return [card for family in families for card in family.CARDS]


def count_classes(model: Model) -> int | None:
    """How many classes a model has by its weights alone; None where only loading it tells.

    Families whose class lists are files of their own have ``num_scores`` for it.
    """
    try:
        count: int | None = getattr(model, "num_scores", None)
    except (ConfigError, ModelError):
        return None  # which is told when the model is checked
    return count


def takes_option(name: str, option: str) -> bool:
    """Whether the ``load`` of a model's family takes an option, e.g. ``classes_file``.

    Raises:
        ConfigError: There is no such family.
    """
    family = name.partition("/")[0]
    load = import_family("model_type", family, vidbench.models).load
    return option in inspect.signature(load).parameters


def load_model(name: str, **options: Any) -> Model:
    """The model ``family/variant``, from ``vidbench.models.<family>.load(variant, ...)``.

    A family's ``load`` names the options that it takes, e.g. ``model_path``, weights to take;
    ``classes_file``, class names, one a line; ``prompts``, a file of classes and prompts.

    Args:
        name: E.g. ``i3d/kinetics-400``; a family with a dot is anybody's module.
        **options: Those that are None count as not given.

    Raises:
        ConfigError: There is no such model, or its options contradict one another.
    """
    family, _, variant = name.partition("/")
    load = import_family("model_type", family, vidbench.models).load
    given = {option: value for option, value in options.items() if value is not None}
    taken = inspect.signature(load).parameters
    for option in given.keys() - taken.keys():
        raise ConfigError(f"model_type {family} takes no --{option}: drop the option")
    return cast(Model, load(variant, **given))
