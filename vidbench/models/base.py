"""What every model offers, and how one is found by its name."""

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
"""Of the cache: what models keep there, to start faster next time."""


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


class AnyModel(Protocol):
    """What every model says of itself; constructing one does no I/O.

    Attributes:
        name: ``family`` or ``family/variant``, as in the results.
        trained_on: The dataset whose train split it has seen, e.g. ``kinetics-400``; None where
            that is not stated.
    """

    name: str
    trained_on: str | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores; bound to the weights."""
        ...

    def digest(self) -> str:
        """16 hexadecimal digits of the weights' content and the class list."""
        ...


class Model(AnyModel, Protocol):
    """A model that takes clips, and may not be loaded yet.

    Attributes:
        spec: What it expects to be done to pixels, unless options say otherwise.
    """

    spec: PreprocessSpec

    def check(self, spec: PreprocessSpec) -> None:
        """Check that clips of this spec fit the model; finds the weights, loads no framework.

        Raises:
            ConfigError: They do not fit, or the class list does not.
            ModelError: The weights cannot be found.
        """
        ...

    def load(self, runtime: Runtime = Runtime()) -> Classifier:
        """The model, ready to predict.

        Raises:
            ConfigError: The framework computes in another number of threads already.
            ModelError: It has no such precision, or there is no such device.
        """
        ...


@runtime_checkable
class EmbeddingModel(Protocol):
    """A :class:`Model` whose classes are asked for, so that the features of clips outlive them."""

    def embedding_digest(self, precision: str) -> str:
        """16 hexadecimal digits of what decides features: weights and precision, not classes."""
        ...

    def load(self, runtime: Runtime = Runtime()) -> EmbeddingClassifier:
        """As :meth:`Model.load`."""
        ...


class Answer(NamedTuple):
    """What a model that takes files says of one video.

    Attributes:
        classes: The best first, at least one.
        scores: Of these classes, falling; empty where it gives none.
    """

    classes: tuple[str, ...]
    scores: tuple[float, ...] = ()


class FileClassifier(Protocol):
    """A loaded model that reads the files of videos itself."""

    def judge(self, files: Sequence[Path], seconds: float) -> Sequence[Answer | Skip]:
        """What the model says of each file, or why it cannot judge it.

        Args:
            files: Absolute paths on this machine, each once.
            seconds: For one file; what takes longer is given up.

        Raises:
            ModelError: It does not answer as it should, which another file would not change.
        """
        ...


class FileModel(AnyModel, Protocol):
    """A model that takes the files of videos, and may not be loaded yet."""

    def check(self) -> None:
        """Check that the model is there; runs nothing.

        Raises:
            ConfigError: It is not, or its class list is none.
        """
        ...

    def load(self) -> FileClassifier:
        """The model, ready to judge files."""
        ...


@runtime_checkable
class ChecksPath(Protocol):
    """A :class:`Model` whose ``--model_path`` can be judged at a glance."""

    def check_path(self) -> None:
        """Raise ConfigError unless the path may hold such a model."""
        ...


@runtime_checkable
class CountsScores(Protocol):
    """A :class:`Model` whose weights tell how many classes it has."""

    def count_scores(self) -> int | None:
        """The number of classes; None where only loading the model tells."""
        ...


@runtime_checkable
class HasThresholds(Protocol):
    """A :class:`Model` whose classes may have a score from which they count as seen."""

    def read_thresholds(self) -> Mapping[str, float]:
        """Such scores, 0 to 1, by class; the others have the usual one."""
        ...


def model_families() -> list[str]:
    """Names of the families that come with vidbench."""
    return list_families(vidbench.models)


def as_embedding_model(model: Model) -> EmbeddingModel:
    """The model of a family that declares features, as one that gives them.

    Raises:
        ConfigError: It gives none.
    """
    if not isinstance(model, EmbeddingModel):
        raise ConfigError(
            f"the family of {model.name} declares input {FEATURES!r}, and the model has no "
            "embedding_digest: add it, or declare input 'clips'"
        )
    return model


def find_model_family(name: str) -> ModelFamily:
    """The declaration of a model's family, or what is assumed of a module without one.

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
    """The declarations of the families that come with vidbench; their libraries may be absent."""
    return [find_model_family(name) for name in model_families()]


def model_entries() -> list[ModelEntry]:
    """The models that come with vidbench."""
    return [entry for family in all_model_families() for entry in family.entries]


def count_classes(model: Model) -> int | None:
    """How many classes a model has by its weights alone; None where only loading it tells."""
    try:
        return model.count_scores() if isinstance(model, CountsScores) else None
    except (ConfigError, ModelError):
        return None  # which is told when the model is checked


def load_model(name: str, **options: Any) -> Model:
    """The model ``family/variant``, from ``vidbench.models.<family>.load(variant, ...)``.

    Args:
        name: E.g. ``i3d/kinetics-400``; a family with a dot is a module of yours.
        **options: Of :data:`OPTIONS`, as far as the family takes them: ``model_path``, weights to
            take; ``classes_file``, class names, one a line; ``prompts``, a file of classes and
            prompts. Those that are None count as not given.

    Raises:
        ConfigError: There is no such model, its options contradict one another, or it takes the
            files of videos instead of clips.
    """
    if find_model_family(name).input == FILES:
        raise ConfigError(
            f"--model_type {name} takes whole files of videos, not clips of their frames: only "
            "`vidbench evaluate` runs it"
        )
    return _require_runtime(name, _load(name, options))


def load_file_model(name: str, **options: Any) -> FileModel:
    """The model of a family that takes files; as :func:`load_model`.

    Raises:
        ConfigError: There is no such model, its options contradict one another, or it takes clips.
    """
    if find_model_family(name).input != FILES:
        raise ConfigError(f"--model_type {name} takes clips of frames, not files of videos")
    return cast(FileModel, _load(name, options))


def _load(name: str, options: Mapping[str, Any]) -> Any:
    family, (name, slash, variant) = find_model_family(name), name.partition("/")
    given = {option: value for option, value in options.items() if value is not None}
    for option in sorted(given.keys() - family.options):
        raise ConfigError(f"model_type {name} takes no --{option}: drop the option")
    load = import_family("model_type", name, vidbench.models).load
    return load(variant if slash else family.default_variant, **given)


def _require_runtime(family: str, model: Any) -> Model:
    """The model; raise ConfigError where it is loaded with keywords, as in earlier versions."""
    try:
        inspect.signature(model.load).bind(Runtime())
    except TypeError as error:
        raise ConfigError(
            f"model_type {family} is loaded with {inspect.signature(model.load)}, not with one "
            "vidbench.Runtime, which has precision, device, num_threads and cache_dir: write "
            "`def load(self, runtime)`"
        ) from error
    return cast(Model, model)
