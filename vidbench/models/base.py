"""Protocols of models, and functions that find models by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

import vidbench.models
from vidbench.data.records import Skip, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.models._family import CLIPS as CLIPS
from vidbench.models._family import FEATURES as FEATURES
from vidbench.models._family import FILES as FILES
from vidbench.models._family import OPTIONS as OPTIONS
from vidbench.models._family import ModelEntry as ModelEntry
from vidbench.models._family import ModelFamily as ModelFamily
from vidbench.system.plugins import import_family, list_families, read_declaration
from vidbench.system.runtime import Runtime

GRAPH_FOLDER = "graphs"
"""Folder in the cache for prepared models, which start faster."""


class Classifier(Protocol):
    """A loaded model, which includes the scaling of pixels and the softmax."""

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB."""
        ...


class EmbeddingClassifier(Classifier, Protocol):
    """A classifier whose features of clips do not depend on its classes, and can be cached."""

    def embed(self, clips: Views) -> NDArray[np.float32]:
        """Features, (batch, ...), of clips as for :meth:`predict`."""
        ...

    def classify(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of features from :meth:`embed`."""
        ...


class AnyModel(Protocol):
    """Properties of every model; constructing one does no I/O.

    Attributes:
        name: ``family`` or ``family/variant``, as in the results.
        trained_on: The dataset that it was trained on, e.g. ``kinetics-400``; None if not stated.
    """

    name: str
    trained_on: str | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores; they belong to the weights."""
        ...

    def digest(self) -> str:
        """Digest of the weights' content and the class list, 16 hexadecimal digits."""
        ...


class Model(AnyModel, Protocol):
    """A model that takes clips; it need not be loaded yet.

    Attributes:
        spec: Preprocessing that it expects by default.
    """

    spec: PreprocessSpec

    def check(self, spec: PreprocessSpec) -> None:
        """Check that clips with this spec fit the model; finds the weights, loads no framework.

        Raises:
            ConfigError: The clips or the class list do not fit.
            ModelError: The weights cannot be found.
        """
        ...

    def load(self, runtime: Runtime = Runtime()) -> Classifier:
        """Load the model.

        Raises:
            ConfigError: The framework already runs with another number of threads.
            ModelError: The precision or the device is not available.
        """
        ...


@runtime_checkable
class EmbeddingModel(Protocol):
    """A :class:`Model` whose classes are chosen freely, so features of clips can be reused."""

    def embedding_digest(self, precision: str) -> str:
        """Digest of weights and precision, which decide features; 16 hexadecimal digits."""
        ...

    def load(self, runtime: Runtime = Runtime()) -> EmbeddingClassifier:
        """Load the model, see :meth:`Model.load`."""
        ...


class Answer(NamedTuple):
    """Answer of a model that takes files, for one video.

    Attributes:
        classes: At least one class, best first.
        scores: Scores of these classes in descending order; empty if the model gives none.
    """

    classes: tuple[str, ...]
    scores: tuple[float, ...] = ()


class FileClassifier(Protocol):
    """A loaded model that reads video files itself."""

    def judge(self, files: Sequence[Path], seconds: float) -> Sequence[Answer | Skip]:
        """The model's answer for each file, or why it has none.

        Args:
            files: Absolute local paths without duplicates.
            seconds: Time limit for one file.

        Raises:
            ModelError: The model's output is invalid, independent of the file.
        """
        ...


class FileModel(AnyModel, Protocol):
    """A model that takes video files; it need not be loaded yet."""

    def check(self) -> None:
        """Raise ConfigError unless the model exists and its class list is valid; runs nothing."""
        ...

    def load(self) -> FileClassifier:
        """Load the model."""
        ...


@runtime_checkable
class ChecksPath(Protocol):
    """A :class:`Model` that can check its ``--model_path`` quickly."""

    def check_path(self) -> None:
        """Raise ConfigError unless the path can be that of such a model."""
        ...


@runtime_checkable
class CountsScores(Protocol):
    """A :class:`Model` whose number of classes is known from its weights."""

    def count_scores(self) -> int | None:
        """The number of classes; None if it is known only after loading."""
        ...


@runtime_checkable
class HasThresholds(Protocol):
    """A :class:`Model` whose classes can have detection thresholds of their own."""

    def read_thresholds(self) -> Mapping[str, float]:
        """Thresholds of scores, 0 to 1, by class; other classes have the default one."""
        ...


def model_families() -> list[str]:
    """Names of the families that come with vidbench."""
    return list_families(vidbench.models)


def as_embedding_model(model: Model) -> EmbeddingModel:
    """The model as an :class:`EmbeddingModel`, for families that declare features.

    Raises:
        ConfigError: The model gives no features.
    """
    if not isinstance(model, EmbeddingModel):
        raise ConfigError(
            f"the family of {model.name} declares input {FEATURES!r}, and the model has no "
            "embedding_digest: add it, or declare input 'clips'"
        )
    return model


def find_model_family(name: str) -> ModelFamily:
    """The declaration of a model's family, or a default one for a module without declaration.

    Args:
        name: ``family`` or ``family/variant``; a family with a dot is a module of yours.

    Raises:
        ConfigError: There is no such family.
    """
    family = name.partition("/")[0]
    module = import_family("model_type", family, vidbench.models)
    if declared := read_declaration(module, ModelFamily):
        return declared
    taken = OPTIONS & inspect.signature(module.load).parameters.keys()
    return ModelFamily(name=family, options=taken, variants=None)


def all_model_families() -> list[ModelFamily]:
    """The declarations of the families that come with vidbench; does not need their libraries."""
    return [find_model_family(name) for name in model_families()]


def model_entries() -> list[ModelEntry]:
    """The models that come with vidbench."""
    return [entry for family in all_model_families() for entry in family.entries]


def count_classes(model: Model) -> int | None:
    """Number of classes of a model by its weights; None if it is known only after loading."""
    try:
        return model.count_scores() if isinstance(model, CountsScores) else None
    except (ConfigError, ModelError):
        return None  # the check of the model reports the error


def load_model(name: str, **options: Any) -> Model:
    """The model ``family/variant``, from ``vidbench.models.<family>.load(variant, ...)``.

    Args:
        name: Name of the model, e.g. ``i3d/kinetics-400``; a family with a dot is a module of
            yours.
        **options: Options of :data:`OPTIONS` that the family takes: ``model_path``, its weights;
            ``classes_file``, class names, one per line; ``prompts``, a file of classes and
            prompts. None means not given.

    Raises:
        ConfigError: There is no such model, its options contradict one another, or it takes video
            files instead of clips.
    """
    if find_model_family(name).input == FILES:
        raise ConfigError(
            f"--model_type {name} takes whole video files, not clips of their frames: only "
            "`vidbench evaluate` runs it"
        )
    return _require_runtime(name, _load(name, options))


def load_file_model(name: str, **options: Any) -> FileModel:
    """The model of a family that takes files, see :func:`load_model`.

    Raises:
        ConfigError: There is no such model, its options contradict one another, or it takes clips.
    """
    if find_model_family(name).input != FILES:
        raise ConfigError(f"--model_type {name} takes clips of frames, not video files")
    return cast(FileModel, _load(name, options))


def _load(name: str, options: Mapping[str, Any]) -> Any:
    family, (name, slash, variant) = find_model_family(name), name.partition("/")
    given = {option: value for option, value in options.items() if value is not None}
    for option in sorted(given.keys() - family.options):
        raise ConfigError(f"model_type {name} takes no --{option}: omit the option")
    load = import_family("model_type", name, vidbench.models).load
    return load(variant if slash else family.default_variant, **given)


def _require_runtime(family: str, model: Any) -> Model:
    """The model; raise ConfigError if it is loaded with keywords, as in earlier versions."""
    try:
        inspect.signature(model.load).bind(Runtime())
    except TypeError as error:
        raise ConfigError(
            f"model_type {family} is loaded with {inspect.signature(model.load)}, not with one "
            "vidbench.Runtime, which has precision, device, num_threads and cache_dir: write "
            "`def load(self, runtime)`"
        ) from error
    return cast(Model, model)
