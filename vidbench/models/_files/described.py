"""A model of which a TOML file says something."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Self

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models._files.description import Description
from vidbench.models._files.interface import PixelRange, decisive
from vidbench.models.base import ModelEntry, ModelFamily


def declare(name: str, needs: str, classes: str = "its TOML file, --classes_file") -> ModelFamily:
    """The declaration ``FAMILY`` of models that ``--model_path`` names.

    Args:
        name: The family.
        needs: Extra of vidbench with its library.
        classes: Where class names come from.
    """
    return ModelFamily(
        name=name,
        entries=(ModelEntry(name=name, source="--model_path", classes=classes),),
        needs=needs,
        options=frozenset({"model_path", "classes_file"}),
    )


class DescribedModel(ABC):
    """What the description of a model decides; see :class:`~vidbench.models.base.Model`."""

    family: str
    takes: str  # what ``--model_path`` names, e.g. ``a file .onnx``

    def __init__(self, model_path: str, *, classes_file: Path | None = None) -> None:
        self._source = model_path
        self._classes_file = classes_file

    @classmethod
    def from_options(
        cls, variant: str, *, model_path: str | None = None, classes_file: Path | None = None
    ) -> Self:
        """The model at a path; this is ``load`` of a family without variants.

        Raises:
            ConfigError: There is no path, or a variant.
        """
        if variant:
            raise ConfigError(f"model_type {cls.family} has no variant {variant!r}: drop it")
        if model_path is None:
            raise ConfigError(f"model_type {cls.family} needs --model_path, {cls.takes}")
        return cls(model_path, classes_file=classes_file)

    @property
    @abstractmethod
    def description(self) -> Description:
        """What is said of the model."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores."""

    @cached_property
    def name(self) -> str:
        """The family, and behind a slash the name in the TOML file, if any."""
        return "/".join(filter(None, (self.family, self.description.name)))

    @cached_property
    def spec(self) -> PreprocessSpec:
        """The protocol in the TOML file; options go over it."""
        return self.description.spec

    @cached_property
    def trained_on(self) -> str | None:
        """The dataset whose train split it has seen, if the TOML file says so."""
        return self.description.trained_on

    def digest_of(self, weights: str, pixel_range: PixelRange) -> str:
        """16 hexadecimal digits of the weights, the class list, and what is done to pixels.

        Args:
            weights: Digest of their content.
            pixel_range: What 0 and 255 become.
        """
        said = decisive(self.description.interface, pixel_range)
        text = "\n".join([weights, *self.classes, *said])
        return hashlib.sha256(text.encode()).hexdigest()[:16]
