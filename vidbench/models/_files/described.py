"""A model of which a TOML file says something."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property

from vidbench.data.spec import PreprocessSpec
from vidbench.models._files.description import Description
from vidbench.models._files.interface import PixelRange, decisive


class DescribedModel(ABC):
    """What the description of a model decides; see :class:`~vidbench.models.base.Model`."""

    family: str

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
