"""Match the labels of a run's videos with the model's classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import Dataset
from vidbench.errors import ConfigError
from vidbench.labels.aliases import check_aliases, read_aliases, tell_near_misses
from vidbench.labels.alignment import Alignment, align
from vidbench.labels.class_lists import are_indices, find_classes, restrict

logger = logging.getLogger(__name__)


class Labels(NamedTuple):
    """The classes of a run.

    Attributes:
        classes: Requested classes of the dataset.
        alignment: The model's classes that they match.
        choices: Classes that the model may choose from; empty for all.
    """

    classes: tuple[str, ...]
    alignment: Alignment
    choices: tuple[str, ...] = ()


class Named(Protocol):
    """Anything with a name and classes to match: a model, or another program's predictions."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


def match_labels(config: RunConfig, model: Named, dataset: Dataset) -> Labels:
    """Match the run's classes with the model's; warn of classes that the model does not have.

    Raises:
        ConfigError: The model has none of the classes, or fewer to choose from than ``top_n``; or
            an alias names an unknown label or class.
    """
    classes = dataset.classes
    alignment = _align(config, classes, model.classes)
    if config.classes is not None:
        classes = restrict(classes, find_classes(config.classes))
        alignment = alignment.only(classes)
    if classes and not alignment.targets:
        raise ConfigError(_tell_none(model, dataset, classes))
    if alignment.missing:
        _warn_of_missing(model, dataset, classes, alignment)
    choices = tuple(alignment.targets.values()) if config.restrict_choices else ()
    if choices and config.top_n is not None and config.top_n > len(choices):
        raise ConfigError(
            f"top_n is {config.top_n}, but there are only {len(choices)} classes to choose from"
        )
    return Labels(classes, alignment, choices)


def _align(config: RunConfig, labels: Sequence[str], classes: Sequence[str]) -> Alignment:
    if config.class_aliases is None:
        return align(labels, classes)
    aliases = read_aliases(config.class_aliases)
    check_aliases(aliases, config.class_aliases, labels, classes)
    return align(labels, classes, aliases)


def _tell_none(model: Named, dataset: Dataset, classes: Sequence[str]) -> str:
    """The message if the model has none of the classes."""
    hint = tell_near_misses(classes, model.classes)
    if are_indices(classes):
        hint = "the labels are numbers: give the list of class names with --classes_file"
    return (
        f"{model.name} has none of the {len(classes)} classes of {dataset.name} "
        f"({', '.join(classes[:3])}, ...): their names must be equal, or known renames"
        + (f"; {hint}" if hint else "")
    )


def _warn_of_missing(
    model: Named, dataset: Dataset, classes: Sequence[str], alignment: Alignment
) -> None:
    logger.warning(
        "%s has no class for %d of the %d classes of %s, e.g. %s: accuracies are given over the "
        "others, and over all",
        model.name,
        len(alignment.missing),
        len(classes),
        dataset.name,
        alignment.missing[0],
    )
    if near := tell_near_misses(alignment.missing, model.classes):
        logger.warning("%s", near)
